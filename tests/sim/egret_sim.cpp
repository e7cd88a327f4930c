// egret-sim: runs seeds of the simulated world, says what they met, and how to see a failing one again.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "schemas/mutants.h"
#include "tests/sim/world.h"

namespace {

using egret::sim::Met;
using egret::sim::World;

struct Counter {
  const char* name;
  uint64_t Met::*value;
};
constexpr Counter kCounters[] = {
    {"records", &Met::records}, {"repeats", &Met::repeats}, {"frames", &Met::frames}, {"dropped", &Met::dropped}, {"repeated", &Met::repeated},
    {"crashes", &Met::crashes}, {"disk rollbacks", &Met::rollbacks}, {"cloud restarts", &Met::cloud_restarts}, {"failed commits", &Met::failed_commits},
    {"backups", &Met::backups}, {"restores", &Met::restores}, {"link losses", &Met::link_losses}, {"sheds", &Met::sheds}, {"poison records", &Met::poison},
    {"purges", &Met::purges}, {"re-homings", &Met::rehomes}, {"forks", &Met::forks}, {"need hellos", &Met::need_hellos}, {"incidents at the end", &Met::incidents}};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"egret-sim: the real session, buffer, reconciler and store under a virtual clock, with faults.\nExample: egret-sim --seeds 2000; egret-sim --from 17 --seeds 1"};
  uint64_t seeds = 100, from = 1;
  bool json = false;
  app.add_option("--seeds", seeds, "how many")->capture_default_str();
  app.add_option("--from", from, "the first one")->capture_default_str();
  app.add_flag("--json", json, "the summary as JSON");
#ifdef EGRET_MUTANTS
  std::string mutant;
  app.add_option("--mutant", mutant, "plant this bug");
#endif
  CLI11_PARSE(app, argc, argv);
#ifdef EGRET_MUTANTS
  for (int i = 0; i <= egret::kMutants; i++) {
    if (mutant == egret::name_of(static_cast<egret::Mutant>(i))) egret::planted_mutant = static_cast<egret::Mutant>(i);
  }
#endif
  Met all;
  uint64_t violations = 0, first_bad = 0;
  std::string why;
  auto begun = std::chrono::steady_clock::now();
  for (uint64_t seed = from; seed < from + seeds && violations == 0; seed++) {
    World world(seed);
    why = world.run();
    if (!why.empty()) {
      violations++;
      first_bad = seed;
    }
    if (seed == from && why.empty()) {
      World again(seed);
      again.run();
      if (again.trace_hash() != world.trace_hash()) why = "a seed does not repeat itself", violations++, first_bad = seed;
    }
    for (const Counter& c : kCounters) all.*c.value += world.met().*c.value;
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    uint64_t done = seed - from + 1;
    if (::isatty(STDERR_FILENO) && s > 2 && done % 20 == 0) std::fprintf(stderr, "\r%llu of %llu, %.0f s left  ", static_cast<unsigned long long>(done), static_cast<unsigned long long>(seeds), s * static_cast<double>(seeds - done) / static_cast<double>(done));
  }
  double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  if (json) {
    std::printf("{\"seeds\":%llu,\"violations\":%llu,\"seconds\":%.1f", static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(violations), s);
    for (const Counter& c : kCounters) std::printf(",\"%s\":%llu", c.name, static_cast<unsigned long long>(all.*c.value));
    std::printf("}\n");
  } else {
    for (const Counter& c : kCounters) {
      std::printf("  %-22s %llu%s\n", c.name, static_cast<unsigned long long>(all.*c.value), all.*c.value == 0 && seeds >= 100 ? "   <- never happened" : "");
    }
    std::printf("%llu violations, %.1f s\n", static_cast<unsigned long long>(violations), s);
  }
  if (violations > 0) std::printf("seed %llu: %s\nagain: egret-sim --from %llu --seeds 1\n", static_cast<unsigned long long>(first_bad), why.c_str(), static_cast<unsigned long long>(first_bad));
  return violations == 0 ? 0 : 1;
}
