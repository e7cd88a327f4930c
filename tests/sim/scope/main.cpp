// egret-scope: every way that a few records and a few faults can meet: a search through all states,
// each visited once.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "schemas/mutants.h"
#include "tests/sim/scope/seen.h"
#include "tests/sim/scope/state.h"

namespace egret::scope {
namespace {

using Clock = std::chrono::steady_clock;
using Kinds = std::vector<Step>;

struct Order {
  Limits limits;
  StreamId lane = StreamId::telemetry;
  uint64_t states_max = 0;
  uint64_t converge_every = 16;
};

// What a search, or several, came to.
struct Sum {
  uint64_t states = 0, steps = 0, converged = 0, overfull = 0;
  size_t deepest = 0, machines = 0, regions = 0, messages = 0;
  bool whole = true;
  std::string fell;  // which invariant, and how; empty: none

  void add(const Sum& more) {
    states += more.states;
    steps += more.steps;
    converged += more.converged;
    overfull += more.overfull;
    deepest = std::max(deepest, more.deepest);
    machines = std::max(machines, more.machines);
    regions = std::max(regions, more.regions);
    messages = std::max(messages, more.messages);
    whole = whole && more.whole;
    if (fell.empty()) fell = more.fell;
  }
};

class Search {
 public:
  explicit Search(const Order& order) : order_(order), scope_(order.limits, order.lane) {}
  Sum run() {
    State start = scope_.first_state();
    seen_.insert(scope_.words_of(start));
    visit(start);
    const Known& known = scope_.known();
    sum_.states = seen_.size();
    sum_.machines = known.machines();
    sum_.regions = known.regions();
    sum_.messages = known.messages();
    return sum_;
  }

 private:
  // False: no further, something fell or there are too many.
  bool visit(const State& state) {
    sum_.deepest = std::max(sum_.deepest, path_.size());
    for (const Choice& choice : scope_.choices(state)) {
      State next = state;
      path_.push_back({&state, choice});
      sum_.steps++;
      const std::string bad = scope_.carry_out(next, choice);
      if (!bad.empty()) return fall(bad);
      sum_.overfull += next.overfull;
      if (!next.overfull && seen_.insert(scope_.words_of(next)) && !(follow(next) && visit(next)))
        return false;
      path_.pop_back();
    }
    return true;
  }
  bool follow(const State& state) {
    if (seen_.size() >= order_.states_max) return sum_.whole = false;
    if (seen_.size() % order_.converge_every != 0) return true;
    sum_.converged++;
    const std::string late = scope_.converges(state);
    return late.empty() || fall(late);
  }
  bool fall(const std::string& bad) {
    sum_.fell = fmt::format("{} after {} states:\n", bad, seen_.size());
    for (const auto& [state, choice] : path_)
      sum_.fell += fmt::format("  {}\n", scope_.describe(*state, choice));
    return false;
  }

