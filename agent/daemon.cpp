#include "agent/daemon.h"

#include <spdlog/fmt/fmt.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <csignal>
#include <fstream>

#include "agent/append.h"
#include "agent/broker.h"
#include "agent/certificate.h"
#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/doors/api.h"
#include "agent/host.h"
#include "agent/keys.h"
#include "agent/log.h"
#include "agent/memory.h"
#include "agent/metrics.h"
#include "agent/notices.h"
#include "agent/rescue.h"
#include "agent/status.h"
#include "agent/store.h"
#include "agent/support.h"
#include "agent/writer.h"
#include "edge/budget.h"
#include "edge/link.h"
#include "edge/witness.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::agent {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr int64_t kTickMs = 1'000;
constexpr int64_t kStopMs = 1'000;  // for answers that are on their way
constexpr size_t kNoticesKept = 20;
constexpr size_t kShedBlocksPerTick = 256;
constexpr int64_t kCertificateLookMs = 3'600'000;  // it may be renewed while the agent runs

int exit_code_of(const Error& error) {
  switch (error.code) {
    case Errc::locked: return cli::kTryLater;
    case Errc::newer_format:
    case Errc::config: return cli::kBadConfig;
    default: return cli::kIo;
  }
}

// As HELLO says it: rounded up, so that 0 is left for a disk that is not growing.
uint32_t hours_left(double days) {
  if (days < 0) return 0;
  return static_cast<uint32_t>(std::clamp(std::ceil(days * 24), 1.0, double{kDiskHoursLeftMax}));
}

class Daemon {
 public:
  Daemon(const Config& config, const SitePrivateKey& site, std::string password)
      : config_(config),
        site_(site),
        link_config_(link_config(config, std::move(password))),
        memory_(read_memory(config.state_dir)) {
    started_ = now();
  }
  int run();

 private:
  void stop();
  void end_when_answered();
  Result<void> open();
  void close();
  void begin_session();
  void reopen();
  Result<void> open_doors();
  void check_witness();

  void drive(const edge::Event& event);
  void carry_out(edge::Action& action);
  void change(Writer::Job job) { writer_->run(std::move(job)); }
  void note(Message what);  // into the log, and into the status
  void arm_timer();

  void tick();
  void look_at_certificate();
  void look_at_disk();
  void write_witness();
  edge::DiskState disk() const;

  ApiHost api_host();
  Bytes arrival(const std::string& idempotency_key) const;
  Result<void> admit(StreamId lane, size_t bytes);
  Error closed() const;
  asio::awaitable<Result<edge::Places>> append(edge::Unit unit);
  asio::awaitable<Result<uint64_t>> unpark();
  StatusFacts facts();
  std::string support();
  MetricList metrics();
  void push_metrics();

  const Config config_;
  const SitePrivateKey site_;
  const edge::LinkConfig link_config_;
  edge::Memory memory_;
  Now started_;
  asio::io_context io_{1};
  asio::steady_timer session_timer_{io_}, tick_timer_{io_};
  MixedEntropy entropy_;         // of the session and keys, on the daemon's thread
  MixedEntropy buffer_entropy_;  // of the buffer, on the writer's thread

  OpenStore store_;
  std::unique_ptr<edge::Session> session_;
  std::unique_ptr<edge::Link> link_;
  std::unique_ptr<Writer> writer_;
  std::shared_ptr<Rescue> rescue_;
  std::unique_ptr<HttpDoor> door_;
  std::optional<Api> api_;
  std::optional<edge::Witness> witness_;
  edge::View view_;
  edge::Budget budget_;
  double days_left_ = -1;
  std::optional<int64_t> certificate_end_;  // Unix seconds
  MonoTime certificate_look_;               // the next one
  uint64_t in_flight_bytes_ = 0;  // handed to the writer, not answered yet
  uint64_t refused_ = 0;  // to be counted by the writer
  uint64_t reopens_ = 0;
  Distrust distrust_;     // of the store that is open now
  uint64_t life_ = 0;     // of the writer: what an earlier one says is void
  MonoTime reopen_at_, stop_at_, rescue_from_;
  std::optional<Message> lost_tail_;
  std::deque<NoticeLine> notices_;
  Refusals refusals_;
  bool stopping_ = false;
  std::unique_ptr<OtlpPush> otlp_;  // null: nobody wants them
};

