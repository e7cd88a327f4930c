#include "edge/buffer.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/buggify.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

Error wrong_facility(const Facility& stored, const Facility& wanted) {
  return {Errc::config, fmt::format("edge store: belongs to facility \"{}\", the configuration says \"{}\"; "
                                    "give each facility a directory of its own",
                                    stored, wanted)};
}

}  // namespace

Buffer::Buffer(Kv& kv, Entropy& entropy, Memory memory)
    : kv_(kv), entropy_(entropy), fac_(memory.store.fac), memory_(std::move(memory)) {}

Buffer::Memory Buffer::memory() const {
  return memory_;
}

Result<std::unique_ptr<Buffer>> Buffer::open(Kv& kv, const Facility& fac, Entropy& entropy) {
  Result<std::optional<Bytes>> row = kv.get(kMetaSpace, store_key());
  if (!row) return row.error();
  Result<Memory> memory = *row ? load(kv, fac) : found(kv, fac, entropy);
  if (!memory) return memory.error();
  auto buffer = std::make_unique<Buffer>(kv, entropy, std::move(*memory));
  if (Result<void> settled = buffer->settle(); !settled) return settled.error();
  return buffer;
}

Result<Buffer::Memory> Buffer::found(Kv& kv, const Facility& fac, Entropy& entropy) {
  EGRET_INVARIANT(valid_facility(fac), "a store is founded for a valid facility");
  bool empty = true;
  Result<void> scanned = kv.scan(kMetaSpace, Bytes(1, '\0'), Bytes(1, '\xff'), [&](ByteView, ByteView) {
    return empty = false;
  });
  if (!scanned) return scanned.error();
  if (!empty) {
    return Error{Errc::corrupt, "edge store: its first row is missing but others are there; "
                                "the store must be set aside and salvaged"};
  }
  Memory memory;
  memory.store.format = kEdgeFormat;
  memory.store.fac = fac;
  entropy.fill(memory.store.store_id.data(), memory.store.store_id.size());
  KvBatch batch;
  batch.put(kMetaSpace, store_key(), encode(memory.store));
  if (Result<void> written = kv.write(batch, true); !written) return written.error();
  return memory;
}

Result<Buffer::Memory> Buffer::load(Kv& kv, const Facility& fac) {
  Result<std::optional<Bytes>> bytes = kv.get(kMetaSpace, store_key());
  if (!bytes) return bytes.error();
  Result<StoreRow> store = decode_store(bytes->value());
  if (!store) return store.error();
  if (store->fac != fac) return wrong_facility(store->fac, fac);
  Memory memory;
  memory.store = std::move(*store);
  std::optional<Error> wrong;
  const Bytes first = epoch_key(0), end = after_prefix(first.substr(0, 1));
  Result<void> scanned = kv.scan(kMetaSpace, first, end, [&](ByteView key, ByteView value) {
    Result<EpochRow> epoch = decode_epoch(fac, value);
    if (epoch) {
      memory.epochs.emplace(get_u32(key, 1), *epoch);
    } else {
      wrong = epoch.error();
    }
    return !wrong;
  });
  if (!scanned) return scanned.error();
  if (wrong) return *wrong;
  if (mutant(Mutant::old_epoch_resumed) && !memory.epochs.empty()) memory.current = memory.epochs.rbegin()->first;
  return memory;
}

// What a run leaves to the next one: cut-short re-homings, epochs that are done, too many small ones.
Result<void> Buffer::settle() {
  std::vector<std::pair<EpochNo, StreamId>> moving;
  for (const auto& [no, epoch] : memory_.epochs) {
    for (size_t i = 0; i < kStreamCount; ++i) {
      if (epoch.streams[i].moving) moving.emplace_back(no, StreamId(i));
    }
  }
  for (auto [no, stream] : moving) {
    mark(Mark::move_resumed);
    if (Result<void> moved = move_stream(no, stream); !moved) return moved;
  }
  Change change = begin();
  for (const auto& [no, epoch] : memory_.epochs) retire_if_done(change, no);
  if (!change.retired.empty()) {
    if (Result<void> retired = commit(change); !retired) return retired;
  }
  return merge_smallest();
}

Buffer::Change Buffer::begin() const {
  Change change;
  change.store = memory_.store;
  change.current = memory_.current;
  change.refused = memory_.refused;
  change.store.counters.refused += memory_.refused;
  return change;
}

Result<void> Buffer::commit(Change& change) {
  for (const auto& [no, epoch] : change.rows) {
    const bool retired = std::ranges::count(change.retired, no) > 0;
    if (!retired) change.batch.put(kMetaSpace, epoch_key(no), encode(epoch));
  }
  change.batch.put(kMetaSpace, store_key(), encode(change.store));
  Result<void> written = kv_.write(change.batch, !mutant(Mutant::ack_before_sync));
  if (!written && mutant(Mutant::sync_retried)) written = kv_.write(change.batch, true);
  if (!written) return fail(written.error());
  {
    std::lock_guard lock(mutex_);
    memory_.store = std::move(change.store);
    memory_.current = change.current;
    memory_.refused -= change.refused;
    for (const auto& [no, epoch] : change.rows) memory_.epochs[no] = epoch;
    for (EpochNo no : change.retired) {
      memory_.epochs.erase(no);
      memory_.shed.erase(no);
    }
  }
  for (const auto& range : change.reclaim) kv_.reclaim(range.space, range.first, range.end);
  return {};
}

Error Buffer::fail(Error why) const {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = why;
  failed_ = true;
  return why;
}

