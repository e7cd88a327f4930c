// Buffer: the site's memory. Takes records in, keeps them as chained blocks, gives disk back.
// Promises (es1 5.1-5.3, 5.6, 5.7): append returns after the sync; an epoch is written by one Buffer object,
// ever; blocks tile [1..head]; every step that changes what is held is one atomic Batch, and doing it again
// after a crash is harmless; nothing is deleted except by purge, shed, park and re-home as asked.
// Leaves to others: what is confirmed (Session), when there is too little room (Budget), threads (one at a
// time: every non-const call from the same thread), the files (Kv).
#pragma once

#include <memory>
#include <span>

#include "edge/view.h"
#include "schemas/kv.h"

namespace egret::edge {

// Spaces of the edge's Kv. On disk; never renumbered.
inline constexpr Space kMetaSpace = 0;    // format, store id, epochs, borders, finished list, counters
inline constexpr Space kBlockSpace = 1;   // kBlockSpace + stream: one space a lane, so that its files drop whole
inline constexpr Space kParkedSpace = 5;
inline constexpr Space kEdgeSpaces = 6;

struct LaneRecord {
  StreamId stream;
  Bytes record;  // at most kRecordBytesMax - kLengthPrefixBytes, checked by the door
};
// One producer's request: all of it durable, or none.
struct Unit {
  std::vector<LaneRecord> records;
};

struct PurgeTo {
  StreamKey key;
  Seq to;    // a border: data goes up to here
  Seq safe;  // S: borders go up to min(to, safe), so that a room purge keeps the digests above S
};

class Buffer : public Reader {
 public:
  // Opens the store in `kv`, or founds one. Every epoch found is final; no epoch is minted yet. Finishes a
  // re-homing that a crash cut short; re-homes the smallest epochs while more than kListedEpochsMax are open.
  // Does not scan the backlog. `now` dates what it re-homes. Errors: newer_format, corrupt, store_failed.
  static Result<std::unique_ptr<Buffer>> open(Kv& kv, const Facility& fac, Entropy& entropy, WallTime now);

  // Group commit: one synced Batch for all units, blocks per lane of at most kBlockRecordsMax records and
  // kBlockRawBytesMax bytes, compressed. On an error nothing of it counts as accepted and the Buffer must be
  // closed (failed() is true). The first append of a run mints the epoch.
  virtual Result<void> append(std::span<const Unit> units, WallTime now) = 0;

  // es1 5.6. Deletes data up to each `to`; retires epochs that are done into the finished list.
  // A `to` that is no border, lies past the head or below P breaks an invariant and stops the program.
  virtual Result<void> purge(std::span<const PurgeTo> upto) = 0;
  // Drops the oldest telemetry block above `above` (per epoch; es1: not acknowledged) and writes its range
  // record in the same Batch. Returns the number of records shed; 0 when there is none.
  virtual Result<uint64_t> shed_oldest(const std::function<Seq(EpochId)>& above) = 0;
  // Appends all that (epoch, stream) still holds above P, gaps too, to the current epoch (a new one if it
  // was the current) and marks it moved. In steps of one Batch each; a crash between them resumes at open.
  virtual Result<void> rehome(StreamKey key, WallTime now) = 0;
  // Re-homes only the blocks of [first, last] that are held as data; their places become shed-like gaps.
  virtual Result<void> rehome_blocks(StreamKey key, Seq first, Seq last, WallTime now) = 0;
  // Moves the block at `first` out of the stream into a space of its own; its place becomes GAP PARKED.
  virtual Result<void> park(StreamKey key, Seq first, GapReason reason) = 0;
  // Appends every parked block of `stream` (all: nullopt) to the current epoch again.
  virtual Result<uint64_t> unpark(std::optional<StreamId> stream, WallTime now) = 0;
  // Re-reads the block at `first`; if it is still unreadable its place becomes GAP CORRUPT.
  virtual Result<void> mark_corrupt(StreamKey key, Seq first) = 0;
  // Counts refusals; durable with the next Batch.
  virtual void count_refused(uint64_t records) = 0;

  virtual View view() const = 0;
  // A write failed: nothing more is accepted; close, re-open, verify (es1 5.7).
  virtual bool failed() const = 0;
};

}  // namespace egret::edge
