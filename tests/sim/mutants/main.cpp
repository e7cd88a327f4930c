// egret-sim-mutants: plants the known bugs of schemas/mutants.h in the real code, one at a time, and says what caught
// each: an invariant of the simulator at some seed, or the unit test of what lies outside the simulator's world.
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <set>

#include "tests/sim/runner.h"
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

using Clock = std::chrono::steady_clock;

struct ByTest {
  Mutant mutant;
  const char* test;
};
// What no seed can show, and who shows it.
constexpr ByTest kByTest[] = {
    {Mutant::persistent_session, "no broker is asked to keep a session: clean start, no expiry"},
    {Mutant::backoff_reset_on_connect, "a link that breaks at once is tried ever more slowly"},
    {Mutant::full_disk_for_ever, "a refusal ends by itself when space is back, and does not flicker"},
    {Mutant::telemetry_starves, "every waiting lane gets at least five per cent under a flood of critical data"},
    {Mutant::wire_size_trusted, "a batch against a bound of its header is dropped before anything is allocated for it"},
};

struct Caught {
  Mutant mutant = Mutant::none;
  bool caught = false;
  std::string by;    // an invariant, or "test"
  std::string what;  // the violation, or the test's name
  uint64_t seed = 0;
  uint64_t seeds = 0;
  double seconds = 0;
};

// True: the test fails with the bug and passes without it.
bool fails_with(const std::string& program, const char* test, Mutant mutant) {
  std::string name;
  for (const char* at = test; *at; at++) name += *at == ',' ? "\\," : std::string(1, *at);
  auto passes = [&](Mutant planted) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setenv("EGRET_MUTANT", name_of(planted), 1);
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, STDOUT_FILENO);
      ::dup2(null, STDERR_FILENO);
      ::alarm(20);  // a test that hangs has failed
      ::execl(program.c_str(), program.c_str(), name.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid) throw std::runtime_error("egret-sim-mutants: no process");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) throw std::runtime_error(program + ": cannot be run");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  return passes(Mutant::none) && !passes(mutant);
}

Caught try_mutant(Mutant mutant, RunOrder order, const std::string& unit) {
  const auto begun = Clock::now();
  Caught c;
  c.mutant = mutant;
  for (const ByTest& t : kByTest) {
    if (t.mutant == mutant) c.what = t.test;
  }
  if (!c.what.empty()) {
    c.by = "test";
    c.caught = fails_with(unit, c.what.c_str(), mutant);
  } else {
    order.mutant = mutant;
    order.quiet = true;
    const RunResult r = run_seeds(order, [](uint64_t) {});
    c.caught = r.failed_seed != 0;
    c.seed = r.failed_seed;
    c.seeds = r.done;
    c.what = c.caught ? r.violation : fmt::format("NOTHING in {} seeds", r.done);
    const bool invariant = c.what.starts_with("I") && c.what.find(':') < 4;
    c.by = !c.caught ? "" : invariant ? c.what.substr(0, c.what.find(':')) : "abort";
  }
  c.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  return c;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char ch : text) {
    if (ch == '"' || ch == '\\') out.push_back('\\');
    out.push_back(ch == '\n' ? ' ' : ch);
  }
  return out + "\"";
}

void print(const Caught& c, bool json) {
  if (json) {
    fmt::print("{{\"mutant\":\"{}\",\"number\":{},\"caught\":{},\"by\":{},\"seed\":{},\"what\":{},\"seconds\":{:.2f}}}\n",
               name_of(c.mutant), number_of(c.mutant), c.caught, json_text(c.by), c.seed, json_text(c.what), c.seconds);
  } else {
    const int number = number_of(c.mutant);
    fmt::print("  {:>2} {:<24}{:>6} {:>7.1f} s  {}\n", number == 0 ? "" : std::to_string(number), name_of(c.mutant), c.seed, c.seconds,
               c.by == "test" ? (c.caught ? "test: " : "NOT by ") + c.what : c.what);
  }
  std::fflush(stdout);
}

int every_mutant(const RunOrder& order, bool json, const std::string& unit) {
  std::set<int> numbers, missed, with_test;
  int caught = 0;
  if (!json) fmt::print("   # {:<24}{:>6}  {:>8}  {}\n", "mutant", "seed", "time", "what fell");
  for (int i = 1; i <= kMutants; i++) {
    const Caught c = try_mutant(static_cast<Mutant>(i), order, unit);
    print(c, json);
    caught += c.caught;
    if (const int number = number_of(c.mutant)) {
      numbers.insert(number);
      if (!c.caught) missed.insert(number);
      if (c.by == "test") with_test.insert(number);
    }
  }
  if (json) {
    fmt::print("{{\"mutants\":{},\"caught\":{},\"listed\":{},\"listed_caught\":{},\"by_simulator\":{}}}\n", kMutants, caught,
               numbers.size(), numbers.size() - missed.size(), numbers.size() - with_test.size());
  } else {
    fmt::print("{} of {} mutants caught; of the {} listed bugs {}, {} of them by the simulator's own invariants\n", caught, kMutants,
               numbers.size(), numbers.size() - missed.size(), numbers.size() - with_test.size());
  }
  return caught == kMutants ? 0 : 1;
}

int show_trace(const RunOrder& order) {
  planted_mutant = order.mutant;
  World world(draw_plan(order.from, order.hours), true);
  world.run();
  fmt::print("seed {}: {}\n", order.from, world.journal().failed() ? world.journal().violation() : "no violation");
  return world.journal().failed() ? 1 : 0;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-sim-mutants: plants known bugs in the real code and shows that the simulator finds them.\n"
      "Examples: egret-sim-mutants --every-mutant --seeds 1000; egret-sim-mutants --mutant purge_to_w --from 7 --trace"};
  RunOrder order;
  order.seeds = 1000;
  order.jobs = 2;
  bool json = false, trace = false, every = false;
  std::string mutant;
  std::string unit = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "unit-mutants").string();
  app.add_option("--seeds", order.seeds, "how many at most")->capture_default_str();
  app.add_option("--from", order.from, "the first one")->capture_default_str();
  app.add_option("--jobs", order.jobs, "how many at a time")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option("--mutant", mutant, "plant this bug (schemas/mutants.h)");
  app.add_flag("--every-mutant", every, "plant each bug in turn; exit 0 when all are caught");
  app.add_option("--unit", unit, "the unit tests with the bugs in them");
  app.add_flag("--json", json, "a line of JSON a mutant");
  app.add_flag("--trace", trace, "print every event of the first seed");
  CLI11_PARSE(app, argc, argv);
  if (every) return every_mutant(order, json, unit);
  for (int i = 0; i <= kMutants; i++) {
    if (mutant == name_of(static_cast<Mutant>(i))) order.mutant = static_cast<Mutant>(i);
  }
  if (order.mutant == Mutant::none && mutant != name_of(Mutant::none)) {
    fmt::print(stderr, "--mutant: \"{}\" is none; they are named in schemas/mutants.h\n", mutant);
    return 2;
  }
  if (trace) return show_trace(order);
  const Caught c = try_mutant(order.mutant, order, unit);
  print(c, json);
  return c.caught == (order.mutant != Mutant::none) ? 0 : 1;
}

}  // namespace
}  // namespace egret::sim

int main(int argc, char** argv) {
  return egret::sim::main_of(argc, argv);
}