Error Buffer::failure() const {
  std::lock_guard lock(mutex_);
  return failure_.value_or(Error{});
}

Result<void> Buffer::usable() const {
  if (!failed_) return {};
  return Error{Errc::store_failed, "edge store: closed after a failed write; it is being opened again"};
}

EpochRow& Buffer::row(Change& change, EpochNo no) const {
  auto it = change.rows.find(no);
  if (it == change.rows.end()) it = change.rows.emplace(no, memory_.epochs.at(no)).first;
  return it->second;
}

EpochNo Buffer::number_of(EpochId id) const {
  for (const auto& [no, epoch] : memory_.epochs) {
    if (epoch.id == id) return no;
  }
  return 0;
}

bool Buffer::has_finished(EpochId id) const {
  const Result<std::optional<Bytes>> row = kv_.get(kMetaSpace, finished_id_key(id));
  return row && *row;
}

EpochId Buffer::new_epoch_id() const {
  EpochId id{entropy_.next()};
  while (id.value == 0 || number_of(id) != 0 || has_finished(id)) id.value = entropy_.next();
  return id;
}

EpochNo Buffer::current(Change& change) {
  if (change.current != 0) {
    const EpochRow& epoch = row(change, change.current);
    const bool full = std::ranges::any_of(
        epoch.streams, [](const StreamRow& s) { return s.head.value >= kEpochRecordsMax; });
    if (!full) return change.current;
  }
  change.current = change.store.next_epoch++;
  change.rows.emplace(change.current, fresh_epoch(fac_, new_epoch_id()));
  return change.current;
}

Place Buffer::place(Change& change, StreamId stream, Block block) {
  const EpochNo no = current(change);
  EpochRow& epoch = row(change, no);
  StreamRow& to = epoch.at(stream);
  BorderRow border;
  border.first = to.head.next();
  border.last = to.head + block.count;
  border.count = block.count;
  border.c = chain_extend(to.c_head, border.first, block.count, block.leaves);
  border.gap = block.gap;
  border.reason = block.reason;
  border.bytes_to = to.bytes_total + block.packed.size();
  border.appended = block.appended;
  border.raw_len = block.raw_len;
  to.head = border.last;
  to.c_head = border.c;
  to.bytes_total = border.bytes_to;
  change.batch.put(kMetaSpace, border_key(no, stream, border.last), encode(border));
  if (block.gap == GapKind::none) {
    change.batch.put(block_space(stream), block_key(no, border.first), std::move(block.packed));
  }
  return {epoch.id, border.first};
}

Result<Places> Buffer::append(std::span<const Unit> units, WallTime now) {
  if (Result<void> ok = usable(); !ok) return ok.error();
  std::array<std::vector<ByteView>, kStreamCount> lanes;
  std::array<std::vector<size_t>, kStreamCount> numbers;  // of those records among all
  size_t records = 0;
  for (const Unit& unit : units) {
    for (const auto& [stream, record] : unit.records) {
      if (record.size() + kLengthPrefixBytes > kRecordBytesMax) {
        return Error{Errc::too_large, fmt::format("record: {} bytes, at most {}", record.size(),
                                                  kRecordBytesMax - kLengthPrefixBytes)};
      }
      lanes[static_cast<size_t>(stream)].push_back(record);
      numbers[static_cast<size_t>(stream)].push_back(records++);
    }
  }
  Places places(records);
  if (records == 0) return places;
  Change change = begin();
  for (size_t i = 0; i < kStreamCount; ++i) {
    size_t at = 0;
    for (Block& block : cut_blocks(lanes[i], now)) {
      const uint32_t count = block.count;
      const Place first = place(change, StreamId(i), std::move(block));
      for (uint32_t k = 0; k < count; ++k) places[numbers[i][at++]] = {first.epoch, first.seq + k};
    }
  }
  change.store.counters.accepted += records;
  if (Result<void> committed = commit(change); !committed) return committed.error();
  return places;
}

Result<void> Buffer::adopt(std::span<const Adopted> found) {
  if (Result<void> ok = usable(); !ok) return ok;
  Change change = begin();
  for (const Adopted& a : found) {
    const std::vector<ByteView> records(a.records.begin(), a.records.end());
    for (Block& block : cut_blocks(records, a.appended)) place(change, a.stream, std::move(block));
    if (a.gap_count == 0) continue;
    Block gap;
    gap.count = a.gap_count;
    gap.gap = a.gap;
    gap.reason = a.reason;
    gap.appended = a.appended;
    place(change, a.stream, std::move(gap));
  }
  if (change.rows.empty()) return {};
  return commit(change);
}

void Buffer::count_refused(uint64_t records) {
  std::lock_guard lock(mutex_);
  memory_.refused += records;
}

View Buffer::view() const {
  std::lock_guard lock(mutex_);
  View v;
  v.store_id = memory_.store.store_id;
  v.epochs.reserve(memory_.epochs.size());
  for (const auto& [no, epoch] : memory_.epochs) {
    EpochView& e = v.epochs.emplace_back();
    e.id = epoch.id;
    e.final = no != memory_.current;
    std::ranges::copy(epoch.streams, e.streams.begin());
    if (!e.final) v.current = epoch.id;
  }
  v.finished_count = memory_.store.finished_count;
  v.finished_hash = memory_.store.finished_hash;
  v.parked_blocks = memory_.store.parked_blocks;
  v.counters = memory_.store.counters;
  v.counters.refused += memory_.refused;
  return v;
}

}  // namespace egret::edge
