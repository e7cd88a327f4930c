#include "cloud/txn_kv.h"

#include <algorithm>

#include "cloud/decoded.h"
#include "cloud/taken_away.h"
#include "schemas/chain.h"
#include "schemas/merge_rules.h"
#include "schemas/mutants.h"

namespace egret::cloud {
namespace {

Disposition disposition_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::applied:
      return Disposition::applied;
    case EntryKind::duplicate:
      return Disposition::duplicate;
    case EntryKind::quarantined:
      return Disposition::quarantined;
    case EntryKind::deleted:
    case EntryKind::erased:
    case EntryKind::expired:
      break;
  }
  return Disposition::deleted;
}

}  // namespace

KvTxn::~KvTxn() {
  if (shared_ != nullptr) shared_->end();
}

void KvTxn::savepoint() {
  overlay_.savepoint();
  had_tombstones_ = has_tombstones_;
  had_failure_ = failure_;
}

void KvTxn::rollback_to_savepoint() {
  overlay_.rollback_to_savepoint();
  has_tombstones_ = had_tombstones_;
  failure_ = had_failure_;
}

template <class Row>
Result<std::optional<Row>> KvTxn::read(ByteView key, Result<Row> (*decode)(ByteView)) const {
  auto value = overlay_.get(kMetaSpace, key);
  if (!value) return std::move(value).error();
  if (!*value) return std::optional<Row>();
  auto row = decode(**value);
  if (!row) return std::move(row).error();
  return std::optional<Row>(std::move(*row));
}

// ---- who may speak ----

Result<std::optional<Registration>> KvTxn::registration(const Facility& fac) {
  return read(registration_key(fac), decode_registration);
}

void KvTxn::put(const Facility& fac, const Registration& row) {
  overlay_.put(kMetaSpace, registration_key(fac), encode(row));
}

Result<std::optional<SessionRow>> KvTxn::session(const Facility& fac, const SessionId& sid) {
  return read(session_key(fac, sid), decode_session);
}

void KvTxn::put(const Facility& fac, const SessionId& sid, const SessionRow& row) {
  overlay_.put(kMetaSpace, session_key(fac, sid), encode(row));
}

Result<std::vector<std::pair<SessionId, SessionRow>>> KvTxn::sessions(const Facility& fac) {
  const Bytes prefix = table_prefix('s', fac);
  using Named = std::pair<SessionId, SessionRow>;
  return decoded(overlay_, kMetaSpace, prefix, {}, [&](ByteView key, ByteView value) -> Result<Named> {
    auto row = decode_session(value);
    if (!row) return row.error();
    if (key.size() != prefix.size() + sizeof(SessionId)) return Error{Errc::corrupt, "cloud store: a session's key has another length"};
    return Named{take<sizeof(SessionId)>(key.substr(prefix.size())), std::move(*row)};
  });
}

void KvTxn::drop_session(const Facility& fac, const SessionId& sid) {
  overlay_.erase(kMetaSpace, session_key(fac, sid));
}

Result<std::optional<FacilityRow>> KvTxn::facility(const Facility& fac) {
  return read(facility_key(fac), decode_facility);
}

void KvTxn::put(const Facility& fac, const FacilityRow& row) {
  overlay_.put(kMetaSpace, facility_key(fac), encode(row));
}

// ---- the ledger ----

Result<std::optional<LedgerRow>> KvTxn::row(const Facility& fac, StreamKey key) {
  return read(ledger_key(fac, key), decode_ledger);
}

Result<std::vector<std::pair<StreamKey, LedgerRow>>> KvTxn::rows(const Facility& fac) {
  using Named = std::pair<StreamKey, LedgerRow>;
  return decoded(overlay_, kMetaSpace, table_prefix('l', fac), {}, [](ByteView key, ByteView value) -> Result<Named> {
    const auto name = stream_of('l', key);
    auto row = decode_ledger(value);
    if (!row) return row.error();
    if (!name) return Error{Errc::corrupt, "cloud store: a ledger row's key has another form"};
    return Named{name->key, std::move(*row)};
  });
}

