// egret-sim: runs seeds of the simulated world, says what they met, and how to see a failing one again.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/sim/plan_text.h"
#include "tests/sim/runner.h"
#include "tests/sim/shrink.h"
#include "tests/sim/summary.h"
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kShrinkSeconds = 20;
constexpr uint64_t kEndless = UINT64_MAX / 4;

double since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

// A line that renews itself, on a terminal and after two seconds.
class Ticker {
 public:
  Ticker(const RunOrder& order, std::string what)
      : seeds_(order.seeds), minutes_(order.minutes), what_(std::move(what)), begun_(Clock::now()) {}
  ~Ticker() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }
  void operator()(uint64_t done) {
    const double s = since(begun_);
    if (!::isatty(STDERR_FILENO) || s < 2 || s - last_ < 0.2) return;
    last_ = s;
    shown_ = true;
    double left = s / static_cast<double>(done) * static_cast<double>(seeds_ - done);
    if (minutes_ > 0) left = std::min(left, minutes_ * 60 - s);
    std::fprintf(stderr, "\r\033[K%s%llu seeds, %.0f s left", what_.c_str(), static_cast<unsigned long long>(done), left);
  }

 private:
  uint64_t seeds_;
  double minutes_;
  std::string what_;
  Clock::time_point begun_;
  double last_ = 0;
  bool shown_ = false;
};

int show_trace(const Plan& plan) {
  World world(plan, true);
  world.run();
  fmt::print("seed {}: {} (hash {:016x})\n", plan.seed,
             world.journal().failed() ? world.journal().violation() : "no violation", world.journal().hash());
  return world.journal().failed() ? 1 : 0;
}

// Scenario files: each must end without a violation.
int run_scenarios(const std::vector<std::string>& files, bool trace) {
  int broken = 0;
  for (const std::string& file : files) {
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    const Result<Plan> plan = in ? read_plan(text.str()) : Result<Plan>(Error{Errc::bad_input, "cannot be read"});
    if (!plan) {
      fmt::print(stderr, "{}: {}\n", file, plan.error().text);
      return 2;
    }
    if (trace) return show_trace(*plan);
    const std::string violation = violation_of(*plan);
    fmt::print("{}: {}\n", file, violation.empty() ? "no violation" : violation);
    broken += !violation.empty();
  }
  return broken == 0 ? 0 : 1;
}

// The same seeds again must give the same events, letter for letter.
bool repeats_itself(const RunOrder& order) {
  RunOrder few = order;
  few.seeds = std::min<uint64_t>(order.seeds, 8);
  few.minutes = 0;
  auto silent = [](uint64_t) {};
  const RunResult once = run_seeds(few, silent), again = run_seeds(few, silent);
  return once.hash == again.hash;
}

void print_json(const RunResult& r, double seconds) {
  fmt::print("{{\"seeds\":{},\"violations\":{},\"first_failed\":{},\"seconds\":{:.1f},\"cpu_seconds\":{:.1f},\"hash\":\"{:016x}\",{}}}\n",
             r.done, r.failed_seed != 0 ? 1 : 0, r.failed_seed, seconds, r.cpu_s, r.hash, summary_json(r.tally));
}

void print_text(const RunResult& r, double seconds) {
  print_summary(r.tally, r.done >= kSeedsToMeetAll);
  fmt::print("{} seeds, {} violation{}, {:.1f} s, {:.1f} seeds a CPU second\n", r.done, r.failed_seed != 0 ? 1 : 0,
             r.failed_seed != 0 ? "" : "s", seconds, static_cast<double>(r.done) / std::max(r.cpu_s, 0.001));
}

// The failing seed, what is left of its plan when it is made small, and how to see it again.
void print_failure(const RunOrder& order, const RunResult& r, const char* program) {
  const Plan small = shrink(draw_plan(r.failed_seed, order.hours), r.violation, kShrinkSeconds);
  fmt::print("\n{}seed {}: {}\n\nthe least of its plan that does the same (keep it in tests/sim/scenarios):\n{}", r.last_lines,
             r.failed_seed, r.violation, text_of(small));
  fmt::print("\nsee all of it: {} --from {}{} --trace{}\n", program, r.failed_seed,
             order.hours == 1 ? "" : fmt::format(" --hours {}", order.hours),
             order.mutant == Mutant::none ? "" : fmt::format(" --mutant {}", name_of(order.mutant)));
}

int run(const RunOrder& order, bool json, const char* program) {
  if (!repeats_itself(order)) {
    fmt::print("the same seeds gave other events the second time: the simulator is not deterministic\n");
    return 1;
  }
  const auto begun = Clock::now();
  RunResult r;
  {
    Ticker ticker(order, "");
    r = run_seeds(order, [&](uint64_t done) { ticker(done); });
  }
  if (json) {
    print_json(r, since(begun));
  } else {
    print_text(r, since(begun));
  }
  if (r.failed_seed != 0) print_failure(order, r, program);
  if (r.failed_seed != 0) return 1;
  return r.done >= kSeedsToMeetAll && order.mutant == Mutant::none && !never_met(r.tally).empty() ? 1 : 0;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-sim: the real session, buffer, reconciler and store under a virtual clock, with faults.\n"
      "Examples: egret-sim --seeds 2000; egret-sim --minutes 30 --hours 24; egret-sim --from 17 --trace;\n"
      "egret-sim --scenario tests/sim/scenarios/*.txt"};
  RunOrder order;
  order.seeds = 100;
  order.jobs = 2;
  bool json = false, trace = false;
  std::vector<std::string> scenarios;
  auto* seeds = app.add_option("--seeds", order.seeds, "how many")->capture_default_str();
  app.add_option("--minutes", order.minutes, "as many as can be begun in this time");
  app.add_option("--hours", order.hours, "virtual length of a seed's faults")->capture_default_str()->check(CLI::Range(1, 720));
  app.add_option("--scenario", scenarios, "plans as text (tests/sim/scenarios); each must end without a violation");
  app.add_option("--from", order.from, "the first one")->capture_default_str();
  app.add_option("--jobs", order.jobs, "how many at a time")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_flag("--json", json, "the summary as JSON");
  app.add_flag("--trace", trace, "print every event of the first seed");
#ifdef EGRET_MUTANTS
  std::string mutant;
  app.add_option("--mutant", mutant, "plant this bug (schemas/mutants.h)");
#endif
  CLI11_PARSE(app, argc, argv);
#ifdef EGRET_MUTANTS
  for (int i = 0; i <= kMutants; i++) {
    if (mutant == name_of(static_cast<Mutant>(i))) order.mutant = static_cast<Mutant>(i);
  }
  if (!mutant.empty() && order.mutant == Mutant::none) {
    fmt::print(stderr, "--mutant: \"{}\" is none; they are named in schemas/mutants.h\n", mutant);
    return 2;
  }
#endif
#ifdef EGRET_MUTANTS
  planted_mutant = order.mutant;
#endif
  if (order.minutes > 0 && seeds->empty()) order.seeds = kEndless;
  if (!scenarios.empty()) return run_scenarios(scenarios, trace);
  if (trace) return show_trace(draw_plan(order.from, order.hours));
  return run(order, json, argv[0]);
}

}  // namespace
}  // namespace egret::sim

int main(int argc, char** argv) {
  return egret::sim::main_of(argc, argv);
}
