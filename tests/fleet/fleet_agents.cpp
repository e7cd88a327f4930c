// fleet-agents: the cores of many agents in one process: the real session, buffer (over memory) and
// link of each, against a broker and a region that run. All start at once, with a backlog; it ends
// when the region has acknowledged everything.
//
//   fleet-agents keys SITES                                  name and public key of each site
//   fleet-agents run SITES RECORDS HERD_S URL REGION_KEY FOLDER   passwords are
//   FOLDER/NAME.password; prints JSON
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <mutex>

#include "agent/host.h"
#include "agent/keys.h"
#include "schemas/mqtt.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"
#include "tests/fleet/core.h"

using namespace egret;
using namespace egret::edge;

namespace {

constexpr int64_t kDayUs = 24LL * 3600 * 1'000'000;
constexpr int64_t kPatienceMs = 280'000;
constexpr uint64_t kGroup = 64;

std::string name_of_site(size_t i) {
  return fmt::format("site-{:03}", i);
}

uint64_t seed_of_site(size_t i) {
  return 1000 + i;
}

int64_t now_ms() {
  return agent::now().mono.ms;
}

Bytes record_of(uint64_t n, const Facility& fac, WallTime wall) {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent& event = *body.mutable_agent_event();
  event.set_boot_id(Bytes(16, 'b'));
  event.set_counter(n);
  event.set_name("fleet.event");
  event.set_severity(v1::AgentEvent::SEVERITY_INFO);
  event.mutable_t()->set_us(wall.us);
  v1::Arrival arrival;
  arrival.set_wall_us(wall.us);
  arrival.set_mono_ns(n);
  return join_record(make_body(body, fac).value().bytes, encode_arrival(arrival).value()).value();
}

Core::Options options_of(size_t i, const LinkConfig& link, const RegionPublicKey& region, int64_t herd_ms) {
  return {.link = link, .region = region, .key_seed = seed_of_site(i), .herd_ms = herd_ms};
}

// A day without the link: `records` results, evenly.
void fill(Core& core, const Facility& fac, uint64_t records) {
  core.switch_on();
  const int64_t begun = agent::now().wall.us - kDayUs;
  for (uint64_t n = 0; n < records;) {
    Unit unit;
    const WallTime at{begun + int64_t(n) * (kDayUs / int64_t(records))};
    for (; unit.records.size() < kGroup && n < records; n++)
      unit.records.push_back({StreamId::result, record_of(n + 1, fac, at)});
    (void)core.append(std::move(unit), at).value();
  }
}

std::string password(const std::string& folder, const std::string& name) {
  std::ifstream in(folder + "/" + name + ".password");
  std::string word;
  std::getline(in, word);
  return word;
}

// What the broker says of itself each second.
class BrokerWatch final : public MqttListener {
 public:
  static constexpr const char* kStored = "$SYS/broker/store/messages/count";
  static constexpr const char* kClock =
      "$SYS/broker/uptime";  // others are told only when they change
  static constexpr const char* kDropped = "$SYS/broker/publish/messages/dropped";
  void up(size_t) override {}
  void down(MqttEnd end) override { std::fprintf(stderr, "broker watch: %s\n", end.why.c_str()); }
  void published(uint64_t) override {}
  void publish_failed(uint64_t, bool, std::string) override {}
  void message(std::string topic, Bytes payload) override {
    std::lock_guard held(lock_);
    const uint64_t n = std::strtoull(payload.c_str(), nullptr, 10);
    heard_ += topic == kClock;
    if (topic == kStored) stored_ = std::max(stored_, n);
    if (topic == kDropped) dropped_ = n;
  }
  std::array<uint64_t, 3> seen() {
    std::lock_guard held(lock_);
    return {heard_, stored_, dropped_};
  }

 private:
  std::mutex lock_;
  uint64_t heard_ = 0, stored_ = 0, dropped_ = 0;
};

size_t threads() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;) {
    if (word == "Threads:") return in >> word, std::stoul(word);
  }
  return 0;
}

