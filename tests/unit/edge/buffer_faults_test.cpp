// The buffer over a disk that stops answering, stops writing or has rotted, at every single moment of what it does; and
// readers between whose reads the writer goes on.
#include "buffer_rig.h"
#include "schemas/es1.pb.h"
#include "tests/unit/support/failing_kv.h"

using namespace egret;
using namespace egret::edge;

namespace {

using Act = std::function<Result<void>(Buffer&)>;
using Prepare = std::function<void(Rig<MemoryDisk>&)>;

const auto no_acks = [](EpochId) { return Seq{}; };

// Every record of `x` is there once; what is neither added nor taken by the deed is there, whatever became of it.
void check_between(const Holdings& before, const Holdings& x, const Holdings& after) {
  for (const auto& [record, times] : x.records) {
    INFO(record);
    CHECK(times == 1);
    CHECK((before.records.contains(record) || after.records.contains(record)));
  }
  for (const auto& [record, times] : before.records) {
    INFO(record);
    if (after.records.contains(record)) CHECK(x.records.contains(record));
  }
}

// Does `act` on a store that `prepare` has made, with the n-th read (or write) and all after it failing, for each n there
// is: the deed says so, the buffer is closed, and the next one finds a whole store, with the deed done or not, or done in
// part where it has steps. Returns how many moments there were.
uint64_t at_each_moment(const Prepare& prepare, const Act& act, bool writes) {
  Rig<MemoryDisk> rig;
  prepare(rig);
  const KvMemory::State made = rig.disk.kv_.snapshot();
  const Buffer::Memory memory = rig.buffer->memory();
  const Holdings before = holdings(*rig.buffer);
  Holdings after;
  {
    Buffer whole(rig.disk.kv_, rig.entropy, memory);
    REQUIRE(act(whole));
    after = holdings(whole);
  }
  for (uint64_t n = 1;; ++n) {
    rig.disk.kv_.rollback(made);
    FailingKv failing(rig.disk.kv_);
    Buffer buffer(failing, rig.entropy, memory);
    if (writes) rig.disk.kv_.fail_write(n, KvMemory::Failure::lost);
    if (!writes) failing.fail_reads_from(n);
    const uint64_t written = rig.disk.kv_.applied();
    const Result<void> done = act(buffer);
    rig.disk.kv_.heal();
    failing.heal();
    if (done && !buffer.failed()) {
      CHECK(n > 1);
      return n - 1;
    }
    INFO("moment " << n);
    CHECK(buffer.failed());
    CHECK(buffer.failure().code == Errc::store_failed);
    if (writes) CHECK(rig.disk.kv_.applied() == written + n - 1);
    CHECK_FALSE(buffer.append(std::span<const Unit>{}, {1}));  // closed
    rig.buffer.reset();
    auto opened = Buffer::open(rig.disk.kv_, kFac, rig.entropy);
    REQUIRE(opened);
    audit(rig.disk.kv_, **opened);
    check_between(before, holdings(**opened), after);
  }
}

void rot(Kv& kv, Space space, const Bytes& key) {
  KvBatch batch;
  batch.put(space, key, "rotten");
  REQUIRE(kv.write(batch, true));
}
void lose(Kv& kv, Space space, const Bytes& key) {
  KvBatch batch;
  batch.erase(space, key);
  REQUIRE(kv.write(batch, true));
}

EpochNo number(const Buffer& buffer, StreamKey key) {
  for (const auto& [no, epoch] : buffer.memory().epochs) {
    if (epoch.id == key.epoch) return no;
  }
  return 0;
}

void damage_block(Rig<MemoryDisk>& rig, StreamKey key, Seq first) {
  REQUIRE(rig.disk.kv_.flip_bit(block_space(key.stream), block_key(number(*rig.buffer, key), first), 77));
}

// Results in three blocks of two, telemetry in three of three; all of a run before.
void two_lanes(Rig<MemoryDisk>& rig) {
  rig.fill(StreamId::result, 3, 2);
  rig.fill(StreamId::telemetry, 3, 3, "t");
}

}  // namespace

