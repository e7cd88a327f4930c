// What a store does whose disk fails, loses or forgets.
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

TEST_CASE("a store that lost its meta row is not founded anew over its data", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  auto txn = store->begin();
  append(*txn, {judged(record_of(1))});
  REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  KvBatch batch;
  batch.erase(kMetaSpace, meta_key());
  REQUIRE(kv.write(batch, true).has_value());
  CHECK(open_store(kv, entropy).error().code == Errc::corrupt);
}

TEST_CASE("a ledger row that cannot be read is told, and is no row of the facility", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  auto txn = store->begin();
  append(*txn, {judged(record_of(1))});
  REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  REQUIRE(store->begin()->rows(kFac).value().size() == 1);
  KvBatch batch;
  batch.put(kMetaSpace, ledger_key(kFac, kStream), "?");
  REQUIRE(kv.write(batch, true).has_value());
  const auto rows = store->begin()->rows(kFac);
  REQUIRE_FALSE(rows.has_value());
  CHECK(rows.error().code == Errc::corrupt);
}

TEST_CASE("a facility's row of an older region is read, and written as that region reads it while nothing new is known", "[store]") {
  FacilityRow row;
  row.records = 7;
  row.vitals = {"1.2", 412, 1, 2, 3, 4, 5, 6, 7, -8, 9, 0, {}};
  const Bytes old = encode(row);
  CHECK(old.size() == 196);  // as every region before wrote it
  CHECK(decode_facility(old)->vitals.w_falls == 9);
  CHECK(encode(*decode_facility(old)) == old);
  row.vitals.disk_hours_left = 1;
  const Bytes now = encode(row);
  CHECK(now.size() == old.size() + 12);
  CHECK(now.starts_with(old));
  for (size_t size = old.size() + 1; size < now.size(); size++) CHECK(decode_facility(ByteView(now).substr(0, size)).error().code == Errc::corrupt);
  CHECK(decode_facility(now + "x").error().code == Errc::corrupt);
  CHECK(decode_facility(old + Bytes(12, '\0')).error().code == Errc::corrupt);  // nobody writes that
}

TEST_CASE("a commit whose write failed says so and changes nothing", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  kv.fail_write(1, KvMemory::Failure::lost);
  auto txn = store->begin();
  append(*txn, {judged(record_of(1))});
  CHECK(store->commit(std::move(txn)) == CommitResult::failed);
  CHECK(store->last_error().code == Errc::store_failed);
  kv.heal();
  CHECK_FALSE(store->begin()->row(kFac, kStream).value());
}

TEST_CASE("a commit is on the disk before anybody hears of it", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  auto txn = store->begin();
  append(*txn, {judged(record_of(1))});
  REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  kv.crash_keeping(0);
  store = open_store(kv, entropy).value();
  CHECK(store->begin()->row(kFac, kStream).value()->w == Seq{1});
}

TEST_CASE("a table that cannot be read makes the transaction fail, not forget", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  auto txn = store->begin();
  append(*txn, {judged(record_of(1))});
  REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  kv.make_unreadable(kNaturalSpace, natural_key(kFac, judged(record_of(1)).key));
  txn = store->begin();
  const Bytes one = record_of(1);
  const std::vector<JudgedRecord> records{judged(one)};
  const std::vector<Hash> leaves{leaf_of(one)};
  CHECK(txn->add_blocks(kFac, kStream, std::array{JudgedBlock{{2}, records, leaves, {}}}, kAt).error().code == Errc::corrupt);
}

TEST_CASE("sessions that nobody used for long are forgotten, others stay", "[store]") {
  KvMemory kv(kCloudSpaces);
  SeededEntropy entropy(1);
  auto store = open_store(kv, entropy).value();
  auto txn = store->begin();
  SessionRow old_one, new_one;
  old_one.last_used = {100};
  new_one.last_used = {200};
  txn->put(kFac, SessionId{1}, old_one);
  txn->put(kFac, SessionId{2}, new_one);
  REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  CHECK(store->drop_sessions({200}).value() == 1);
  CHECK_FALSE(store->begin()->session(kFac, SessionId{1}).value());
  CHECK(store->begin()->session(kFac, SessionId{2}).value());
}
