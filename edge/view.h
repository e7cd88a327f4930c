// View: what is durable at the edge right now, as the session sees it: epochs, heads, borders, finished list.
// Promises: everything in it is synced; a value, so that it can cross from the writer's thread to the session's.
// Leaves to others: changing it (Buffer), reading the blocks behind it (Reader).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "schemas/error.h"
#include "schemas/gap.h"
#include "schemas/types.h"

namespace egret::edge {

// One (epoch, stream). Data lies in (purged, head]; digests are known on borders in [border, head].
struct StreamView {
  Seq purged;  // P
  Hash c_purged{};
  Seq border;  // B <= P
  Seq head;
  Hash c_head{};
  uint64_t bytes_total = 0;         // compressed bytes ever appended here
  uint64_t bytes_purged = 0;        // of those, up to P
  bool moving = false;              // a re-homing has begun and must be finished
  bool moved = false;               // what was above P went into another epoch
  bool empty() const { return head.value == 0; }
  bool done() const { return moved || purged == head; }  // nothing is left to send or to purge
};

struct EpochView {
  EpochId id;
  bool final = true;  // no append will follow: its run is over, or it was re-homed
  std::array<StreamView, kStreamCount> streams;
};

struct Counters {  // of the whole store, surviving restarts
  uint64_t accepted = 0;
  uint64_t shed = 0;
  uint64_t refused = 0;
  uint64_t corrupt = 0;
  uint64_t exposed = 0;  // records purged above S because the disk needed room
};

struct View {
  StoreId store_id{};
  std::vector<EpochView> epochs;  // not finished, oldest first
  EpochId current;                // value 0: nothing appended in this run
  uint64_t finished_count = 0;
  Hash finished_hash{};           // h_count
  uint64_t parked_blocks = 0;
  Counters counters;

  const EpochView* find(EpochId id) const {
    for (const auto& e : epochs) {
      if (e.id == id) return &e;
    }
    return nullptr;
  }
  const StreamView* find(StreamKey key) const {
    const EpochView* e = find(key.epoch);
    return e ? &e->streams[static_cast<size_t>(key.stream)] : nullptr;
  }
};

// One block, or the range that a gap names.
struct Item {
  Seq first;
  uint32_t count = 0;
  GapKind gap = GapKind::none;
  GapReason reason = GapReason::none;
  Hash c_end{};
  Bytes raw;                // data: u32 little-endian length ‖ record, repeated
  bool unreadable = false;  // data that could not be read back or does not match its border
  Seq last() const { return first + (count - 1); }
};

struct ReadLimit {
  size_t raw_bytes = 0;  // at least one item is returned whatever its size
  size_t items = 0;
  size_t records = 0;
};

struct FinishedStreamView {
  StreamKey key;
  Seq purged;
  Hash c_purged{};
  bool moved = false;
};

// The reading side of the buffer. May be used from the session's thread while the writer writes.
class Reader {
 public:
  virtual ~Reader() = default;
  // c at `at`, where it is known: a border in [B, head]; c_0 at 0 while B is 0. nullopt below B, and for a
  // number that is no border of ours (the other side's history is then not ours).
  virtual std::optional<Hash> c_at(StreamKey key, Seq at) const = 0;
  // The items that follow `after` (a border), in order. Empty at the head, or when what was there has just
  // been purged: look at a newer View.
  virtual std::vector<Item> read(StreamKey key, Seq after, const ReadLimit& limit) const = 0;
  // Which blocks in [first, last] are still held as data, as ranges on borders.
  virtual std::vector<std::pair<Seq, Seq>> held(StreamKey key, Seq first, Seq last) const = 0;
  // Compressed bytes of the items after `after` (0 at the head), and when the first of them was appended.
  struct Waiting {
    uint64_t bytes = 0;
    WallTime since;
  };
  virtual Waiting waiting(StreamKey key, Seq after) const = 0;
  // Serialized FinishedEpoch entries from index `offset`, at most `max_entries` and `max_bytes`.
  virtual std::vector<Bytes> finished(uint64_t offset, size_t max_entries, size_t max_bytes) const = 0;
  // h_i; nullopt when the list is shorter.
  virtual std::optional<Hash> finished_hash(uint64_t i) const = 0;
  // A stream of a finished epoch.
  virtual std::optional<FinishedStreamView> finished_stream(StreamKey key) const = 0;
};

}  // namespace egret::edge