TEST_CASE("whatever write fails, what was accepted stays, and the deed is done or not", "[es1 5.7]") {
  SECTION("append") {
    CHECK(at_each_moment(two_lanes, [](Buffer& b) -> Result<void> {
      const Unit unit{{{StreamId::result, "new"}, {StreamId::bulk, "new too"}}};
      if (Result<Places> placed = b.append(std::span(&unit, 1), {9}); !placed) return placed.error();
      return {};
    }, true) == 1);
  }
  SECTION("adopt") {
    CHECK(at_each_moment(two_lanes, [](Buffer& b) {
      Adopted found;
      found.records = {"found"};
      return b.adopt(std::span(&found, 1));
    }, true) == 1);
  }
  SECTION("purge") {
    CHECK(at_each_moment(two_lanes, [](Buffer& b) {
      const PurgeTo to{{b.view().epochs[0].id, StreamId::result}, {4}, {4}};
      return b.purge(std::span(&to, 1));
    }, true) == 1);
  }
  SECTION("shed") {
    CHECK(at_each_moment(two_lanes, [](Buffer& b) -> Result<void> {
      if (Result<uint64_t> shed = b.shed_oldest(no_acks); !shed) return shed.error();
      return {};
    }, true) == 1);
  }
  SECTION("re-homing of some blocks") {
    CHECK(at_each_moment(two_lanes, [](Buffer& b) {
      return b.rehome_blocks({b.view().epochs[0].id, StreamId::telemetry}, {2}, {5});
    }, true) == 2);
  }
  SECTION("unpark") {
    const Prepare parked = [](Rig<MemoryDisk>& rig) {
      two_lanes(rig);
      for (uint64_t first : {1, 5}) REQUIRE(rig.buffer->park(rig.key(StreamId::result), {first}, GapReason::frame_too_large));
    };
    CHECK(at_each_moment(parked, [](Buffer& b) -> Result<void> {
      if (Result<uint64_t> done = b.unpark(std::nullopt); !done) return done.error();
      return {};
    }, true) == 2);
  }
}

TEST_CASE("whatever read fails, nothing is taken for gone: the buffer closes and the next one has it all", "[es1 5.7]") {
  const auto key = [](Buffer& b, StreamId stream) { return StreamKey{b.view().epochs[0].id, stream}; };
  SECTION("a room purge") {
    at_each_moment(two_lanes, [&](Buffer& b) {
      const PurgeTo to{key(b, StreamId::result), {6}, {3}};
      return b.purge(std::span(&to, 1));
    }, false);
  }
  SECTION("shed") {
    at_each_moment(two_lanes, [&](Buffer& b) -> Result<void> {
      if (Result<uint64_t> shed = b.shed_oldest(no_acks); !shed) return shed.error();
      return {};
    }, false);
  }
  SECTION("re-homing, the rest of a purged stream") {
    const Prepare purged = [&](Rig<MemoryDisk>& rig) {
      two_lanes(rig);
      const PurgeTo to{rig.key(StreamId::result), {2}, {2}};
      REQUIRE(rig.buffer->purge(std::span(&to, 1)));
    };
    at_each_moment(purged, [&](Buffer& b) { return b.rehome(key(b, StreamId::result)); }, false);
  }
  SECTION("re-homing of some blocks") {
    at_each_moment(two_lanes, [&](Buffer& b) { return b.rehome_blocks(key(b, StreamId::result), {2}, {5}); }, false);
  }
  SECTION("park") {
    at_each_moment(two_lanes, [&](Buffer& b) { return b.park(key(b, StreamId::result), {3}, GapReason::undecodable); }, false);
  }
  SECTION("a second look at a block") {
    at_each_moment(two_lanes, [&](Buffer& b) { return b.mark_corrupt(key(b, StreamId::result), {3}); }, false);
  }
  SECTION("unpark") {
    const Prepare parked = [&](Rig<MemoryDisk>& rig) {
      two_lanes(rig);
      REQUIRE(rig.buffer->park(rig.key(StreamId::result), {3}, GapReason::frame_too_large));
    };
    at_each_moment(parked, [&](Buffer& b) -> Result<void> {
      if (Result<uint64_t> done = b.unpark(std::nullopt); !done) return done.error();
      return {};
    }, false);
  }
  SECTION("all that a session asks") {
    at_each_moment(two_lanes, [&](Buffer& b) -> Result<void> {
      const StreamKey k = key(b, StreamId::result);
      b.read(k, {0}, kAll);
      b.c_at(k, {2});
      b.waiting(k, {2});
      b.held(k, {1}, {6});
      b.finished(0, 9, 999);
      b.finished_hash(1);
      if (b.failed()) return b.failure();
      return {};
    }, false);
  }
}