  Order order_;
  Scope scope_;
  Seen seen_;
  std::vector<std::pair<const State*, Choice>> path_;
  Sum sum_;
};

// Which faults may meet: each choice of `faults` kinds, a kind may come twice. What one of them can
// lead to, fewer can too.
std::vector<Kinds> meetings(const Kinds& kinds, int faults) {
  std::vector<Kinds> all{{}};
  for (int i = 0; i < faults; i++) {
    std::vector<Kinds> longer;
    for (const Kinds& some : all) {
      for (const Step kind : kinds) {
        if (!some.empty() && kind < some.back()) continue;
        longer.push_back(some);
        longer.back().push_back(kind);
      }
    }
    all = std::move(longer);
  }
  return all;
}

Order order_for(Order order, const Kinds& meeting) {
  auto most = [&](Step step) -> int& { return order.limits.most[static_cast<size_t>(step)]; };
  bool goes_back = false;
  for (const Step kind : meeting) {
    most(kind)++;
    goes_back |= kind == Step::disk_rollback || kind == Step::live_rollback;
  }
  if (!goes_back) most(Step::image) = 0;  // an image that nobody can go back to
  order.limits.faults = static_cast<int>(meeting.size());
  return order;
}

std::string names_of(const Kinds& meeting) {
  std::string out;
  for (const Step kind : meeting)
    out += fmt::format("{}{}", out.empty() ? "" : " + ", name_of(kind));
  return out.empty() ? "no fault" : out;
}

std::string text_of(const Sum& sum, double seconds) {
  return fmt::format(
      "{} states, {} steps, at most {} deep, {} followed to their end, {:.1f} s: {}{}", sum.states,
      sum.steps, sum.deepest, sum.converged, seconds,
      !sum.fell.empty() ? "a violation"
      : sum.whole       ? "no violation, all states visited"
                        : "no violation, stopped at --states",
      sum.overfull > 0 ? fmt::format(" but {} with more under way than --net", sum.overfull) : "");
}

double since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

// All meetings, `jobs` at a time; one that falls ends it.
Sum search_all(const Order& order, const std::vector<Kinds>& all, unsigned jobs) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Sum sum;
  size_t ended = 0;
  auto work = [&] {
    for (size_t i = next++; i < all.size(); i = next++) {
      const auto begun = Clock::now();
      const Sum one = Search(order_for(order, all[i])).run();
      const std::lock_guard lock(mutex);
      sum.add(one);
      fmt::print("[{}/{}] {}: {}\n", ++ended, all.size(), names_of(all[i]),
                 text_of(one, since(begun)));
      std::fflush(stdout);
      if (!one.fell.empty()) next = all.size();
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 0; i < jobs; i++) workers.emplace_back(work);
  workers.clear();
  return sum;
}

bool choose(Kinds& kinds, const std::vector<std::string>& only) {
  for (size_t s = static_cast<size_t>(Step::crash); s < kSteps; s++) {
    const Step kind = static_cast<Step>(s);
    if (only.empty() || std::ranges::count(only, name_of(kind)) > 0) kinds.push_back(kind);
  }
  return only.empty() || kinds.size() == only.size();
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-scope: the real session and reconciler in every order of a few events and every "
      "meeting of a few faults.\n"
      "Examples: egret-scope --records 2 --faults 1; egret-scope --mutant no_rehome --only "
      "LIVE-ROLLBACK\n"
      "exit 0: nothing fell (with --mutant: something did); 1: the other; 2: a word that is not "
      "known"};
  Order order{{}, StreamId::telemetry, 100'000'000, 16};
  std::string mutant;
  std::vector<std::string> only;
  int lane = static_cast<int>(StreamId::telemetry), faults = 1;
  unsigned jobs = 1;
  auto most = [&](Step step, const char* option, int n, const char* what) {
    int& limit = order.limits.most[static_cast<size_t>(step)] = n;
    app.add_option(option, limit, what)->capture_default_str()->check(CLI::Range(0, kRecordsMax));
  };
  most(Step::append, "--records", 2, "records that sites are given");
  most(Step::hello, "--hellos", 0, "HELLOs that nothing asks for");
  most(Step::image, "--images", 1, "images taken of the site's machine");
  most(Step::backup, "--backups", 1, "backups of the region, each confirmed");
  app.add_option("--faults", faults, "faults that meet")
      ->capture_default_str()
      ->check(CLI::Range(0, 3));
  app.add_option("--only", only, "of the faults, only these");
  app.add_option("--lane", lane, "the stream of the records")->capture_default_str();
  app.add_option("--states", order.states_max, "stop a meeting after so many")
      ->capture_default_str();
  app.add_option("--net", order.limits.net_max, "different messages under way, at most")
      ->capture_default_str();
  app.add_option("--converge-every", order.converge_every,
                 "of so many states one is followed to its end")
      ->capture_default_str();
  app.add_option("--jobs", jobs, "meetings at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--mutant", mutant,
                 "plant this bug (schemas/mutants.h): then something must fall");
  CLI11_PARSE(app, argc, argv);
  order.lane = static_cast<StreamId>(lane);
  for (int i = 1; i <= kMutants; i++) {
    if (mutant == name_of(static_cast<Mutant>(i))) planted_mutant = static_cast<Mutant>(i);
  }
  Kinds kinds;
  if ((!mutant.empty() && planted_mutant == Mutant::none) || !choose(kinds, only)) {
    fmt::print(stderr, "--mutant, --only: no such name\n");
    return 2;
  }
  const auto begun = Clock::now();
  const Sum sum = search_all(order, meetings(kinds, faults), jobs);
  fmt::print("{}{}\nat once known: at most {} machines, {} regions, {} messages\n", sum.fell,
             text_of(sum, since(begun)), sum.machines, sum.regions, sum.messages);
  return sum.fell.empty() == mutant.empty() ? 0 : 1;
}

}  // namespace
}  // namespace egret::scope

int main(int argc, char** argv) {
  return egret::scope::main_of(argc, argv);
}
