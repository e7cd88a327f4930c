// What the buffer does with bytes that are not as it wrote them: named, kept apart, never passed on as whole.
#include "edge/buffer.h"
#include "tests/unit/edge/buffer_rig.h"

using namespace egret;
using namespace egret::edge;

TEST_CASE("one damaged block becomes one CORRUPT gap, and its neighbours stay", "[es1 5.7]") {
  enum class Damage { flipped, unreadable, gone };
  const auto damage = GENERATE(Damage::flipped, Damage::unreadable, Damage::gone);
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const Hash c = rig.stream(key).c_head;
  const Bytes at = block_key(1, {3});
  if (damage == Damage::flipped) REQUIRE(rig.disk.kv_.flip_bit(block_space(key.stream), at, 8 * 20));
  if (damage == Damage::unreadable) rig.disk.kv_.make_unreadable(block_space(key.stream), at);
  if (damage == Damage::gone) {
    KvBatch batch;
    batch.erase(block_space(key.stream), at);
    REQUIRE(rig.disk.kv_.write(batch, true));
  }
  auto items = rig.read(key);
  REQUIRE(items.size() == 3);
  CHECK_FALSE(items[0].unreadable);
  CHECK(items[1].unreadable);
  CHECK(items[1].raw.empty());
  CHECK_FALSE(items[2].unreadable);
  REQUIRE(rig.buffer->mark_corrupt(key, {1}));  // that one is whole: nothing happens
  CHECK(rig.buffer->view().counters.corrupt == 0);
  REQUIRE(rig.buffer->mark_corrupt(key, {3}));
  REQUIRE(rig.buffer->mark_corrupt(key, {3}));
  CHECK(rig.buffer->view().counters.corrupt == 2);
  CHECK_FALSE(rig.buffer->failed());
  rig.reopen();
  items = rig.read(key);
  CHECK(items[1].gap == GapKind::corrupt);
  CHECK(items[1].reason == GapReason::unreadable);
  CHECK(records_of(items[0]) == std::vector<Bytes>{"r-0-0", "r-0-1"});
  CHECK(records_of(items[2]) == std::vector<Bytes>{"r-2-0", "r-2-1"});
  CHECK(rig.stream(key).c_head == c);
  audit(rig.disk.kv(), *rig.buffer);
}

TEST_CASE("a block that was damaged before it is parked, or while it is, is never sent as if it were whole", "[es1 I11]") {
  const bool before = GENERATE(true, false);
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const Bytes at = block_key(1, {3}), parked = parked_key(1, StreamId::result, {3});
  const size_t bits = 8 * rig.disk.kv_.table(block_space(key.stream)).at(at)->size();
  const KvMemory::State clean = rig.disk.kv_.snapshot();
  for (size_t bit = 0; bit < bits; bit += 7) {
    rig.disk.kv_.rollback(clean);
    rig.reopen();
    if (before) REQUIRE(rig.disk.kv_.flip_bit(block_space(key.stream), at, bit));
    REQUIRE(rig.buffer->park(key, {3}, GapReason::frame_too_large));
    if (!before) REQUIRE(rig.disk.kv_.flip_bit(kParkedSpace, parked, 8 * 13 + bit));
    REQUIRE(rig.buffer->unpark(std::nullopt));
    CHECK_FALSE(rig.buffer->failed());
    const Holdings held = holdings(*rig.buffer);
    CHECK(held.records == std::map<Bytes, int>{{"r-0-0", 1}, {"r-0-1", 1}, {"r-2-0", 1}, {"r-2-1", 1}});
    CHECK(rig.buffer->view().counters.corrupt == 2);
    audit(rig.disk.kv(), *rig.buffer);
  }
}

