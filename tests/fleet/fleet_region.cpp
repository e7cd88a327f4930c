// fleet-region: the sites of a whole region in one process, at work: each takes in what its models say, from real samples, and
// meets the weather that it is told on stdin, a command a line. Ends with its stdin.
//
//   fleet-region keys NAME…                        name and public key of each site
//   fleet-region run URL REGION_KEY FOLDER SAMPLES   passwords are FOLDER/NAME.password; prints a line of JSON a second
//
//   site NAME                          one more, without power yet
//   power NAME on|off
//   past NAME DAYS RECORDS             it has worked for so many days, with so many records a working day, and not been heard
//   rate NAME RECORDS_PER_S
//   telemetry NAME SECONDS             between two of them; 0: none
//   model NAME MODEL REVIEWED REJECTED   which file of SAMPLES it works with, and how people judge it: shares
//   line NAME cut|whole
//   thin NAME BYTES_PER_S              0: as much as comes
//   disk NAME BYTES                    for records; 0: large
//   say NAME critical|broken COUNT     results of that kind, at once
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

#include "agent/host.h"
#include "agent/keys.h"
#include "schemas/chain.h"
#include "tests/fleet/core.h"
#include "tests/fleet/samples.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::edge;

namespace {

constexpr int64_t kDayUs = 24LL * 3600 * 1'000'000;
constexpr int64_t kMorningUs = 0, kWorkUs = 10LL * 3600 * 1'000'000;  // 08:00 to 18:00 in UTC+8, in UTC
constexpr size_t kGroup = 64;
constexpr int64_t kReconnectMaxMs = 5'000;
constexpr int64_t kHerdMs = 10'000;

uint64_t seed_of(const std::string& name) {
  const Hash hash = sha256(name);
  uint64_t out = 0;
  for (size_t i = 0; i < sizeof(out); i++) out = out << 8 | hash[i];
  return out;
}

int64_t now_ms() { return agent::now().mono.ms; }

class Site {
 public:
  Site(Core::Options options, Jobs& jobs, const Samples& samples) : fac_(options.link.facility), jobs_(jobs), samples_(samples), chance_(options.key_seed ^ 1), core_(std::move(options), jobs) {
    phase_ = share_of(chance_);
  }
  Core& core() { return core_; }
  const Core& core() const { return core_; }
  void power(bool on) {
    if (!on) return core_.switch_off();
    core_.switch_on();
    core_.connect();
  }
  void model(const std::string& name, Samples::Judged judged) {
    model_ = name;
    judged_ = judged;
  }
  void rate(double per_s) { beat(results_, per_s > 0 ? 1000 / per_s : 0, [this] { take_result(); }); }
  void telemetry(double every_s) { beat(telemetry_, every_s * 1000, [this] { take_telemetry(); }); }
  void say(Samples::How how, size_t count);
  void past(int64_t days, size_t records);

 private:
  // What is done again and again; a new one takes the place of the old.
  struct Beat {
    double every_ms = 0;
    uint64_t number = 0;
    std::function<void()> what;
  };
  void beat(Beat& of, double every_ms, std::function<void()> what);
  void later(Beat& of, double at_ms);
  void take_result();
  void take_telemetry();
  std::vector<LaneRecord> result(WallTime at, Samples::How how);

  const Facility fac_;
  Jobs& jobs_;
  const Samples& samples_;
  SeededEntropy chance_;
  Core core_;
  std::string model_;
  Samples::Judged judged_;
  std::set<std::string> described_;  // models whose definition is said
  double phase_ = 0;                 // so that not all come at once
  Beat results_, telemetry_;
};

std::vector<LaneRecord> Site::result(WallTime at, Samples::How how) {
  std::vector<LaneRecord> out = samples_.result(model_, fac_, at, how, judged_, chance_);
  if (described_.insert(model_).second) out.insert(out.begin(), samples_.definition(model_, fac_, at));
  return out;
}

void Site::beat(Beat& of, double every_ms, std::function<void()> what) {
  of = {every_ms, of.number + 1, std::move(what)};
  if (every_ms > 0) later(of, double(now_ms()) + phase_ * every_ms);
}

void Site::later(Beat& of, double at_ms) {
  jobs_.at(std::llround(at_ms), [this, &of, at_ms, number = of.number] {
    if (number != of.number) return;
    of.what();
    // A second that could not be kept is not made up for.
    later(of, std::max(at_ms + of.every_ms, double(now_ms())));
  });
}

void Site::take_result() {
  if (!core_.on()) return;
  const WallTime at = agent::now().wall;
  (void)core_.append(Unit{result(at, Samples::How::usual)}, at);
}

void Site::take_telemetry() {
  if (!core_.on()) return;
  const WallTime at = agent::now().wall;
  (void)core_.append(Unit{samples_.telemetry(fac_, at, chance_)}, at);
}

void Site::say(Samples::How how, size_t count) {
  for (size_t i = 0; i < count && core_.on(); i++) {
    const WallTime at = agent::now().wall;
    (void)core_.append(Unit{result(at, how)}, at);
  }
}

// Fewer at weekends, none in the future.
void Site::past(int64_t days, size_t records) {
  core_.switch_on();
  const int64_t now_us = agent::now().wall.us;
  Unit unit;
  const auto write = [&](WallTime at) {
    if (!unit.records.empty()) (void)core_.append(std::move(unit), at);
    unit = {};
  };
  for (int64_t day = now_us / kDayUs - days + 1; day <= now_us / kDayUs; day++) {
    const bool weekend = (day + 4) % 7 == 0 || (day + 4) % 7 == 6;  // 1970 began on a Thursday
    const auto n = size_t(std::llround(double(records) * (weekend ? 0.3 : 0.85 + 0.3 * share_of(chance_))));
    for (size_t i = 0; i < n; i++) {
      const WallTime at{day * kDayUs + kMorningUs + int64_t(double(kWorkUs) * (double(i) + share_of(chance_)) / double(n))};
      if (at.us >= now_us) break;
      for (LaneRecord& record : result(at, Samples::How::usual)) unit.records.push_back(std::move(record));
      if (unit.records.size() >= kGroup) write(at);
    }
    write({std::min(day * kDayUs + kWorkUs, now_us)});
  }
}

struct Order {
  std::string url, folder, samples;
  RegionPublicKey region;
};

class Region {
 public:
  explicit Region(const Order& order) : order_(order), samples_(order.samples) {}
  // Errors are told on stderr, and nothing else happens.
  void obey(const std::string& line);
  void run();
  Jobs& jobs() { return jobs_; }