Result<void> Daemon::open() {
  Result<OpenStore> store = open_agent_store(config_, buffer_entropy_, now().wall, distrust_.now());
  if (!store) return store.error();
  if (store->set_aside) distrust_ = {};
  store_ = std::move(*store);
  view_ = store_.buffer->view();
  if (!has_ballast(config_.state_dir)) {
    if (Result<void> made = make_ballast(config_.state_dir); !made) log("state_not_kept", made.error());
  }
  if (store_.set_aside) note(message("store_set_aside", Told{store_.why}, store_.set_aside->filename()));
  auto post = [this](std::function<void()> job) { asio::post(io_, std::move(job)); };
  Writer::Events events;
  events.view_changed = [this](edge::View view) {
    if (!writer_) return;
    view_ = view;
    drive(edge::ViewChanged{std::move(view)});
  };
  events.failed = [this, life = life_](const Error&) {
    if (life == life_) reopen();
  };
  writer_ = std::make_unique<Writer>(*store_.buffer, [] { return now(); }, post, events);
  begin_session();
  Rescue::Ways ways;
  ways.run = [this](Writer::Job job) { change(std::move(job)); };
  ways.post = post;
  ways.say = [this](Message what) { note(std::move(what)); };
  rescue_ = std::make_shared<Rescue>(config_.state_dir, config_.facility, std::move(ways), rescue_from_);
  return {};
}

void Daemon::begin_session() {
  edge::SessionConfig config;
  config.facility = config_.facility;
  config.agent_version = EGRET_VERSION;
  config.boot_id = boot_id();
  config.zstd_level = static_cast<int>(config_.buffer.zstd_level);
  config.frame_bytes_max = static_cast<size_t>(config_.broker.frame_kb_max) * kKiB;
  config.reconnect_max_ms = config_.broker.reconnect_max_s * 1000;
  auto channel = [this] {
    RegionPublicKey region = config_.region_key;
    if (memory_.next_region_key.size() == sizeof(Key32)) region.point = take<sizeof(Key32)>(memory_.next_region_key);
    return open_edge_channel(config_.facility, region, site_, entropy_);
  };
  session_ = std::make_unique<edge::Session>(config, *store_.buffer, channel, entropy_, memory_, view_, now());
  link_ = std::make_unique<edge::Link>(
      link_config_, [this](std::function<void()> job) { asio::post(io_, std::move(job)); },
      [this](const edge::Event& event) { drive(event); });
  arm_timer();
}

void Daemon::close() {
  life_++;
  rescue_.reset();
  link_.reset();
  writer_.reset();
  session_.reset();
  store_.buffer.reset();
  store_.kv.reset();
}

// es1 5.7: a failed sync is never retried. Close, open, read back what is there; a new epoch begins with the next append.
void Daemon::reopen() {
  if (stopping_ || !session_) return;
  const Error why = store_.buffer->failure();
  note(message("store_failed", why));
  reopens_++;
  distrust_.failed(why);
  if (rescue_ && rescue_->busy()) rescue_from_ = now().mono + kRescueRetryMs;
  close();
  if (why.code == Errc::disk_full) release_ballast(config_.state_dir);
  if (Result<void> opened = open(); !opened) {
    log("store_not_opened", opened.error());
    reopen_at_ = now().mono + kTickMs;
  }
}

void Daemon::check_witness() {
  Result<edge::Witness> witness = edge::Witness::open(config_.state_dir / "witness");
  if (!witness) return log("witness_failed", witness.error());
  witness_ = std::move(*witness);
  std::optional<edge::WitnessPoint> last = witness_->last();
  if (!last) return;
  StreamKey key{last->epoch, last->stream};
  const edge::StreamView* stream = view_.find(key);
  bool shorter = stream ? edge::is_shorter(view_, *last) : !store_.buffer->finished_stream(key).has_value();
  if (!shorter) return;
  const uint64_t holds = stream ? stream->head.value : 0;
  lost_tail_ = holds < last->head.value ? message("disk_lost_records", last->stream, last->head.value, holds) : message("disk_lost_lanes");
  note(*lost_tail_);
}

void Daemon::note(Message what) {
  write_log(what);
  notices_.push_back({now().wall.us / 1000, std::move(what)});
  if (notices_.size() > kNoticesKept) notices_.pop_front();
}