void KvTxn::put(const Facility& fac, StreamKey key, const LedgerRow& after) {
  auto stored = row(fac, key);
  if (!stored) return failed(std::move(stored).error());
  EGRET_INVARIANT(*stored && (*stored)->w == after.w && (*stored)->c == after.c,
                  "W and c of a ledger row move by advance() alone");
  overlay_.put(kMetaSpace, ledger_key(fac, key), encode(after));
}

Result<bool> KvTxn::advance(const Facility& fac, StreamKey key, Seq w_before, const Hash& c_before,
                            const LedgerRow& after) {
  auto stored = row(fac, key);
  if (!stored) return std::move(stored).error();
  const Seq w = *stored ? (*stored)->w : Seq{};
  const Hash c = *stored ? (*stored)->c : chain_start(fac, key);
  if (w != w_before || c != c_before) return false;
  EGRET_INVARIANT(after.w >= w, "a watermark never falls inside a store");
  overlay_.put(kMetaSpace, ledger_key(fac, key), encode(after));
  return true;
}

// ---- data ----

Result<std::optional<Hash>> KvTxn::tombstone(ByteView natural) const {
  if (!has_tombstones_) return std::optional<Hash>();
  const Hash hmac = hmac_sha256(view(store_key_), natural);
  const auto row = overlay_.get(kMetaSpace, tombstone_key(hmac));
  if (!row) return row.error();
  return *row ? std::optional<Hash>(hmac) : std::nullopt;
}

Result<StoredEntry> KvTxn::quarantine(const Facility& fac, const Place& place,
                                      const JudgedRecord& record, WallTime now) {
  const Hash hash = sha256(record.record);
  const QuarantineRow row{record.quarantine, record.detail, place, now, Bytes(record.record)};
  Bytes key = quarantine_key(fac, hash);
  auto below = overlay_.below(kMetaSpace, key);
  if (!below) return below.error();
  overlay_.get_or_put(kMetaSpace, std::move(key), encode(row), std::move(*below));
  return StoredEntry{EntryKind::quarantined, {}, {}, {}, hash};
}

// The mutant dedup_by_time: only what came in the last two minutes is known as a duplicate.
bool KvTxn::committed_lately(const Facility& fac, const Place& place, WallTime now) {
  constexpr int64_t kWindowUs = 120'000'000;
  const auto of = row(fac, place.key);
  if (!of || !*of) return true;
  return std::ranges::none_of((*of)->marks, [&](const LedgerRow::Mark& mark) {
    return mark.w >= place.seq && now.us - mark.at.us > kWindowUs;
  });
}

Result<StoredEntry> KvTxn::judge(const Facility& fac, const Place& place,
                                 const JudgedRecord& record, Known known, WallTime now) {
  if (record.quarantine != QuarantineReason::none) return quarantine(fac, place, record, now);
  const auto dead = tombstone(known.natural);
  if (!dead) return dead.error();
  if (*dead) return StoredEntry{EntryKind::deleted, {}, {}, {}, **dead};
  if (!known.at) return known.at.error();
  const auto at = overlay_.get_or_put(kNaturalSpace, std::move(known.natural), encode_place(place),
                                      std::move(*known.at));
  if (!at) return StoredEntry{EntryKind::applied, record.record, {}, {}, {}};
  const auto parts = split_record(record.record);
  if (!parts) return parts.error();
  const auto body_at = decode_place(*at);
  if (!body_at) return body_at.error();
  const bool anew = mutant(Mutant::dedup_by_time) && !committed_lately(fac, *body_at, now);
  if (anew || off(Rule::same_version_elsewhere)) {
    overlay_.put(kNaturalSpace, natural_key(fac, record.key), encode_place(place));
    return StoredEntry{EntryKind::applied, record.record, {}, {}, {}};
  }
  return StoredEntry{EntryKind::duplicate, {}, *body_at, parts->arrival, {}};
}

