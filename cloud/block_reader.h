// BlockReader: the records of stored blocks, whole again: bodies of duplicates and quarantined
// records are fetched. Promises: what it gives back is byte for byte what came in; a record that
// was deleted is said to be so, never made up. What was decoded of the last blocks stays, since
// duplicates point to neighbours. Leaves to others: proving it (verify), writing it out (export).
#pragma once

#include <list>

#include "cloud/stored_block.h"

namespace egret::cloud {

struct ReadRecord {
  EntryKind kind = EntryKind::applied;
  Bytes record;       // empty when `gone`
  bool gone = false;  // deleted on purpose: its bytes are not there any more
  Place body_at;      // duplicate
  Hash hash{};        // quarantined: SHA-256(record); deleted, erased: the tombstone; expired: SHA-256(body)
};

class BlockReader {
 public:
  explicit BlockReader(const Kv& kv) : kv_(kv) {}
  // The block that begins with `first`. not_found: there is none; corrupt.
  Result<std::vector<StoredEntry>> block(const Facility& fac, StreamKey key, Seq first);
  // What an entry of `block` stands for. Views of `block` stay good. Errors: not_found (it points
  // to nothing), corrupt.
  Result<ReadRecord> whole(const Facility& fac, const StoredEntry& entry);
  // The entry at a place. Errors: as above.
  Result<ReadRecord> at(const Facility& fac, const Place& place);

 private:
  struct Recent {
    StreamKey key;
    Seq first;
    BlockPages pages;
  };
  Result<Recent*> find(const Facility& fac, const Place& place);
  Result<StoredEntry> entry_at(const Facility& fac, const Place& place);

  const Kv& kv_;
  Facility fac_;                                // whose blocks are in the cache
  std::list<Recent> recent_;  // newest first; nodes do not move
  Bytes raw_;                                   // of the block last asked for
};

}  // namespace egret::cloud
