// Buffer: the site's memory. Takes records in, keeps them as chained blocks, gives disk back.
// Promises (es1 5.1-5.3, 5.6, 5.7): append returns after the sync; an epoch is written by one Buffer object,
// ever; blocks tile [1..head]; every step that changes what is held is one atomic, synced Batch, and doing it
// again after a crash is harmless; nothing is deleted except by purge, shed, park and re-home as asked.
// Leaves to others: what is confirmed (Session), when there is too little room (Budget), threads (one at a
// time: every non-const call from the same thread; Reader from any), the files (Kv), their bytes (tables.h).
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "edge/block.h"
#include "edge/tables.h"
#include "edge/view.h"
#include "schemas/kv.h"

namespace egret::edge {

struct LaneRecord {
  StreamId stream;
  Bytes record;  // at most kRecordBytesMax - kLengthPrefixBytes
};
// One producer's request: all of it durable, or none.
struct Unit {
  std::vector<LaneRecord> records;
};

// Where a record was put.
struct Place {
  EpochId epoch;
  Seq seq;
};
using Places = std::vector<Place>;

struct PurgeTo {
  StreamKey key;
  Seq to;    // a border: data goes up to here
  Seq safe;  // S: borders go up to min(to, safe), so that a room purge keeps the digests above S
};

// Records or a gap out of another store, to be appended here.
struct Adopted {
  StreamId stream = StreamId::critical;
  std::vector<Bytes> records;  // at most kBlockRecordsMax and kBlockRawBytesMax
  uint32_t gap_count = 0;      // instead of records: the range is a gap here too
  GapKind gap = GapKind::none;
  GapReason reason = GapReason::none;
  WallTime appended;
};

class Buffer final : public Reader {
 public:
  // Opens the store in `kv`, or founds one. Every epoch found is final; no epoch is minted yet. Finishes a
  // re-homing that a crash cut short; retires what is done; re-homes the smallest epochs while more than
  // kListedEpochsMax would be open. Does not scan the backlog. `kv` and `entropy` outlive the Buffer.
  // Errors: newer_format, config (the store of another facility), corrupt, store_failed, disk_full.
  static Result<std::unique_ptr<Buffer>> open(Kv& kv, const Facility& fac, Entropy& entropy);

  // Group commit: one synced Batch for all units, blocks per lane of at most kBlockRecordsMax records and
  // kBlockRawBytesMax bytes, compressed. The first append of a run mints the epoch. Returns a place for
  // every record, in the order of units and records. Errors: too_large (nothing was written); any other:
  // nothing of it counts as accepted and the Buffer must be closed (failed() is true).
  Result<Places> append(std::span<const Unit> units, WallTime now);

  // es1 5.6. Deletes data up to each `to`, and borders up to min(to, safe); retires epochs that are done
  // into the finished list. A `to` at or below P only moves borders: a room purge may have gone ahead of the
  // session, and its borders wait for S. A moved stream or finished epoch is left alone. A `to` past the head
  // breaks an invariant and stops the program; corrupt: there is no border at `to`.
  Result<void> purge(std::span<const PurgeTo> upto);
  // Drops the oldest telemetry block above `above` (per epoch; es1: not acknowledged) and writes its range
  // record in the same Batch. Returns the number of records shed; 0 when there is none.
  Result<uint64_t> shed_oldest(const std::function<Seq(EpochId)>& above);
  // Appends all that (epoch, stream) still holds above P, gaps too (of an empty one: nothing; a live rollback may
  // have emptied it, and it must not be written any more), to the current epoch (a new one if it
  // was the current) and marks it moved; each block keeps the time it was first appended at. In steps of one
  // Batch each; a crash between them resumes at open.
  Result<void> rehome(StreamKey key);
  // Re-homes only the blocks that reach into [first, last] and are held as data; their places become gaps
  // (shed in telemetry, corrupt elsewhere).
  Result<void> rehome_blocks(StreamKey key, Seq first, Seq last);
  // Moves the block at `first` out of the stream into a space of its own; its place becomes GAP PARKED.
  // Nothing happens when no data begins there.
  Result<void> park(StreamKey key, Seq first, GapReason reason);
  // Appends every parked block of `stream` (all: nullopt) to the current epoch again. Returns their number.
  Result<uint64_t> unpark(std::optional<StreamId> stream);
  // Re-reads the block at `first`; if it is still unreadable its place becomes GAP CORRUPT.
  Result<void> mark_corrupt(StreamKey key, Seq first);
  // One synced Batch: what salvage found in another store. Not counted as accepted.
  Result<void> adopt(std::span<const Adopted> found);
  // Counts refusals; durable with the next Batch.
  void count_refused(uint64_t records);

  View view() const;
  // A write failed, or the store could not be read: nothing more is accepted; close, re-open (es1 5.7).
  bool failed() const { return failed_; }
  Error failure() const;  // the first of them