void Daemon::drive(const edge::Event& event) {
  if (!session_) return;
  for (edge::Action& action : session_->step(event, now())) carry_out(action);
  arm_timer();
}

void Daemon::carry_out(edge::Action& action) {
  if (auto* connect = std::get_if<edge::Connect>(&action)) return link_->carry_out(*connect);
  if (auto* disconnect = std::get_if<edge::Disconnect>(&action)) return link_->carry_out(*disconnect);
  if (auto* publish = std::get_if<edge::Publish>(&action)) return link_->carry_out(std::move(*publish));
  if (auto* purge = std::get_if<edge::Purge>(&action)) return change([p = std::move(*purge)](edge::Buffer& b) { return b.purge(p.upto); });
  if (auto* move = std::get_if<edge::Rehome>(&action)) return change([m = *move](edge::Buffer& b) { return b.rehome(m.key); });
  if (auto* move = std::get_if<edge::RehomeBlocks>(&action)) return change([m = *move](edge::Buffer& b) { return b.rehome_blocks(m.key, m.first, m.last); });
  if (auto* park = std::get_if<edge::Park>(&action)) return change([p = *park](edge::Buffer& b) { return b.park(p.key, p.first, p.reason); });
  if (auto* mark = std::get_if<edge::MarkCorrupt>(&action)) return change([m = *mark](edge::Buffer& b) { return b.mark_corrupt(m.key, m.first); });
  if (auto* unpark = std::get_if<edge::Unpark>(&action)) {
    return change([u = *unpark](edge::Buffer& b) -> Result<void> {
      Result<uint64_t> done = b.unpark(u.stream);
      return done ? Result<void>{} : Result<void>(done.error());
    });
  }
  if (auto* remember = std::get_if<edge::Remember>(&action)) {
    memory_ = remember->memory;
    return write_memory(config_.state_dir, memory_);
  }
  Message told = message_of(std::get<edge::Notice>(action));
  sd_notifyf(0, "STATUS=%s", told.text().c_str());
  told.event->level == LogLevel::info ? write_log(std::move(told)) : note(std::move(told));
}

void Daemon::arm_timer() {
  MonoTime at = session_->next_deadline();
  int64_t wait = std::clamp<int64_t>(at.ms == INT64_MAX ? kTickMs * 60 : at - now().mono, 0, kTickMs * 60);
  session_timer_.expires_after(milliseconds(wait));
  session_timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping_) drive(edge::TimerFired{});
  });
}

edge::DiskState Daemon::disk() const {
  edge::DiskState disk;
  disk.budget_bytes = static_cast<uint64_t>(config_.buffer.budget_mb) * kMiB;
  if (store_.kv) disk.used_bytes = store_.kv->disk_bytes();
  std::error_code failed;
  std::filesystem::space_info space = std::filesystem::space(config_.state_dir, failed);
  disk.free_bytes = failed ? disk.budget_bytes : space.available;
  if (!has_ballast(config_.state_dir)) disk.owed_bytes = kBallastBytes;
  return disk;
}

void Daemon::tick() {
  tick_timer_.expires_after(milliseconds(kTickMs));
  tick_timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping_) tick();
  });
  sd_notify(0, "WATCHDOG=1");
  tend_log();
  push_metrics();
  if (!session_) {
    if (now().mono < reopen_at_) return;
    reopen_at_ = now().mono + kTickMs;
    if (Result<void> opened = open(); !opened) log("store_not_opened", opened.error());
    return;
  }
  if (store_.buffer->failed()) return reopen();  // in reading: nobody is told of that
  look_at_certificate();
  look_at_disk();
  rescue_->tick(now().mono, disk().free_bytes);
  write_witness();
  if (refused_ > 0) {
    change([n = refused_](edge::Buffer& b) -> Result<void> {
      b.count_refused(n);
      return {};
    });
    refused_ = 0;
  }
}

// The region warns of one that ends: without it this site is not heard any more.
void Daemon::look_at_certificate() {
  if (config_.broker.cert_file.empty() || now().mono < certificate_look_) return;
  certificate_end_ = certificate_end(config_.broker.cert_file);
  certificate_look_ = now().mono + kCertificateLookMs;
}

