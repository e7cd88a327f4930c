// egret-sim-real: seeds of the simulator with the real RocksDB under each site, on a disk that forgets what was not synced.
#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "tests/sim/real/real_twin.h"
#include "tests/sim/world.h"

namespace egret::sim {
namespace {

namespace fs = std::filesystem;

// Damage by flipped bits and a lying disk are other than RocksDB's own: tests/storage has them.
Plan plan_of(uint64_t seed) {
  Plan plan = draw_plan(seed, 1);
  plan.lying_disk = false;
  std::erase_if(plan.deeds, [](const Planned& p) { return p.deed == Deed::corrupt; });
  const Planned crash{plan.span_ms / 2, Deed::edge_crash, 0, seed};
  plan.deeds.push_back(crash);
  std::ranges::sort(plan.deeds);
  return plan;
}

struct Sum {
  RealTwin::Counts counts;
  uint64_t seeds = 0;
  std::string violation;
};

void run_seed(uint64_t seed, bool syncs, const fs::path& dir, Sum& sum) {
  std::vector<RealTwin*> twins;
  World world(plan_of(seed), false);
  world.pair_disks([&](Journal& journal) {
    const std::string name = fmt::format("{}-{}", seed, twins.size());
    auto twin = std::make_unique<RealTwin>(dir / name, journal, syncs, dir / (name + ".trace"));
    twins.push_back(twin.get());
    return twin;
  });
  world.run();
  for (const RealTwin* twin : twins) {
    sum.counts.writes += twin->counts().writes;
    sum.counts.reads += twin->counts().reads;
    sum.counts.cuts += twin->counts().cuts;
    sum.counts.reopenings += twin->counts().reopenings;
    sum.counts.compared += twin->counts().compared;
  }
  sum.seeds++;
  if (world.journal().failed()) sum.violation = fmt::format("seed {}: {}", seed, world.journal().violation());
}

int play_again(const fs::path& trace, const fs::path& dir) {
  Timeline time({0});
  Journal journal(time, true);
  const bool same = replay(trace, dir / "replay", journal);
  fmt::print("{}: {}\n", trace.filename().string(), same ? "no violation" : journal.violation());
  return same ? 0 : 1;
}

int main_of(int argc, char** argv) {
  CLI::App app{
      "egret-sim-real: seeds with the real RocksDB under each site, compared with the one in memory after every operation.\n"
      "Examples: egret-sim-real --seeds 30; egret-sim-real --from 7 --seeds 1 --keep DIR; egret-sim-real --replay DIR/7-0.trace"};
  uint64_t seeds = 30, from = 1;
  bool control = false;
  std::string keep, trace;
  app.add_option("--seeds", seeds, "how many")->capture_default_str();
  app.add_option("--from", from, "the first one")->capture_default_str();
  app.add_flag("--control", control, "the real store does not sync: exit 0 only when that is found");
  app.add_option("--keep", keep, "leave stores and traces in this folder");
  app.add_option("--replay", trace, "do what a trace says once more");
  CLI11_PARSE(app, argc, argv);
  const fs::path dir = keep.empty() ? fs::temp_directory_path() / fmt::format("egret-sim-real.{}", ::getpid()) : fs::path(keep);
  fs::create_directories(dir);
  int rc = 0;
  if (!trace.empty()) {
    rc = play_again(trace, dir);
  } else {
    Sum sum;
    const auto begun = std::chrono::steady_clock::now();
    for (uint64_t seed = from; seed < from + seeds && sum.violation.empty(); seed++) {
      run_seed(seed, !control, dir, sum);
      if (keep.empty() && sum.violation.empty()) fs::remove_all(dir);
      fs::create_directories(dir);
    }
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    fmt::print("{} seeds, {} writes, {} reads, {} power cuts, {} openings, {} whole comparisons, {:.1f} s: {}\n", sum.seeds, sum.counts.writes,
               sum.counts.reads, sum.counts.cuts, sum.counts.reopenings, sum.counts.compared, s,
               sum.violation.empty() ? "no violation" : sum.violation);
    rc = sum.violation.empty() == control ? 1 : 0;
    if (rc != 0 && !control) {
      fmt::print("what the store did: {}; play it again: {} --replay FILE\n", (dir / "*.trace").string(), argv[0]);
      return rc;
    }
  }
  if (keep.empty()) fs::remove_all(dir);
  return rc;
}

}  // namespace
}  // namespace egret::sim

int main(int argc, char** argv) { return egret::sim::main_of(argc, argv); }