TEST_CASE("a store that does not answer when it is opened is opened another time, and nothing is founded over it", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  const Prepare old_runs = [](Rig<MemoryDisk>& r) {
    for (size_t run = 0; run < kListedEpochsMax + 2; ++run) {
      r.fill(StreamId::result, 1, 1, "run" + std::to_string(run));
      r.buffer.reset();  // one run after the other, without settling in between
      auto opened = Buffer::open(r.disk.kv_, kFac, r.entropy);
      REQUIRE(opened);
      r.buffer = std::move(*opened);
    }
  };
  SECTION("an empty one") { rig.disk.kv_.rollback(KvMemory(kEdgeSpaces).snapshot()); }
  SECTION("one with a re-homing that was cut short") {
    two_lanes(rig);
    rig.fill(StreamId::result, 2 * kMoveStepBlocks, 1, "more");
    rig.disk.kv_.fail_write(2, KvMemory::Failure::lost);
    REQUIRE_FALSE(rig.buffer->rehome(rig.key(StreamId::result)));
    rig.disk.kv_.heal();
  }
  SECTION("one with a done epoch, and more than can be listed") { old_runs(rig); }
  rig.buffer.reset();
  const KvMemory::State made = rig.disk.kv_.snapshot();
  auto open = [&](Kv& kv) { return Buffer::open(kv, kFac, rig.entropy); };
  Holdings whole;
  {
    auto opened = open(rig.disk.kv_);
    REQUIRE(opened);
    whole = holdings(**opened);
  }
  for (bool writes : {false, true}) {
    for (uint64_t n = 1;; ++n) {
      rig.disk.kv_.rollback(made);
      FailingKv failing(rig.disk.kv_);
      if (writes) rig.disk.kv_.fail_write(n, KvMemory::Failure::lost);
      if (!writes) failing.fail_reads_from(n);
      const auto opened = open(failing);
      rig.disk.kv_.heal();
      if (opened) break;
      CHECK(opened.error().code == Errc::store_failed);
      auto again = open(rig.disk.kv_);
      REQUIRE(again);
      CHECK(holdings(**again) == whole);
      audit(rig.disk.kv_, **again);
    }
  }
}

TEST_CASE("a buffer that has failed takes nothing in and gives nothing away, whoever asks", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  const StreamKey key = rig.key(StreamId::result);
  rig.disk.kv_.fail_write(1, KvMemory::Failure::lost);
  REQUIRE_FALSE(rig.buffer->shed_oldest(no_acks));
  rig.disk.kv_.heal();
  const uint64_t writes = rig.disk.kv_.writes();
  const PurgeTo to{key, {2}, {2}};
  Adopted found;
  found.records = {"found"};
  CHECK_FALSE(rig.buffer->purge(std::span(&to, 1)));
  CHECK_FALSE(rig.buffer->shed_oldest(no_acks));
  CHECK_FALSE(rig.buffer->rehome(key));
  CHECK_FALSE(rig.buffer->rehome_blocks(key, {1}, {6}));
  CHECK_FALSE(rig.buffer->park(key, {1}, GapReason::undecodable));
  CHECK_FALSE(rig.buffer->unpark(std::nullopt));
  CHECK_FALSE(rig.buffer->mark_corrupt(key, {1}));
  CHECK_FALSE(rig.buffer->adopt(std::span(&found, 1)));
  CHECK(rig.disk.kv_.writes() == writes);
}

