// A backup counts only where it protects, and a restore is whole or not at all.
#include "cloud/backup.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "cloud/export.h"
#include "reconciler_rig.h"
#include "schemas/entropy.h"
#include "tests/unit/support/mosquitto.h"

using namespace egret;
using namespace egret::cloud;
namespace fs = std::filesystem;

namespace {

const WallTime kAt{1'700'000'000'000'000};
const StreamKey kStream{{7}, StreamId::result};

struct Region {
  test::TempDir dir;
  OsEntropy entropy;
  OpenedStore opened;
  Writer writer{kStream};
  Region() { open(); }
  void open() {
    opened = OpenedStore{};
    auto again = found_store(store_dir(dir.path()), entropy);
    if (!again) FAIL(again.error().text);
    opened = std::move(*again);
  }
  void close() { opened = OpenedStore{}; }
  // Commits one block of records n, n+1.
  void commit(uint64_t n) {
    writer.data({record_of(n), record_of(n + 1)});
    const Writer::Block& block = writer.blocks.back();
    std::vector<JudgedRecord> judged;
    std::vector<Hash> leaves;
    for (const Bytes& r : block.records) {
      judged.push_back({r, check_body(split_record(r)->body, kFac)->key, QuarantineReason::none, ""});
      leaves.push_back(leaf_of(r));
    }
    auto txn = opened.store->begin();
    txn->put(kFac, Registration{{SitePublicKey{}}, false, false});
    REQUIRE(txn->add_blocks(kFac, kStream, std::array{JudgedBlock{block.first, judged, leaves, block.after}}, kAt).has_value());
    const auto old = txn->row(kFac, kStream).value();
    LedgerRow row = old.value_or(LedgerRow{});
    row.w = writer.head();
    row.c = block.after;
    row.claimed = {100};
    REQUIRE(txn->advance(kFac, kStream, old ? old->w : Seq{}, block.before, row).value());
    FacilityRow facility = txn->facility(kFac).value().value_or(FacilityRow{});
    facility.records += 2;
    txn->put(kFac, facility);
    REQUIRE(opened.store->commit(std::move(txn)) == CommitResult::committed);
  }
  LedgerRow row() { return opened.store->begin()->row(kFac, kStream).value().value(); }
  uint64_t gen() { return opened.store->meta()->gen; }
  Hash digest() { return verify(*opened.kv, nullptr)->digest; }
};

// Changes one byte in the middle of the newest table of a copy.
void damage(const fs::path& dir) {
  fs::path table;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.path().extension() == ".sst" && (table.empty() || entry.file_size() > fs::file_size(table))) table = entry.path();
  }
  REQUIRE_FALSE(table.empty());
  std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(64);
  const char was = char(file.get());
  file.seekp(64);
  file.put(char(was ^ 1));
}

}  // namespace

TEST_CASE("a confirmed backup carries S up to what is in it, and no further", "[backup]") {
  Region region;
  region.commit(1);
  const fs::path copy = region.dir / "copy";
  REQUIRE(make_backup(region.opened, copy).has_value());
  region.commit(3);
  CHECK(check_copy(copy, nullptr).value() == 2);
  CHECK(region.row().safe == Seq{0});
  const auto confirmed = confirm_backup(region.opened, copy, kAt);
  REQUIRE(confirmed.has_value());
  CHECK(confirmed->rows == 1);
  CHECK(confirmed->strangers == 0);
  CHECK(region.row().safe == Seq{2});
  CHECK(region.row().w == Seq{4});
  CHECK(region.opened.store->meta()->backup_confirmed);
}

TEST_CASE("a backup of another history sets nothing", "[backup]") {
  Region region, other;
  region.commit(1);
  other.commit(50);
  REQUIRE(make_backup(other.opened, other.dir / "copy").has_value());
  const auto confirmed = confirm_backup(region.opened, other.dir / "copy", kAt);
  REQUIRE(confirmed.has_value());
  CHECK(confirmed->strangers == 1);
  CHECK(region.row().safe == Seq{0});
}

