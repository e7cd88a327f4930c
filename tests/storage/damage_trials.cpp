#include "tests/storage/damage_trials.h"

#include <catch2/catch.hpp>
#include <future>
#include <iostream>
#include <map>

#include "tests/sim/seeded_entropy.h"
#include "tests/storage/damage.h"
#include "tests/storage/trial.h"
#include "tests/unit/agent/scratch.h"

namespace egret::test {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kTrialLimit{40};  // of a processor
constexpr uint64_t kAtOnce = 16;  // they wait for RocksDB's sleeps more than they work

struct Damaged {
  Damage damage;
  Ended ended;
};

void copy_into(const fs::path& from, const fs::path& to) {
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

Damaged damaged_at(const DamageTrials& trials, const fs::path& origin, uint64_t seed) {
  agent::Scratch copy;
  copy_into(origin, copy.path());
  SeededEntropy entropy(seed);
  Damaged damaged;
  damaged.damage = damage(copy.path() / trials.part, entropy);
  if (const char* kept = std::getenv("EGRET_DAMAGE_KEEP")) copy_into(copy.path(), kept);
  damaged.ended = in_own_process([&] { return trials.after(copy.path()); }, kTrialLimit);
  return damaged;
}

std::string outcome_of(const Ended& ended) {
  if (ended.how == Ended::How::crashed) return "CRASH";
  if (ended.how == Ended::How::hung) return "HANG";
  return ended.text.substr(0, ended.text.find(':'));
}

bool is_bad(const std::string& outcome) {
  return outcome == "WRONG" || outcome == "CRASH" || outcome == "HANG";
}

void found(const DamageTrials& trials, const fs::path& origin) {
  const Ended built = in_own_process([&] { return trials.before(origin); }, kTrialLimit);
  INFO(built.text);
  REQUIRE(built.text == "ok");
  agent::Scratch copy;
  copy_into(origin, copy.path());
  const Ended clean = in_own_process([&] { return trials.after(copy.path()); }, kTrialLimit);
  INFO(clean.text);
  REQUIRE(outcome_of(clean) == "whole");
}

}  // namespace

void run(const DamageTrials& trials) {
  agent::Scratch origin;
  found(trials, origin.path());
  const char* only = std::getenv("EGRET_DAMAGE_SEED");
  const uint64_t first = only ? std::stoull(only) : 1, last = only ? first : trials.count;
  std::map<std::pair<std::string, std::string>, uint64_t> counts;
  std::map<uint64_t, std::future<Damaged>> running;
  for (uint64_t seed = first, next = first; seed <= last; ++seed) {
    for (; next <= last && next < seed + kAtOnce; ++next) {
      running[next] = std::async(std::launch::async,
                                 [&, next] { return damaged_at(trials, origin.path(), next); });
    }
    const Damaged damaged = running[seed].get();
    running.erase(seed);
    const std::string outcome = outcome_of(damaged.ended);
    ++counts[{damaged.damage.kind, outcome}];
    if (only || is_bad(outcome))
      std::cout << trials.about << "seed " << seed << ", " << damaged.damage.what << "\n  "
                << damaged.ended.text << "\n";
    if (is_bad(outcome))
      FAIL_CHECK(trials.about << "seed " << seed << ": " << damaged.damage.what << ": "
                              << damaged.ended.text.substr(0, 200));
  }
  for (const auto& [what, count] : counts)
    std::cout << trials.about << what.first << ": " << what.second << ": " << count << "\n";
}

}  // namespace egret::test