TEST_CASE("what is asked of a place where nothing is held changes nothing", "[es1 5.6]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  const StreamKey key = rig.key(StreamId::result), stranger{{12345}, StreamId::result};
  const PurgeTo purge{key, {2}, {2}};
  REQUIRE(rig.buffer->purge(std::span(&purge, 1)));
  REQUIRE(rig.buffer->park(key, {5}, GapReason::undecodable));
  const uint64_t writes = rig.disk.kv_.writes();
  for (Seq at : {Seq{1}, Seq{2}, Seq{4}, Seq{5}, Seq{7}}) {  // purged, purged, inside a block, a gap, beyond the head
    INFO(at.value);
    CHECK(rig.buffer->park(key, at, GapReason::undecodable));
    CHECK(rig.buffer->mark_corrupt(key, at));
  }
  CHECK(rig.buffer->park(stranger, {1}, GapReason::undecodable));
  CHECK(rig.buffer->rehome(stranger));
  CHECK(rig.buffer->rehome_blocks(stranger, {1}, {9}));
  CHECK(rig.buffer->rehome_blocks(key, {7}, {9}));
  CHECK(rig.buffer->adopt({}));
  CHECK(rig.buffer->append({}, {1}).value().empty());
  CHECK(rig.buffer->purge({}));
  CHECK(rig.disk.kv_.writes() == writes);
  CHECK(rig.buffer->held(stranger, {1}, {9}).empty());
  CHECK(rig.buffer->waiting(stranger, {0}).bytes == 0);
  CHECK(rig.buffer->waiting(key, {6}).bytes == 0);
  CHECK(rig.buffer->read(stranger, {0}, kAll).empty());
  CHECK(rig.buffer->read(key, {6}, kAll).empty());
}

TEST_CASE("a stream that is being moved is left alone until it is", "[es1 5.5]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  rig.reopen();
  Buffer::Memory memory = rig.buffer->memory();
  for (StreamId stream : {StreamId::result, StreamId::telemetry}) memory.epochs.begin()->second.at(stream).moving = true;
  Buffer buffer(rig.disk.kv_, rig.entropy, memory);
  const uint64_t writes = rig.disk.kv_.writes();
  for (StreamId stream : {StreamId::result, StreamId::telemetry}) {
    const StreamKey key = rig.key(stream);
    const PurgeTo purge{key, {2}, {2}};
    CHECK(buffer.purge(std::span(&purge, 1)));
    CHECK(buffer.park(key, {1}, GapReason::undecodable));
    CHECK(buffer.mark_corrupt(key, {1}));
    CHECK(buffer.rehome_blocks(key, {1}, {6}));
    CHECK(buffer.shed_oldest(no_acks).value() == 0);
    CHECK(buffer.held(key, {1}, {6}).empty());
    CHECK(buffer.waiting(key, {0}).bytes == 0);
    CHECK(buffer.read(key, {0}, kAll).empty());
  }
  CHECK(rig.disk.kv_.writes() == writes + 2);  // the rows that the two purges looked at
}

TEST_CASE("a stream that was moved is left alone, while others of its epoch are still held", "[es1 5.5]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  rig.reopen();
  const StreamKey key = rig.key(StreamId::result);
  REQUIRE(rig.buffer->rehome(key));
  REQUIRE(rig.stream(key).moved);
  const Holdings all = holdings(*rig.buffer);
  const PurgeTo purge{key, {2}, {2}};
  CHECK(rig.buffer->purge(std::span(&purge, 1)));
  CHECK(rig.buffer->rehome(key));
  CHECK(rig.buffer->park(key, {1}, GapReason::undecodable));
  CHECK(rig.buffer->mark_corrupt(key, {1}));
  CHECK(rig.buffer->rehome_blocks(key, {1}, {6}));
  CHECK(rig.buffer->read(key, {0}, kAll).empty());
  CHECK(rig.stream(key).purged == Seq{0});
  CHECK(holdings(*rig.buffer) == all);
}

