// Fuzz entry: rows of the edge's store: any bytes are refused, or read and written again as the
// very same bytes: nothing that a row holds is passed over, but for a reason that nobody knows beside a parked block.
#include "edge/tables.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::edge;
using fuzz::require;

namespace {

constexpr const char* kSame = "a row is written as it was read";
constexpr size_t kReasonAt = sizeof(uint32_t);  // of a parked row: behind its count

// Input: table(1) · for borders and parked blocks the key · value.
void run(ByteView input) {
  if (input.empty()) return;
  const ByteView value = input.substr(1);
  switch (input[0] % 5) {
    case 0:
      if (auto row = decode_store(value)) require(encode(*row) == value, kSame);
      return;
    case 1:
      if (auto row = decode_epoch("clinic-7", value)) require(encode(*row) == value, kSame);
      return;
    case 2: {
      const ByteView key = value.substr(0, border_key(1, StreamId::result, {1}).size());
      if (auto row = decode_border(key, value.substr(key.size())))
        require(encode(*row) == value.substr(key.size()), kSame);
      return;
    }
    case 3: {
      const ByteView key = value.substr(0, parked_key(1, StreamId::result, {1}).size());
      auto row = decode_parked(key, value.substr(key.size()));
      if (!row || !row->whole) return;
      Bytes was(value.substr(key.size()));
      // A bit that flipped there must not cost the block.
      if (row->reason == GapReason::unreadable) was[kReasonAt] = char(row->reason);
      require(encode(*row) == was, kSame);
      return;
    }
    default:
      if (auto row = decode_finished(value)) require(encode(*row) == value, kSame);
  }
}

std::vector<Bytes> seeds() {
  StoreRow store;
  store.format = 1;
  store.fac = "clinic-7";
  EpochRow epoch = fresh_epoch("clinic-7", {77});
  epoch.at(StreamId::result).head = {9};
  epoch.at(StreamId::telemetry).head = {5};
  epoch.at(StreamId::telemetry).purged = epoch.at(StreamId::telemetry).moved_to = {2};
  epoch.at(StreamId::telemetry).moving = true;
  BorderRow border;
  border.first = {3};
  border.last = {5};
  border.count = 3;
  ParkedRow parked;
  parked.stream = StreamId::result;
  parked.count = 1;
  parked.block = "block";
  return {fuzz::tagged(0, encode(store)), fuzz::tagged(1, encode(epoch)),
          fuzz::tagged(2, border_key(1, StreamId::result, {5}) + encode(border)),
          fuzz::tagged(3, parked_key(1, StreamId::result, {5}) + encode(parked)),
          fuzz::tagged(4, encode(FinishedRow{{}, "entry"}))};
}

const fuzz::Registered registered({"edge_rows", run, seeds});

}  // namespace
