#include "cloud/verify.h"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>
#include <utility>

#include "cloud/block_reader.h"
#include "cloud/shared_kv.h"
#include "schemas/chain.h"
#include "schemas/record.h"

namespace egret::cloud {
namespace {

constexpr size_t kFindingsKept = 200;

class Verifier {
 public:
  explicit Verifier(const Kv& kv) : kv_(kv), shared_(dynamic_cast<const SharedKv*>(&kv)), reader_(kv) {}
  Result<Verdict> run(const VerifyProgress& progress);

 private:
  struct Step {
    Seq last;
    Hash c;
  };
  void wrong(Seq first, Seq last, std::string what) {
    verdict_.wrong++;
    if (verdict_.findings.size() < kFindingsKept) verdict_.findings.push_back({fac_, key_, first, last, std::move(what)});
  }
  void check_row(const LedgerRow& row);
  // What follows `at`: a block or a gap. nullopt: neither is there.
  std::optional<Step> follow(Seq at, const Hash& c);
  std::optional<Step> follow_block(const LeafRow& leaves, Seq last, const Hash& c);
  void check_records(const LeafRow& leaves, Seq last);
  void expect_naturals(const std::vector<StoredEntry>& block);
  void check_entry(const StoredEntry& entry, Seq seq, const Hash& leaf);
  void check_applied(const ReadRecord& record, Seq seq);
  void leads_here(const NaturalKey& key, Seq seq, const char* what);
  void check_tombstone(const Hash& tombstone, Seq seq);
  void nothing_above(const LedgerRow& row);
  Seq first_after(Seq at);
  void check_counters();
  void check_naturals();
  void check_natural(ByteView key, ByteView value);
  void check_strays(Space space, Bytes at, const std::set<std::pair<Facility, StreamKey>>& known);
  std::optional<GapRow> gap_after(Seq at);
  std::optional<std::pair<Seq, LeafRow>> leaves_after(Seq at);