std::vector<KvTxn::Known> KvTxn::names_in(const Facility& fac, const JudgedBlock& block) const {
  std::vector<Known> out(block.records.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (block.records[i].quarantine == QuarantineReason::none)
      out[i].natural = natural_key(fac, block.records[i].key);
  }
  return out;
}

void KvTxn::look_up(std::vector<Known>& block) const {
  for (Known& known : block) {
    if (!known.natural.empty()) known.at = overlay_.below(kNaturalSpace, known.natural);
  }
}

// Of a store that is a journey away: everything that the look-ups will ask, at once.
Result<void> KvTxn::expect(const std::vector<std::vector<Known>>& blocks) {
  if (!sought_tombstones_) {
    has_tombstones_ = false;
    auto any = overlay_.scan(kMetaSpace, table_prefix('t'), {}, [&](ByteView, ByteView) {
      return !(has_tombstones_ = true);
    });
    if (!any) return any;
    sought_tombstones_ = true;
  }
  std::vector<Bytes> naturals, tombstones;
  for (const auto& block : blocks) {
    for (const Known& known : block) {
      if (known.natural.empty()) continue;
      naturals.push_back(known.natural);
      if (has_tombstones_) tombstones.push_back(tombstone_key(hmac_sha256(view(store_key_), known.natural)));
    }
  }
  supposes_new_ ? shared_->expect_new(kNaturalSpace, naturals) : shared_->expect(kNaturalSpace, naturals);
  shared_->expect(kMetaSpace, tombstones);
  return {};
}

Result<BlockWriter> KvTxn::judge(const Facility& fac, StreamKey key, const JudgedBlock& block,
                                 std::vector<Known> known, WallTime now,
                                 std::vector<Disposition>& out) {
  EGRET_INVARIANT(!block.records.empty() && block.records.size() == block.leaves.size(),
                  "a block has one leaf a record");
  size_t bytes = 0;
  for (const JudgedRecord& record : block.records) bytes += record.record.size() + 8;
  BlockWriter writer(bytes);
  for (size_t i = 0; i < block.records.size(); ++i) {
    const auto entry =
        judge(fac, {key, block.first + i}, block.records[i], std::move(known[i]), now);
    if (!entry) return entry.error();
    writer.add(*entry);
    out.push_back(disposition_of(entry->kind));
  }
  return writer;
}

// Judging looks at what came before it and goes in order; looking up and packing do not.
Result<std::vector<Disposition>> KvTxn::add_blocks(const Facility& fac, StreamKey key,
                                                   std::span<const JudgedBlock> blocks,
                                                   WallTime now) {
  std::vector<std::vector<Known>> known(blocks.size());
  each_(blocks.size(), [&](size_t i) {
    known[i] = names_in(fac, blocks[i]);
    if (shared_ == nullptr) look_up(known[i]);
  });
  if (shared_ != nullptr) {
    if (auto ready = expect(known); !ready) return std::move(ready).error();
    for (auto& block : known) look_up(block);
  }
  std::vector<Disposition> out;
  std::vector<BlockWriter> writers;
  writers.reserve(blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    auto writer = judge(fac, key, blocks[i], std::move(known[i]), now, out);
    if (!writer) return writer.error();
    writers.push_back(std::move(*writer));
  }
  std::vector<Bytes> packed(blocks.size());
  each_(blocks.size(), [&](size_t i) { packed[i] = writers[i].finish(); });
  std::vector<Bytes> names;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const JudgedBlock& block = blocks[i];
    const Seq last = block.first + (block.records.size() - 1);
    names.push_back(numbered_key(fac, key, block.first));
    overlay_.put(kBlockSpace, names.back(), std::move(packed[i]));
    overlay_.put(kLeafSpace, numbered_key(fac, key, last),
                 encode_leaves(block.first, block.c_end, block.leaves));
  }
  if (auto fed = add_to_feed(std::move(names)); !fed) return std::move(fed).error();
  return out;
}

