// Verify finds what was done to a store behind its back, and names the place (es1 section 8).
#include "cloud/verify.h"

#include <catch2/catch.hpp>

#include "cloud/stored_block.h"
#include "reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct Committed {
  CloudRig rig;
  Writer w{key_of(5, StreamId::telemetry)};
  Committed() { commit_eight(rig, w); }
  Verdict verdict() { return verify(rig.kv, nullptr).value(); }
  void write(Space space, const Bytes& key, const Bytes& value) {
    KvBatch batch;
    batch.put(space, key, value);
    REQUIRE(rig.kv.write(batch, true).has_value());
  }
  void erase(Space space, const Bytes& key) {
    KvBatch batch;
    batch.erase(space, key);
    REQUIRE(rig.kv.write(batch, true).has_value());
  }
  // The block at `first` with its entries changed by `edit`.
  void rewrite(Seq first, const std::function<void(std::vector<StoredEntry>&)>& edit) {
    Bytes key = numbered_key(kFac, w.key, first);
    Bytes raw;
    std::vector<StoredEntry> entries = decode_block(rig.kv.get(kBlockSpace, key).value().value(), raw).value();
    edit(entries);
    BlockWriter writer(1024);
    for (const StoredEntry& entry : entries) writer.add(entry);
    write(kBlockSpace, key, writer.finish());
  }
  void set_w(uint64_t w_value) {
    LedgerRow row = rig.row(w.key);
    row.w = {w_value};
    write(kMetaSpace, ledger_key(kFac, w.key), encode(row));
  }
  bool names(uint64_t first, uint64_t last) {
    for (const Finding& f : verdict().findings) {
      if (f.fac == kFac && f.key == w.key && f.first.value <= last && f.last.value >= first) return true;
    }
    return false;
  }
};

}  // namespace

TEST_CASE("a store that nobody touched verifies, and its digest is over what is applied", "[verify]") {
  Committed c;
  Verdict v = c.verdict();
  CHECK(v.wrong == 0);
  CHECK(v.records == 5);
  CHECK(v.gap_records == 3);
  CHECK(v.digest_records == 5);
}

TEST_CASE("a record that was edited is named", "[verify]") {
  Committed c;
  Bytes other = record_of(99);
  c.rewrite({3}, [&](auto& entries) { entries[1].record = other; });
  CHECK(c.names(4, 4));
}

TEST_CASE("a record that was dropped is named", "[verify]") {
  Committed c;
  SECTION("out of its block") { c.rewrite({3}, [](auto& entries) { entries.pop_back(); }); }
  SECTION("with its block") { c.erase(kBlockSpace, numbered_key(kFac, c.w.key, {3})); }
  SECTION("with its block and leaves") {
    c.erase(kBlockSpace, numbered_key(kFac, c.w.key, {3}));
    c.erase(kLeafSpace, numbered_key(kFac, c.w.key, {4}));
  }
  CHECK(c.names(3, 4));
}

TEST_CASE("two records that were swapped are named", "[verify]") {
  Committed c;
  c.rewrite({1}, [](auto& entries) { std::swap(entries[0], entries[1]); });
  CHECK(c.names(1, 1));
  CHECK(c.names(2, 2));
}

TEST_CASE("a gap row that was dropped is named", "[verify]") {
  Committed c;
  c.erase(kMetaSpace, gap_key(kFac, c.w.key, {7}));
  CHECK(c.names(5, 7));
}

TEST_CASE("a W that was lowered or raised is named", "[verify]") {
  Committed c;
  SECTION("lowered") {
    c.set_w(4);
    CHECK(c.names(4, 8));
  }
  SECTION("raised") {
    c.set_w(9);
    CHECK(c.names(9, 9));
  }
}

TEST_CASE("a natural key that leads elsewhere is named", "[verify]") {
  Committed c;
  Result<RecordView> parts = split_record(c.w.blocks[0].records[0]);
  Bytes key = natural_key(kFac, check_body(parts->body, kFac)->key);
  c.write(kNaturalSpace, key, encode_place({c.w.key, {8}}));
  CHECK(c.names(1, 1));
}

