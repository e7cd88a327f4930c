#include "cloud/block_reader.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "schemas/record.h"

namespace egret::cloud {
namespace {

constexpr size_t kRecentBlocks = 64;  // about 4 MiB

Error missing(const char* what, const Place& at) {
  return {Errc::not_found, fmt::format("{} (epoch {:016x}, stream {}, seq {}) is not there", what,
                                       at.key.epoch.value, name_of(at.key.stream), at.seq.value)};
}

}  // namespace

Result<std::vector<StoredEntry>> BlockReader::block(const Facility& fac, StreamKey key, Seq first) {
  const auto value = kv_.get(kBlockSpace, numbered_key(fac, key, first));
  if (!value) return value.error();
  if (!*value) return missing("the block", {key, first});
  return decode_block(**value, raw_);
}

// The block that holds a place, if one does: the last one that begins there or before.
Result<BlockReader::Recent*> BlockReader::find(const Facility& fac, const Place& place) {
  if (fac != fac_) {
    recent_.clear();
    fac_ = fac;
  }
  const auto known = std::ranges::find_if(recent_, [&](const Recent& r) {
    return r.key == place.key && r.first <= place.seq && place.seq.value - r.first.value < r.pages.records();
  });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
    return &recent_.front();
  }
  std::optional<Result<BlockPages>> opened;
  Seq first;
  const auto scanned = kv_.scan_back(kBlockSpace, stream_key(fac, place.key), numbered_key(fac, place.key, place.seq.next()),
                                     [&](ByteView key, ByteView value) {
                                       first.value = get_u64(key, key.size() - sizeof(uint64_t));
                                       opened = BlockPages::open(Bytes(value));
                                       return false;
                                     });
  if (!scanned) return scanned.error();
  if (!opened) return missing("a record", place);
  if (!*opened) return std::move(*opened).error();
  recent_.push_front({place.key, first, std::move(**opened)});
  if (recent_.size() > kRecentBlocks) recent_.pop_back();
  return &recent_.front();
}

Result<StoredEntry> BlockReader::entry_at(const Facility& fac, const Place& place) {
  const auto found = find(fac, place);
  if (!found) return found.error();
  Recent& block = **found;
  const uint64_t index = place.seq.value - block.first.value;
  if (index >= block.pages.records()) return missing("a record", place);
  return block.pages.at(index);
}

Result<ReadRecord> BlockReader::at(const Facility& fac, const Place& place) {
  const auto entry = entry_at(fac, place);
  if (!entry) return entry.error();
  return whole(fac, *entry);
}

Result<ReadRecord> BlockReader::whole(const Facility& fac, const StoredEntry& entry) {
  ReadRecord out{entry.kind, {}, false, entry.body_at, entry.hash};
  switch (entry.kind) {
    case EntryKind::applied:
      out.record = entry.record;
      return out;
    case EntryKind::deleted:
    case EntryKind::erased:
    case EntryKind::expired:
      out.gone = true;
      return out;
    case EntryKind::quarantined: {
      const auto value = kv_.get(kMetaSpace, quarantine_key(fac, entry.hash));
      if (!value) return value.error();
      if (!*value) return Error{Errc::not_found, "its row of the quarantine is not there"};
      auto row = decode_quarantine(**value);
      if (!row) return std::move(row).error();
      out.record = std::move(row->record);
      return out;
    }
    case EntryKind::duplicate:
      break;
  }
  const auto original = entry_at(fac, entry.body_at);
  if (!original) return original.error();
  if (original->kind == EntryKind::erased || original->kind == EntryKind::expired) {
    out.gone = true;
    return out;
  }
  if (original->kind != EntryKind::applied)
    return missing("the record that a duplicate points to, applied,", entry.body_at);
  const auto parts = split_record(original->record);
  if (!parts) return parts.error();
  auto record = join_record(parts->body, entry.arrival);
  if (!record) return std::move(record).error();
  out.record = std::move(*record);
  return out;
}

}  // namespace egret::cloud
