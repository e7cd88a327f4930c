// egret-scope: every way that a few records and a few faults can meet: a search through all states, each visited once.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <unordered_set>

#include "schemas/mutants.h"
#include "tests/sim/scope/state.h"

namespace egret::scope {
namespace {

using Clock = std::chrono::steady_clock;

struct Order {
  Limits limits;
  uint64_t states_max = 0;
  uint64_t converge_every = 16;
  size_t net_max = 0;
};

class Search {
 public:
  explicit Search(const Order& order) : order_(order) {}
  // True: nothing fell.
  bool run() {
    State start = first_state(order_.limits);
    seen_.insert(fingerprint(start, order_.limits));
    return visit(start);
  }
  bool whole() const { return seen_.size() < order_.states_max; }
  uint64_t states() const { return seen_.size(); }
  uint64_t steps() const { return steps_; }
  uint64_t converged() const { return converged_; }
  size_t deepest() const { return deepest_; }

 private:
  bool visit(const State& state) {
    deepest_ = std::max(deepest_, path_.size());
    for (const Choice& choice : choices(state, order_.limits)) {
      if (!whole()) return true;
      State next = state;
      path_.push_back(describe(state, choice));
      steps_++;
      const std::string bad = carry_out(next, choice, order_.limits);
      if (!bad.empty()) return tell(bad);
      if (next.net.size() <= order_.net_max && seen_.insert(fingerprint(next, order_.limits)).second) {
        if (seen_.size() % order_.converge_every == 0) {
          converged_++;
          const std::string late = converges(next, order_.limits);
          if (!late.empty()) return tell(late);
        }
        if (!visit(next)) return false;
      }
      path_.pop_back();
    }
    return true;
  }
  bool tell(const std::string& bad) const {
    fmt::print("{} after {} states:\n", bad, seen_.size());
    for (const std::string& step : path_) fmt::print("  {}\n", step);
    return false;
  }

  Order order_;
  std::unordered_set<Bytes> seen_;
  std::vector<std::string> path_;
  uint64_t steps_ = 0, converged_ = 0;
  size_t deepest_ = 0;
};

void add_limits(CLI::App& app, Limits& limits) {
  auto limit = [&](Step step, const char* option, int most, const char* what) {
    int& n = limits.most[static_cast<size_t>(step)] = most;
    app.add_option(option, n, what)->capture_default_str();
  };
  limit(Step::append, "--records", 2, "records that a site is given");
  limit(Step::timer, "--timers", 2, "deadlines that come");
  limit(Step::hello, "--hellos", 0, "HELLOs that nothing asks for");
  limit(Step::image, "--images", 1, "images taken of the site's machine");
  limit(Step::backup, "--backups", 1, "backups of the region, each confirmed");
  for (size_t s = static_cast<size_t>(Step::crash); s < kSteps; s++) limits.most[s] = 1;
  app.add_option("--copies", limits.copies, "how often a message may come")->capture_default_str();
  app.add_option("--faults", limits.faults, "faults of any kind")->capture_default_str();
}

// What of the faults may happen: all, or the named ones.
bool choose_faults(Limits& limits, const std::vector<std::string>& only) {
  for (const std::string& name : only) {
    bool known = false;
    for (size_t s = static_cast<size_t>(Step::crash); s < kSteps; s++) known |= name == name_of(static_cast<Step>(s));
    if (!known) return false;
  }
  for (size_t s = static_cast<size_t>(Step::crash); s < kSteps && !only.empty(); s++) {
    limits.most[s] = std::ranges::count(only, name_of(static_cast<Step>(s))) > 0;
  }
  return true;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-scope: the real session and reconciler in every order of a few events.\n"
      "Examples: egret-scope --records 2 --faults 1; egret-scope --mutant no_rehome --only LIVE-ROLLBACK"};
  Order order{{}, 1'000'000, 16, 12};
  order.limits.faults = 1;
  std::string mutant;
  std::vector<std::string> only;
  int lane = static_cast<int>(StreamId::telemetry);
  add_limits(app, order.limits);
  app.add_option("--only", only, "of the faults, only these");
  app.add_option("--lane", lane, "the stream of the records")->capture_default_str();
  app.add_option("--states", order.states_max, "stop after so many")->capture_default_str();
  app.add_option("--net", order.net_max, "different messages under way, at most")->capture_default_str();
  app.add_option("--converge-every", order.converge_every, "of so many states one is followed to its end")->capture_default_str();
  app.add_option("--mutant", mutant, "plant this bug (schemas/mutants.h): then something must fall");
  CLI11_PARSE(app, argc, argv);
  order.limits.lane = static_cast<StreamId>(lane);
  for (int i = 1; i <= kMutants; i++) {
    if (mutant == name_of(static_cast<Mutant>(i))) planted_mutant = static_cast<Mutant>(i);
  }
  if ((!mutant.empty() && planted_mutant == Mutant::none) || !choose_faults(order.limits, only)) {
    fmt::print(stderr, "--mutant, --only: no such name\n");
    return 2;
  }
  const auto begun = Clock::now();
  Search search(order);
  const bool well = search.run();
  fmt::print("{} states, {} steps, at most {} deep, {} followed to their end, {:.1f} s: {}\n", search.states(), search.steps(),
             search.deepest(), search.converged(), std::chrono::duration<double>(Clock::now() - begun).count(),
             !well ? "a violation" : search.whole() ? "no violation, all states visited" : "no violation, stopped at --states");
  return well == mutant.empty() ? 0 : 1;
}

}  // namespace
}  // namespace egret::scope

int main(int argc, char** argv) {
  return egret::scope::main_of(argc, argv);
}