  // What the object knows beside its Kv. With a copy of the disk it is what a running machine is made of:
  // the simulator rolls back and clones machines alive with it.
  struct Memory {
    StoreRow store;
    std::map<EpochNo, EpochRow> epochs;  // not finished
    EpochNo current = 0;                 // 0: none minted in this run
    uint64_t refused = 0;                // not durable yet
    // Per epoch: asked to shed above `above`, all in (above, gaps_to] is found to be gaps. Saves time only.
    struct Shed {
      Seq above, gaps_to;
    };
    std::map<EpochNo, Shed> shed;
  };
  Memory memory() const;
  Buffer(Kv& kv, Entropy& entropy, Memory memory);

  // Reader. Safe while another thread writes.
  std::optional<Hash> c_at(StreamKey key, Seq at) const override;
  std::vector<Item> read(StreamKey key, Seq after, const ReadLimit& limit) const override;
  std::vector<std::pair<Seq, Seq>> held(StreamKey key, Seq first, Seq last) const override;
  Waiting waiting(StreamKey key, Seq after) const override;
  std::vector<Bytes> finished(uint64_t offset, size_t max_entries, size_t max_bytes) const override;
  std::optional<Hash> finished_hash(uint64_t i) const override;
  std::optional<FinishedStreamView> finished_stream(StreamKey key) const override;

 private:
  // What one Batch does: to the tables, and to the memory once it is durable.
  struct Change {
    KvBatch batch;
    StoreRow store;
    std::map<EpochNo, EpochRow> rows;  // as they will be
    std::vector<EpochNo> retired;
    EpochNo current = 0;
    uint64_t refused = 0;
    struct Range {
      Space space;
      Bytes first, end;
    };
    std::vector<Range> reclaim;
  };
  // One (epoch, stream) as a Reader's thread found it.
  struct Found {
    EpochNo no = 0;
    StreamId stream = StreamId::critical;
    StreamRow row;
  };

  // buffer.cpp: open, append, commit
  static Result<Memory> load(Kv& kv, const Facility& fac);
  static Result<Memory> found(Kv& kv, const Facility& fac, Entropy& entropy);
  Result<void> settle();
  Change begin() const;
  Result<void> commit(Change& change);
  Error fail(Error why) const;
  Result<void> usable() const;
  EpochRow& row(Change& change, EpochNo no) const;
  EpochNo current(Change& change);
  EpochId new_epoch_id() const;
  // Returns where its first record went.
  Place place(Change& change, StreamId stream, Block block);
  EpochNo number_of(EpochId id) const;  // 0: not here (any more)
  bool has_finished(EpochId id) const;

  // buffer_purge.cpp: purge, retire, shed
  Result<void> purge_one(Change& change, const PurgeTo& upto);
  Result<void> raise_border(Change& change, EpochNo no, StreamId stream, Seq safe);
  void retire_if_done(Change& change, EpochNo no) const;
  Result<std::optional<BorderRow>> oldest_data(EpochNo no, const StreamRow& row, Seq above);
  Result<uint64_t> shed_any(StreamId stream);
  void gap_in_place(Change& change, EpochNo no, StreamId stream, BorderRow border, GapKind gap,
                    GapReason reason) const;

  // buffer_move.cpp: re-home, park, corrupt
  Result<void> move_stream(EpochNo no, StreamId stream);
  Result<bool> move_step(Change& change, EpochNo no, StreamId stream);
  Result<void> merge_smallest();
  Result<Block> take(EpochNo no, StreamId stream, const BorderRow& border, const Hash& c_before) const;
  Result<std::optional<BorderRow>> data_at(StreamKey key, Seq first) const;

  // buffer_read.cpp: the reading side, and what the writer reads with
  std::optional<Found> find(StreamKey key) const;
  using SeeBorder = std::function<bool(const BorderRow&)>;
  Result<void> scan_borders(EpochNo no, StreamId stream, Seq from, Seq to, const SeeBorder& see) const;
  Result<std::optional<BorderRow>> border_at(EpochNo no, StreamId stream, Seq last) const;
  Result<std::optional<BorderRow>> border_holding(EpochNo no, const Found& in, Seq seq) const;
  Result<Hash> c_before(const Found& in, const BorderRow& border) const;
  bool read_item(const Found& in, const BorderRow& border, const Hash& c, Item& item) const;
  std::optional<BorderRow> still_there(const Found& in, const BorderRow& border) const;
  bool is_as_stored(const Found& in) const;

  Kv& kv_;
  Entropy& entropy_;
  const Facility fac_;
  mutable std::mutex mutex_;  // memory_: the writer changes it, the session's thread looks at it
  Memory memory_;
  mutable std::atomic<bool> failed_ = false;
  mutable std::optional<Error> failure_;  // under mutex_
};

}  // namespace egret::edge
