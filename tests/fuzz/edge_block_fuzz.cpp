// Fuzz entry: blocks at rest at the edge: any bytes open to whole records or to an error; what was
// cut opens as it was.
#include "edge/block.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::edge;
using fuzz::require;

namespace {

void open_any(ByteView packed) {
  const auto open = open_block(packed);
  if (!open) return;
  require(open->raw.size() <= kBlockRawBytesMax, "a block is no larger than a block may be");
  bool ok = false;
  const auto records = split_records(open->raw, ok);
  require(ok && leaves_of(records) == open->leaves, "an open block holds whole records");
}

// The input as records of the lengths that it says itself.
void cut_and_open(ByteView input) {
  fuzz::Script script(input);
  std::vector<Bytes> held;
  while (!script.over())
    held.push_back(script.bytes(script.once_in(16) ? script.u16() : script.u8()));
  const std::vector<ByteView> records(held.begin(), held.end());
  size_t next = 0;
  for (const Block& block : cut_blocks(records, {1})) {
    require(
        block.count >= 1 && block.count <= kBlockRecordsMax && block.raw_len <= kBlockRawBytesMax,
        "a block keeps its limits");
    const auto open = open_block(block.packed, block.count);
    require(open && open->leaves == block.leaves, "a block opens as it was cut");
    for (const Hash& leaf : open->leaves)
      require(leaf == leaf_of(records[next++]), "records keep their order");
  }
  require(next == records.size(), "every record is in a block");
}

void run(ByteView input) {
  open_any(input);
  cut_and_open(input);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out;
  const Bytes large(9000, 'r');
  for (const std::vector<ByteView>& records :
       {std::vector<ByteView>{"a", "bb"}, {"a"}, {large, large, "x"}}) {
    for (const Block& block : cut_blocks(records, {1})) out.push_back(block.packed);
  }
  return out;
}

const fuzz::Registered registered({"edge_block", run, seeds});

}  // namespace
