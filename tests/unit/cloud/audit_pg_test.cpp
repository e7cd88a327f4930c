// The audit log on every store: the same chain; of several processes that write at once each entry is there once.
#include <thread>

#include "cloud/audit.h"
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

AuditEntry read_by(const std::string& who, uint64_t n) { return {AuditStep::read, {1'700'000'000'000'000 + static_cast<int64_t>(n)}, who, "viewer", "GET /x", 200, 1, {subject_of_order(n)}}; }

template <class Bed>
Hash played(Bed& bed) {
  Kv& kv = bed.store().kv();
  for (uint64_t n = 1; n <= 20; n++) REQUIRE(append_audit(kv, std::vector{read_by("a", n), read_by("b", n)}).has_value());
  REQUIRE(make_root(kv, SitePrivateKey{{3}}, kAt).value().has_value());
  REQUIRE(expire_audit(kv, 180, {kAt.us + 400 * 86'400'000'000}, 7).value() == 7);
  bed.reopen();
  const auto verdict = verify_audit(bed.store().kv()).value();
  CHECK(verdict.wrong == std::vector<std::string>{});
  CHECK(verdict.entries == 34);
  CHECK(verdict.roots == 1);
  return verdict.head.c;
}

}  // namespace

TEST_CASE("the log has one chain on every store, and survives a reopening", "[audit]") {
  MemoryBed memory;
  RocksBed rocks;
  PostgresBed postgres;
  const Hash c = played(memory);
  CHECK(played(rocks) == c);
  CHECK(played(postgres) == c);
}

TEST_CASE("processes that write the log at once in PostgreSQL lose nothing and break nothing", "[audit]") {
  PostgresBed bed;
  constexpr uint64_t kEach = 40;
  std::vector<std::thread> writers;
  std::atomic<int> failed{0};
  for (int w = 0; w < 3; w++) {
    writers.emplace_back([w, &failed] {
      OsEntropy entropy;
      auto opened = open_postgres(PostgresBed::options(), entropy);
      for (uint64_t n = 1; opened && n <= kEach; n++) failed += !append_audit(*opened->kv, std::vector{read_by("w" + std::to_string(w), n)}).has_value();
      failed += !opened;
    });
  }
  for (std::thread& t : writers) t.join();
  CHECK(failed == 0);
  const auto verdict = verify_audit(bed.store().kv()).value();
  CHECK(verdict.wrong == std::vector<std::string>{});
  CHECK(verdict.entries == 3 * kEach);
  std::set<std::pair<std::string, std::string>> seen;
  REQUIRE(each_audit(bed.store().kv(), 0, [&](const AuditRow& row) { return seen.emplace(row.entry.who, text_of(row.entry.about.at(0))), true; }).has_value());
  CHECK(seen.size() == 3 * kEach);
}
