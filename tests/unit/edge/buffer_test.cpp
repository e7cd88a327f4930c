// What the buffer promises about what it holds: the same promises over the memory model and over RocksDB.
#include "edge/buffer.h"

#include <chrono>
#include <thread>

#include "schemas/es1.pb.h"
#include "tests/unit/edge/buffer_rig.h"

using namespace egret;
using namespace egret::edge;

#define BOTH_DISKS MemoryDisk, RocksDisk

namespace {

Seq no_acks(EpochId) {
  return {0};
}

// A record that zstd cannot make smaller.
Bytes noise(size_t size, uint64_t seed) {
  SeededEntropy entropy(seed);
  Bytes out(size, '\0');
  entropy.fill(reinterpret_cast<uint8_t*>(out.data()), size);
  return out;
}

template <class Disk>
void purge(Rig<Disk>& rig, StreamKey key, uint64_t to, uint64_t safe) {
  const PurgeTo upto{key, {to}, {safe}};
  REQUIRE(rig.buffer->purge(std::span(&upto, 1)));
}

}  // namespace

TEMPLATE_TEST_CASE("records come back as they were appended, in blocks that tile and chain", "[es1 I3][es1 I4]",
                   BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 3, 4);
  rig.append(StreamId::critical, {"urgent"});
  const StreamKey key = rig.key(StreamId::result);
  const auto items = rig.read(key);
  REQUIRE(items.size() == 3);
  CHECK(items[0].first.value == 1);
  CHECK(items[2].last().value == 12);
  CHECK(records_of(items[1]) == std::vector<Bytes>{"r-1-0", "r-1-1", "r-1-2", "r-1-3"});
  Hash c = chain_start(kFac, key);
  for (const Item& item : items) {
    std::vector<Hash> leaves;
    for (const Bytes& r : records_of(item)) leaves.push_back(leaf_of(r));
    c = chain_extend(c, item.first, item.count, leaves);
    CHECK(item.c_end == c);
    CHECK(rig.buffer->c_at(key, item.last()) == c);
  }
  CHECK(rig.stream(key).c_head == c);
  CHECK(rig.buffer->c_at(key, {0}) == chain_start(kFac, key));
  CHECK_FALSE(rig.buffer->c_at(key, {2}));
  CHECK_FALSE(rig.buffer->c_at(key, {13}));
  audit(rig.disk.kv(), *rig.buffer);
  const View v = rig.buffer->view();
  CHECK(v.counters.accepted == 13);
  CHECK(v.current == key.epoch);
  rig.reopen();
  CHECK(rig.read(key).size() == 3);
  CHECK(rig.buffer->view().current.value == 0);
  CHECK(rig.buffer->view().epochs[0].final);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("each run that appends has an epoch of its own, and one that does not has none",
                   "[es1 I2]", BOTH_DISKS) {
  Rig<TestType> rig;
  CHECK(rig.buffer->view().epochs.empty());
  rig.reopen();
  rig.fill(StreamId::result, 1, 1);
  rig.reopen();
  CHECK(rig.buffer->view().epochs.size() == 1);
  rig.fill(StreamId::result, 1, 1);
  const View v = rig.buffer->view();
  REQUIRE(v.epochs.size() == 2);
  CHECK(v.epochs[0].id != v.epochs[1].id);
  CHECK(v.epochs[0].final);
  CHECK_FALSE(v.epochs[1].final);
}

