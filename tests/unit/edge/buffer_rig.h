// The rig of the buffer's tests: a Buffer over the memory model or over RocksDB, records to put into it, and
// an audit of what is on the disk.
#pragma once

#include <catch2/catch.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "edge/kv_options.h"
#include "edge/buffer.h"
#include "schemas/chain.h"
#include "schemas/kv_rocksdb.h"
#include "schemas/limits.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/schemas/kv_dir.h"

namespace Catch {
// A failed check shows the error's sentence.
template <class T>
struct StringMaker<boost::system::result<T, egret::Error>> {
  static std::string convert(const boost::system::result<T, egret::Error>& r) {
    return r ? "ok" : "error: " + r.error().text;
  }
};
}  // namespace Catch

namespace egret::edge {

inline const Facility kFac = "clinic-7";
inline constexpr ReadLimit kAll{size_t{1} << 40, size_t{1} << 30, size_t{1} << 30};

// Where the disk is kept; both survive the Kv being closed.
struct MemoryDisk {
  KvMemory kv_{kEdgeSpaces};
  Kv& kv() { return kv_; }
  void reopen() {}
};
struct RocksDisk {
  test::TempDir dir;
  std::unique_ptr<Kv> kv_;
  RocksDisk() { reopen(); }
  Kv& kv() { return *kv_; }
  void reopen() {
    kv_.reset();
    auto opened = open_rocksdb(kv_options(dir.path));
    REQUIRE(opened);
    kv_ = std::move(*opened);
  }
};

template <class Disk>
struct Rig {
  Disk disk;
  SeededEntropy entropy{7};
  std::unique_ptr<Buffer> buffer;
  int64_t hour = 0;

  Rig() { reopen(); }
  // As after a crash of the process, or a stop: the two look the same.
  void reopen() {
    buffer.reset();
    disk.reopen();
    auto opened = Buffer::open(disk.kv(), kFac, entropy);
    if (!opened) UNSCOPED_INFO(opened.error().text);
    REQUIRE(opened);
    buffer = std::move(*opened);
  }
  void append(StreamId stream, const std::vector<Bytes>& records) {
    Unit unit;
    for (const Bytes& r : records) unit.records.push_back({stream, r});
    REQUIRE(buffer->append(std::span(&unit, 1), {++hour}));
  }
  // `blocks` commits of `each` records named by their place.
  void fill(StreamId stream, int blocks, int each, const std::string& name = "r") {
    for (int b = 0; b < blocks; ++b) {
      std::vector<Bytes> records;
      for (int i = 0; i < each; ++i) records.push_back(name + "-" + std::to_string(b) + "-" + std::to_string(i));
      append(stream, records);
    }
  }
  StreamKey key(StreamId stream, size_t epoch = 0) const { return {buffer->view().epochs.at(epoch).id, stream}; }
  StreamView stream(StreamKey k) const {
    const View v = buffer->view();
    REQUIRE(v.find(k));
    return *v.find(k);
  }
  std::vector<Item> read(StreamKey k, Seq after = {0}) const { return buffer->read(k, after, kAll); }
};

inline std::vector<Bytes> records_of(const Item& item) {
  bool ok = false;
  const auto views = split_records(item.raw, ok);
  REQUIRE(ok);
  return {views.begin(), views.end()};
}

// Everything held: each record with how often, and how many records lie in gaps of each kind.
struct Holdings {
  std::map<Bytes, int> records;
  std::map<GapKind, uint64_t> gaps;
  int unreadable = 0;  // items
  bool operator==(const Holdings&) const = default;
};
inline Holdings found_in(const Buffer& buffer) {
  Holdings all;
  for (const EpochView& e : buffer.view().epochs) {
    for (size_t i = 0; i < kStreamCount; ++i) {
      for (const Item& item : buffer.read({e.id, StreamId(i)}, e.streams[i].purged, kAll)) {
        all.unreadable += item.unreadable;
        if (item.unreadable) continue;
        if (item.gap != GapKind::none) all.gaps[item.gap] += item.count;
        if (item.gap != GapKind::none) continue;
        for (const Bytes& r : records_of(item)) ++all.records[r];
      }
    }
  }
  return all;
}
// Of a sound disk, which has nothing that cannot be read.
inline Holdings holdings(const Buffer& buffer) {
  Holdings all = found_in(buffer);
  CHECK(all.unreadable == 0);
  return all;
}

// I3 and I4, from the rows themselves: borders tile [B, head], data has blocks and nothing else has, and the
// chain holds over what is data.
inline void audit_stream(const Kv& kv, EpochNo no, StreamId stream, const StreamRow& row) {
  if (row.moved || row.moving) return;
  Seq at = row.border;
  Hash c{};
  uint64_t bytes = 0;
  std::map<Bytes, bool> blocks;
  REQUIRE(kv.scan(block_space(stream), block_key(no, {0}), block_key(no + 1, {0}), [&](ByteView k, ByteView) {
    return blocks[Bytes(k)] = true;
  }));
  REQUIRE(kv.scan(kMetaSpace, border_key(no, stream, {0}), border_key(no, stream, {~uint64_t{0}}),
                  [&](ByteView k, ByteView v) {
    const auto b = decode_border(k, v);
    REQUIRE(b);
    if (b->last == row.border) {  // the border that is kept at B
      c = b->c;
      bytes = b->bytes_to;
      return true;
    }
    CHECK(b->first == at.next());
    CHECK(b->bytes_to >= bytes);
    const bool data = b->gap == GapKind::none && b->last > row.purged;
    CHECK(blocks.erase(block_key(no, b->first)) == (data ? 1U : 0U));
    if (b->last == row.purged) CHECK(b->c == row.c_purged);
    if (b->last == row.head) CHECK(b->c == row.c_head);
    at = b->last;
    bytes = b->bytes_to;
    return true;
  }));
  CHECK(at == row.head);
  CHECK(blocks.empty());
}
inline void audit(const Kv& kv, const Buffer& buffer) {
  for (const auto& [no, epoch] : buffer.memory().epochs) {
    const auto stored = kv.get(kMetaSpace, epoch_key(no));
    REQUIRE(stored);
    REQUIRE(*stored);
    CHECK(**stored == encode(epoch));
    for (size_t i = 0; i < kStreamCount; ++i) {
      audit_stream(kv, no, StreamId(i), epoch.streams[i]);
      // Reading proves the chain: a block that does not fold onto its border comes back unreadable.
      for (const Item& item : buffer.read({epoch.id, StreamId(i)}, epoch.streams[i].purged, kAll)) {
        CHECK_FALSE(item.unreadable);
      }
    }
  }
}

}  // namespace egret::edge