// The number is read and written in the transaction, so the feed has one order whoever commits. Where others commit too
// everybody would wait for that one number: there the blocks get theirs later (feed.h).
Result<void> KvTxn::add_to_feed(std::vector<Bytes> blocks) {
  if (blocks.empty()) return {};
  if (shared_ != nullptr) {
    for (const Bytes& block : blocks) overlay_.put(kMetaSpace, arrived_key(block), {});
    return {};
  }
  const auto stored = overlay_.get(kMetaSpace, feed_number_key());
  if (!stored) return stored.error();
  uint64_t number = *stored ? get_u64(**stored, 0) : 0;
  for (Bytes& block : blocks) overlay_.put(kFeedSpace, feed_key(++number), std::move(block));
  overlay_.put(kMetaSpace, feed_number_key(), feed_key(number));
  return {};
}

void KvTxn::add_gap(const Facility& fac, StreamKey key, const GapRow& gap) {
  overlay_.put(kMetaSpace, gap_key(fac, key, gap.last), encode(gap));
}

Result<std::vector<GapRow>> KvTxn::gaps(const Facility& fac, StreamKey key, Seq after,
                                        size_t limit) {
  if (limit == 0) return std::vector<GapRow>();
  Bytes prefix = gap_key(fac, key, {});
  prefix.resize(prefix.size() - sizeof(uint64_t));
  const auto decode = [](ByteView at, ByteView value) { return decode_gap(value, {get_u64(at, at.size() - sizeof(uint64_t))}); };
  return decoded(overlay_, kMetaSpace, prefix, gap_key(fac, key, after.next()), decode, limit);
}

Result<std::optional<Hash>> KvTxn::c_at(const Facility& fac, StreamKey key, Seq at) {
  if (at.value == 0) return std::optional<Hash>(chain_start(fac, key));
  const auto leaves = overlay_.get(kLeafSpace, numbered_key(fac, key, at));
  if (!leaves) return leaves.error();
  if (*leaves) {
    const auto row = decode_leaves(**leaves);
    if (!row) return row.error();
    return std::optional<Hash>(row->c_end);
  }
  const auto gap = overlay_.get(kMetaSpace, gap_key(fac, key, at));
  if (!gap) return gap.error();
  if (!*gap) return std::optional<Hash>();
  const auto row = decode_gap(**gap, at);
  if (!row) return row.error();
  return std::optional<Hash>(row->c_end);
}

// ---- incidents ----

Result<std::vector<Incident>> KvTxn::incidents(const Facility& fac, bool open_only) {
  Bytes prefix = table_prefix('i', fac);
  if (open_only) prefix.push_back(0);
  auto out = decoded(overlay_, kMetaSpace, prefix, {}, [](ByteView, ByteView value) { return decode_incident(value); });
  if (out) std::ranges::sort(*out, {}, &Incident::id);
  return out;
}

Result<uint64_t> KvTxn::next_incident() {
  const auto stored = overlay_.get(kMetaSpace, incident_number_key());
  if (!stored) return stored.error();
  const uint64_t id = (*stored ? get_u64(**stored, 0) : 0) + 1;
  Bytes value;
  put_u64(value, id);
  overlay_.put(kMetaSpace, incident_number_key(), std::move(value));
  return id;
}

void KvTxn::put(const Facility& fac, const Incident& incident) {
  Incident row = incident;
  const bool closed = row.closed.us != 0;
  if (row.id == 0) {
    const auto id = next_incident();
    if (!id) return failed(id.error());
    row.id = *id;
  } else {
    overlay_.erase(kMetaSpace, incident_key(fac, !closed, row.id));
  }
  overlay_.put(kMetaSpace, incident_key(fac, closed, row.id), encode(row));
}