TEST_CASE("a block that has gone is not called bad while the disk cannot say whether it was purged", "[es1 5.7]") {
  for (uint64_t n = 1;; ++n) {
    Rig<MemoryDisk> rig;
    two_lanes(rig);
    const StreamKey key = rig.key(StreamId::result);
    lose(rig.disk.kv_, block_space(key.stream), block_key(number(*rig.buffer, key), {3}));
    FailingKv failing(rig.disk.kv_);
    Buffer buffer(failing, rig.entropy, rig.buffer->memory());
    failing.fail_reads_from(n);
    const std::vector<Item> items = buffer.read(key, {0}, kAll);
    const bool bad = std::ranges::any_of(items, &Item::unreadable);
    if (!failing.failed()) {
      CHECK(bad);
      break;
    }
    CHECK(buffer.failed());
    CHECK(buffer.failure().code == Errc::store_failed);
    if (items.size() <= 1) CHECK_FALSE(bad);
  }
}

TEST_CASE("telemetry is shed block by block above what is acknowledged, and an epoch without any is passed over", "[es1 I10]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 1);
  rig.reopen();
  rig.fill(StreamId::telemetry, 3, 3, "t");
  const StreamKey key = rig.key(StreamId::telemetry, 1);
  const auto above_four = [](EpochId) { return Seq{4}; };
  CHECK(rig.buffer->shed_oldest(above_four).value() == 3);  // 7 to 9: the block of 4 to 6 is acknowledged in part
  const std::vector<Item> items = rig.read(key);
  REQUIRE(items.size() == 3);
  CHECK(items[0].gap == GapKind::none);
  CHECK(items[1].gap == GapKind::none);
  CHECK(items[2].gap == GapKind::shed);
  CHECK(rig.buffer->shed_oldest(above_four).value() == 0);
  CHECK(rig.buffer->shed_oldest(no_acks).value() == 3);
  CHECK(rig.read(key)[0].gap == GapKind::shed);
  CHECK(rig.buffer->view().counters.shed == 6);
}

TEST_CASE("a gap that is adopted keeps its kind and its reason", "[buffer]") {
  Rig<MemoryDisk> rig;
  Adopted gap;
  gap.stream = StreamId::telemetry;
  gap.gap_count = 3;
  gap.gap = GapKind::corrupt;
  gap.reason = GapReason::unreadable;
  REQUIRE(rig.buffer->adopt(std::span(&gap, 1)));
  const std::vector<Item> items = rig.read(rig.key(StreamId::telemetry));
  REQUIRE(items.size() == 1);
  CHECK(items[0].count == 3);
  CHECK(items[0].gap == GapKind::corrupt);
  CHECK(items[0].reason == GapReason::unreadable);
}

TEST_CASE("a store whose epochs cannot be read is not opened as one without", "[buffer]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 1);
  rig.disk.kv_.make_unreadable(kMetaSpace, epoch_key(number(*rig.buffer, rig.key(StreamId::result))));
  const auto opened = Buffer::open(rig.disk.kv_, kFac, rig.entropy);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == Errc::corrupt);
}

TEST_CASE("the finished list says where a stream that was moved had ended", "[es1 5.6]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const Hash c = rig.stream(key).c_head;
  REQUIRE(rig.buffer->rehome(key));
  const std::vector<Bytes> list = rig.buffer->finished(0, 9, 999);
  REQUIRE(list.size() == 1);
  es1::FinishedEpoch entry;
  REQUIRE(entry.ParseFromString(list[0]));
  REQUIRE(entry.streams_size() == 1);
  CHECK(entry.streams(0).moved());
  CHECK(entry.streams(0).head() == 6);
  CHECK(entry.streams(0).c_head() == view(c).substr(0, kDigestWireBytes));
}

TEST_CASE("a purge takes a block of one record too", "[buffer]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 1);
  const StreamKey key = rig.key(StreamId::result);
  const PurgeTo upto{key, {2}, {2}};
  REQUIRE(rig.buffer->purge(std::span(&upto, 1)));
  CHECK(rig.disk.kv_.table(block_space(StreamId::result)).size() == 1);
}

