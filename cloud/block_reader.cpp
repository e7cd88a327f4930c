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

Result<const BlockReader::Decoded*> BlockReader::load(const Facility& fac, StreamKey key,
                                                      Seq first) {
  if (fac != fac_) {
    recent_.clear();
    fac_ = fac;
  }
  const Name name{key, first};
  const auto it =
      std::ranges::find(recent_, name, [](const auto& r) -> const Name& { return r.first; });
  if (it != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, it);
    return &recent_.front().second;
  }
  const auto value = kv_.get(kBlockSpace, numbered_key(fac, key, first));
  if (!value) return value.error();
  if (!*value) return missing("the block", {key, first});
  recent_.emplace_front(name, Decoded{});
  Decoded& decoded = recent_.front().second;
  auto entries = decode_block(**value, decoded.raw);
  if (!entries) {
    recent_.pop_front();
    return std::move(entries).error();
  }
  decoded.entries = std::move(*entries);
  if (recent_.size() > kRecentBlocks) recent_.pop_back();
  return &decoded;
}

Result<StoredEntry> BlockReader::entry_at(const Facility& fac, const Place& place) {
  // Leaves are keyed by a block's last number: the first key from `seq` on is the block that holds
  // it.
  std::optional<Seq> first;
  bool damaged = false;
  const Bytes prefix = stream_key(fac, place.key);
  const auto scanned = kv_.scan(kLeafSpace, numbered_key(fac, place.key, place.seq),
                                after_prefix(prefix), [&](ByteView, ByteView value) {
                                  const auto row = decode_leaves(value);
                                  damaged = !row;
                                  if (row) first = row->first;
                                  return false;
                                });
  if (!scanned) return scanned.error();
  if (damaged)
    return Error{Errc::corrupt,
                 "cloud store: a row of the table \"leaves\" is not as it was written"};
  if (!first || first->value > place.seq.value) return missing("a record", place);
  const auto block = load(fac, place.key, *first);
  if (!block) return block.error();
  const uint64_t index = place.seq.value - first->value;
  if (index >= (*block)->entries.size()) return missing("a record", place);
  return (*block)->entries[index];
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