// es1 5.6: telemetry, then results, that are confirmed but above S; then unconfirmed telemetry, oldest block first.
void Daemon::look_at_disk() {
  edge::DiskState state = disk();
  edge::BudgetDecision decision = budget_.decide(state);
  days_left_ = budget_.days_left(state, now().mono);
  session_->set_vitals({edge::Budget::used_permille(state), hours_left(days_left_), certificate_end_.value_or(0)});
  if (decision.release_ballast) release_ballast(config_.state_dir);
  if (!decision.purge_exposed_telemetry) {
    if (!decision.release_ballast && !has_ballast(config_.state_dir)) (void)make_ballast(config_.state_dir);
    return;
  }
  drive(edge::DiskPressed{});
  std::vector<edge::PurgeTo> exposed;
  std::map<EpochId, Seq> telemetry_confirmed;
  for (const edge::RowStatus& row : session_->status().rows) {
    if (row.key.stream == StreamId::telemetry) telemetry_confirmed[row.key.epoch] = row.confirmed;
    bool wanted = row.key.stream == StreamId::telemetry ? decision.purge_exposed_telemetry : decision.purge_exposed_results;
    const edge::StreamView* stream = view_.find(row.key);
    if (wanted && stream && row.confirmed > stream->purged && row.confirmed <= stream->head) exposed.push_back({row.key, row.confirmed, row.safe});
  }
  if (!exposed.empty()) change([exposed](edge::Buffer& b) { return b.purge(exposed); });
  if (decision.shed_bytes == 0) return;
  change([telemetry_confirmed, bytes = decision.shed_bytes](edge::Buffer& b) -> Result<void> {
    auto above = [&](EpochId epoch) {
      auto at = telemetry_confirmed.find(epoch);
      return at == telemetry_confirmed.end() ? Seq{} : at->second;
    };
    // The disk answers late to what was deleted: at most what is too much now, and never more than some blocks at once.
    size_t blocks = std::clamp<size_t>(bytes / kBlockRawBytesMax, 1, kShedBlocksPerTick);
    for (size_t i = 0; i < blocks; i++) {
      Result<uint64_t> shed = b.shed_oldest(above);
      if (!shed) return shed.error();
      if (*shed == 0) break;
    }
    return {};
  });
}

void Daemon::write_witness() {
  if (!witness_) return;
  std::optional<edge::WitnessPoint> point = edge::witness_point(view_), last = witness_->last();
  if (!point || (last && last->epoch == point->epoch && last->records == point->records)) return;
  if (Result<void> written = witness_->write(*point); !written) log("witness_failed", written.error());
}

// ---- the door ----

Bytes Daemon::arrival(const std::string& idempotency_key) const {
  v1::Arrival arrival;
  Now at = now();
  ClockTrust clock = clock_trust();
  arrival.set_wall_us(at.wall.us);
  arrival.set_mono_ns(static_cast<uint64_t>(at.mono.ms) * 1'000'000);
  arrival.set_boot_id(Bytes(egret::view(boot_id())));
  arrival.set_clock_state(clock.synced ? v1::Arrival::CLOCK_STATE_SYNCED : v1::Arrival::CLOCK_STATE_UNSYNCED);
  arrival.set_door(v1::Arrival::DOOR_HTTP);
  arrival.set_src_msg_id(idempotency_key);
  arrival.set_edge_id(config_.edge_id);
  arrival.set_agent_version(EGRET_VERSION);
  Result<Bytes> encoded = encode_arrival(arrival);
  return encoded ? *encoded : Bytes{};
}

Error Daemon::closed() const {
  return {Errc::store_failed, stopping_ ? "the agent is stopping" : "the store is being opened again"};
}

// Asked for every request, with what it would bring: within a second a fast producer fills the smallest budget.
Result<void> Daemon::admit(StreamId lane, size_t bytes) {
  if (!session_) return closed();
  edge::DiskState state = disk();
  const uint64_t more = in_flight_bytes_ + bytes;
  state.used_bytes += more;
  state.free_bytes -= std::min(state.free_bytes, more);
  edge::Budget as_if = budget_;  // what it remembers is changed by the real state only
  edge::BudgetDecision decision = as_if.decide(state);
  if (lane == StreamId::telemetry && decision.refuse_telemetry) return Error{Errc::lane_full, "telemetry: the disk budget is nearly used up"};
  bool full = lane == StreamId::critical ? decision.refuse_critical : decision.refuse_results;
  if (full) return Error{Errc::disk_full, "the disk budget is used up"};
  return {};
}