TEST_CASE("a copy on the store's own file system is refused unless it is asked for", "[backup]") {
  Region region;
  region.commit(1);
  const fs::path copy = region.dir / "copy";
  REQUIRE(make_backup(region.opened, copy).has_value());
  CHECK(check_elsewhere(store_dir(region.dir.path()), copy, false).error().code == Errc::config);
  CHECK(check_elsewhere(store_dir(region.dir.path()), copy, true).has_value());
  CHECK(check_elsewhere(store_dir(region.dir.path()), region.dir / "nothing", true).has_error());
  CHECK(make_backup(region.opened, copy).has_error());  // never over something that is there
}

TEST_CASE("a copy with one changed byte in a file is not confirmed", "[backup]") {
  Region region;
  for (uint64_t n = 1; n < 200; n += 2) region.commit(n);
  const fs::path copy = region.dir / "copy";
  REQUIRE(make_backup(region.opened, copy).has_value());
  region.close();
  // Where the log of a small store is copied as a log, a table is made by opening it once.
  { REQUIRE(open_to_write(copy, region.entropy).has_value()); }
  REQUIRE(check_copy(copy, nullptr).value() == 200);
  damage(copy);
  const auto checked = check_copy(copy, nullptr);
  REQUIRE(checked.has_error());
  CHECK(checked.error().text.find(copy.string()) != std::string::npos);
}

TEST_CASE("a restore brings back what the copy holds, mints a gen, says who is behind and keeps the old store", "[backup]") {
  Region region;
  region.commit(1);
  const Hash at_backup = region.digest();
  const uint64_t gen = region.gen();
  REQUIRE(make_backup(region.opened, region.dir / "copy").has_value());
  region.commit(3);
  const Hash later = region.digest();
  region.close();
  const auto restored = restore_backup(region.dir.path(), region.dir / "copy", region.entropy, kAt);
  REQUIRE(restored.has_value());
  CHECK(restored->behind == std::vector<Facility>{kFac});
  region.open();
  CHECK(region.digest() == at_backup);
  CHECK(region.digest() != later);
  CHECK(region.row().w == Seq{2});
  CHECK(region.gen() != gen);
  const auto incidents = region.opened.store->begin()->incidents(kFac, false).value();
  REQUIRE(incidents.size() == 1);
  CHECK(incidents[0].kind == IncidentKind::restored);
  CHECK(fs::exists(restored->set_aside / "CURRENT"));
  CHECK_FALSE(fs::exists(region.dir / "store.restoring"));
  auto old = open_to_look(restored->set_aside);
  REQUIRE(old.has_value());
  CHECK(verify(*old->kv, nullptr)->digest == later);
}

TEST_CASE("no restore while the service has the store, and none from a damaged copy: the store stays as it was", "[backup]") {
  Region region;
  for (uint64_t n = 1; n < 200; n += 2) region.commit(n);
  const fs::path copy = region.dir / "copy";
  REQUIRE(make_backup(region.opened, copy).has_value());
  SECTION("served") { CHECK(restore_backup(region.dir.path(), copy, region.entropy, kAt).error().code == Errc::locked); }
  SECTION("damaged") {
    region.close();
    { REQUIRE(open_to_write(copy, region.entropy).has_value()); }
    damage(copy);
    CHECK(restore_backup(region.dir.path(), copy, region.entropy, kAt).has_error());
    region.open();
  }
  CHECK(region.row().w == Seq{200});
  CHECK_FALSE(fs::exists(region.dir / "store.restoring"));
}

TEST_CASE("a restore that was cut short is begun anew by the next one", "[backup]") {
  Region region;
  region.commit(1);
  REQUIRE(make_backup(region.opened, region.dir / "copy").has_value());
  region.close();
  fs::create_directory(region.dir / "store.restoring");
  std::ofstream(region.dir / "store.restoring" / "CURRENT") << "half";
  REQUIRE(restore_backup(region.dir.path(), region.dir / "copy", region.entropy, kAt).has_value());
  region.open();
  CHECK(region.row().w == Seq{2});
}

TEST_CASE("a store that is not there is not founded anew by who only wants to write into it") {
  test::TempDir dir;
  OsEntropy entropy;
  auto none = open_to_write(store_dir(dir.path()), entropy);
  REQUIRE(none.has_error());
  CHECK(none.error().code == Errc::not_found);
  CHECK(none.error().text.find("egret-cloud init") != std::string::npos);
  CHECK(!fs::exists(store_dir(dir.path())));
  { REQUIRE(found_store(store_dir(dir.path()), entropy).has_value()); }
  CHECK(open_to_write(store_dir(dir.path()), entropy).has_value());
}

