// fleet-million: very many sites under a virtual clock: the real session of each (its timers,
// backoff, HELLO, batches and purges), the real Credit of each region; broker, store and
// cryptography are models that cost time and say no.
//
//   fleet-million [SITES=1000000] [HERD_S=300]
//
// All start at once with a backlog; when everything is acknowledged the broker dies for ten minutes
// and all come back. Exit 1 when more try to connect in any second than the handshake rate allows,
// when the backlog ever grows, or when a site is left.
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <queue>

#include "cloud/credit.h"
#include "edge/session.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/clear_channel.h"

using namespace egret;
using namespace egret::edge;

namespace {

constexpr const char* kFac = "fleet";
constexpr StreamKey kKey{{77}, StreamId::result};
constexpr uint32_t kBlocks = 3, kRecordsPerBlock = 10;
constexpr size_t kSitesPerRegion = 500;
constexpr int64_t kLatencyMs = 40, kServiceMs = 2, kOutageMs = 600'000,
                  kPatienceMs = 4 * 3600 * 1000;
// A second's share of the handshakes: retries with full jitter come up to e times as often as first tries (es1 section 9),
// give or take five standard deviations of what chance does in a second.
uint64_t handshake_rate(size_t sites, int64_t herd_ms) {
  const double mean = std::numbers::e * double(sites) * 1000 / double(herd_ms);
  return uint64_t(std::ceil(mean + 5 * std::sqrt(mean)));
}

Bytes wire(const Hash& c) {
  return Bytes(view(c).substr(0, kDigestWireBytes));
}

// The store of every site: the same few blocks.
class SharedStore final : public Reader {
 public:
  SharedStore() {
    EpochView epoch;
    epoch.id = kKey.epoch;
    epoch.final = false;
    for (size_t i = 0; i < kStreamCount; i++) {
      epoch.streams[i].c_purged = epoch.streams[i].c_head =
          chain_start(kFac, {kKey.epoch, StreamId(i)});
    }
    StreamView& stream = epoch.streams[size_t(kKey.stream)];
    for (uint32_t block = 0; block < kBlocks; block++) {
      Item item;
      item.first = stream.head.next();
      item.count = kRecordsPerBlock;
      std::vector<Hash> leaves;
      for (uint32_t n = 0; n < kRecordsPerBlock; n++) {
        const Bytes record(60 + n, char('a' + block));
        append_record(item.raw, record);
        leaves.push_back(leaf_of(record));
      }
      item.c_end = chain_extend(stream.c_head, item.first, item.count, leaves);
      stream.head = item.last();
      stream.c_head = item.c_end;
      items_.push_back(std::move(item));
    }
    view.epochs.push_back(epoch);
    view.current = kKey.epoch;
  }
  Seq head() const { return items_.back().last(); }

  std::optional<Hash> c_at(StreamKey key, Seq at) const override {
    if (at.value == 0) return chain_start(kFac, key);
    for (const Item& item : items_) {
      if (key == kKey && item.last() == at) return item.c_end;
    }
    return std::nullopt;
  }
  std::vector<Item> read(StreamKey key, Seq after, const ReadLimit& limit) const override {
    std::vector<Item> out;
    for (const Item& item : items_) {
      if (key == kKey && item.first > after && out.size() < std::min<size_t>(limit.items, 1))
        out.push_back(item);
    }
    return out;
  }
  std::vector<std::pair<Seq, Seq>> held(StreamKey, Seq, Seq) const override { return {}; }
  Waiting waiting(StreamKey key, Seq after) const override {
    return {key == kKey && after < head() ? uint64_t{1000} : 0, {1}};
  }
  std::vector<Bytes> finished(uint64_t, size_t, size_t) const override { return {}; }
  std::optional<Hash> finished_hash(uint64_t i) const override {
    return i == 0 ? std::optional(Hash{}) : std::nullopt;
  }
  std::optional<FinishedStreamView> finished_stream(StreamKey) const override {
    return std::nullopt;
  }

  View view;