TEST_CASE("a flipped bit in any value is found or changes nothing that was promised", "[verify]") {
  Committed c;
  KvMemory::State clean = c.rig.kv.snapshot();
  size_t found = 0, tried = 0;
  for (Space space : {kBlockSpace, kLeafSpace}) {
    for (const auto& [key, value] : clean.tables[space]) {
      for (size_t bit = 0; bit < value->size() * 8; bit += 13) {
        c.rig.kv.rollback(clean);
        REQUIRE(c.rig.kv.flip_bit(space, key, bit));
        tried++;
        found += c.verdict().wrong > 0;
      }
    }
  }
  CHECK(tried > 200);
  CHECK(found == tried);
}

TEST_CASE("behind a hole verify goes on, and names what else is wrong there", "[verify]") {
  Committed c;
  c.erase(kLeafSpace, numbered_key(kFac, c.w.key, {4}));
  c.rewrite({8}, [](auto& entries) { entries[0].kind = EntryKind::quarantined; });
  CHECK(c.names(3, 4));
  CHECK(c.names(8, 8));
  CHECK_FALSE(c.names(5, 7));
}

TEST_CASE("a natural key that nothing stands behind is named", "[verify]") {
  Committed c;
  c.write(kNaturalSpace, natural_key(kFac, {Kind::agent_event, Hash{1}}), encode_place({c.w.key, {2}}));
  CHECK(c.names(2, 2));
}

TEST_CASE("data without a row in the ledger is named", "[verify]") {
  Committed c;
  SECTION("its row was dropped") { c.erase(kMetaSpace, ledger_key(kFac, c.w.key)); }
  SECTION("a gap of another stream") {
    c.w.key.stream = StreamId::bulk;
    c.write(kMetaSpace, gap_key(kFac, c.w.key, {9}), encode(GapRow{{1}, {9}, GapKind::shed, GapReason::disk_budget, {}, false, {}}));
  }
  CHECK(c.names(1, 9));
}

TEST_CASE("a counter that does not count what is there is named", "[verify]") {
  Committed c;
  FacilityRow row = c.rig.facility();
  row.duplicates++;
  c.write(kMetaSpace, facility_key(kFac), encode(row));
  const Verdict v = c.verdict();
  REQUIRE(v.wrong == 1);
  CHECK(text_of(v.findings[0]).find("counts 5, 1, 0, 3") != std::string::npos);
}

TEST_CASE("an S above W is named: sites would delete what is not committed", "[verify]") {
  Committed c;
  LedgerRow row = c.rig.row(c.w.key);
  row.safe = {12};
  c.write(kMetaSpace, ledger_key(kFac, c.w.key), encode(row));
  CHECK(c.names(9, 12));
}

TEST_CASE("a deletion without its tombstone is named", "[verify]") {
  Committed c;
  auto txn = c.rig.store->begin();
  const NaturalKey key = check_body(split_record(c.w.blocks[0].records[0])->body, kFac)->key;
  REQUIRE(txn->erase(kFac, key, "retention").has_value());
  REQUIRE(c.rig.store->commit(std::move(txn)) == CommitResult::committed);
  CHECK(c.verdict().wrong == 0);
  const Bytes tombstone = c.rig.kv.table(kMetaSpace).lower_bound("t")->first;
  REQUIRE(tombstone[0] == 't');
  c.erase(kMetaSpace, tombstone);
  CHECK(c.names(1, 1));
}

TEST_CASE("a value that the disk cannot read is named, and the rest is still proved", "[verify]") {
  Committed c;
  c.rig.kv.make_unreadable(kBlockSpace, numbered_key(kFac, c.w.key, {1}));
  CHECK(c.names(1, 2));
  CHECK(c.verdict().wrong == 1);
}