TEST_CASE("a parked block comes back whole whatever bit flips of what is written beside it", "[es1 I11]") {
  constexpr size_t kBeside = 4 + 1 + 8;  // count, reason, when it was appended
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  const Holdings before = holdings(*rig.buffer);
  REQUIRE(rig.buffer->park(key, {3}, GapReason::frame_too_large));
  const KvMemory::State parked = rig.disk.kv_.snapshot();
  for (size_t bit = 0; bit < 8 * kBeside; ++bit) {
    rig.disk.kv_.rollback(parked);
    rig.reopen();
    REQUIRE(rig.disk.kv_.flip_bit(kParkedSpace, parked_key(1, StreamId::result, {3}), bit));
    REQUIRE(rig.buffer->unpark(std::nullopt));
    CHECK(holdings(*rig.buffer).records == before.records);
    CHECK(rig.buffer->view().counters.corrupt == 0);
    audit(rig.disk.kv(), *rig.buffer);
  }
}

TEST_CASE("any one bit of a block that flips is noticed", "[es1 I11]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 3);
  const StreamKey key = rig.key(StreamId::result);
  const Bytes at = block_key(1, {1});
  const size_t bits = 8 * rig.disk.kv_.table(block_space(key.stream)).at(at)->size();
  const auto whole = rig.disk.kv_.snapshot();
  for (size_t bit = 0; bit < bits; ++bit) {
    rig.disk.kv_.rollback(whole);
    REQUIRE(rig.disk.kv_.flip_bit(block_space(key.stream), at, bit));
    const auto items = rig.read(key);
    REQUIRE(items.size() == 1);
    const bool same = !items[0].unreadable && records_of(items[0]) == std::vector<Bytes>{"r-0-0", "r-0-1", "r-0-2"};
    CHECK((items[0].unreadable || same));  // a bit of zstd's header that says nothing may be either
  }
}

TEST_CASE("a block that cannot be read is re-homed as a CORRUPT gap", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 3, 2);
  const StreamKey key = rig.key(StreamId::result);
  rig.disk.kv_.make_unreadable(block_space(key.stream), block_key(1, {3}));
  REQUIRE(rig.buffer->rehome(key));
  const Holdings after = holdings(*rig.buffer);
  CHECK(after.gaps == std::map<GapKind, uint64_t>{{GapKind::corrupt, 2}});
  CHECK(after.records.size() == 4);
  CHECK(rig.buffer->view().counters.corrupt == 2);
  audit(rig.disk.kv(), *rig.buffer);
}

TEST_CASE("a store whose rows are not as they were written is corrupt, and is not founded over", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 1, 1);
  KvBatch batch;
  SECTION("the first row is gone") { batch.erase(kMetaSpace, store_key()); }
  SECTION("the first row is cut") { batch.put(kMetaSpace, store_key(), Bytes(5, '\0')); }
  SECTION("an epoch's row is cut") { batch.put(kMetaSpace, epoch_key(1), "123456789"); }
  REQUIRE(rig.disk.kv_.write(batch, true));
  auto opened = Buffer::open(rig.disk.kv_, kFac, rig.entropy);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Errc::corrupt);
}

TEST_CASE("a border that is gone fails the buffer as damage, whoever meets it, and never stops the program", "[es1 5.7]") {
  Rig<MemoryDisk> rig;
  rig.fill(StreamId::result, 5, 2);
  const StreamKey key = rig.key(StreamId::result);
  KvBatch lost;
  const uint64_t last = GENERATE(4, 10);  // in the middle, at the end
  lost.erase(kMetaSpace, border_key(1, StreamId::result, {last}));
  REQUIRE(rig.disk.kv().write(lost, true));
  SECTION("reading") {
    CHECK(rig.read(key).size() == (last - 2) / 2);
  }
  SECTION("purge") {
    const PurgeTo upto{key, {last}, {last}};
    CHECK(rig.buffer->purge(std::span(&upto, 1)).error().code == Errc::corrupt);
  }
  SECTION("re-homing") {
    CHECK(rig.buffer->rehome(key).error().code == Errc::corrupt);
  }
  CHECK(rig.buffer->failed());
  CHECK(rig.buffer->failure().code == Errc::corrupt);
}