TEST_CASE("an epoch that is full is followed by another in the same run", "[buffer]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 1);
  Adopted gap;
  gap.stream = StreamId::telemetry;
  gap.gap_count = static_cast<uint32_t>(kEpochRecordsMax - 1);
  gap.gap = GapKind::shed;
  REQUIRE(rig.buffer->adopt(std::span(&gap, 1)));
  rig.fill(StreamId::result, 1, 1, "still");
  REQUIRE(rig.buffer->view().epochs.size() == 1);
  gap.gap_count = 1;
  REQUIRE(rig.buffer->adopt(std::span(&gap, 1)));  // now it is
  rig.fill(StreamId::result, 1, 1, "next");
  const View view = rig.buffer->view();
  REQUIRE(view.epochs.size() == 2);
  CHECK(view.current == view.epochs[1].id);
  CHECK(view.epochs[0].final);
  CHECK(records_of(rig.read(rig.key(StreamId::result, 1)).at(0)) == std::vector<Bytes>{"next-0-0"});
}

TEST_CASE("blocks that cannot be read are re-homed as gaps that say so, whatever their lane", "[es1 5.7]") {
  for (StreamId stream : {StreamId::result, StreamId::telemetry}) {
    Rig<MemoryDisk> rig;
    rig.fill(stream, 3, 2);
    const StreamKey key = rig.key(stream);
    damage_block(rig, key, {3});
    REQUIRE(rig.buffer->rehome_blocks(key, {1}, {4}));
    const std::vector<Item> items = rig.read(key);
    REQUIRE(items.size() == 4);  // two gaps, what was there, and the block that moved
    CHECK(items[0].gap == (stream == StreamId::telemetry ? GapKind::shed : GapKind::corrupt));
    CHECK(items[1].gap == GapKind::corrupt);
    CHECK(items[1].reason == GapReason::unreadable);
    CHECK(records_of(items[2]) == std::vector<Bytes>{"r-2-0", "r-2-1"});
    CHECK(records_of(items[3]) == std::vector<Bytes>{"r-0-0", "r-0-1"});
    CHECK(rig.buffer->view().counters.corrupt == 2);
  }
}

TEST_CASE("a parked block that the disk cannot read is damage, and is not taken for gone", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  const StreamKey key = rig.key(StreamId::result);
  for (uint64_t first : {1, 5}) REQUIRE(rig.buffer->park(key, {first}, GapReason::frame_too_large));
  CHECK(rig.buffer->unpark(StreamId::telemetry).value() == 0);
  rig.disk.kv_.make_unreadable(kParkedSpace, parked_key(number(*rig.buffer, key), key.stream, {5}));
  CHECK_FALSE(rig.buffer->unpark(StreamId::result));
  CHECK(rig.buffer->failure().code == Errc::corrupt);
  rig.reopen();
  CHECK(rig.buffer->view().parked_blocks == 2);
}

TEST_CASE("rows that have rotted or gone fail the buffer as damage, whoever meets them", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  two_lanes(rig);
  const StreamKey key = rig.key(StreamId::result);
  const EpochNo no = number(*rig.buffer, key);
  KvMemory& kv = rig.disk.kv_;
  std::function<void()> meet;
  SECTION("a border, met by a reader") {
    rot(kv, kMetaSpace, border_key(no, key.stream, {4}));
    meet = [&] { rig.buffer->read(key, {0}, kAll); };
  }
  SECTION("a border, asked for its digest") {
    rot(kv, kMetaSpace, border_key(no, key.stream, {4}));
    meet = [&] { CHECK_FALSE(rig.buffer->c_at(key, {4})); };
  }
  SECTION("a border, at the end of a purge") {
    rot(kv, kMetaSpace, border_key(no, key.stream, {4}));
    meet = [&] {
      const PurgeTo to{key, {4}, {4}};
      CHECK_FALSE(rig.buffer->purge(std::span(&to, 1)));
    };
  }
  SECTION("the border that holds S, in a room purge") {
    lose(kv, kMetaSpace, border_key(no, key.stream, {6}));
    lose(kv, kMetaSpace, border_key(no, key.stream, {4}));
    meet = [&] {
      const PurgeTo to{key, {2}, {2}};
      CHECK(rig.buffer->purge(std::span(&to, 1)));
      rig.buffer->read(key, {2}, kAll);
    };
  }
  SECTION("the border before a block that is parked") {
    lose(kv, kMetaSpace, border_key(no, key.stream, {2}));
    meet = [&] { CHECK_FALSE(rig.buffer->park(key, {3}, GapReason::undecodable)); };
  }
  SECTION("the row of a parked block") {
    REQUIRE(rig.buffer->park(key, {3}, GapReason::undecodable));
    rot(kv, kParkedSpace, parked_key(no, key.stream, {3}));
    meet = [&] { CHECK_FALSE(rig.buffer->unpark(std::nullopt)); };
  }
  SECTION("the row of the epoch, when a block has gone") {
    rot(kv, kMetaSpace, epoch_key(no));
    lose(kv, block_space(key.stream), block_key(no, {3}));
    meet = [&] { rig.buffer->read(key, {0}, kAll); };
  }
  meet();
  CHECK(rig.buffer->failed());
  CHECK(rig.buffer->failure().code == Errc::corrupt);
}