 private:
  std::vector<Item> items_;
};

// What a region keeps of one site, and how busy it is.
struct Region {
  cloud::Credit credit{{}};
  MonoTime busy_until;
};

struct Site {
  std::unique_ptr<Session> session;
  Seq w;  // as the region has it
  uint32_t link = 0;
  bool up = false;
};

class Fleet {
 public:
  Fleet(size_t sites, int64_t herd_ms)
      : herd_ms_(herd_ms),
        rate_(handshake_rate(sites, herd_ms)),
        sites_(sites),
        regions_(sites / kSitesPerRegion + 1) {
    Memory memory;
    memory.herd_window_ms = herd_ms;
    SessionConfig config;
    config.facility = kFac;
    config.agent_version = "fleet";
    for (size_t i = 0; i < sites; i++) {
      sites_[i].session = std::make_unique<Session>(
          config, store_, [] { return std::make_unique<ClearChannel>(1); }, entropy_, memory,
          store_.view, now());
      wait(i);
    }
    backlog_ = most_backlog_ = sites * store_.head().value;
  }
  int run();

 private:
  enum class What : uint8_t { timer, connected, refused, published, hello, batch, answer };
  struct Happens {
    MonoTime at;
    uint64_t order;
    uint32_t site;
    uint32_t link;
    What what;
    std::shared_ptr<Bytes> bytes;  // answer: a frame; hello and batch: a body
    uint64_t token = 0;
    Nonce nonce{};
    bool operator<(const Happens& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  Now now() const { return {now_, {1'700'000'000'000'000 + now_.ms * 1000}}; }
  void later(int64_t ms, size_t site, What what, std::shared_ptr<Bytes> bytes = {},
             uint64_t token = 0, Nonce nonce = {}) {
    queue_.push({now_ + ms, order_++, uint32_t(site), sites_[site].link, what, std::move(bytes),
                 token, nonce});
  }
  void wait(size_t site);
  void drive(size_t site, const Event& event);
  void carry_out(size_t site, const Action& action);
  void connect(size_t site);
  void publish(size_t site, const Publish& publish);
  void happen(Happens& h);
  void count_attempt();
  bool queue_full(size_t site);
  void answer_hello(size_t site, const Bytes& body);
  void answer_batch(size_t site, const Bytes& body, const Nonce& nonce);
  void answer(size_t site, FrameType type, const google::protobuf::MessageLite& message);
  bool until(const char* what, size_t goal, const size_t& count);
  void die();

  const int64_t herd_ms_;
  const uint64_t rate_;
  SharedStore store_;
  SeededEntropy entropy_{1};
  MonoTime now_{1'000'000};
  uint64_t order_ = 0;
  std::priority_queue<Happens> queue_;
  std::vector<Site> sites_;
  std::vector<Region> regions_;
  ClearChannel cloud_{1};
  bool broker_up_ = true;
  int64_t second_ = 0;
  uint64_t this_second_ = 0, most_a_second_ = 0, attempts_ = 0, refused_ = 0, dropped_ = 0,
           told_to_wait_ = 0;
  uint64_t backlog_ = 0, most_backlog_ = 0, grew_ = 0;
  size_t active_ = 0, drained_ = 0;
};

void Fleet::wait(size_t i) {
  const MonoTime at = sites_[i].session->next_deadline();
  if (at.ms == INT64_MAX) return;
  queue_.push(
      {std::max(at, now_ + 1), order_++, uint32_t(i), 0, What::timer, {}, uint64_t(at.ms), {}});
}

void Fleet::drive(size_t i, const Event& event) {
  Site& site = sites_[i];
  const bool was = site.session->status().state == State::active;
  const MonoTime before = site.session->next_deadline();
  for (const Action& action : site.session->step(event, now())) carry_out(i, action);
  const bool is = site.session->status().state == State::active;
  if (is && !was) active_++;
  if (was && !is) active_--;
  if (site.session->next_deadline() != before || std::holds_alternative<TimerFired>(event)) wait(i);
}

void Fleet::count_attempt() {
  attempts_++;
  if (now_.ms / 1000 != second_) second_ = now_.ms / 1000, this_second_ = 0;
  most_a_second_ = std::max(most_a_second_, ++this_second_);
}

void Fleet::connect(size_t i) {
  Site& site = sites_[i];
  site.link++;
  site.up = false;
  count_attempt();
  const bool taken = broker_up_ && this_second_ <= rate_;
  refused_ += broker_up_ && !taken;
  later(kLatencyMs, i, taken ? What::connected : What::refused);
}

void Fleet::publish(size_t i, const Publish& out) {
  if (!sites_[i].up) return;
  later(kLatencyMs, i, What::published, {}, out.token);
  if (queue_full(i)) return;
  const auto parsed = parse_frame(out.frame);
  auto body = std::make_shared<Bytes>(parsed->sealed.substr(0, parsed->sealed.size() - kTagBytes));
  const MonoTime done = regions_[i / kSitesPerRegion].busy_until;
  later(done - now_, i, parsed->prefix.type == FrameType::hello ? What::hello : What::batch,
        std::move(body), 0, parsed->prefix.nonce);
}

// A region takes frames one after the other; what waits behind its own queue's limit is dropped.
bool Fleet::queue_full(size_t i) {
  Region& region = regions_[i / kSitesPerRegion];
  region.busy_until = std::max(region.busy_until, now_ + kLatencyMs);
  const auto queued = uint64_t((region.busy_until - now_) / kServiceMs);
  const bool full = queued > cloud::CreditLimits{}.own_queue_messages;
  dropped_ += full;
  if (!full) region.busy_until = region.busy_until + kServiceMs;
  return full;
}

void Fleet::carry_out(size_t i, const Action& action) {
  if (std::holds_alternative<Connect>(action)) return connect(i);
  if (std::holds_alternative<Disconnect>(action)) sites_[i].link++, sites_[i].up = false;
  if (const auto* out = std::get_if<Publish>(&action)) publish(i, *out);
}

void Fleet::answer(size_t i, FrameType type, const google::protobuf::MessageLite& message) {
  Bytes body;
  message.SerializeToString(&body);
  later(kLatencyMs, i, What::answer, std::make_shared<Bytes>(cloud_.seal(type, body).frame));
}

void Fleet::answer_hello(size_t i, const Bytes& body) {
  es1::Hello hello;
  hello.ParseFromString(body);
  Region& region = regions_[i / kSitesPerRegion];
  const cloud::Grant grant = region.credit.grant(
      Facility(std::to_string(i)), hello.waiting_records() > 0, kLeaseMs, now_, entropy_);
  es1::Welcome out;
  out.set_hello_nonce(hello.hello_nonce());
  out.set_hello_no_seen(hello.hello_no());
  out.set_hello_no_nonce(hello.hello_nonce());
  out.set_ticket(7);
  out.set_finished_hash(Bytes(kDigestWireBytes, '\0'));
  out.set_status(grant.retry ? es1::WELCOME_RETRY : es1::WELCOME_OK);
  told_to_wait_ += grant.retry;
  out.set_retry_after_ms(uint64_t(grant.retry_after_ms));
  out.set_lease_ms(kLeaseMs);
  out.set_credit(grant.credit);
  out.set_herd_window_ms(uint64_t(herd_ms_));
  for (size_t stream = 0; stream < kStreamCount; stream++) {
    es1::WelcomeEntry& e = *out.add_entries();
    const StreamKey key{kKey.epoch, StreamId(stream)};
    const Seq w = key == kKey ? sites_[i].w : Seq{};
    e.set_epoch(key.epoch.value);
    e.set_stream(uint32_t(stream));
    e.set_w(w.value);
    e.set_c(wire(*store_.c_at(key, w)));
    e.set_claimed(key == kKey ? store_.head().value : 0);
  }
  answer(i, FrameType::welcome, out);
}

void Fleet::answer_batch(size_t i, const Bytes& body, const Nonce& nonce) {
  Site& site = sites_[i];
  es1::Batch batch;
  batch.ParseFromString(body);
  if (batch.first() == site.w.value + 1) {
    backlog_ -= batch.last() - site.w.value;
    site.w = {batch.last()};
    drained_ += site.w == store_.head();
  }
  grew_ += backlog_ > most_backlog_;
  most_backlog_ = backlog_;
  es1::Ack ack;
  ack.set_nonce(Bytes(view(nonce)));
  ack.set_epoch(batch.epoch());
  ack.set_stream(batch.stream());
  ack.set_w(site.w.value);
  ack.set_c(wire(*store_.c_at(kKey, site.w)));
  ack.set_credit(regions_[i / kSitesPerRegion].credit.current(Facility(std::to_string(i))));
  answer(i, FrameType::ack, ack);
}

void Fleet::happen(Happens& h) {
  Site& site = sites_[h.site];
  if (h.what == What::timer) {
    if (site.session->next_deadline().ms == int64_t(h.token)) drive(h.site, TimerFired{});
    return;
  }
  if (h.what == What::hello) return broker_up_ ? answer_hello(h.site, *h.bytes) : void();
  if (h.what == What::batch) return broker_up_ ? answer_batch(h.site, *h.bytes, h.nonce) : void();
  if (h.link != site.link) return;
  switch (h.what) {
    case What::connected:
      if (!broker_up_) return drive(h.site, ConnectFailed{false, "the broker died"});
      site.up = true;
      return drive(h.site, Connected{0, "broker"});
    case What::refused:
      return drive(h.site, ConnectFailed{false, "refused"});
    case What::published:
      return drive(h.site, Published{h.token});
    default:
      return drive(h.site, FrameArrived{std::move(*h.bytes)});
  }
}

bool Fleet::until(const char* what, size_t goal, const size_t& count) {
  const auto begun = std::chrono::steady_clock::now();
  const MonoTime start = now_;
  while (count < goal && !queue_.empty() && now_ - start < kPatienceMs) {
    Happens h = queue_.top();
    queue_.pop();
    now_ = h.at;
    happen(h);
  }
  fmt::print(
      "{:<28} {:>9} of {}  after {:>6.1f} s; {} attempts, at most {} in a second of {} allowed, {} "
      "refused; {:.0f} s on this machine\n",
      what, count, goal, double(now_ - start) / 1000, attempts_, most_a_second_, rate_, refused_,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  std::fflush(stdout);
  return count >= goal;
}

// All links are lost at once; whoever tries meanwhile is refused.
void Fleet::die() {
  broker_up_ = false;
  for (size_t i = 0; i < sites_.size(); i++) {
    if (!sites_[i].up) continue;
    sites_[i].link++;
    sites_[i].up = false;
    drive(i, Disconnected{"the broker died"});
  }
  const MonoTime end = now_ + kOutageMs;
  while (!queue_.empty() && queue_.top().at < end) {
    Happens h = queue_.top();
    queue_.pop();
    now_ = h.at;
    happen(h);
  }
  broker_up_ = true;
}

int Fleet::run() {
  bool good = until("greeted", sites_.size(), active_);
  good = until("drained", sites_.size(), drained_) && good;
  die();
  good = until("back after the outage", sites_.size(), active_) && good;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  fmt::print(
      "{} sites, {} regions: {} told to wait, {} frames dropped by full queues, backlog grew {} "
      "times; {} MiB, {} bytes a site\n",
      sites_.size(), regions_.size(), told_to_wait_, dropped_, grew_, used.ru_maxrss / 1024,
      uint64_t(used.ru_maxrss) * 1024 / sites_.size());
  if (most_a_second_ > rate_)
    fmt::print("FAILED: {} tried to connect in one second, allowed are {}\n", most_a_second_,
               rate_);
  if (!good) fmt::print("FAILED: sites are left\n");
  return good && most_a_second_ <= rate_ && grew_ == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t sites = argc > 1 ? std::stoul(argv[1]) : 1'000'000;
  const int64_t herd_s = argc > 2 ? std::stol(argv[2]) : 300;
  if (sites == 0 || herd_s < 1) {
    std::fprintf(stderr, "fleet-million [SITES] [HERD_S]: both at least 1\n");
    return 2;
  }
  return Fleet(sites, herd_s * 1000).run();
}
