// What every store promises (cloud/store.h), asked of a store in memory, of one on RocksDB and of one in
// PostgreSQL, directly and through PgBouncer.
#include "cloud/taken_away.h"
#include "cloud/verify.h"
#include "cloud/timeline.h"
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

TEMPLATE_TEST_CASE("a ledger row moves only for who knows where it stands", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  LedgerRow row = row_at({5}, Hash{1});
  CHECK_FALSE(txn->advance(kFac, kStream, {1}, Hash{1}, row).value());
  CHECK_FALSE(txn->advance(kFac, kStream, {0}, Hash{9}, row).value());
  CHECK_FALSE(txn->row(kFac, kStream).value());
  CHECK(txn->advance(kFac, kStream, {0}, chain_start(kFac, kStream), row).value());
  LedgerRow next = row_at({6}, Hash{2});
  CHECK_FALSE(txn->advance(kFac, kStream, {5}, Hash{2}, next).value());
  CHECK_FALSE(txn->advance(kFac, kStream, {4}, Hash{1}, next).value());
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  txn = bed.store().begin();
  CHECK(txn->advance(kFac, kStream, {5}, Hash{1}, next).value());
  CHECK(txn->row(kFac, kStream).value()->w == Seq{6});
}

TEMPLATE_TEST_CASE("nothing is seen of a transaction that was not committed, and all of one that was", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes one = record_of(1);
  {
    auto txn = bed.store().begin();
    append(*txn, {judged(one)});
    CHECK(txn->row(kFac, kStream).value()->w == Seq{1});  // sees itself
  }
  CHECK_FALSE(bed.store().begin()->row(kFac, kStream).value());
  REQUIRE(commit_block(bed, {judged(one)}) == CommitResult::committed);
  bed.reopen();
  CHECK(bed.store().begin()->row(kFac, kStream).value()->w == Seq{1});
  CHECK(record_at(bed.store(), {1}) == one);
}

TEMPLATE_TEST_CASE("what follows a savepoint is undone alone", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  txn->savepoint();
  append(*txn, {judged(record_of(1))});
  txn->put(kFac, Incident{0, IncidentKind::fork, kStream, {1}, {1}, {}, kAt, {}, ""});
  txn->savepoint();
  append(*txn, {judged(record_of(2)), judged(record_of(3))});
  txn->put(kFac, Incident{0, IncidentKind::orphan, kStream, {2}, {3}, {}, kAt, {}, ""});
  FacilityRow row;
  row.ticket = 9;
  txn->put(kFac, row);
  txn->rollback_to_savepoint();
  CHECK(txn->row(kFac, kStream).value()->w == Seq{1});
  CHECK_FALSE(txn->facility(kFac).value());
  CHECK(txn->incidents(kFac, true)->size() == 1);
  CHECK(append(*txn, {judged(record_of(2))}).front() == Disposition::applied);  // its natural key was undone too
  txn->rollback_to_savepoint();                                                 // once more
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  CHECK(bed.store().begin()->row(kFac, kStream).value()->w == Seq{1});
}

TEMPLATE_TEST_CASE("a natural key takes effect once, wherever its copy comes from", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes one = record_of(1), two = record_of(2);
  auto txn = bed.store().begin();
  CHECK(append(*txn, {judged(one), judged(one)}) == std::vector{Disposition::applied, Disposition::duplicate});
  CHECK(append(*txn, {judged(one), judged(two)}) == std::vector{Disposition::duplicate, Disposition::applied});
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  bed.reopen();
  txn = bed.store().begin();
  CHECK(append(*txn, {judged(two)}, {{8}, StreamId::bulk}).front() == Disposition::duplicate);
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  for (uint64_t seq : {1, 2, 3}) CHECK(record_at(bed.store(), {seq}) == one);
  CHECK(record_at(bed.store(), {4}) == two);
}