int64_t quantile(const std::vector<int64_t>& sorted, size_t percent) {
  return sorted.empty() ? -1 : sorted[std::min(sorted.size() - 1, sorted.size() * percent / 100)];
}

struct Order {
  size_t sites;
  uint64_t records;
  int64_t herd_ms;
  std::string url, folder;
  RegionPublicKey region;
};

void print(const Order& order, const std::vector<std::unique_ptr<Core>>& cores, int64_t drained_ms,
           size_t most_threads, BrokerWatch& watch) {
  std::vector<int64_t> greeted;
  size_t active = 0, drained = 0;
  uint64_t holds = 0, resent = 0;
  for (const auto& core : cores) {
    if (core->greeted_ms() >= 0) greeted.push_back(core->greeted_ms());
    active += core->linked();
    drained += core->drained();
    holds += core->holds();
    resent += core->resent();
  }
  std::sort(greeted.begin(), greeted.end());
  const auto [heard, stored, dropped] = watch.seen();
  fmt::print(
      R"({{"sites":{},"records":{},"herd_ms":{},"greeted":{},"active":{},"drained":{},"greeted_p50_ms":{},"greeted_p99_ms":{},)"
      R"("greeted_max_ms":{},"drained_ms":{},"told_to_wait":{},"resent":{},"threads":{},"broker_samples":{},"broker_peak":{},"broker_dropped":{}}})"
      "\n",
      order.sites, order.records, order.herd_ms, greeted.size(), active, drained,
      quantile(greeted, 50), quantile(greeted, 99), quantile(greeted, 100), drained_ms, holds,
      resent, most_threads, heard, stored, dropped);
}

int run(const Order& order) {
  Jobs jobs;
  auto watch = std::make_shared<BrokerWatch>();
  MqttOptions options;
  options.url = order.url;
  options.client_id = options.user = "egret-watch";
  options.password = password(order.folder, options.user);
  options.filters = {BrokerWatch::kClock, BrokerWatch::kStored, BrokerWatch::kDropped};
  MqttConnection broker(options, watch);
  std::vector<std::unique_ptr<Core>> cores;
  for (size_t i = 0; i < order.sites; i++) {
    LinkConfig link;
    link.url = order.url;
    link.facility = name_of_site(i);
    link.password = password(order.folder, link.facility);
    link.agent_version = EGRET_VERSION;
    cores.push_back(std::make_unique<Core>(options_of(i, link, order.region, order.herd_ms), jobs));
    fill(*cores.back(), link.facility, order.records);
  }
  const int64_t begun = now_ms();
  for (const auto& core : cores) core->connect();
  size_t most_threads = 0, next = 0;
  while (next < cores.size() && now_ms() - begun < kPatienceMs) {
    jobs.run(now_ms() + 200);
    while (next < cores.size() && cores[next]->drained()) next++;
    most_threads = std::max(most_threads, threads());
  }
  const int64_t drained_ms = now_ms() - begun;
  jobs.run(now_ms() + 2'000);  // the broker's last word
  print(order, cores, drained_ms, most_threads, *watch);
  std::fflush(stdout);
  _exit(next == cores.size()
            ? 0
            : 1);  // as kill -9 would: goodbyes of hundreds of links are no part of this
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2 && args[0] == "keys") {
    for (size_t i = 0; i < std::stoul(args[1]); i++)
      fmt::print("{} {}\n", name_of_site(i), hex(view(key_of_seed(seed_of_site(i)).public_key().point)));
    return 0;
  }
  if (args.size() != 7 || args[0] != "run" || !agent::key_of_hex(args[5])) {
    std::fprintf(stderr,
                 "fleet-agents keys SITES | run SITES RECORDS HERD_S URL REGION_KEY FOLDER\n");
    return 2;
  }
  return run({std::stoul(args[1]),
              std::stoul(args[2]),
              std::stol(args[3]) * 1000,
              args[4],
              args[6],
              {*agent::key_of_hex(args[5])}});
}