 private:
  void add(const std::string& name);
  void look();
  std::string stand() const;

  const Order order_;
  const Samples samples_;
  Jobs jobs_;
  std::map<std::string, std::unique_ptr<Site>> sites_;
};

void Region::add(const std::string& name) {
  LinkConfig link;
  link.url = order_.url;
  link.facility = name;
  std::ifstream in(order_.folder + "/" + name + ".password");
  std::getline(in, link.password);
  link.agent_version = EGRET_VERSION;
  sites_.emplace(name, std::make_unique<Site>(Core::Options{link, order_.region, seed_of(name), kHerdMs, kReconnectMaxMs}, jobs_, samples_));
}

void Region::obey(const std::string& line) {
  std::istringstream in(line);
  std::string what, name, word;
  double a = 0, b = 0;
  in >> what >> name;
  if (what == "site") return add(name);
  const auto found = sites_.find(name);
  const auto wrong = [&] { std::fprintf(stderr, "not understood: %s\n", line.c_str()); };
  if (found == sites_.end()) return wrong();
  Site& site = *found->second;
  if (what == "power" && in >> word) return site.power(word == "on");
  if (what == "line" && in >> word) return site.core().cut(word == "cut");
  if (what == "past" && in >> a >> b) return site.past(int64_t(a), size_t(b));
  if (what == "rate" && in >> a) return site.rate(a);
  if (what == "telemetry" && in >> a) return site.telemetry(a);
  if (what == "thin" && in >> a) return site.core().thin(uint64_t(a));
  if (what == "disk" && in >> a) return site.core().small_disk(uint64_t(a));
  if (what == "model" && in >> word >> a >> b && samples_.knows(word)) return site.model(word, {a, b});
  if (what == "say" && in >> word >> a) return site.say(word == "critical" ? Samples::How::critical : Samples::How::broken, size_t(a));
  wrong();
}

void Region::look() {
  for (auto& [name, site] : sites_) site->core().look_at_disk();
  std::puts(stand().c_str());
  std::fflush(stdout);
}

std::string Region::stand() const {
  size_t on = 0, linked = 0, behind = 0;
  uint64_t accepted = 0, waiting = 0, shed = 0, refused = 0;
  for (const auto& [name, site] : sites_) {
    const Core& core = site->core();
    const Counters counters = core.counters();
    const uint64_t left = core.waiting();
    on += core.on();
    linked += core.linked();
    behind += left > 0;
    accepted += counters.accepted;
    waiting += left;
    shed += counters.shed;
    refused += counters.refused;
  }
  return fmt::format(R"({{"sites":{},"on":{},"linked":{},"behind":{},"accepted":{},"waiting":{},"shed":{},"refused":{}}})", sites_.size(), on, linked, behind, accepted, waiting, shed, refused);
}

void Region::run() {
  for (;;) {
    jobs_.run(now_ms() + 1'000);
    look();
  }
}

int run(const Order& order) {
  Region region(order);
  std::thread([&region] {
    const auto post = region.jobs().post();
    for (std::string line; std::getline(std::cin, line);) post([&region, line] { region.obey(line); });
    post([] { _exit(0); });  // as kill -9 would: goodbyes of hundreds of links are no part of this
  }).detach();
  region.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() > 1 && args[0] == "keys") {
    for (size_t i = 1; i < args.size(); i++) fmt::print("{} {}\n", args[i], hex(view(key_of_seed(seed_of(args[i])).public_key().point)));
    return 0;
  }
  if (args.size() != 5 || args[0] != "run" || !agent::key_of_hex(args[2])) {
    std::fprintf(stderr, "fleet-region keys NAME… | run URL REGION_KEY FOLDER SAMPLES\n");
    return 2;
  }
  try {
    return run({args[1], args[3], args[4], {*agent::key_of_hex(args[2])}});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fleet-region: %s\n", e.what());
    return 1;
  }
}
