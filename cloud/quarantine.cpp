#include "cloud/quarantine.h"

#include <algorithm>
#include <map>

#include "cloud/block_reader.h"
#include "cloud/patients.h"
#include "cloud/shared_kv.h"
#include "schemas/chain.h"
#include "schemas/record.h"
#include "schemas/seal.h"

namespace egret::cloud {
namespace {

// A record that can be taken now.
struct Good {
  NaturalKey key;
  Hash quarantined{};  // its id there
  Bytes record;
  size_t index = 0;    // in what was looked at
};

Reread::Becomes becomes(EntryKind kind) {
  switch (kind) {
    case EntryKind::applied: return Reread::Becomes::applied;
    case EntryKind::duplicate: return Reread::Becomes::duplicate;
    case EntryKind::deleted: return Reread::Becomes::deleted;
    default: return Reread::Becomes::refused;
  }
}

class Retry {
 public:
  Retry(const Kv& kv, Facility fac) : kv_(kv), fac_(std::move(fac)) {}

  Result<RereadAll> reread(const std::string& id) {
    if (auto found = find(id); !found) return std::move(found).error();
    if (auto placed = place_all(); !placed) return std::move(placed).error();
    return RereadAll{std::move(records_), out_.more};
  }
  Result<Retried> run(Kv& kv, const std::string& id) {
    if (auto found = find(id); !found) return std::move(found).error();
    if (good_.empty()) return out_;
    if (auto placed = place_all(); !placed) return std::move(placed).error();
    if (auto counted = count(); !counted) return std::move(counted).error();
    write_blocks();
    if (auto fed = feed(); !fed) return std::move(fed).error();
    if (auto written = kv.write(batch_, true); !written) return std::move(written).error();
    return out_;
  }

 private:
  struct Block {
    Bytes raw;
    std::vector<StoredEntry> entries;
  };

  Result<void> find(const std::string& id) {
    std::optional<Error> damaged;
    const Bytes first = table_prefix('q', fac_);
    auto scanned = kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
      const ByteView name = key.substr(first.size());
      if (name.size() != sizeof(Hash) || !hex(name).starts_with(id)) return true;
      auto row = decode_quarantine(value);
      if (!row) damaged = row.error();
      out_.more = out_.looked_at == kRetriesAtOnce;
      if (!row || out_.more) return false;
      ++out_.looked_at;
      look_at(take<sizeof(Hash)>(name), std::move(*row));
      return true;
    });
    if (!scanned) return scanned;
    if (damaged) return std::move(*damaged);
    return {};
  }

  void look_at(const Hash& id, QuarantineRow row) {
    records_.push_back({id, row.reason, std::move(row.detail), {}, row.place, row.at, Reread::Becomes::refused, {}, row.record});
    Reread& read = records_.back();
    const auto parts = split_record(row.record);
    const auto body = parts ? check_body(parts->body, fac_) : Result<CheckedBody>(parts.error());
    const auto arrival = parts ? check_arrival(parts->arrival) : Result<void>();
    if (!body || !arrival) {
      read.now = body ? arrival.error().text : body.error().text;
      return;
    }
    read.key = body->key;
    const Hash leaf = leaf_of(row.record);
    good_.emplace(leaf, Good{body->key, id, std::move(row.record), records_.size() - 1});
  }