  const Kv& kv_;
  const SharedKv* const shared_;  // null: nobody else writes
  BlockReader reader_;
  Verdict verdict_;
  Facility fac_;
  StreamKey key_;
  FacilityRow seen_;       // the counters of fac_, counted anew
  uint64_t applied_ = 0;   // over all facilities
  bool unreadable_ = false;  // something of fac_ could not be counted
  bool incomplete_ = false;  // something of any could not
  bool after_hole_ = false;  // nobody knows the c that the next block begins with
};

std::optional<std::pair<Seq, LeafRow>> Verifier::leaves_after(Seq at) {
  std::optional<std::pair<Seq, LeafRow>> found;
  Result<void> scanned = kv_.scan(kLeafSpace, numbered_key(fac_, key_, at.next()), after_prefix(stream_key(fac_, key_)), [&](ByteView key, ByteView value) {
    std::optional<NumberedName> name = numbered_of(key);
    Result<LeafRow> row = decode_leaves(value);
    if (name && row) found.emplace(name->seq, std::move(*row));
    return false;
  });
  if (!scanned) wrong(at.next(), at.next(), "leaves cannot be read: " + scanned.error().text);
  return found;
}

std::optional<GapRow> Verifier::gap_after(Seq at) {
  std::optional<GapRow> found;
  Bytes prefix = gap_key(fac_, key_, {});
  prefix.resize(prefix.size() - sizeof(uint64_t));
  Result<void> scanned = kv_.scan(kMetaSpace, gap_key(fac_, key_, at.next()), after_prefix(prefix), [&](ByteView key, ByteView value) {
    std::optional<NumberedName> name = numbered_of('g', key);
    Result<GapRow> row = name ? decode_gap(value, name->seq) : Result<GapRow>(Error{Errc::corrupt, "gap key"});
    if (row) found = *row;
    return false;
  });
  if (!scanned) wrong(at.next(), at.next(), "gap rows cannot be read: " + scanned.error().text);
  return found;
}

std::optional<Verifier::Step> Verifier::follow(Seq at, const Hash& c) {
  std::optional<GapRow> gap = gap_after(at);
  if (gap && gap->first == at.next()) {
    after_hole_ = false;
    verdict_.gap_records += span(at, gap->last);
    seen_.gap_records += span(at, gap->last);
    return Step{gap->last, gap->c_end};
  }
  std::optional<std::pair<Seq, LeafRow>> leaves = leaves_after(at);
  if (leaves && leaves->second.first == at.next()) return follow_block(leaves->second, leaves->first, c);
  return std::nullopt;
}

std::optional<Verifier::Step> Verifier::follow_block(const LeafRow& leaves, Seq last, const Hash& c) {
  Seq first = leaves.first;
  if (leaves.leaves.size() != span(first, last) + 1) {
    wrong(first, last, "the leaves are not as many as the numbers of their block");
    return std::nullopt;
  }
  Hash folded = chain_extend(c, first, static_cast<uint32_t>(leaves.leaves.size()), leaves.leaves);
  if (!std::exchange(after_hole_, false) && folded != leaves.c_end) wrong(first, last, "the chain breaks here: leaves, border or what stands before was changed");
  verdict_.blocks++;
  check_records(leaves, last);
  return Step{last, leaves.c_end};
}

void Verifier::check_records(const LeafRow& leaves, Seq last) {
  Result<std::vector<StoredEntry>> entries = reader_.block(fac_, key_, leaves.first);
  if (!entries) {
    unreadable_ = true;
    return wrong(leaves.first, last, "the block cannot be read: " + entries.error().text);
  }
  if (entries->size() != leaves.leaves.size()) return wrong(leaves.first, last, "the block holds another number of records than its leaves");
  if (shared_ != nullptr) expect_naturals(*entries);
  for (size_t i = 0; i < entries->size(); i++) check_entry((*entries)[i], leaves.first + i, leaves.leaves[i]);
}

// The natural keys that leads_here() will ask for, in one journey.
void Verifier::expect_naturals(const std::vector<StoredEntry>& block) {
  std::vector<Bytes> keys;
  for (const StoredEntry& entry : block) {
    const auto parts = entry.kind == EntryKind::applied ? split_record(entry.record) : Result<RecordView>(Error{});
    if (parts) keys.push_back(natural_key(fac_, {kind_in(parts->body), sha256(parts->body)}));
    if (entry.kind == EntryKind::expired) keys.push_back(natural_key(fac_, {Kind(entry.statement), entry.hash}));
  }
  shared_->expect(kNaturalSpace, keys);
}

void Verifier::check_entry(const StoredEntry& entry, Seq seq, const Hash& leaf) {
  verdict_.records++;
  const bool expired = entry.kind == EntryKind::expired;
  seen_.records += entry.kind == EntryKind::applied || entry.kind == EntryKind::erased || expired;
  seen_.duplicates += entry.kind == EntryKind::duplicate || entry.kind == EntryKind::deleted;
  seen_.quarantined += entry.kind == EntryKind::quarantined;
  applied_ += entry.kind == EntryKind::applied || expired;
  verdict_.quarantined += entry.kind == EntryKind::quarantined;
  Result<ReadRecord> record = reader_.whole(fac_, entry);
  if (!record) return wrong(seq, seq, std::string(name_of(entry.kind)) + ", but " + record.error().text);
  if (entry.kind == EntryKind::deleted || entry.kind == EntryKind::erased) return check_tombstone(entry.hash, seq);
  if (expired) return leads_here({Kind(entry.statement), entry.hash}, seq, "expired");
  if (record->gone) return;  // the record that this one repeats is not there any more
  if (leaf_of(record->record) != leaf) return wrong(seq, seq, "the record is not the one that was committed: its hash is not its leaf");
  if (entry.kind == EntryKind::applied) check_applied(*record, seq);
}

// Deleted means: a tombstone says why.
void Verifier::check_tombstone(const Hash& tombstone, Seq seq) {
  Result<std::optional<Bytes>> row = kv_.get(kMetaSpace, tombstone_key(tombstone));
  if (!row || !*row) wrong(seq, seq, "deleted, but no tombstone says why");
}

// Applied means: its natural key leads here.
void Verifier::check_applied(const ReadRecord& record, Seq seq) {
  Result<RecordView> parts = split_record(record.record);
  Result<CheckedBody> body = parts ? check_body(parts->body, fac_) : Result<CheckedBody>(parts.error());
  if (!body) return wrong(seq, seq, "applied, but its body breaks a rule");
  leads_here(body->key, seq, "applied");
}

void Verifier::leads_here(const NaturalKey& key, Seq seq, const char* what) {
  Result<std::optional<Bytes>> at = kv_.get(kNaturalSpace, natural_key(fac_, key));
  Result<Place> place = at && *at ? decode_place(**at) : Result<Place>(Error{Errc::not_found, "no natural key"});
  if (!place || place->key != key_ || place->seq != seq) wrong(seq, seq, std::string(what) + ", but its natural key does not lead to it");
}

void Verifier::nothing_above(const LedgerRow& row) {
  if (std::optional<GapRow> gap = gap_after(row.w)) wrong(gap->first, gap->last, "a gap row above W");
  if (auto leaves = leaves_after(row.w)) wrong(leaves->second.first, leaves->first, "a block above W: W was lowered, or the block was never acknowledged");
}

// Where the next block or gap begins; 0 when there is none.
Seq Verifier::first_after(Seq at) {
  std::optional<GapRow> gap = gap_after(at);
  auto leaves = leaves_after(at);
  Seq next = gap ? gap->first : Seq{};
  if (leaves && (next.value == 0 || leaves->second.first < next)) next = leaves->second.first;
  return next;
}

void Verifier::check_row(const LedgerRow& row) {
  Seq at;
  Hash c = chain_start(fac_, key_);
  while (at < row.w) {
    if (std::optional<Step> step = follow(at, c)) {
      at = step->last;
      c = step->c;
      continue;
    }
    unreadable_ = true;
    Seq next = first_after(at);
    bool goes_on = next > at.next() && next <= row.w;
    wrong(at.next(), goes_on ? Seq{next.value - 1} : row.w, "nothing is there: a block or a gap row is missing, or W was raised");
    if (!goes_on) return;
    // What follows the hole is proved from its own border on.
    at = {next.value - 1};
    c = Hash{};
    after_hole_ = true;
  }
  if (at != row.w || c != row.c) wrong(std::min(row.w, at), std::max(row.w, at), "the chain does not end in the ledger's (W, c)");
  if (row.safe > row.w) wrong(row.w.next(), row.safe, "S is above W: sites may delete what is not committed");
  nothing_above(row);
}

// What the facility's row counts is what is there.
void Verifier::check_counters() {
  FacilityRow seen = std::exchange(seen_, FacilityRow{});
  const bool unreadable = std::exchange(unreadable_, false);
  incomplete_ = incomplete_ || unreadable;
  if (fac_.empty() || unreadable) return;
  Result<std::optional<Bytes>> value = kv_.get(kMetaSpace, facility_key(fac_));
  Result<FacilityRow> row = value && *value ? decode_facility(**value) : value ? Result<FacilityRow>(FacilityRow{}) : Result<FacilityRow>(value.error());
  key_ = {};
  if (!row) return wrong({}, {}, "the facility's row cannot be read: " + row.error().text);
  auto counts = [](const FacilityRow& r) { return std::array<uint64_t, 4>{r.records, r.duplicates, r.quarantined, r.gap_records}; };
  if (counts(*row) != counts(seen)) {
    wrong({}, {}, fmt::format("its row counts {} records, duplicates, quarantined and numbers in gaps; there are {}", fmt::join(counts(*row), ", "), fmt::join(counts(seen), ", ")));
  }
}

// A natural key leads to an applied record. What is applied has led back already: only a key too many is left to find.
void Verifier::check_natural(ByteView key, ByteView value) {
  std::optional<NaturalName> name = natural_of(key);
  Result<Place> place = decode_place(value);
  fac_ = name ? name->fac : Facility();
  key_ = place ? place->key : StreamKey{};
  if (!name || !place) return wrong({}, {}, "a natural key cannot be read");
  Result<ReadRecord> record = reader_.at(fac_, *place);
  if (record && record->kind == EntryKind::expired && record->hash == name->key.content) return;
  Result<RecordView> parts = record && record->kind == EntryKind::applied ? split_record(record->record) : Result<RecordView>(Error{});
  if (!parts || sha256(parts->body) != name->key.content) wrong(place->seq, place->seq, "a natural key leads here, but its record is not applied here");
}

// Streams that have data but no row in the ledger. One look a stream.
void Verifier::check_strays(Space space, Bytes at, const std::set<std::pair<Facility, StreamKey>>& known) {
  const Bytes end = space == kMetaSpace ? after_prefix(table_prefix('g')) : Bytes(1, '\xff');
  for (bool found = true; found;) {
    found = false;
    Result<void> scanned = kv_.scan(space, at, end, [&](ByteView key, ByteView) {
      std::optional<NumberedName> name = space == kMetaSpace ? numbered_of('g', key) : numbered_of(key);
      found = true;
      at = Bytes(key) + '\0';
      if (!name) return false;
      fac_ = name->fac;
      key_ = name->key;
      if (!known.contains({fac_, key_})) wrong(name->seq, name->seq, "there is data, but no row in the ledger");
      at = after_prefix(Bytes(key.substr(0, key.size() - sizeof(uint64_t))));
      return false;
    });
    if (scanned) continue;
    if (verdict_.wrong == 0) wrong({}, {}, "a table cannot be read: " + scanned.error().text);
    return;
  }
}

// The digest, and that there is no natural key too many.
void Verifier::check_naturals() {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  const Bytes first(1, '\0'), end(1, '\xff');
  Result<void> scanned = kv_.scan(kNaturalSpace, first, end, [&](ByteView key, ByteView) {
    EVP_DigestUpdate(digest, key.data(), key.size());
    verdict_.digest_records++;
    return true;
  });
  EVP_DigestFinal_ex(digest, verdict_.digest.data(), nullptr);
  EVP_MD_CTX_free(digest);
  fac_.clear();
  key_ = {};
  if (!scanned) return wrong({}, {}, "the natural keys cannot be read: " + scanned.error().text);
  if (verdict_.digest_records <= applied_ || incomplete_) return;
  scanned = kv_.scan(kNaturalSpace, first, end, [&](ByteView key, ByteView value) {
    check_natural(key, value);
    return true;
  });
}

Result<Verdict> Verifier::run(const VerifyProgress& progress) {
  std::vector<std::pair<StreamName, LedgerRow>> rows;
  Bytes first = table_prefix('l');
  Result<void> scanned = kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
    std::optional<StreamName> name = stream_of('l', key);
    Result<LedgerRow> row = decode_ledger(value);
    if (name && row) {
      rows.emplace_back(*name, std::move(*row));
    } else {
      wrong({}, {}, "a row of the ledger cannot be read");
    }
    return true;
  });
  if (!scanned) wrong({}, {}, "the ledger cannot be read to its end: " + scanned.error().text);
  std::set<std::pair<Facility, StreamKey>> known;
  for (const auto& [name, row] : rows) {
    if (name.fac != fac_) {
      check_counters();
      verdict_.facilities++;
    }
    fac_ = name.fac;
    key_ = name.key;
    known.emplace(fac_, key_);
    check_row(row);
    verdict_.rows++;
    if (progress) progress(verdict_.rows, rows.size());
  }
  check_counters();
  check_strays(kLeafSpace, Bytes(1, '\0'), known);
  check_strays(kBlockSpace, Bytes(1, '\0'), known);
  check_strays(kMetaSpace, table_prefix('g'), known);
  check_naturals();
  return std::move(verdict_);
}

}  // namespace

Result<Verdict> verify(const Kv& kv, const VerifyProgress& progress) { return Verifier(kv).run(progress); }

std::string text_of(const Finding& f) {
  if (f.fac.empty()) return f.what;
  if (f.key.epoch.value == 0) return f.fac + ": " + f.what;
  std::string place = fmt::format("{} epoch {:016x} {}", f.fac, f.key.epoch.value, name_of(f.key.stream));
  if (f.first.value != 0 || f.last.value != 0) place += fmt::format(" {}-{}", f.first.value, f.last.value);
  return place + ": " + f.what;
}

}  // namespace egret::cloud