// ---- deleting ----

Result<void> KvTxn::erase(const Facility& fac, const NaturalKey& key, const std::string& reason) {
  Bytes natural = natural_key(fac, key);
  const Hash hmac = hmac_sha256(view(store_key_), natural);
  const auto at = overlay_.get(kNaturalSpace, natural);
  if (!at) return at.error();
  if (*at) {
    const auto place = decode_place(**at);
    if (!place) return place.error();
    if (auto erased = erase_entry(fac, *place, hmac); !erased) return erased;
    overlay_.erase(kNaturalSpace, std::move(natural));
  }
  const auto times = overlay_.get(kMetaSpace, taken_away_key());
  if (!times) return times.error();
  overlay_.put(kMetaSpace, taken_away_key(), once_more(*times));
  overlay_.put(kMetaSpace, tombstone_key(hmac), reason);
  has_tombstones_ = true;
  return {};
}

namespace {

Error lost_record() {
  return {Errc::corrupt,
          "cloud store: a natural key names a record that is not there; run `egret-cloud verify`"};
}

}  // namespace

// Writes the block anew without the record's bytes. Leaves stay: they prove what was there.
Result<void> KvTxn::erase_entry(const Facility& fac, const Place& place, const Hash& tombstone) {
  std::optional<Seq> first;
  auto scanned =
      overlay_.scan(kLeafSpace, stream_key(fac, place.key), numbered_key(fac, place.key, place.seq),
                    [&](ByteView, ByteView value) {
                      if (auto row = decode_leaves(value)) first = row->first;
                      return false;
                    });
  if (!scanned) return scanned;
  if (!first || *first > place.seq) return lost_record();
  const uint64_t index = span(*first, place.seq);
  auto rewritten = rewrite(fac, place.key, *first, [&](std::vector<StoredEntry>& entries) {
    if (index < entries.size()) entries[index] = {EntryKind::erased, {}, {}, {}, tombstone};
    return index < entries.size();
  });
  if (!rewritten) return rewritten;
  // Who follows the feed hears of it.
  return add_to_feed({numbered_key(fac, place.key, *first)});
}

Result<void> KvTxn::rewrite(const Facility& fac, StreamKey key, Seq first,
                            const std::function<bool(std::vector<StoredEntry>&)>& change) {
  Bytes name = numbered_key(fac, key, first);
  const auto stored = overlay_.get(kBlockSpace, name);
  if (!stored) return stored.error();
  if (!*stored) return lost_record();
  Bytes raw;
  auto entries = decode_block(**stored, raw);
  if (!entries) return std::move(entries).error();
  if (!change(*entries)) return lost_record();
  BlockWriter block(raw.size());
  for (const StoredEntry& entry : *entries) block.add(entry);
  overlay_.put(kBlockSpace, std::move(name), block.finish());
  return {};
}

// Nobody is told: views and feeds have had these records for as long as they were kept.
Result<void> KvTxn::expire(const Facility& fac, StreamKey key, Seq first,
                           std::span<const size_t> records, std::span<const KeptRow> kept) {
  auto rewritten = rewrite(fac, key, first, [&](std::vector<StoredEntry>& entries) {
    for (size_t i : records) {
      if (i >= entries.size() || entries[i].kind != EntryKind::applied) return false;
      const auto parts = split_record(entries[i].record);
      if (!parts) return false;
      const Kind kind = kind_in(parts->body);
      entries[i] = {EntryKind::expired, {}, {}, {}, sha256(parts->body), static_cast<uint8_t>(kind), day_of(entries[i].record)};
    }
    return true;
  });
  if (!rewritten) return rewritten;
  for (const KeptRow& row : kept) overlay_.put(kMetaSpace, row.key, row.value);
  return {};
}

}  // namespace egret::cloud