  // Wherever one of them came: its leaf says so.
  Result<void> place_all() {
    if (good_.empty()) return {};
    std::optional<Error> failed;
    Bytes first = fac_;
    first.push_back('\0');
    auto scanned = kv_.scan(kLeafSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
      const auto name = numbered_of(key);
      const auto row = decode_leaves(value);
      if (!name || !row) failed = Error{Errc::corrupt, "cloud store: leaves cannot be read; run `egret-cloud verify`"};
      for (size_t i = 0; !failed && i < row->leaves.size(); i++) {
        const auto good = good_.find(row->leaves[i]);
        if (good == good_.end()) continue;
        if (auto put = put_in(good->second, {name->key, row->first + i}, row->first); !put) failed = put.error();
      }
      return !failed;
    });
    if (!scanned) return scanned;
    if (failed) return std::move(*failed);
    return {};
  }

  Result<Block*> block(const Place& place, Seq first) {
    auto [at, fresh] = blocks_.try_emplace({place.key, first});
    if (!fresh) return &at->second;
    const auto stored = kv_.get(kBlockSpace, numbered_key(fac_, place.key, first));
    if (!stored) return stored.error();
    if (!*stored) return Error{Errc::corrupt, "cloud store: a block is not there; run `egret-cloud verify`"};
    auto entries = decode_block(**stored, at->second.raw);
    if (!entries) return std::move(entries).error();
    at->second.entries = std::move(*entries);
    return &at->second;
  }

  Result<void> put_in(const Good& good, const Place& place, Seq first) {
    const auto in = block(place, first);
    if (!in) return in.error();
    const uint64_t index = place.seq.value - first.value;
    if (index >= (*in)->entries.size()) return Error{Errc::corrupt, "cloud store: a block is shorter than its leaves; run `egret-cloud verify`"};
    StoredEntry& entry = (*in)->entries[index];
    if (entry.kind != EntryKind::quarantined || entry.hash != good.quarantined) return {};
    const auto judged = judge(good, place);
    if (!judged) return judged.error();
    entry = *judged;
    // What it is where it came first; further copies are duplicates of that.
    Reread& read = records_[good.index];
    if (read.becomes == Reread::Becomes::refused) read.becomes = becomes(entry.kind);
    out_.applied += entry.kind == EntryKind::applied;
    out_.duplicates += entry.kind == EntryKind::duplicate;
    out_.deleted += entry.kind == EntryKind::deleted;
    batch_.erase(kMetaSpace, quarantine_key(fac_, good.quarantined));
    return {};
  }

  // As KvTxn judges a record that comes in.
  Result<StoredEntry> judge(const Good& good, const Place& place) {
    const Bytes natural = natural_key(fac_, good.key);
    const auto key = patient_key(kv_);
    if (!key) return key.error();
    const Hash hmac = hmac_sha256(view(*key), natural);
    const auto tombstone = kv_.get(kMetaSpace, tombstone_key(hmac));
    if (!tombstone) return tombstone.error();
    if (*tombstone) return StoredEntry{EntryKind::deleted, {}, {}, {}, hmac};
    const auto stored = kv_.get(kNaturalSpace, natural);
    if (!stored) return stored.error();
    const auto parts = split_record(good.record);
    if (*stored) {
      const auto at = decode_place(**stored);
      if (!at) return at.error();
      return StoredEntry{EntryKind::duplicate, {}, *at, parts->arrival, {}};
    }
    const auto [first, fresh] = applied_.emplace(good.key, place);
    if (!fresh) return StoredEntry{EntryKind::duplicate, {}, first->second, parts->arrival, {}};
    batch_.put(kNaturalSpace, natural, encode_place(place));
    return StoredEntry{EntryKind::applied, good.record, {}, {}, {}};
  }

  Result<void> count() {
    const auto stored = kv_.get(kMetaSpace, facility_key(fac_));
    if (!stored) return stored.error();
    auto row = *stored ? decode_facility(**stored) : Result<FacilityRow>(FacilityRow{});
    if (!row) return std::move(row).error();
    row->records += out_.applied;
    row->duplicates += out_.duplicates + out_.deleted;
    row->quarantined -= std::min(row->quarantined, out_.applied + out_.duplicates + out_.deleted);
    batch_.put(kMetaSpace, facility_key(fac_), encode(*row));
    return {};
  }

  void write_blocks() {
    for (const auto& [name, block] : blocks_) {
      BlockWriter writer(block.raw.size());
      for (const StoredEntry& entry : block.entries) writer.add(entry);
      batch_.put(kBlockSpace, numbered_key(fac_, name.first, name.second), writer.finish());
    }
  }

  // The views take these blocks in once more.
  Result<void> feed() {
    const auto stored = kv_.get(kMetaSpace, feed_number_key());
    if (!stored) return stored.error();
    uint64_t number = *stored ? get_u64(**stored, 0) : 0;
    for (const auto& [name, block] : blocks_) batch_.put(kFeedSpace, feed_key(++number), numbered_key(fac_, name.first, name.second));
    batch_.put(kMetaSpace, feed_number_key(), feed_key(number));
    return {};
  }

  const Kv& kv_;
  const Facility fac_;
  Retried out_;
  std::vector<Reread> records_;
  std::map<Hash, Good> good_;  // by leaf
  std::map<NaturalKey, Place> applied_;
  std::map<std::pair<StreamKey, Seq>, Block> blocks_;
  KvBatch batch_;
};

}  // namespace

const char* name_of(Reread::Becomes becomes) {
  switch (becomes) {
    case Reread::Becomes::refused: return "refused";
    case Reread::Becomes::applied: return "applied";
    case Reread::Becomes::duplicate: return "duplicate";
    case Reread::Becomes::deleted: return "deleted";
  }
  return "unknown";
}

Result<RereadAll> reread_quarantined(const Kv& kv, const Facility& fac, const std::string& id) {
  return Retry(kv, fac).reread(id);
}

Result<Retried> retry_quarantined(Kv& kv, const Facility& fac, const std::string& id) {
  const AtOnce at_once(kv);  // of what others write meanwhile nothing is written over
  return Retry(kv, fac).run(kv, id);
}

}  // namespace egret::cloud