asio::awaitable<Result<edge::Places>> Daemon::append(edge::Unit unit) {
  if (!writer_) co_return closed();
  size_t bytes = 0;
  for (const edge::LaneRecord& r : unit.records) bytes += r.record.size();
  in_flight_bytes_ += bytes;
  Result<edge::Places> places = co_await append_synced(io_, *writer_, std::move(unit));
  in_flight_bytes_ -= bytes;
  co_return places;
}

asio::awaitable<Result<uint64_t>> Daemon::unpark() {
  if (!writer_) co_return closed();
  uint64_t parked = view_.parked_blocks;
  change([](edge::Buffer& b) -> Result<void> {
    Result<uint64_t> done = b.unpark(std::nullopt);
    return done ? Result<void>{} : Result<void>(done.error());
  });
  co_return parked;
}

ApiHost Daemon::api_host() {
  ApiHost host;
  host.facility = config_.facility;
  host.arrival = [this](const std::string& key) { return arrival(key); };
  host.admit = [this](StreamId lane, size_t bytes) { return admit(lane, bytes); };
  host.append = [this](edge::Unit unit) { return append(std::move(unit)); };
  host.count_refused = [this](uint64_t records) { refused_ += records; };
  host.why_refused = [this](const char* code, const std::string& field) { refusals_.add(code, field, now().wall.us / 1000); };
  host.support = [this] { return support(); };
  host.status = [this] { return status_json(facts()); };
  host.metrics = [this] { return prometheus_text(metrics()); };
  host.healthy = [this] { return session_ != nullptr; };
  host.unpark = [this] { return unpark(); };
  return host;
}

Result<void> Daemon::open_doors() {
  api_.emplace(io_, api_host());
  HttpBounds bounds;
  bounds.connections_max = static_cast<size_t>(config_.doors.connections_max);
  door_ = std::make_unique<HttpDoor>(io_, bounds, [this](HttpRequest request) { return api_->answer(std::move(request)); });
  std::string port_text = "-";
  if (!config_.doors.unix_socket.empty()) {
    if (Result<void> r = door_->listen_unix(config_.doors.unix_socket); !r) return r;
  }
  if (std::optional<Loopback> at = parse_loopback(config_.doors.http)) {
    Result<uint16_t> port = door_->listen_tcp(*at);
    if (!port) return port.error();
    port_text = fmt::format("{}:{}", at->host, *port);
  }
  log("ready", Word{config_.facility}, config_.doors.unix_socket.empty() ? std::filesystem::path("-") : config_.doors.unix_socket, Word{port_text});
  return {};
}

StatusFacts Daemon::facts() {
  StatusFacts f;
  Now at = now();
  f.facility = config_.facility;
  f.pid = ::getpid();
  f.started_ms = started_.wall.us / 1000;
  f.now_ms = at.wall.us / 1000;
  f.store_state = session_ ? "open" : "reopening";
  f.view = view_;
  f.notices = notices_;
  f.lost_tail = lost_tail_;
  f.refusals = refusals_.list();
  f.reopens = reopens_;
  f.disk_days_left = days_left_;
  edge::DiskState state = disk();
  f.disk_used_bytes = state.used_bytes;
  f.disk_budget_bytes = state.budget_bytes;
  f.disk_free_bytes = state.free_bytes;
  f.requests = door_ ? door_->requests() : 0;
  f.connections = door_ ? door_->connections() : 0;
  f.since_ms = f.now_ms;
  if (!session_) return f;
  f.session = session_->status();
  f.since_ms = f.now_ms - (at.mono - (f.session.state == edge::State::active ? f.session.linked_since : f.session.since));
  Writer::Counters written = writer_->counters();
  f.commits = written.commits;
  f.commit_records = written.records;
  uint64_t waiting_bytes = 0;
  for (const edge::EpochView& epoch : view_.epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      StreamKey key{epoch.id, static_cast<StreamId>(i)};
      const edge::StreamView& stream = epoch.streams[i];
      Seq from = stream.purged;
      for (const edge::RowStatus& row : f.session.rows) {
        if (row.key == key) from = std::max(from, row.cursor);
      }
      if (stream.empty() || stream.moved || from >= stream.head) continue;
      edge::Reader::Waiting waiting = store_.buffer->waiting(key, from);
      f.lanes[i].records += span(from, stream.head);
      f.lanes[i].bytes += waiting.bytes;
      waiting_bytes += waiting.bytes;
      if (waiting.since.us > 0) f.lanes[i].oldest_s = std::max(f.lanes[i].oldest_s, (at.wall.us - waiting.since.us) / 1'000'000);
    }
  }
  if (f.session.state == edge::State::active && f.session.link_bytes_per_s > 0) {
    f.drain_eta_s = static_cast<int64_t>(waiting_bytes) / f.session.link_bytes_per_s;
  }
  return f;
}

