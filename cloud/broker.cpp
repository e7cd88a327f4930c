#include "cloud/broker.h"


#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "cloud/log.h"
#include "schemas/mqtt.h"

namespace egret::cloud {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int64_t kBackoffStartMs = 500;
constexpr int64_t kRefusedMaxMs = 30'000;  // a wrong password gets no better by asking often
constexpr int64_t kStableMs = 60'000;
constexpr uint16_t kReceiveMaximum = 32;
constexpr size_t kRepliesWaitingMax = 4'096;

MqttOptions line_options_of(const BrokerConfig& config) {
  MqttOptions out = mqtt_options_of(config);
  out.keep_alive_s = config.keep_alive_s;
  out.payload_bytes_max = config.frame_bytes_max;
  out.receive_max = kReceiveMaximum;
  out.waiting_max = kRepliesWaitingMax;
  return out;
}

std::string random_client_id(Entropy& entropy) {
  SessionId id{};
  entropy.fill(id.data(), id.size());
  return "egret-cloud-" + hex(view(id));
}

}  // namespace

MqttOptions mqtt_options_of(const BrokerConfig& config) {
  MqttOptions out;
  out.url = config.url;
  out.user = config.user;
  out.password = config.password;
  out.ca_file = config.ca_file;
  out.certificate_file = config.certificate_file;
  out.key_file = config.key_file;
  out.version = config.mqtt_version;
  return out;
}

Result<void> check(const BrokerConfig& config) {
  if (config.queue_messages == 0 || config.queue_bytes < config.frame_bytes_max)
    return Error{Errc::config, "queue_messages, queue_bytes: the queue must hold one frame"};
  return egret::check(line_options_of(config));
}

// One connection and its queue. All members but the connection's own are guarded by
// BrokerImpl::lock.
struct Line {
  TopicKind topic = TopicKind::up_control;
  LineStatus status;
  std::deque<Inbound> queue;
  std::unique_ptr<MqttConnection> connection;  // made and ended by the keeper only
  bool over = true;                            // the connection has ended: connect again at `due`
  Clock::time_point due, up_since;
  int failures = 0;
};
const char* name_of(const Line& line) { return line.topic == TopicKind::up_control ? "control" : "bulk"; }

struct BrokerImpl {
  BrokerImpl(BrokerConfig c, Entropy& e) : config(std::move(c)), entropy(e) {
    bulk.topic = TopicKind::up_bulk;
    control.due = bulk.due = Clock::now();
    keeper = std::thread([this] { keep(); });
  }
  ~BrokerImpl();

  void keep();
  void connect(Line& line, std::unique_lock<std::mutex>& held);
  void frame(Line& line, std::string_view topic, Bytes payload);
  void up(Line& line);
  void down(Line& line, MqttEnd end);
  void move_frames(Line& line, size_t frames_max, size_t bytes_max, size_t& bytes,
                   std::vector<Inbound>& out);

  const BrokerConfig config;
  Entropy& entropy;
  mutable std::mutex lock;
  std::condition_variable arrived;  // frames, or woken
  std::condition_variable changed;  // a line ended, or stopping
  Line control, bulk;
  BrokerStatus counters;  // all but the lines
  Shards shards = Shards().set();
  bool stopping = false;
  bool woken = false;
  std::thread keeper;
};

namespace {

// Lives as long as the broker: its connections are closed, and so silent, before Impl is gone.
class LineListener final : public MqttListener {
 public:
  LineListener(BrokerImpl& broker, Line& line) : broker_(broker), line_(line) {}
  void up(size_t) override { broker_.up(line_); }
  void down(MqttEnd end) override { broker_.down(line_, std::move(end)); }
  void published(uint64_t) override {
    std::lock_guard held(broker_.lock);
    ++broker_.counters.replies_published;
  }
  void publish_failed(uint64_t, bool, std::string) override {
    std::lock_guard held(broker_.lock);
    ++broker_.counters.replies_failed;
  }
  void message(std::string topic, Bytes payload) override {
    broker_.frame(line_, topic, std::move(payload));
  }

 private:
  BrokerImpl& broker_;
  Line& line_;
};

}  // namespace

BrokerImpl::~BrokerImpl() {
  {
    std::lock_guard held(lock);
    stopping = true;
    changed.notify_all();
  }
  keeper.join();
  for (Line* line : {&control, &bulk}) {
    if (line->connection) line->connection->close(500);
  }
}

void BrokerImpl::connect(Line& line, std::unique_lock<std::mutex>& held) {
  MqttOptions options = line_options_of(config);
  options.client_id = random_client_id(entropy);
  options.filters = {up_filter(line.topic, config.shared_subscription)};
  const bool accepting = counters.accepting;
  options.subscribed = accepting;
  line.over = false;
  auto old = std::move(line.connection);
  // Never under the lock: close() waits for a listener that may be waiting for it.
  held.unlock();
  old.reset();
  auto fresh = std::make_unique<MqttConnection>(std::move(options),
                                                std::make_shared<LineListener>(*this, line));
  held.lock();
  line.connection = std::move(fresh);
  // accept() may have spoken meanwhile, to the old connection.
  if (counters.accepting != accepting) line.connection->subscribe(counters.accepting);
}