TEST_CASE("an epoch id that is known here is never drawn again, not even by a broken source of chance",
          "[es1 5.1]") {
  class Stuck final : public Entropy {
   public:
    uint64_t next() override { return ++calls_ / 3; }  // 0, 0, 1, 1, 1, 2, …
    uint64_t calls_ = 0;
  };
  KvMemory kv(kEdgeSpaces);
  for (int run = 0; run < 5; ++run) {
    Stuck entropy;
    auto buffer = Buffer::open(kv, kFac, entropy);
    REQUIRE(buffer);
    Unit unit{{{StreamId::result, "r"}}};
    REQUIRE((*buffer)->append(std::span(&unit, 1), {}));
    const StreamKey key{(*buffer)->view().current, StreamId::result};
    const PurgeTo all{key, {1}, {1}};
    if (run % 2 == 0) REQUIRE((*buffer)->purge(std::span(&all, 1)));  // will be finished, not listed
  }
  Stuck entropy;
  auto buffer = Buffer::open(kv, kFac, entropy);
  REQUIRE(buffer);
  std::set<uint64_t> ids;
  for (const auto& e : (*buffer)->view().epochs) ids.insert(e.id.value);
  for (const Bytes& bytes : (*buffer)->finished(0, 100, 10'000)) {
    es1::FinishedEpoch entry;
    REQUIRE(entry.ParseFromString(bytes));
    ids.insert(entry.epoch());
  }
  CHECK(ids.size() == 5);
  CHECK_FALSE(ids.contains(0));
}

TEMPLATE_TEST_CASE("a request larger than a block becomes as many blocks as it needs, all or nothing",
                   "[es1 I1]", BOTH_DISKS) {
  Rig<TestType> rig;
  std::vector<Bytes> small(600, "x"), parts;
  rig.append(StreamId::result, small);
  auto items = rig.read(rig.key(StreamId::result));
  REQUIRE(items.size() == 3);
  CHECK(items[0].count == kBlockRecordsMax);
  CHECK(items[2].count == 600 - 2 * kBlockRecordsMax);
  for (size_t i = 0; i < kDocumentPartsMax; ++i) parts.push_back(noise(kDocumentPartBytesMax, i));
  rig.append(StreamId::bulk, parts);
  items = rig.read(rig.key(StreamId::bulk));
  std::vector<Bytes> back;
  for (const Item& item : items) {
    CHECK(item.raw.size() <= kBlockRawBytesMax);
    for (Bytes& r : records_of(item)) back.push_back(std::move(r));
  }
  CHECK(back == parts);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("an append says where each record went, in the order it was given", "[buffer]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 1, 3);
  std::vector<Unit> units(2);
  for (int i = 0; i < 700; ++i) {
    const StreamId lane = i % 3 == 0 ? StreamId::critical : StreamId::result;
    units[i / 400].records.push_back({lane, "r" + std::to_string(i)});
  }
  const auto places = rig.buffer->append(units, {1});
  REQUIRE(places);
  REQUIRE(places->size() == 700);
  for (size_t i = 0; i < places->size(); ++i) {
    const LaneRecord& put = units[i / 400].records[i % 400];
    const Place& place = (*places)[i];
    CHECK(place.epoch == rig.buffer->view().current);
    const auto items = rig.read({place.epoch, put.stream});
    const auto holding = std::ranges::find_if(items, [&](const Item& item) { return item.last() >= place.seq; });
    REQUIRE(holding != items.end());
    CHECK(records_of(*holding).at(span(holding->first, place.seq)) == put.record);
  }
}

TEST_CASE("a failed append of a whole document leaves nothing of it, and closes the buffer", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 2, 2);
  const Holdings before = holdings(*rig.buffer);
  Unit document;
  for (size_t i = 0; i < kDocumentPartsMax; ++i) {
    document.records.push_back({StreamId::result, noise(kDocumentPartBytesMax, i)});
  }
  rig.disk.kv_.fail_write(1, KvMemory::Failure::lost);
  const auto refused = rig.buffer->append(std::span(&document, 1), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::store_failed);
  CHECK(rig.buffer->failed());
  rig.disk.kv_.heal();
  CHECK_FALSE(rig.buffer->append(std::span(&document, 1), {}));  // a failed sync is never tried again
  rig.reopen();
  CHECK(holdings(*rig.buffer) == before);
}

namespace {

// A disk whose next sync fails, and whose later ones say that all is well.
class SyncFailsOnce final : public Kv {
 public:
  explicit SyncFailsOnce(Kv& disk) : disk_(disk) {}
  bool fails = false;
  Result<void> write(const KvBatch& batch, bool sync) override {
    if (std::exchange(fails, false)) return Error{Errc::store_failed, "sync"};
    return disk_.write(batch, sync);
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override { return disk_.get(space, key); }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return disk_.scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return disk_.scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return disk_.disk_bytes(); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  Kv& disk_;
};

}  // namespace

TEST_CASE("a sync that failed is not tried again, though the next would succeed", "[es1 5.7]") {
  KvMemory disk(kEdgeSpaces);
  SyncFailsOnce kv(disk);
  SeededEntropy entropy(1);
  const auto buffer = Buffer::open(kv, "clinic-1", entropy).value();
  Unit unit;
  unit.records.push_back({StreamId::result, "a"});
  kv.fails = true;
  CHECK_FALSE(buffer->append(std::span(&unit, 1), {}));
  CHECK(buffer->failed());
  CHECK_FALSE(buffer->append(std::span(&unit, 1), {}));
}

TEST_CASE("a record over the limit is refused before anything is written", "[buffer]") {
  Rig<MemoryDisk> rig;
  Unit unit{{{StreamId::result, "fits"}, {StreamId::result, Bytes(kRecordBytesMax - 3, 'x')}}};
  const auto refused = rig.buffer->append(std::span(&unit, 1), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::too_large);
  CHECK_FALSE(rig.buffer->failed());
  CHECK(rig.buffer->view().epochs.empty());
  unit.records[1].record.pop_back();
  CHECK(rig.buffer->append(std::span(&unit, 1), {}));
}

TEMPLATE_TEST_CASE("a read stops at its limits but always brings one item", "[buffer]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 5, 10);
  const StreamKey key = rig.key(StreamId::result);
  CHECK(rig.buffer->read(key, {0}, {1, 1, 1}).size() == 1);
  CHECK(rig.buffer->read(key, {0}, {1 << 20, 3, 1000}).size() == 3);
  CHECK(rig.buffer->read(key, {10}, {1 << 20, 100, 25}).size() == 2);
  CHECK(rig.buffer->read(key, {10}, {250, 100, 1000}).size() == 2);
  CHECK(rig.buffer->read(key, {50}, kAll).empty());
  CHECK(rig.buffer->read({{12345}, StreamId::result}, {0}, kAll).empty());
}

TEMPLATE_TEST_CASE("a purge deletes up to its mark and keeps the border at it", "[es1 5.6]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 6, 5);
  const StreamKey key = rig.key(StreamId::result);
  const Hash c15 = *rig.buffer->c_at(key, {15});
  purge(rig, key, 15, 15);
  StreamView s = rig.stream(key);
  CHECK(s.purged.value == 15);
  CHECK(s.border.value == 15);
  CHECK(s.c_purged == c15);
  CHECK(rig.buffer->c_at(key, {15}) == c15);
  CHECK_FALSE(rig.buffer->c_at(key, {10}));
  CHECK_FALSE(rig.buffer->c_at(key, {0}));
  CHECK(rig.buffer->view().counters.exposed == 0);
  audit(rig.disk.kv(), *rig.buffer);
  purge(rig, key, 15, 15);  // again: harmless
  rig.reopen();
  CHECK(rig.stream(key).purged.value == 15);
  CHECK(rig.read(key, {15}).size() == 3);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("a room purge keeps the digests above S until S has passed them", "[es1 5.6]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::telemetry, 6, 5);
  const StreamKey key = rig.key(StreamId::telemetry);
  const Hash c10 = *rig.buffer->c_at(key, {10}), c20 = *rig.buffer->c_at(key, {20});
  purge(rig, key, 20, 8);  // S lies inside a block: up to its border, no digest above S goes
  CHECK(rig.stream(key).purged.value == 20);
  CHECK(rig.stream(key).border.value == 10);
  CHECK(rig.buffer->c_at(key, {10}) == c10);
  CHECK(rig.buffer->c_at(key, {20}) == c20);
  CHECK(rig.buffer->c_at(key, {15}));
  CHECK_FALSE(rig.buffer->c_at(key, {5}));
  CHECK(rig.buffer->view().counters.exposed == 12);
  audit(rig.disk.kv(), *rig.buffer);
  // The session, which has not seen the room purge, asks for less than is gone.
  purge(rig, key, 15, 15);
  CHECK(rig.stream(key).purged.value == 20);
  CHECK(rig.stream(key).border.value == 15);
  purge(rig, key, 20, 100);
  CHECK(rig.stream(key).border.value == 20);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("what was purged and is asked for again is named as one PURGED gap", "[es1 5.5]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 4, 5);
  const StreamKey key = rig.key(StreamId::result);
  purge(rig, key, 10, 10);
  auto items = rig.read(key, {5});
  REQUIRE(items.size() == 3);
  CHECK(items[0].gap == GapKind::purged);
  CHECK(items[0].reason == GapReason::cloud_restored);
  CHECK(items[0].first.value == 6);
  CHECK(items[0].last().value == 10);
  CHECK(items[0].c_end == rig.buffer->c_at(key, {10}));
  CHECK(items[1].first.value == 11);
  purge(rig, key, 20, 20);
  items = rig.read(key, {0});
  REQUIRE(items.size() == 1);
  CHECK(items[0].count == 20);
}

TEMPLATE_TEST_CASE("an epoch that is done joins the finished list, which still names what it purged",
                   "[es1 section 4]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 2, 5);
  rig.fill(StreamId::critical, 1, 1);
  const StreamKey key = rig.key(StreamId::result);
  const Hash c = rig.stream(key).c_head;
  purge(rig, key, 10, 10);
  purge(rig, {key.epoch, StreamId::critical}, 1, 1);
  CHECK(rig.buffer->view().epochs.size() == 1);  // a current epoch never finishes
  CHECK(rig.buffer->view().finished_count == 0);
  rig.reopen();
  View v = rig.buffer->view();
  CHECK(v.epochs.empty());
  REQUIRE(v.finished_count == 1);
  const auto entries = rig.buffer->finished(0, 10, 1000);
  REQUIRE(entries.size() == 1);
  CHECK(v.finished_hash == sha256(Bytes(32, '\0') + entries[0]));
  CHECK(rig.buffer->finished_hash(0) == Hash{});
  CHECK(rig.buffer->finished_hash(1) == v.finished_hash);
  CHECK_FALSE(rig.buffer->finished_hash(2));
  const auto stream = rig.buffer->finished_stream(key);
  REQUIRE(stream);
  CHECK(stream->purged.value == 10);
  CHECK(stream->c_purged == c);
  CHECK_FALSE(stream->moved);
  CHECK_FALSE(rig.buffer->finished_stream({key.epoch, StreamId::bulk}));
  const auto items = rig.read(key, {4});
  REQUIRE(items.size() == 1);
  CHECK(items[0].gap == GapKind::purged);
  CHECK(items[0].count == 6);
  CHECK(items[0].c_end == c);
  // The next one continues the hash, and leaves no row of it behind.
  rig.fill(StreamId::result, 1, 1);
  const StreamKey second = rig.key(StreamId::result);
  rig.reopen();
  purge(rig, second, 1, 1);
  v = rig.buffer->view();
  CHECK(v.finished_count == 2);
  CHECK(v.finished_hash == sha256(Bytes(view(*rig.buffer->finished_hash(1))) + rig.buffer->finished(1, 1, 1000).at(0)));
  CHECK(rig.buffer->finished(0, 1, 1000).size() == 1);
  CHECK(rig.buffer->finished(0, 10, entries[0].size()).size() == 1);
  uint64_t borders = 0;
  REQUIRE(rig.disk.kv().scan(kMetaSpace, "b", "c", [&](ByteView, ByteView) { return ++borders; }));
  CHECK(borders == 0);
}

TEMPLATE_TEST_CASE("an epoch whose data is gone but whose digests wait for S stays open", "[es1 5.6]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 2, 5);
  const StreamKey key = rig.key(StreamId::result);
  rig.reopen();
  purge(rig, key, 10, 5);
  CHECK(rig.buffer->view().epochs.size() == 1);
  CHECK(rig.buffer->c_at(key, {5}));
  purge(rig, key, 10, 10);
  CHECK(rig.buffer->view().epochs.empty());
  CHECK(rig.buffer->view().finished_count == 1);
}

TEMPLATE_TEST_CASE("only telemetry is shed: its oldest unacknowledged block, with its range recorded", "[es1 I10]",
                   BOTH_DISKS) {
  Rig<TestType> rig;
  for (StreamId s : {StreamId::critical, StreamId::result, StreamId::telemetry, StreamId::bulk}) rig.fill(s, 4, 3);
  const StreamKey key = rig.key(StreamId::telemetry);
  const Hash c = rig.stream(key).c_head;
  const auto above = [](EpochId) { return Seq{3}; };
  CHECK(rig.buffer->shed_oldest(above).value() == 3);
  CHECK(rig.buffer->shed_oldest(above).value() == 3);
  const auto items = rig.read(key);
  REQUIRE(items.size() == 4);
  CHECK(items[0].gap == GapKind::none);
  for (int i : {1, 2}) {
    CHECK(items[i].gap == GapKind::shed);
    CHECK(items[i].reason == GapReason::disk_budget);
    CHECK(items[i].count == 3);
  }
  CHECK(rig.stream(key).c_head == c);
  CHECK(items[2].c_end == rig.buffer->c_at(key, {9}));
  audit(rig.disk.kv(), *rig.buffer);
  rig.reopen();
  CHECK(rig.buffer->shed_oldest(above).value() == 3);
  CHECK(rig.buffer->shed_oldest(above).value() == 0);
  CHECK(rig.buffer->shed_oldest(no_acks).value() == 3);  // the cloud fell back: the block below is open again
  CHECK(rig.buffer->shed_oldest(no_acks).value() == 0);
  CHECK(rig.buffer->view().counters.shed == 12);
  for (StreamId s : {StreamId::critical, StreamId::result, StreamId::bulk}) {
    for (const Item& item : rig.read({key.epoch, s})) CHECK(item.gap == GapKind::none);
  }
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("shedding begins with the oldest epoch", "[es1 5.6]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::telemetry, 1, 2, "old");
  rig.reopen();
  rig.fill(StreamId::telemetry, 1, 3, "new");
  CHECK(rig.buffer->shed_oldest(no_acks).value() == 2);
  CHECK(rig.buffer->shed_oldest(no_acks).value() == 3);
}

TEMPLATE_TEST_CASE("what is re-homed lives on in the current epoch, gaps too, and the old place is finished",
                   "[es1 5.5]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::telemetry, 40, 2);
  const StreamKey old = rig.key(StreamId::telemetry);
  purge(rig, old, 4, 4);
  REQUIRE(rig.buffer->shed_oldest([](EpochId) { return Seq{8}; }).value() == 2);
  REQUIRE(rig.buffer->park(old, {13}, GapReason::frame_too_large));
  const Holdings before = holdings(*rig.buffer);
  CHECK(before.gaps.at(GapKind::shed) == 2);
  CHECK(before.gaps.at(GapKind::parked) == 2);
  rig.reopen();
  rig.fill(StreamId::result, 1, 1, "mine");
  REQUIRE(rig.buffer->rehome(old));
  const View v = rig.buffer->view();
  REQUIRE(v.epochs.size() == 1);
  CHECK(v.epochs[0].id == v.current);
  CHECK(rig.buffer->finished_stream(old)->moved);
  CHECK(rig.buffer->finished_stream(old)->purged.value == 4);
  Holdings after = holdings(*rig.buffer);
  CHECK(after.records.erase("mine-0-0") == 1);
  CHECK(after == before);
  CHECK(v.counters.accepted == 81);
  audit(rig.disk.kv(), *rig.buffer);
  REQUIRE(rig.buffer->rehome(old));  // again: nothing is left to do
  CHECK(rig.buffer->view().current == v.current);
  const auto named = rig.read(old, {1});
  REQUIRE(named.size() == 1);
  CHECK(named[0].gap == GapKind::purged);
  CHECK(named[0].last().value == 4);
}

TEMPLATE_TEST_CASE("re-homing out of the current epoch mints another and leaves its other streams", "[es1 5.5]",
                   BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 3, 2);
  rig.fill(StreamId::bulk, 1, 2, "bulk");
  const StreamKey old = rig.key(StreamId::result);
  const Holdings before = holdings(*rig.buffer);
  REQUIRE(rig.buffer->rehome(old));
  const View v = rig.buffer->view();
  REQUIRE(v.epochs.size() == 2);
  CHECK(v.epochs[0].final);
  CHECK(v.epochs[0].streams[1].moved);
  CHECK_FALSE(v.epochs[0].streams[3].moved);
  CHECK(v.current == v.epochs[1].id);
  CHECK(holdings(*rig.buffer) == before);
  CHECK(rig.read(old).empty());
  CHECK(rig.buffer->held(old, {1}, {6}).empty());
  CHECK(rig.buffer->waiting(old, {0}).bytes == 0);
  audit(rig.disk.kv(), *rig.buffer);
  rig.fill(StreamId::bulk, 1, 1, "later");
  CHECK(rig.stream({v.current, StreamId::bulk}).head.value == 1);
}

// A live rollback may empty a stream of the epoch being written; its numbers are known to the cloud as others.
TEMPLATE_TEST_CASE("an empty stream that is re-homed is written no more in that epoch", "[es1 5.5]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 1, 2);
  const StreamKey empty = rig.key(StreamId::telemetry);
  REQUIRE(rig.buffer->rehome(empty));
  CHECK(rig.stream(empty).moved);
  CHECK(rig.buffer->view().current.value == 0);
  rig.fill(StreamId::telemetry, 1, 1, "later");
  CHECK(rig.stream(empty).empty());
  const View v = rig.buffer->view();
  REQUIRE(v.epochs.size() == 2);
  CHECK(rig.stream({v.current, StreamId::telemetry}).head.value == 1);
  audit(rig.disk.kv(), *rig.buffer);
}

TEST_CASE("a re-homing that crashes at any write is finished at the next start, and nothing is lost or doubled",
          "[es1 I9]") {
  int crashes = 0;
  for (uint64_t n = 1;; ++n) {
    for (auto how : {KvMemory::Failure::lost, KvMemory::Failure::applied}) {
      Rig<MemoryDisk> rig;
      rig.fill(StreamId::telemetry, 4 * int(kMoveStepBlocks), 2);
      const StreamKey old = rig.key(StreamId::telemetry);
      purge(rig, old, 6, 6);
      for (int i = 0; i < 40; ++i) REQUIRE(rig.buffer->shed_oldest([](EpochId) { return Seq{20}; }));
      REQUIRE(rig.buffer->park(old, {11}, GapReason::undecodable));
      const Holdings before = holdings(*rig.buffer);
      rig.reopen();
      rig.disk.kv_.fail_write(n, how);
      const bool done = rig.buffer->rehome(old).has_value();
      crashes += !done;
      rig.disk.kv_.heal();
      rig.reopen();
      audit(rig.disk.kv(), *rig.buffer);
      CHECK(holdings(*rig.buffer) == before);
      REQUIRE(rig.buffer->rehome(old));
      CHECK(holdings(*rig.buffer) == before);
      audit(rig.disk.kv(), *rig.buffer);
      if (done && how == KvMemory::Failure::applied) {
        CHECK(crashes == 2 * 4);  // one step for every kMoveStepBlocks
        return;
      }
    }
  }
}

TEMPLATE_TEST_CASE("blocks that an older self gave up for lost are re-homed one by one", "[es1 5.5]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::telemetry, 6, 2);
  const StreamKey key = rig.key(StreamId::telemetry);
  const Holdings before = holdings(*rig.buffer);
  CHECK(rig.buffer->held(key, {3}, {6}) == std::vector<std::pair<Seq, Seq>>{{{3}, {6}}});
  REQUIRE(rig.buffer->rehome_blocks(key, {3}, {6}));
  CHECK(rig.buffer->held(key, {1}, {12}) == std::vector<std::pair<Seq, Seq>>{{{1}, {2}}, {{7}, {12}}});
  const auto items = rig.read(key);
  REQUIRE(items.size() == 8);  // the epoch is the current one: its own tail took them
  CHECK(items[1].gap == GapKind::shed);
  CHECK(items[2].gap == GapKind::shed);
  CHECK(items[6].gap == GapKind::none);
  Holdings after = holdings(*rig.buffer);
  CHECK(after.records == before.records);
  CHECK(rig.buffer->view().counters.shed == 0);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("a parked block leaves a gap, outlives every purge, and comes back", "[es1 5.6]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const Hash c = rig.stream(key).c_head;
  const Holdings before = holdings(*rig.buffer);
  REQUIRE(rig.buffer->park(key, {3}, GapReason::frame_too_large));
  REQUIRE(rig.buffer->park(key, {3}, GapReason::frame_too_large));  // again: nothing begins there any more
  REQUIRE(rig.buffer->park(key, {4}, GapReason::frame_too_large));
  CHECK(rig.buffer->view().parked_blocks == 1);
  CHECK(rig.stream(key).c_head == c);
  const auto items = rig.read(key);
  CHECK(items[1].gap == GapKind::parked);
  CHECK(items[1].reason == GapReason::frame_too_large);
  audit(rig.disk.kv(), *rig.buffer);
  rig.reopen();
  purge(rig, key, 6, 6);
  CHECK(rig.buffer->view().finished_count == 1);
  CHECK(rig.buffer->view().parked_blocks == 1);
  CHECK(rig.buffer->unpark(StreamId::critical).value() == 0);
  CHECK(rig.buffer->unpark(std::nullopt).value() == 1);
  CHECK(rig.buffer->view().parked_blocks == 0);
  const Holdings after = holdings(*rig.buffer);
  CHECK(after.records == std::map<Bytes, int>{{"r-1-0", 1}, {"r-1-1", 1}});
  CHECK(before.records.contains("r-1-0"));
  CHECK(rig.buffer->unpark(std::nullopt).value() == 0);
  audit(rig.disk.kv(), *rig.buffer);
}

TEST_CASE("more epochs than a HELLO can list are merged at start, smallest first", "[es1 section 4]") {
  Rig<MemoryDisk> rig;
  rig.append(StreamId::result, {noise(20'000, 1)});  // large: it stays what it is
  const EpochId large = rig.buffer->view().current;
  for (size_t i = 0; i < kListedEpochsMax + 20; ++i) {
    rig.reopen();
    rig.append(StreamId(i % kStreamCount), {"small " + std::to_string(i)});
    CHECK(rig.buffer->view().epochs.size() <= kListedEpochsMax);
  }
  rig.reopen();
  const View v = rig.buffer->view();
  CHECK(v.epochs.size() + (v.current.value == 0) <= kListedEpochsMax);
  CHECK(v.find(large));
  const Holdings all = holdings(*rig.buffer);
  CHECK(all.records.size() == kListedEpochsMax + 21);
  for (const auto& [record, times] : all.records) CHECK(times == 1);
  CHECK(v.counters.accepted == kListedEpochsMax + 21);
  audit(rig.disk.kv(), *rig.buffer);
}

TEMPLATE_TEST_CASE("a store of a newer program, or of another facility, is left alone", "[es1 section 2]",
                   BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 1, 1);
  auto other = Buffer::open(rig.disk.kv(), "clinic-8", rig.entropy);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::config);
  StoreRow row = rig.buffer->memory().store;
  row.format = kEdgeFormat + 1;
  KvBatch batch;
  batch.put(kMetaSpace, store_key(), encode(row));
  REQUIRE(rig.disk.kv().write(batch, true));
  auto newer = Buffer::open(rig.disk.kv(), kFac, rig.entropy);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Errc::newer_format);
}

TEMPLATE_TEST_CASE("what waits is told in bytes and by the age of its oldest record", "[buffer]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const auto all = rig.buffer->waiting(key, {0});
  CHECK(all.bytes == rig.stream(key).bytes_total);
  CHECK(all.since.us == 1);
  const auto rest = rig.buffer->waiting(key, {4});
  CHECK(rest.bytes == all.bytes / 3);
  CHECK(rest.since.us == 3);
  CHECK(rig.buffer->waiting(key, {6}).bytes == 0);
  purge(rig, key, 2, 2);
  CHECK(rig.buffer->waiting(key, {0}).bytes == all.bytes / 3 * 2);
  CHECK(rig.buffer->waiting(key, {0}).since.us == 2);
  REQUIRE(rig.buffer->rehome(key));
  const StreamKey moved = rig.key(StreamId::result);
  CHECK(rig.buffer->waiting(moved, {0}).since.us == 2);  // moving does not make it younger
}

TEMPLATE_TEST_CASE("refusals are counted and survive with the next batch", "[buffer]", BOTH_DISKS) {
  Rig<TestType> rig;
  rig.buffer->count_refused(3);
  CHECK(rig.buffer->view().counters.refused == 3);
  rig.fill(StreamId::result, 1, 1);
  rig.buffer->count_refused(1);
  rig.reopen();
  CHECK(rig.buffer->view().counters.refused == 3);
}

TEST_CASE("a machine that is cloned alive goes on from the same memory over a disk of its own", "[buffer]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 2);
  KvMemory disk = rig.disk.kv_;
  SeededEntropy entropy = rig.entropy;
  Buffer clone(disk, entropy, rig.buffer->memory());
  rig.fill(StreamId::result, 1, 2, "mine");
  Unit unit{{{StreamId::result, "theirs"}}};
  REQUIRE(clone.append(std::span(&unit, 1), {}));
  CHECK(clone.view().current == rig.buffer->view().current);
  CHECK(clone.view().epochs[0].streams[1].head.value == 3);
  CHECK(rig.buffer->view().epochs[0].streams[1].head.value == 4);
  audit(disk, clone);
}

TEST_CASE("reading beside a writer that purges, sheds and moves never calls a good block bad", "[buffer]") {
  Rig<RocksDisk> rig;
  rig.fill(StreamId::telemetry, 1, 1);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> items = 0, bad = 0;
  std::thread reader([&] {
    while (!stop) {
      for (const EpochView& e : rig.buffer->view().epochs) {
        const StreamKey key{e.id, StreamId::telemetry};
        const StreamView& s = e.streams[size_t(StreamId::telemetry)];
        for (const Item& item : rig.buffer->read(key, s.purged, kAll)) {
          ++items;
          bad += item.unreadable;
        }
        rig.buffer->c_at(key, s.head);
        rig.buffer->waiting(key, s.purged);
      }
    }
  });
  for (int round = 0; round < 40 || items == 0; ++round) {
    rig.fill(StreamId::telemetry, 10, 3);
    const StreamKey key{rig.buffer->view().current, StreamId::telemetry};
    const uint64_t head = rig.stream(key).head.value;
    purge(rig, key, head - 15, head - 21);
    for (int i = 0; i < 2; ++i) REQUIRE(rig.buffer->shed_oldest(no_acks));
    if (round % 4 == 3) REQUIRE(rig.buffer->rehome(key));
  }
  stop = true;
  reader.join();
  CHECK(items > 0);
  CHECK(bad == 0);
  CHECK_FALSE(rig.buffer->failed());
}

// A full disk that was filled by its own records stayed full: no step was large enough to be worth a table's rewriting.
TEST_CASE("a purge in small steps gives the disk back, also what was in tables before") {
  Rig<RocksDisk> rig;
  constexpr uint64_t kRecords = 300;
  for (uint64_t n = 0; n < kRecords; ++n) rig.append(StreamId::critical, {noise(40'000, n)});
  rig.reopen();  // from the log into tables
  const StreamKey key = rig.key(StreamId::critical);
  for (uint64_t n = 1; n < kRecords; ++n) purge(rig, key, n, n);
  const auto start = std::chrono::steady_clock::now();
  const auto waited = [&] { return std::chrono::steady_clock::now() - start; };
  while (rig.disk.kv().disk_bytes() > 3 << 20 && waited() < std::chrono::seconds(60))
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(rig.disk.kv().disk_bytes() <= 3 << 20);
  CHECK_FALSE(rig.read(key).empty());
}