// Without a look at the way to the cloud, which takes time: egret-agent support has it.
std::string Daemon::support() {
  const CheckedConfig checked = config_for_support(config_.file);
  return support_file(checked, cli::to_json(cli::look_on_this_server(checked)), support_of_agent(facts()), now().wall);
}

MetricList Daemon::metrics() {
  MetricFacts more;
  if (writer_) {
    const Writer::Counters written = writer_->counters();
    more.commit_seconds = written.commit_seconds;
    more.accept_seconds = written.accept_seconds;
  }
  const ClockTrust clock = clock_trust();
  more.clock_synced = clock.synced;
  more.clock_error_ms = clock.error_ms;
  more.certificate_end = certificate_end_;
  if (otlp_) more.otlp = otlp_->counters();
  return metrics_of(facts(), more);
}

void Daemon::push_metrics() {
  const Now at = now();
  if (!otlp_ || !otlp_->due(at.mono)) return;
  otlp_->send(otlp_json(metrics(), {"egret-agent", config_.facility, EGRET_VERSION, started_.wall}, at.wall));
}

void Daemon::stop() {
  log("stopping");
  sd_notify(0, "STOPPING=1");
  stopping_ = true;
  door_->stop();
  session_timer_.cancel();
  tick_timer_.cancel();
  link_.reset();
  // What the writer holds is synced; its answers leave before the loop ends, if their clients take them.
  writer_.reset();
  session_.reset();
  stop_at_ = now().mono + kStopMs;
  end_when_answered();
}

void Daemon::end_when_answered() {
  if (door_->connections() == 0 || now().mono >= stop_at_) return io_.stop();
  tick_timer_.expires_after(milliseconds(10));
  tick_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) end_when_answered();
  });
}

int Daemon::run() {
  if (Result<void> opened = open(); !opened) {
    log("cannot_start", opened.error());
    return exit_code_of(opened.error());
  }
  check_witness();
  if (Result<void> listening = open_doors(); !listening) {
    log("cannot_start", listening.error());
    close();
    return exit_code_of(listening.error());
  }
  if (!config_.metrics.otlp.empty()) {
    const OtlpConfig to{config_.metrics.otlp, config_.metrics.otlp_ca_file, config_.metrics.otlp_every_s};
    otlp_ = std::make_unique<OtlpPush>(to, "egret-agent/" EGRET_VERSION, [](const Result<void>& taken) {
      if (taken) return log("metrics_otlp_again");
      log("metrics_otlp", taken.error());
    });
  }
  tick();
  asio::signal_set signals(io_, SIGTERM, SIGINT);
  signals.async_wait([this](boost::system::error_code, int) { stop(); });
  sd_notify(0, "READY=1\nSTATUS=running");
  io_.run();
  door_.reset();
  close();
  return cli::kOk;
}

}  // namespace

int run_daemon(const Config& config) {
  // A file that may not grow and a client that has gone are errors of one call, not the end of the agent.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  Result<SitePrivateKey> site = read_site_key(config.site_key_file);
  std::string password;
  Result<std::string> secret = config.broker.password_file.empty() ? Result<std::string>(std::string()) : read_password(config.broker.password_file);
  if (!site || !secret) {
    const Error& error = !site ? site.error() : secret.error();
    log("cannot_start", error);
    return cli::kBadConfig;
  }
  Daemon daemon(config, std::move(*site), std::move(*secret));
  return daemon.run();
}

}  // namespace egret::agent
