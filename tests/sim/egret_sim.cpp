// egret-sim: runs seeds of the simulated world, says what they met, and how to see a failing one again.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/sim/runner.h"
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

// A line that renews itself, on a terminal and after two seconds.
class Ticker {
 public:
  Ticker(uint64_t all, std::string what) : all_(all), what_(std::move(what)), begun_(Clock::now()) {}
  ~Ticker() {
    if (shown_) std::fprintf(stderr, "\r\033[K");
  }
  void operator()(uint64_t done) {
    const double s = since(begun_);
    if (!::isatty(STDERR_FILENO) || s < 2 || s - last_ < 0.2) return;
    last_ = s;
    shown_ = true;
    std::fprintf(stderr, "\r\033[K%s%llu of %llu seeds, %.0f s left", what_.c_str(), static_cast<unsigned long long>(done),
                 static_cast<unsigned long long>(all_), s / static_cast<double>(done) * static_cast<double>(all_ - done));
  }

 private:
  uint64_t all_;
  std::string what_;
  Clock::time_point begun_;
  double last_ = 0;
  bool shown_ = false;
};

int show_trace(const RunOrder& order) {
#ifdef EGRET_MUTANTS
  planted_mutant = order.mutant;
#endif
  World world(order.from, true);
  world.run();
  fmt::print("seed {}: {} (hash {:016x})\n", order.from,
             world.journal().failed() ? world.journal().violation() : "no violation", world.journal().hash());
  return world.journal().failed() ? 1 : 0;
}

// The same seeds again must give the same events, letter for letter.
bool repeats_itself(const RunOrder& order) {
  RunOrder few = order;
  few.seeds = std::min<uint64_t>(order.seeds, 8);
  auto silent = [](uint64_t) {};
  const RunResult once = run_seeds(few, silent), again = run_seeds(few, silent);
  return once.hash == again.hash;
}

void print_met(const Tally& tally, bool say_never) {
  for (size_t i = 0; i < kMets; i++) {
    const uint64_t n = tally.n[i];
    fmt::print("  {:<26}{:>10}{}\n", name_of(static_cast<Met>(i)), n, n == 0 && say_never ? "   <- never happened" : "");
  }
}

void print_json(const RunResult& r, double seconds) {
  fmt::print("{{\"seeds\":{},\"violations\":{},\"first_failed\":{},\"seconds\":{:.1f},\"hash\":\"{:016x}\"", r.done,
             r.failed_seed != 0 ? 1 : 0, r.failed_seed, seconds, r.hash);
  for (size_t i = 0; i < kMets; i++) fmt::print(",\"{}\":{}", name_of(static_cast<Met>(i)), r.tally.n[i]);
  fmt::print("}}\n");
}

int run(const RunOrder& order, bool json, const char* program) {
  if (!repeats_itself(order)) {
    fmt::print("the same seeds gave other events the second time: the simulator is not deterministic\n");
    return 1;
  }
  const auto begun = Clock::now();
  RunResult r;
  {
    Ticker ticker(order.seeds, "");
    r = run_seeds(order, [&](uint64_t done) { ticker(done); });
  }
  if (json) {
    print_json(r, since(begun));
  } else {
    print_met(r.tally, r.done >= 500);
    fmt::print("{} seeds, {} violation{}, {:.1f} s\n", r.done, r.failed_seed != 0 ? 1 : 0, r.failed_seed != 0 ? "" : "s",
               since(begun));
  }
  if (r.failed_seed == 0) return 0;
  fmt::print("\n{}seed {}: {}\nsee all of it: {} --from {} --trace{}\n", r.last_lines, r.failed_seed, r.violation, program,
             r.failed_seed, order.mutant == Mutant::none ? "" : fmt::format(" --mutant {}", name_of(order.mutant)));
  return 1;
}

#ifdef EGRET_MUTANTS
// Each planted bug must fall to some seed.
int run_mutants(RunOrder order) {
  int missed = 0;
  fmt::print("  {:<24}{:>6}  {}\n", "mutant", "seed", "what fell");
  for (int i = 1; i <= kMutants; i++) {
    order.mutant = static_cast<Mutant>(i);
    order.quiet = true;
    Ticker ticker(order.seeds, std::string(name_of(order.mutant)) + ": ");
    const RunResult r = run_seeds(order, [&](uint64_t done) { ticker(done); });
    missed += r.failed_seed == 0;
    fmt::print("  {:<24}{:>6}  {}\n", name_of(order.mutant), r.failed_seed,
               r.failed_seed == 0 ? fmt::format("NOTHING in {} seeds", r.done) : r.violation);
    std::fflush(stdout);
  }
  fmt::print("{} of {} mutants caught\n", kMutants - missed, kMutants);
  return missed == 0 ? 0 : 1;
}
#endif

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-sim: the real session, buffer, reconciler and store under a virtual clock, with faults.\n"
      "Examples: egret-sim --seeds 2000; egret-sim --from 17 --trace"};
  RunOrder order;
  order.seeds = 100;
  order.jobs = 2;
  bool json = false, trace = false;
  app.add_option("--seeds", order.seeds, "how many")->capture_default_str();
  app.add_option("--from", order.from, "the first one")->capture_default_str();
  app.add_option("--jobs", order.jobs, "how many at a time")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_flag("--json", json, "the summary as JSON");
  app.add_flag("--trace", trace, "print every event of the first seed");
#ifdef EGRET_MUTANTS
  std::string mutant;
  bool every_mutant = false;
  app.add_option("--mutant", mutant, "plant this bug (schemas/mutants.h)");
  app.add_flag("--every-mutant", every_mutant, "plant each bug in turn; exit 0 when all are caught");
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
  if (every_mutant) return run_mutants(order);
#endif
  if (trace) return show_trace(order);
  return run(order, json, argv[0]);
}

}  // namespace
}  // namespace egret::sim

int main(int argc, char** argv) {
  return egret::sim::main_of(argc, argv);
}