TEST_CASE("a finished list that has rotted is not told, and fails the buffer", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 2);
  const StreamKey key = rig.key(StreamId::result);
  rig.reopen();
  const PurgeTo to{key, {2}, {2}};
  REQUIRE(rig.buffer->purge(std::span(&to, 1)));
  REQUIRE(rig.buffer->view().finished_count == 1);
  REQUIRE(rig.buffer->finished_stream(key));
  CHECK(rig.buffer->read(key, {1}, kAll).size() == 1);
  CHECK(rig.buffer->read(key, {2}, kAll).empty());
  CHECK_FALSE(rig.buffer->finished_stream({key.epoch, StreamId::bulk}));
  SECTION("the row") {
    rot(rig.disk.kv_, kMetaSpace, finished_key(0));
    CHECK_FALSE(rig.buffer->finished_stream(key));
    CHECK_FALSE(rig.buffer->failed());  // it was only a question
    SECTION("asked for the list") { CHECK(rig.buffer->finished(0, 9, 999).empty()); }
    SECTION("asked for its digest") { CHECK_FALSE(rig.buffer->finished_hash(1)); }
    CHECK(rig.buffer->failed());
    CHECK(rig.buffer->failure().code == Errc::corrupt);
  }
  SECTION("the row is gone") {
    lose(rig.disk.kv_, kMetaSpace, finished_key(0));
    CHECK_FALSE(rig.buffer->finished_stream(key));
    CHECK_FALSE(rig.buffer->finished_hash(1));
  }
  SECTION("the entry in it") {
    rot(rig.disk.kv_, kMetaSpace, finished_key(0));
    KvBatch batch;
    batch.put(kMetaSpace, finished_key(0), encode(FinishedRow{{}, "\xff\xff no protobuf"}));
    REQUIRE(rig.disk.kv_.write(batch, true));
    CHECK_FALSE(rig.buffer->finished_stream(key));
    es1::FinishedEpoch entry;
    es1::FinishedStream& stream = *entry.add_streams();
    stream.set_stream(uint32_t(StreamId::result));
    stream.set_c_purged("short");
    batch.clear();
    batch.put(kMetaSpace, finished_key(0), encode(FinishedRow{{}, entry.SerializeAsString()}));
    REQUIRE(rig.disk.kv_.write(batch, true));
    CHECK_FALSE(rig.buffer->finished_stream(key));
  }
}