TEMPLATE_TEST_CASE("a duplicate keeps its own arrival and shares the body", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes one = record_of(1);
  v1::Arrival later;
  later.set_wall_us(1'800'000'000'000'000);
  later.set_src_msg_id("second door");
  const Bytes again = join_record(split_record(one)->body, encode_arrival(later).value()).value();
  REQUIRE(commit_block(bed, {judged(one)}) == CommitResult::committed);
  REQUIRE(commit_block(bed, {judged(again)}) == CommitResult::committed);
  CHECK(record_at(bed.store(), {1}) == one);
  CHECK(record_at(bed.store(), {2}) == again);
  const auto value = bed.store().kv().get(kBlockSpace, numbered_key(kFac, kStream, {2}));
  Bytes raw;
  REQUIRE(decode_block(**value, raw).has_value());
  CHECK(raw.find(split_record(one)->body) == Bytes::npos);
}

TEMPLATE_TEST_CASE("a quarantined record is kept with its reason, once, and comes back byte for byte", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes bad = "no record at all";
  const JudgedRecord judgement{bad, {}, QuarantineReason::undecodable, "record: 16 bytes"};
  auto txn = bed.store().begin();
  CHECK(append(*txn, {judgement, judged(record_of(1)), judgement}) ==
        std::vector{Disposition::quarantined, Disposition::applied, Disposition::quarantined});
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  CHECK(record_at(bed.store(), {1}) == bad);
  CHECK(record_at(bed.store(), {3}) == bad);
  const auto row = bed.store().kv().get(kMetaSpace, quarantine_key(kFac, sha256(bad)));
  const auto kept = decode_quarantine(**row);
  CHECK(kept->reason == QuarantineReason::undecodable);
  CHECK(kept->place.seq == Seq{1});
}

TEMPLATE_TEST_CASE("what was erased is gone, stays provable, and a late copy counts as deleted", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes one = record_of(1), two = record_of(2);
  REQUIRE(commit_block(bed, {judged(one), judged(two)}) == CommitResult::committed);
  REQUIRE(commit_block(bed, {judged(one)}) == CommitResult::committed);
  auto txn = bed.store().begin();
  REQUIRE(txn->erase(kFac, judged(one).key, "erasure").has_value());
  FacilityRow counted;
  counted.records = 2;
  counted.duplicates = 1;
  txn->put(kFac, counted);
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  bed.reopen();
  BlockReader reader(bed.store().kv());
  CHECK(reader.at(kFac, {kStream, {1}})->gone);
  CHECK(reader.at(kFac, {kStream, {3}})->gone);
  CHECK(record_at(bed.store(), {2}) == two);
  CHECK(times_taken_away(bed.store().kv()).value() == 1);
  CHECK(verify(bed.store().kv(), nullptr)->wrong == 0);
  txn = bed.store().begin();
  CHECK(append(*txn, {judged(one), judged(two)}) == std::vector{Disposition::deleted, Disposition::duplicate});
}

TEMPLATE_TEST_CASE("an erasure that is rolled back leaves the record", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const Bytes one = record_of(1);
  REQUIRE(commit_block(bed, {judged(one)}) == CommitResult::committed);
  auto txn = bed.store().begin();
  txn->savepoint();
  REQUIRE(txn->erase(kFac, judged(one).key, "erasure").has_value());
  txn->rollback_to_savepoint();
  CHECK(append(*txn, {judged(one)}).front() == Disposition::duplicate);
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  CHECK(record_at(bed.store(), {1}) == one);
}

TEMPLATE_TEST_CASE("gap rows come back in order from a number on, of the one stream that is asked for", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  const auto gap = [](uint64_t first, uint64_t last) {
    return GapRow{{first}, {last}, GapKind::shed, GapReason::disk_budget, Hash{uint8_t(last)}, false, kAt};
  };
  txn->add_gap(kFac, kStream, gap(11, 20));
  txn->add_gap(kFac, kStream, gap(1, 3));
  txn->add_gap(kFac, {{7}, StreamId::telemetry}, gap(1, 2));
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  txn = bed.store().begin();
  txn->add_gap(kFac, kStream, gap(300, 301));
  const auto lasts = [&](Seq after, size_t limit) {
    std::vector<uint64_t> out;
    for (const GapRow& g : txn->gaps(kFac, kStream, after, limit).value()) out.push_back(g.last.value);
    return out;
  };
  CHECK(lasts({0}, 10) == std::vector<uint64_t>{3, 20, 301});
  CHECK(lasts({3}, 10) == std::vector<uint64_t>{20, 301});
  CHECK(lasts({15}, 1) == std::vector<uint64_t>{20});
  CHECK(lasts({0}, 0).empty());
  CHECK(txn->c_at(kFac, kStream, {20}).value() == Hash{20});
  CHECK_FALSE(txn->c_at(kFac, kStream, {12}).value());
}

TEMPLATE_TEST_CASE("c is known at every border and at no other number", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  REQUIRE(commit_block(bed, {judged(record_of(1)), judged(record_of(2))}) == CommitResult::committed);
  auto txn = bed.store().begin();
  CHECK(txn->c_at(kFac, kStream, {0}).value() == chain_start(kFac, kStream));
  CHECK_FALSE(txn->c_at(kFac, kStream, {1}).value());
  CHECK(txn->c_at(kFac, kStream, {2}).value() == txn->row(kFac, kStream).value()->c);
}

TEMPLATE_TEST_CASE("an incident that is closed is no longer open, and numbers are not given twice", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  txn->put(kFac, Incident{0, IncidentKind::tail_lost, kStream, {1}, {4}, {}, kAt, {}, ""});
  txn->put(kFac, Incident{0, IncidentKind::orphan, kStream, {1}, {4}, {}, kAt, {}, ""});
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  bed.reopen();
  txn = bed.store().begin();
  auto open = txn->incidents(kFac, true).value();
  REQUIRE(open.size() == 2);
  CHECK(open[0].id != open[1].id);
  open[0].closed = kAt;
  txn->put(kFac, open[0]);
  CHECK(txn->incidents(kFac, true)->size() == 1);
  CHECK(txn->incidents(kFac, false)->size() == 2);
  txn->put("clinic-2", Incident{0, IncidentKind::fork, kStream, {1}, {1}, {}, kAt, {}, ""});
  CHECK(txn->incidents("clinic-2", true)->front().id > open[1].id);
}

TEMPLATE_TEST_CASE("a facility's rows are its own, even where its name begins another's", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  for (const Facility fac : {"clinic", "clinic-1", "clinic-10"}) {
    txn->put(fac, Registration{{SitePublicKey{}}, false, false});
    txn->put(fac, SessionId{1}, SessionRow{});
    REQUIRE(txn->advance(fac, kStream, {}, chain_start(fac, kStream), row_at({1}, Hash{1})).value());
  }
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  txn = bed.store().begin();
  CHECK(txn->rows("clinic")->size() == 1);
  CHECK(txn->sessions("clinic-1")->size() == 1);
  CHECK(bed.store().facilities().value() == std::vector<Facility>{"clinic", "clinic-1", "clinic-10"});
}

TEMPLATE_TEST_CASE("rows come back as they were put, with every field", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  auto txn = bed.store().begin();
  LedgerRow row = row_at({9}, Hash{3});
  row.safe = {4};
  row.claims = {{{12}, Digest16{1}}, {{15}, Digest16{2}}};
  row.claimed = {15};
  row.final = row.finished = true;
  row.finished_at = {20};
  row.finished_c = Hash{8};
  row.finished_claimed = {14};
  row.purged = {3};
  row.marks = {{kAt, {2}}, {{kAt.us + 1}, {9}}};
  REQUIRE(txn->advance(kFac, kStream, {}, chain_start(kFac, kStream), row).value());
  SessionRow session;
  session.hello_no = 5;
  session.hello_nonce = "12345678";
  session.listed = {kStream, {{4}, StreamId::telemetry}};
  txn->put(kFac, SessionId{2}, session);
  txn->put(kFac, Registration{{SitePublicKey{}}, false, true, "海沧区", "海沧第七诊所 <b>7</b>"});
  FacilityRow facility;
  facility.records = 7;
  facility.vitals = {"1.2", 412, 1, 2, 3, 4, 5, 6, 7, -8, 9, 61, {1'800'000'000'000'000}};
  txn->put(kFac, facility);
  REQUIRE(bed.store().commit(std::move(txn)) == CommitResult::committed);
  bed.reopen();
  txn = bed.store().begin();
  CHECK(encode(txn->facility(kFac).value().value()) == encode(facility));
  CHECK(txn->facility(kFac).value()->vitals.disk_hours_left == 61);
  CHECK(txn->facility(kFac).value()->vitals.certificate_ends == facility.vitals.certificate_ends);
  const LedgerRow back = txn->row(kFac, kStream).value().value();
  CHECK(encode(back) == encode(row));
  CHECK(back.claims.at(1).n == Seq{15});
  CHECK((back.final && back.finished && !back.moved && !back.unverified));
  CHECK(back.marks.at(1).w == Seq{9});
  CHECK(encode(txn->session(kFac, SessionId{2}).value().value()) == encode(session));
  const Registration site = txn->registration(kFac).value().value();
  CHECK((site.keys.size() == 1 && !site.revoked && site.blocked));
  CHECK(site.district == "海沧区");
  CHECK(site.name == "海沧第七诊所 <b>7</b>");
}

TEMPLATE_TEST_CASE("how sites stood in the minutes of a day outlives the service, and no longer than a day", "[store][timeline]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  constexpr int64_t kMinute = 60'000'000;
  const int64_t first = kAt.us / kMinute + 1;
  const auto look = [&](Timeline& timeline, int64_t minute, uint64_t records, bool heard) {
    std::vector<FacilityView> views(2);
    views[0].fac = "clinic-1";
    views[0].row.records = records;
    views[0].row.last_seen = heard ? WallTime{minute * kMinute} : WallTime{first * kMinute};
    views[1].fac = "clinic-10";
    views[1].attention = Attention::never_seen;
    REQUIRE(timeline.look(bed.store().kv(), views, {minute * kMinute + 1}).has_value());
  };
  Timeline timeline(150'000);
  REQUIRE(timeline.begin(bed.store().kv(), {first * kMinute}).has_value());
  for (int64_t i = 0; i < 5; i++) look(timeline, first + i, 10 * uint64_t(std::min<int64_t>(i, 2)), i < 2);
  REQUIRE(timeline.write(bed.store().kv()).has_value());
  bed.reopen();

  Timeline again(150'000);
  REQUIRE(again.begin(bed.store().kv(), {(first + 7) * kMinute}).has_value());
  REQUIRE(again.region().size() == 5);
  CHECK(again.region() == timeline.region());
  CHECK(again.region().back() == RegionMinute{first + 4, 20, 0, 1, 1});
  const auto site = again.site(bed.store().kv(), "clinic-1").value();
  REQUIRE(site.size() == 4);  // nothing was new in the fifth
  CHECK((site[1].minute == first + 1 && site[1].records == 10 && site[1].linked));
  CHECK((site[2].records == 20 && site[2].linked));
  CHECK((site[3].minute == first + 3 && !site[3].linked && site[3].last_seen.us == first * kMinute));
  CHECK(again.site(bed.store().kv(), "clinic-10")->size() == 1);

  // A minute that goes on is seen before it is kept.
  look(again, first + 7, 90, true);
  CHECK(again.site(bed.store().kv(), "clinic-1")->back().records == 90);
  CHECK(again.region().size() == 6);

  // Two days later: at the full hour what is older goes from the store; of a site that stands still something stays.
  const int64_t hour = ((first + 2 * kTimelineMinutes) / 60 + 2) * 60;
  look(again, hour, 91, true);
  look(again, hour + 1, 92, true);
  CHECK(again.region().front().minute > first + 7);
  size_t rows = 0;
  REQUIRE(bed.store().kv().scan(kMetaSpace, "A", "B", [&](ByteView, ByteView) { return ++rows, true; }).has_value());
  CHECK(rows == 3);  // of the full hour: the region and two sites
  // How it stood when the day began is known from before.
  for (int64_t i = 2; i < kTimelineMinutes; i += 30) look(again, hour + i, 92, true);
  look(again, hour + kTimelineMinutes + 10, 92, true);
  const auto still = again.site(bed.store().kv(), "clinic-1").value();
  REQUIRE_FALSE(still.empty());
  CHECK((still.front().minute == hour + 11 && still.front().records == 92));
}

TEMPLATE_TEST_CASE("a store keeps its gen, and refuses to open for a program that is older than it", "[store]", MemoryBed, RocksBed, PostgresBed, PooledBed) {
  TestType bed;
  const StoreMeta meta = bed.store().meta().value();
  CHECK(meta.format == kCloudFormat);
  CHECK(meta.gen != 0);
  bed.reopen();
  CHECK(bed.store().meta()->gen == meta.gen);
  KvBatch batch;
  batch.put(kMetaSpace, meta_key(), encode(MetaRow{{kCloudFormat + 1, meta.gen, false, {}}, {}}));
  REQUIRE(bed.store().kv().write(batch, true).has_value());
  SeededEntropy entropy(2);
  const auto refused = open_store(bed.store().kv(), entropy);
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Errc::newer_format);
}
