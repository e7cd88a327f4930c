// How long a recall's preview takes over the views of many results: the real rows and indexes, on RocksDB, made by what the
// Follower makes them with. 547 sites, 90 days, two models, one of each ten results by the second. Prints JSON.
//
//   recall_bench DIR [RESULTS]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "cloud/access.h"
#include "cloud/follower.h"
#include "cloud/recall_report.h"
#include "schemas/entropy.h"
#include "schemas/record_text.h"

namespace {

using namespace egret;
using namespace egret::cloud;
using Clock = std::chrono::steady_clock;

constexpr int64_t kT = 1'767'225'600'000'000, kDayUs = 86'400'000'000;  // 2026-01-01
constexpr int kSites = 547, kDays = 90;
constexpr size_t kBatch = 500'000;

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

Hash hash_of(uint8_t n) {
  Hash h{};
  h.fill(n);
  return h;
}

ResultName name_of_result(uint64_t i) {
  ResultName name{fmt::format("clinic-{}", i % kSites), {}};
  for (size_t k = 0; k < 8; k++) name.id[k] = static_cast<uint8_t>((i * 0x9E3779B97F4A7C15) >> (8 * k));
  name.id[15] = static_cast<uint8_t>(i);
  return name;
}

ResultRow row_of(uint64_t i, std::mt19937_64& random, const Facility& fac) {
  ResultRow row;
  Version v;
  v.body = hash_of(static_cast<uint8_t>(i));
  v.model = hash_of(i % 10 == 0 ? 2 : 1);
  v.t_us = kT + static_cast<int64_t>(random() % (kDays * static_cast<uint64_t>(kDayUs)));
  v.critical = random() % 50 == 0;
  v.subject = hash_of(static_cast<uint8_t>(random()));
  row.add(v, {{{7}, StreamId::result}, {i + 1}}, fac);
  if (random() % 3 == 0) row.add(Review{1, hash_of(200), 4, random() % 10 == 0 ? ReviewVerdict::rejected : ReviewVerdict::agreed, v.t_us}, {{{7}, StreamId::result}, {i + 1}}, fac);
  return row;
}

double fill_views(Kv& kv, uint64_t results) {
  std::mt19937_64 random(1);
  ModelUses models(kv);
  KvBatch batch;
  const auto begun = Clock::now();
  for (uint64_t i = 0; i < results; i++) {
    const ResultName name = name_of_result(i);
    const ResultRow row = row_of(i, random, name.fac);
    Follower::derive(name, {}, row, i, models, batch);
    batch.put(kViewSpace, result_key(name), encode(row));
    if ((i + 1) % kBatch != 0 && i + 1 != results) continue;
    if (!models.write_counts(batch) || !kv.write(batch, true)) throw std::runtime_error("the views cannot be written");
    batch.clear();
  }
  for (uint8_t m : {1, 2}) put_model(batch, {hash_of(m), "retina-net", "vendor", "Retina", fmt::format("2.{}", int(m))});
  batch.put(kViewSpace, views_state_key(), encode(ViewsState{kViewsFormat, 0, {}}));
  if (!kv.write(batch, true)) throw std::runtime_error("the views cannot be written");
  return seconds_since(begun);
}

struct Measured {
  double worst_s = 0;
  std::string json;
};
void measure(const Kv& kv, const char* what, const RecallAsked& asked, Measured& out, std::optional<uint64_t> expected = {}) {
  double worst = 0, best = 1e9;
  uint64_t touched = 0;
  for (int round = 0; round < 5; round++) {
    const auto begun = Clock::now();
    const auto counted = report(kv, asked);
    if (!counted) throw std::runtime_error(counted.error().text);
    const double s = seconds_since(begun);
    worst = std::max(worst, s);
    best = std::min(best, s);
    touched = counted->all();
  }
  if (expected && touched != *expected) throw std::runtime_error(fmt::format("{}: {} results were put in, {} counted", what, *expected, touched));
  out.worst_s = std::max(out.worst_s, worst);
  out.json += fmt::format(R"({}{{"what":"{}","results":{},"best_s":{:.3f},"worst_s":{:.3f}}})", out.json.empty() ? "" : ",", what, touched, best, worst);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "recall_bench DIR [RESULTS]\n");
    return 2;
  }
  const uint64_t results = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  OsEntropy entropy;
  auto opened = found_store(argv[1], entropy);
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().text);
    return 1;
  }
  const double filled_s = fill_views(*opened->kv, results);
  Measured m;
  const Kv& kv = *opened->kv;
  measure(kv, "both models, open at both ends", {"retina-net", "", "", "", ""}, m, results);
  measure(kv, "one version, open at both ends", {"retina-net", "2.1", "", "", ""}, m, results - (results + 9) / 10);
  measure(kv, "one version, 30 whole days", {"retina-net", "2.1", "2026-02-01", "2026-03-02", ""}, m);
  measure(kv, "one version, 30 days cut within days", {"retina-net", "2.1", "2026-02-01T13:00:00Z", "2026-03-02T09:30:00Z", ""}, m);
  measure(kv, "one version, one site", {"retina-net", "2.1", "", "", "clinic-7"}, m);
  measure(kv, "one version, an hour", {"retina-net", "2.1", "2026-02-01T13:00:00Z", "2026-02-01T14:00:00Z", ""}, m);
  fmt::print(R"({{"results":{},"filled_s":{:.1f},"worst_s":{:.3f},"previews":[{}]}})" "\n", results, filled_s, m.worst_s, m.json);
  return 0;
}
