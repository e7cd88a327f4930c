#include "cloud/server.h"

#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <fstream>
#include <future>

#include "cloud/access.h"
#include "cloud/api/door.h"
#include "cloud/api/live.h"
#include "cloud/api/region.h"
#include "cloud/broker_watch.h"
#include "cloud/control.h"
#include "cloud/fhir/exports.h"
#include "cloud/freeze.h"
#include "cloud/http.h"
#include "cloud/json_text.h"
#include "cloud/keys.h"
#include "cloud/log.h"
#include "cloud/merge/moment.h"
#include "cloud/metrics.h"
#include "cloud/outputs/syslog.h"
#include "cloud/outputs/topic.h"
#include "cloud/outputs/webhook.h"
#include "cloud/retention.h"
#include "cloud/member_keeper.h"
#include "cloud/store_thread.h"
#include "cloud/taken_away.h"
#include "schemas/entropy.h"
#include "schemas/heap.h"
#include "schemas/limits.h"

namespace egret::cloud {
namespace {

constexpr int64_t kRetentionEveryMs = 3600 * 1000;
constexpr size_t kRetentionStepBlocks = 16;  // between two groups of frames
constexpr int64_t kCopiesEveryMs = 500;  // for what another process took away
constexpr size_t kHttpThreads = 2;           // one may read the store while another takes what comes
constexpr std::chrono::milliseconds kLeaveMs{1'000};  // of the two seconds that a stop may take
constexpr int64_t kStallMs = 20'000;  // the store thread has not come round for this long

int exit_code_of(const Error& error) {
  switch (error.code) {
    case Errc::locked: return 75;
    case Errc::newer_format:
    case Errc::not_found:
    case Errc::config: return 78;
    default: return 74;
  }
}

// Those that the configuration names.
OutputNames outputs_of(const CloudConfig& config) {
  OutputNames out;
  if (!config.webhook_url.empty()) out.insert(kWebhookOutput);
  if (config.alerts_topic) out.insert(kTopicOutput);
  if (!config.syslog.empty()) out.insert(kSyslogOutput);
  return out;
}

class Server {
 public:
  Server(const CloudConfig& config, StorePlace place, std::vector<RegionPrivateKey> keys,
         OpenedStore store)
      : config_(config),
        place_(std::move(place)),
        keys_(std::move(keys)),
        metrics_(static_cast<size_t>(config.metrics_sites_max)),
        exports_(std::make_shared<fhir::Exports>(config.state_dir / "exports",
                                                 [] { return clock_now().wall; })),
        broker_(config.broker, broker_entropy_),
        broker_watch_(config.broker, watch_entropy_),
        region_(region()),
        thread_(parts(), std::move(store)),
        door_(api_endpoints(region_), token_file(config_.state_dir), config_.local_viewer,
              [] { return clock_now().wall; }, audit_) {}
  int run();

 private:
  StoreThread::Parts parts();
  Region region();
  // Errors: config.
  Result<void> begin_to_tell();
  void answer_control(const HttpRequest& request, HttpAnswer answer);
  void retain_a_little();
  void end_copies_of_what_is_gone(const OpenedStore& store);
  void keep_root(OpenedStore& store);
  void write_what_was_read();
  void be_one_of_several(OpenedStore& store);
  void leave_the_others();
  bool tells(const OpenedStore& store, const std::string& output) const;
  MetricList metrics();
  void push_metrics();
  HttpResponse health();

  const CloudConfig config_;
  const StorePlace place_;
  RegionKeyRing keys_;
  OsEntropy broker_entropy_, store_entropy_, topic_entropy_, member_entropy_, watch_entropy_;
  Metrics metrics_;
  const std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
  const std::shared_ptr<Live> live_ = std::make_shared<Live>(fmt::format("{:x}", clock_now().wall.us), [] { return clock_now().mono; }, config_.lease_s * 1000);
  const std::shared_ptr<AuditDesk> audit_ = std::make_shared<AuditDesk>([this](StoreThread::Job job) { thread_.post(std::move(job)); }, [] { return clock_now().mono; });
  MonoTime next_look_at_copies_;  // of the store's thread
  int64_t root_day_ = -1;  // of the store's thread: whose root is known to be there
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const WallTime begun_ = clock_now().wall;
  const std::shared_ptr<fhir::Exports> exports_;  // what it reads of the store outlives the store
  Broker broker_;
  BrokerWatch broker_watch_;  // of the main thread, but for its figures
  MemberKeeper members_{member_entropy_, outputs_of(config_)};  // on the store thread
  std::string members_trouble_;                                 // told once
  const Region region_;
  StoreThread thread_;
  Door door_;
  std::optional<HttpServer> http_ = std::optional<HttpServer>(std::in_place, HttpLimits{.threads = kHttpThreads});
  std::unique_ptr<OtlpPush> otlp_;  // null: nobody wants them
  std::mutex tellers_lock_;
  std::vector<std::unique_ptr<Teller>> tellers_;
};

StoreThread::Parts Server::parts() {
  StoreThread::Parts parts;
  parts.open = [this] { return open_to_write(place_, store_entropy_); };
  parts.reconciler.safe = config_.safe;
  parts.reconciler.safe_age_ms = config_.safe_age_h * 3600 * 1000;
  parts.reconciler.lease_ms = config_.lease_s * 1000;
  parts.silent_after_ms = config_.silent_after_s * 1000;
  parts.reconciler.herd_window_ms = config_.herd_window_s * 1000;
  parts.reconciler.credit.broker_queue_messages = static_cast<uint64_t>(config_.broker_queue_messages);
  parts.reconciler.credit.own_queue_messages = config_.broker.queue_messages;
  parts.keys = &keys_;
  parts.entropy = &store_entropy_;
  parts.broker = &broker_;
  parts.metrics = &metrics_;
  parts.each_round = [this](OpenedStore* store) {
    waiting_->look(store, clock_now().mono);
    audit_->tend(store);
    // It is opened anew only when nobody reads it.
    if (store == nullptr) return exports_->stop_reading("the store had to be opened again; ask again");
    if (const MonoTime now = clock_now().mono; now >= next_look_at_copies_) {
      next_look_at_copies_ = now + kCopiesEveryMs;
      end_copies_of_what_is_gone(*store);
    }
    live_->look(*store->store, region_.facilities_now());
    keep_root(*store);
    be_one_of_several(*store);
  };
  parts.alerts_told = [this] {
    std::lock_guard held(tellers_lock_);
    for (const auto& teller : tellers_) teller->wake();
  };
  return parts;
}

Region Server::region() {
  Region out;
  out.on_store = [this](StoreThread::Job job) { thread_.post(std::move(job)); };
  out.beside_store = [this](ReadJob job) { thread_.read(std::move(job)); };
  out.read_here = [this](ReadJob job) { thread_.read_here(std::move(job)); };
  out.facilities.safe = config_.safe;
  out.facilities.safe_age_ms = config_.safe_age_h * 3600 * 1000;
  out.facilities.silent_after_ms = config_.silent_after_s * 1000;
  out.rates = [this] { return &thread_.rates(); };
  out.now = [] { return clock_now().wall; };
  out.mono = [] { return clock_now().mono; };
  out.waiting = waiting_;
  out.live = live_;
  out.audit = audit_;
  out.metrics = [this] { return HttpResponse{200, kPrometheusType, prometheus_text(metrics()), {}}; };
  out.health = [this] { return health(); };
  out.exports = exports_;
  out.freeze = [this](const OpenedStore& store) { return freeze(place_, store); };
  out.statement_key = [this] { return read_statement_key(config_.state_dir); };
  return out;
}

void Server::end_copies_of_what_is_gone(const OpenedStore& store) {
  const auto times = times_taken_away(*store.kv);
  // A store that is lost is told of by its thread.
  if (times) exports_->end_older(*times, "something was erased or restricted since, which it may hold; ask again");
}

// In the service's log, too: a copy of the root that whoever changes the store does not hold.
void Server::keep_root(OpenedStore& store) {
  const WallTime now = clock_now().wall;
  const int64_t day = now.us / kDayUs;
  if (day == root_day_) return;
  root_day_ = day;  // once a day, whatever comes of it
  const auto key = read_statement_key(config_.state_dir);
  if (!key) return log("audit_no_root", key.error());
  const auto root = make_root(*store.kv, *key, now);
  if (!root && root.error().code == Errc::conflict) return;  // another process has made it
  if (!root) return log("audit_no_root", root.error());
  if (*root) log("audit_root", (*root)->number, (*root)->c);
}

// The end: nobody asks any more, and what was shown until then goes into the log. Whoever waits for a later job waits for this.
void Server::write_what_was_read() {
  http_.reset();
  thread_.post([audit = audit_, live = live_](OpenedStore* store) {
    (void)audit->write_all(store);
    if (store != nullptr) live->end(*store->store);
  });
}

void Server::retain_a_little() {
  thread_.post([this](OpenedStore* store) {
    if (store == nullptr) return;
    const Result<Retained> done = retain(*store, config_.retention, clock_now().wall, kRetentionStepBlocks);
    if (!done) return log("retention_failed", done.error());
    for (size_t c = 0; c < kRetentionClasses; c++) {
      if (done->expired[c] > 0) log("retention_expired", done->expired[c], Word{name_of(RetentionClass(uint8_t(c)))}, config_.retention.days[c]);
    }
    if (done->audit > 0) log("retention_audit", done->audit, config_.retention.audit_days);
    if (done->more) retain_a_little();
  });
}

// Several reconcilers over one store: one of them tells an output, and where the broker gives each of them everything, they divide
// what they hear.
void Server::be_one_of_several(OpenedStore& store) {
  auto* shared = dynamic_cast<SharedKv*>(store.kv.get());
  if (shared == nullptr || (config_.broker.shared_subscription && outputs_of(config_).empty())) return;
  const Result<std::optional<Shards>> mine = members_.round(*shared, clock_now().mono);
  // A store that is lost is told of by its thread.
  const std::string trouble = mine ? std::string() : mine.error().text;
  if (trouble != members_trouble_ && !trouble.empty()) log("shards_trouble", Told{trouble});
  members_trouble_ = trouble;
  if (!mine || !*mine || config_.broker.shared_subscription) return;
  if ((*mine)->count() != broker_.status().shards) log("shards_changed", (*mine)->count(), (*mine)->size(), members_.members());
  broker_.hear(**mine);
}

// On the store's thread.
bool Server::tells(const OpenedStore& store, const std::string& output) const {
  return dynamic_cast<const SharedKv*>(store.kv.get()) == nullptr || members_.tells(output);
}

void Server::leave_the_others() {
  auto left = std::make_shared<std::promise<void>>();
  thread_.post([this, left](OpenedStore* store) {
    auto* shared = store == nullptr ? nullptr : dynamic_cast<SharedKv*>(store->kv.get());
    if (shared != nullptr) (void)members_.leave(*shared);
    left->set_value();
  });
  left->get_future().wait_for(kLeaveMs);
}

MetricList Server::metrics() {
  const StoreHealth health = thread_.health();
  MetricsNow now{broker_.status(), health.healthy, health.credit_granted,
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count()};
  now.wall = clock_now().wall;
  now.broker_holds = broker_watch_.figures();
  now.broker_queue_messages = static_cast<uint64_t>(config_.broker_queue_messages);
  now.own_queue_messages = config_.broker.queue_messages;
  if (otlp_) now.otlp = otlp_->counters();
  return metrics_.list(now);
}

void Server::push_metrics() {
  const Now now = clock_now();
  if (!otlp_ || !otlp_->due(now.mono)) return;
  otlp_->send(otlp_json(metrics(), {"egret-cloud", config_.listen, EGRET_VERSION, begun_}, now.wall));
}

HttpResponse Server::health() {
  BrokerStatus broker = broker_.status();
  StoreHealth store = thread_.health();
  bool fine = broker.control.connected && broker.bulk.connected && store.healthy && store.heartbeat_age_ms < kStallMs;
  std::string why = !store.healthy ? "store: " + store.why : !broker.control.connected ? "broker: " + broker.control.why : !broker.bulk.connected ? "broker: " + broker.bulk.why : fine ? "" : "store thread stalled";
  return json_answer(fine ? 200 : 503, fmt::format(R"({{"status":"{}","broker":{},"store":{},"why":{}}})", fine ? "ok" : "not ok",
                                            broker.control.connected && broker.bulk.connected, store.healthy, json_string(why)));
}

void Server::answer_control(const HttpRequest& request, HttpAnswer answer) {
  constexpr std::string_view kPrefix = "/control/";
  if (request.method != "POST" || request.path.rfind(kPrefix, 0) != 0) return answer({404, "text/plain; charset=utf-8", "POST /control/NAME\n", {}});
  thread_.post([this, name = request.path.substr(kPrefix.size()), args = decode_args(request.body),
                answer = std::move(answer)](OpenedStore* store) {
    if (store == nullptr) return answer({503, "text/plain; charset=utf-8", "75\nthe store is being opened again", {}});
    ControlAnswer done = run_control(name, args, *store, store_dir(config_.state_dir), clock_now().wall);
    end_copies_of_what_is_gone(*store);  // before it is told that it is gone
    answer({200, "text/plain; charset=utf-8", std::to_string(done.code) + "\n" + done.text, {}});
  });
}

Result<void> Server::begin_to_tell() {
  std::vector<std::unique_ptr<AlertOutput>> outputs;
  if (!config_.webhook_url.empty()) {
    WebhookConfig webhook{*http_target(config_.webhook_url), {}, config_.webhook_ca_file};
    std::ifstream in(config_.webhook_secret_file);
    if (!std::getline(in, webhook.secret) || webhook.secret.size() < kWebhookSecretBytesMin)
      return Error{Errc::config, fmt::format("alerts.webhook_secret_file: {}: its first line is the secret, at least {} bytes", config_.webhook_secret_file.string(), kWebhookSecretBytesMin)};
    outputs.push_back(make_webhook(std::move(webhook), [] { return clock_now().wall; }));
  }
  if (config_.alerts_topic) outputs.push_back(make_topic(config_.broker, topic_entropy_));
  if (!config_.syslog.empty()) outputs.push_back(make_syslog(config_.syslog));
  std::lock_guard held(tellers_lock_);
  for (auto& output : outputs) {
    auto mine = [this, name = output->name()](const OpenedStore& store) { return tells(store, name); };
    tellers_.push_back(std::make_unique<Teller>(std::move(output), [this](StoreThread::Job job) { thread_.post(std::move(job)); }, std::move(mine)));
  }
  return {};
}

int Server::run() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  std::string page = "-";
  if (!config_.listen.empty()) {
    Result<uint16_t> port = http_->listen_tcp(config_.listen, [this](const HttpRequest& r, HttpAnswer a) { door_.answer(r, std::move(a)); }, [this](const HttpRequest& head) { return door_.body_limit(head); });
    if (!port) {
      log("cannot_start", port.error());
      return exit_code_of(port.error());
    }
    page = fmt::format("http://{}:{}/", config_.listen.substr(0, config_.listen.rfind(':')), *port);
  }
  Result<void> control = http_->listen_unix(control_socket(config_.state_dir), [this](const HttpRequest& r, HttpAnswer a) { answer_control(r, std::move(a)); });
  if (!control) {
    log("cannot_start", control.error());
    return exit_code_of(control.error());
  }
  if (Result<void> telling = begin_to_tell(); !telling) {
    log("cannot_start", telling.error());
    return exit_code_of(telling.error());
  }
  if (!config_.otlp.empty()) {
    const OtlpConfig to{config_.otlp, config_.otlp_ca_file, config_.otlp_every_s};
    otlp_ = std::make_unique<OtlpPush>(to, "egret-cloud/" EGRET_VERSION, [](const Result<void>& taken) {
      if (taken) return log("metrics_otlp_again");
      log("metrics_otlp", taken.error());
    });
  }
  http_->start();
  log("ready", config_.state_dir, Word{page});
  sd_notify(0, "READY=1\nSTATUS=serving");
  auto retained = std::chrono::steady_clock::now() - std::chrono::milliseconds(kRetentionEveryMs);
  for (;;) {
    if (std::chrono::steady_clock::now() - retained >= std::chrono::milliseconds(kRetentionEveryMs)) {
      retained = std::chrono::steady_clock::now();
      retain_a_little();
    }
    tend_log();
    broker_watch_.tick(clock_now().mono);
    push_metrics();
    timespec second{1, 0};
    int signal = sigtimedwait(&ends, nullptr, &second);
    if (signal == SIGTERM || signal == SIGINT) break;
    if (thread_.health().heartbeat_age_ms < kStallMs) sd_notify(0, "WATCHDOG=1");
  }
  log("stopping");
  sd_notify(0, "STOPPING=1");
  write_what_was_read();
  leave_the_others();
  std::unique_lock held(tellers_lock_);
  auto tellers = std::move(tellers_);
  held.unlock();
  tellers.clear();
  return 0;
}

}  // namespace

int serve(const CloudConfig& config) {
  // Before any thread: they inherit it, and the signals wait for sigtimedwait.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  CloudConfig full = config;
  if (!config.broker_password_file.empty()) {
    std::ifstream in(config.broker_password_file);
    if (!std::getline(in, full.broker.password)) {
      log("cannot_start", Error{Errc::config, fmt::format("broker.password_file: {}: cannot be read", config.broker_password_file.string())});
      return 78;
    }
  }
  if (Result<void> fine = check(full.broker); !fine) {
    log("cannot_start", fine.error());
    return 78;
  }
  Result<std::vector<RegionPrivateKey>> keys = read_region_keys(config.state_dir);
  if (!keys) {
    log("cannot_start", keys.error());
    return exit_code_of(keys.error());
  }
  if (const auto tokens = read_tokens(token_file(config.state_dir)); !tokens) {
    log("cannot_start", tokens.error());
    return exit_code_of(tokens.error());
  }
  keep_freed_memory(kHeapKeptBytes);
  OsEntropy entropy;
  Result<StorePlace> place = place_of(config);
  Result<OpenedStore> store = place ? open_to_write(*place, entropy) : Result<OpenedStore>(place.error());
  if (!store) {
    log("cannot_start", store.error());
    return exit_code_of(store.error());
  }
  return Server(full, std::move(*place), std::move(*keys), std::move(*store)).run();
}

}  // namespace egret::cloud
