// Fold: takes a BATCH apart into its blocks and gaps and runs the chain over them.
// Promises: every bound is checked before anything is allocated for it; a pure function.
// Leaves to others: what the digests are compared with (Reconciler).
#pragma once

#include "cloud/store.h"
#include "schemas/es1.pb.h"

namespace egret::cloud {

struct Part {
  Seq first;
  uint32_t count = 0;
  GapKind gap = GapKind::none;
  GapReason reason = GapReason::none;
  Hash c_end{};                   // of a gap: as sent; of data: once folded
  std::vector<ByteView> records;  // data, views into Unpacked::raw
  std::vector<Hash> leaves;       // one a record; whoever folds fills them in
  Seq last() const { return first + (count - 1); }
};

struct Unpacked {
  StreamKey key;
  Seq first, last;
  Bytes raw;
  std::vector<Part> parts;
};

// The shape alone: numbers, counts, sizes, kinds; lanes that may not carry a gap kind. Nothing is
// decompressed. Errors: bad_input.
Result<Unpacked> outline(const es1::Batch& batch);
// Decompresses and assigns the records to the parts. Errors: unsupported (dictionary or codec),
// corrupt, bad_input.
Result<void> unpack(const es1::Batch& batch, Unpacked& out);
// c after `part`, when c before it is `before`. Fills in c_end of data from its leaves.
Hash fold(Part& part, const Hash& before);

}  // namespace egret::cloud