// The keeper: connects what is over and due.
void BrokerImpl::keep() {
  std::unique_lock held(lock);
  while (!stopping) {
    for (Line* line : {&control, &bulk}) {
      if (line->over && Clock::now() >= line->due) connect(*line, held);
    }
    if (stopping) return;
    // Only now: either may have ended while the other was made.
    auto next = Clock::time_point::max();
    for (const Line* line : {&control, &bulk}) {
      if (line->over) next = std::min(next, line->due);
    }
    if (next == Clock::time_point::max()) {
      changed.wait(held);
    } else {
      changed.wait_until(held, next);
    }
  }
}

void BrokerImpl::up(Line& line) {
  std::lock_guard held(lock);
  line.status.connected = true;
  line.status.why.clear();
  ++line.status.connects;
  line.up_since = Clock::now();
  log("broker_connected", Word{name_of(line)});
}

void BrokerImpl::down(Line& line, MqttEnd end) {
  std::lock_guard held(lock);
  auto now = Clock::now();
  if (end.was_up && now - line.up_since >= milliseconds(kStableMs)) line.failures = 0;
  int64_t most = end.identity_refused ? kRefusedMaxMs : config.backoff_max_ms;
  int64_t ceiling = std::min(most, kBackoffStartMs << std::min(line.failures, 10));
  ++line.failures;
  int64_t wait = static_cast<int64_t>(entropy.below(static_cast<uint64_t>(ceiling))) + 1;
  // One line a failure, not one an attempt of a long outage.
  if (end.why != line.status.why)
    log("broker_lost", Word{name_of(line)}, Told{end.why});
  line.status.connected = false;
  line.status.why = std::move(end.why);
  line.over = true;
  line.due = now + milliseconds(wait);
  changed.notify_all();
}

void BrokerImpl::frame(Line& line, std::string_view topic, Bytes payload) {
  auto parsed = parse_topic(topic);
  std::lock_guard held(lock);
  ++line.status.received;
  if (!parsed || parsed->kind != line.topic) {
    ++counters.stray_topics;
    return;
  }
  if (!shards[parsed->shard]) {
    ++counters.of_other_shards;
    return;
  }
  bool full = line.queue.size() >= config.queue_messages ||
              line.status.queued_bytes + payload.size() > config.queue_bytes;
  if (full || !counters.accepting) {
    ++line.status.dropped;
    return;
  }
  line.status.queued_bytes += payload.size();
  line.queue.push_back({std::move(parsed->fac), parsed->kind, std::move(payload)});
  arrived.notify_one();
}

void BrokerImpl::move_frames(Line& line, size_t frames_max, size_t bytes_max, size_t& bytes,
                             std::vector<Inbound>& out) {
  while (!line.queue.empty() && out.size() < frames_max) {
    size_t size = line.queue.front().frame.size();
    if (!out.empty() && bytes + size > bytes_max) return;
    bytes += size;
    line.status.queued_bytes -= size;
    out.push_back(std::move(line.queue.front()));
    line.queue.pop_front();
  }
}

Broker::Broker(BrokerConfig config, Entropy& entropy)
    : impl_(std::make_unique<BrokerImpl>(std::move(config), entropy)) {}
Broker::~Broker() = default;

std::vector<Inbound> Broker::take(size_t frames_max, size_t bytes_max, int64_t wait_ms) {
  std::unique_lock held(impl_->lock);
  Line& control = impl_->control;
  Line& bulk = impl_->bulk;
  impl_->arrived.wait_for(held, milliseconds(wait_ms), [&] {
    return impl_->woken || !control.queue.empty() || !bulk.queue.empty();
  });
  impl_->woken = false;
  std::vector<Inbound> out;
  size_t bytes = 0;
  // A flood of control frames leaves a quarter of the group to the others.
  size_t reserved = bulk.queue.empty() ? 0 : frames_max / 4;
  impl_->move_frames(control, frames_max - reserved, bytes_max, bytes, out);
  impl_->move_frames(bulk, frames_max, bytes_max, bytes, out);
  return out;
}

void Broker::wake() {
  std::lock_guard held(impl_->lock);
  impl_->woken = true;
  impl_->arrived.notify_all();
}

void Broker::reply(Reply reply) {
  std::lock_guard held(impl_->lock);
  Line& line = impl_->control;
  if (!line.connection || !line.status.connected) {
    ++impl_->counters.replies_unsent;
    return;
  }
  line.connection->publish(0, topic_of(TopicKind::down, reply.fac), std::move(reply.frame));
}

void Broker::hear(const Shards& shards) {
  std::lock_guard held(impl_->lock);
  if (!impl_->config.shared_subscription) impl_->shards = shards;
}

void Broker::accept(bool on) {
  std::lock_guard held(impl_->lock);
  if (impl_->counters.accepting == on) return;
  impl_->counters.accepting = on;
  for (Line* line : {&impl_->control, &impl_->bulk}) {
    if (!on) {
      line->queue.clear();
      line->status.queued_bytes = 0;
    }
    if (line->connection) line->connection->subscribe(on);
  }
}

BrokerStatus Broker::status() const {
  std::lock_guard held(impl_->lock);
  BrokerStatus out = impl_->counters;
  out.shards = impl_->shards.count();
  out.control = impl_->control.status;
  out.bulk = impl_->bulk.status;
  out.control.queued_messages = impl_->control.queue.size();
  out.bulk.queued_messages = impl_->bulk.queue.size();
  return out;
}

}  // namespace egret::cloud
