// Backups of a region in PostgreSQL: what a copy proves is safe, what it does not prove is not, and what a restore leaves.
#include <atomic>
#include <thread>

#include "cloud/backup.h"
#include "cloud/control.h"
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

// A region in a database of its own, of which copies can be made.
struct PgRegion {
  test::Postgres& pg = test::Postgres::shared();
  const std::string name = pg.database();
  const PgOptions at = pg.options(name);
  OsEntropy entropy;
  OpenedStore opened;

  PgRegion() {
    REQUIRE(migrate_postgres(at, entropy, false).has_value());
    open();
    auto txn = opened.store->begin();
    txn->put(kFac, Registration{{{}}, false, false});
    REQUIRE(opened.store->commit(std::move(txn)) == CommitResult::committed);
  }
  void open() { opened = open_postgres(at, entropy).value(); }
  void commit(uint64_t n) {
    auto txn = opened.store->begin({&kFacility, 1});
    append(*txn, {judged(record_of(n))});
    REQUIRE(opened.store->commit(std::move(txn)) == CommitResult::committed);
  }
  PgOptions copy(const std::string& as) {
    opened = OpenedStore{};  // nobody may be connected to what is copied
    pg.sql("CREATE DATABASE " + as + " TEMPLATE " + name);
    open();
    return pg.options(as);
  }
  LedgerRow row() { return opened.store->begin()->row(kFac, kStream).value().value(); }
  const Facility kFacility = kFac;
};

}  // namespace

TEST_CASE("what a copy holds is safe, and nothing that came after it", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  region.commit(2);
  const PgOptions copy = region.copy("copy_a");
  region.commit(3);
  const auto done = confirm_backup(region.opened, copy, kAt);
  REQUIRE(done.has_value());
  CHECK(done->rows == 1);
  CHECK(done->strangers == 0);
  CHECK(region.row().safe == Seq{2});
  CHECK(region.row().w == Seq{3});
  CHECK(region.opened.store->meta()->backup_confirmed);
}

TEST_CASE("a copy of another history makes nothing safe", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  const PgOptions copy = region.copy("copy_b");
  {
    OpenedStore other = open_postgres(copy, region.entropy).value();
    auto txn = other.store->begin();
    append(*txn, {judged(record_of(99))});
    REQUIRE(other.store->commit(std::move(txn)) == CommitResult::committed);
  }
  region.commit(2);
  const auto done = confirm_backup(region.opened, copy, kAt);
  REQUIRE(done.has_value());
  CHECK(done->strangers == 1);
  CHECK(region.row().safe == Seq{0});
}

TEST_CASE("a backup is confirmed while reconcilers commit, and none of them is refused", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  const PgOptions copy = region.copy("copy_c");
  std::atomic<bool> over{false};
  std::atomic<int> refused{0};
  std::thread busy([&] {
    OpenedStore mine = open_postgres(region.at, region.entropy).value();
    for (uint64_t n = 100; !over; ++n) {
      auto txn = mine.store->begin({&region.kFacility, 1});
      append(*txn, {judged(record_of(n))});
      refused += mine.store->commit(std::move(txn)) != CommitResult::committed;
    }
  });
  for (int i = 0; i < 10; ++i) {
    const auto done = confirm_backup(region.opened, copy, kAt);
    INFO((done ? std::string() : done.error().text));
    CHECK(done.has_value());
  }
  over = true;
  busy.join();
  CHECK(refused == 0);
  CHECK(region.row().safe == Seq{1});
}

TEST_CASE("the store's own server is no copy, a database without a store neither", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  const auto own = check_copy(region.at, region.copy("copy_d"), nullptr);
  CHECK(own.error().code == Errc::config);
  CHECK_THAT(own.error().text, Catch::Contains("protects from nothing"));
  CHECK(confirm_backup(region.opened, region.pg.options(region.pg.database()), kAt).error().code == Errc::not_found);
  CHECK(region.row().safe == Seq{0});
}

TEST_CASE("a store that was put back has another number, and says who is behind", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  auto txn = region.opened.store->begin();
  LedgerRow claimed = *txn->row(kFac, kStream).value();
  claimed.claimed = Seq{9};
  txn->put(kFac, kStream, claimed);
  REQUIRE(region.opened.store->commit(std::move(txn)) == CommitResult::committed);
  const uint64_t before = region.opened.store->meta()->gen;
  const auto behind = region.opened.store->mark_restored(region.entropy, kAt, "restored from monday");
  REQUIRE(behind.has_value());
  CHECK(*behind == std::vector<Facility>{kFac});
  CHECK(region.opened.store->meta()->gen != before);
  const auto incidents = region.opened.store->begin()->incidents(kFac, false).value();
  REQUIRE(incidents.size() == 1);
  CHECK(incidents[0].kind == IncidentKind::restored);
  CHECK(incidents[0].note == "restored from monday");
}

TEST_CASE("the command that confirms a copy in PostgreSQL answers as it does for a folder", "[pg][backup]") {
  PgRegion region;
  region.commit(1);
  const PgOptions copy = region.copy("copy_e");
  const ControlAnswer answer = run_control("backup.confirm", {{"copy", copy.url}, {"records", "1"}}, region.opened, {}, kAt);
  CHECK(answer.code == 0);
  CHECK_THAT(answer.text, Catch::Contains(R"("rows":1,"strangers":0,"records":1)"));
}