TEST_CASE("the finished list comes in the order it grew, in parts as large as asked", "[es1 5.6]") {
  Rig<MemoryDisk> rig;
  for (int run = 0; run < 5; ++run) {
    rig.fill(StreamId::result, 1, 1, "run" + std::to_string(run));
    const StreamKey key{rig.buffer->view().current, StreamId::result};
    rig.reopen();
    const PurgeTo to{key, {1}, {1}};
    REQUIRE(rig.buffer->purge(std::span(&to, 1)));
  }
  const std::vector<Bytes> all = rig.buffer->finished(0, 99, 9999);
  REQUIRE(all.size() == 5);
  Hash hash{};
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK(rig.buffer->finished_hash(i) == hash);
    CHECK(rig.buffer->finished(i, 1, 9999) == std::vector<Bytes>{all[i]});
    hash = sha256(Bytes(egret::view(hash)) + all[i]);
  }
  CHECK(rig.buffer->finished_hash(5) == hash);
  CHECK_FALSE(rig.buffer->finished_hash(6));
  CHECK(rig.buffer->view().finished_hash == hash);
  CHECK(rig.buffer->finished(5, 9, 9999).empty());
  CHECK(rig.buffer->finished(0, 99, all[0].size() + all[1].size()).size() == 2);
  CHECK(rig.buffer->finished(0, 99, all[0].size() + all[1].size() - 1).size() == 1);
  CHECK(rig.buffer->finished(0, 3, 9999).size() == 3);
}

TEST_CASE("what the writer takes away between two reads of a reader is never called bad", "[buffer]") {
  const auto deeds = std::map<std::string, Act>{
      {"purge", [](Buffer& b) {
         const PurgeTo to{{b.view().epochs[0].id, StreamId::telemetry}, {6}, {6}};
         return b.purge(std::span(&to, 1));
       }},
      {"purge of all", [](Buffer& b) {
         const PurgeTo to{{b.view().epochs[0].id, StreamId::telemetry}, {9}, {9}};
         return b.purge(std::span(&to, 1));
       }},
      {"room purge", [](Buffer& b) {
         const PurgeTo to{{b.view().epochs[0].id, StreamId::telemetry}, {6}, {1}};
         return b.purge(std::span(&to, 1));
       }},
      {"shed", [](Buffer& b) -> Result<void> {
         if (Result<uint64_t> shed = b.shed_oldest(no_acks); !shed) return shed.error();
         return {};
       }},
      {"park", [](Buffer& b) { return b.park({b.view().epochs[0].id, StreamId::telemetry}, {4}, GapReason::undecodable); }},
      {"re-home", [](Buffer& b) { return b.rehome({b.view().epochs[0].id, StreamId::telemetry}); }},
      {"re-home blocks", [](Buffer& b) { return b.rehome_blocks({b.view().epochs[0].id, StreamId::telemetry}, {4}, {6}); }},
  };
  for (const auto& [name, deed] : deeds) {
    for (bool final : {false, true}) {
      for (uint64_t n = 1;; ++n) {
        INFO(name << " before read " << n << (final ? " of a final epoch" : ""));
        Rig<MemoryDisk> rig;
        two_lanes(rig);
        if (final) rig.reopen();
        FailingKv kv(rig.disk.kv_);
        Buffer buffer(kv, rig.entropy, rig.buffer->memory());
        const StreamKey key = rig.key(StreamId::telemetry);
        kv.before_read(n, [&] { REQUIRE(deed(buffer)); });
        for (const Item& item : buffer.read(key, {0}, kAll)) CHECK_FALSE(item.unreadable);
        buffer.c_at(key, {3});
        buffer.waiting(key, {3});
        buffer.held(key, {1}, {9});
        CHECK_FALSE(buffer.failed());
        if (!kv.deed_done()) break;
        audit(rig.disk.kv_, buffer);
      }
    }
  }
}

TEST_CASE("the smallest epochs are merged, whichever number they have", "[es1 section 4]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 1, "first");
  const StreamKey first = rig.key(StreamId::result);
  rig.reopen();
  const PurgeTo gone{first, {1}, {1}};
  REQUIRE(rig.buffer->purge(std::span(&gone, 1)));  // number 1 is no more
  for (size_t run = 0; run <= kListedEpochsMax; ++run) {
    rig.fill(StreamId::result, 1, run == 7 ? 1 : 3, "run" + std::to_string(run));
    rig.reopen();
  }
  const View view = rig.buffer->view();
  CHECK(view.epochs.size() <= kListedEpochsMax);
  const Holdings all = holdings(*rig.buffer);
  CHECK(all.records.size() == 3 * kListedEpochsMax + 1);
  for (const auto& [record, times] : all.records) CHECK(times == 1);
  audit(rig.disk.kv_, *rig.buffer);
}
