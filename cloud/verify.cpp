#include "cloud/verify.h"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include "cloud/block_reader.h"
#include "schemas/chain.h"
#include "schemas/record.h"

namespace egret::cloud {
namespace {

constexpr size_t kFindingsKept = 200;

class Verifier {
 public:
  explicit Verifier(const Kv& kv) : kv_(kv), reader_(kv) {}
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
  void check_entry(const StoredEntry& entry, Seq seq, const Hash& leaf);
  void check_applied(const ReadRecord& record, Seq seq);
  void nothing_above(const LedgerRow& row);
  void check_naturals();
  std::optional<GapRow> gap_after(Seq at);
  std::optional<std::pair<Seq, LeafRow>> leaves_after(Seq at);

  const Kv& kv_;
  BlockReader reader_;
  Verdict verdict_;
  Facility fac_;
  StreamKey key_;
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
    verdict_.gap_records += span(at, gap->last);
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
  if (folded != leaves.c_end) wrong(first, last, "the chain breaks here: leaves, border or what stands before was changed");
  verdict_.blocks++;
  check_records(leaves, last);
  return Step{last, leaves.c_end};
}

void Verifier::check_records(const LeafRow& leaves, Seq last) {
  Result<std::vector<StoredEntry>> entries = reader_.block(fac_, key_, leaves.first);
  if (!entries) return wrong(leaves.first, last, "the block cannot be read: " + entries.error().text);
  if (entries->size() != leaves.leaves.size()) return wrong(leaves.first, last, "the block holds another number of records than its leaves");
  for (size_t i = 0; i < entries->size(); i++) check_entry((*entries)[i], leaves.first + i, leaves.leaves[i]);
}

void Verifier::check_entry(const StoredEntry& entry, Seq seq, const Hash& leaf) {
  verdict_.records++;
  Result<ReadRecord> record = reader_.whole(fac_, entry);
  if (!record) return wrong(seq, seq, std::string(name_of(entry.kind)) + ", but " + record.error().text);
  if (record->gone) return;
  if (leaf_of(record->record) != leaf) return wrong(seq, seq, "the record is not the one that was committed: its hash is not its leaf");
  if (entry.kind == EntryKind::quarantined) verdict_.quarantined++;
  if (entry.kind == EntryKind::applied) check_applied(*record, seq);
}

// Applied means: its natural key leads here.
void Verifier::check_applied(const ReadRecord& record, Seq seq) {
  Result<RecordView> parts = split_record(record.record);
  Result<CheckedBody> body = parts ? check_body(parts->body, fac_) : Result<CheckedBody>(parts.error());
  if (!body) return wrong(seq, seq, "applied, but its body breaks a rule");
  Result<std::optional<Bytes>> at = kv_.get(kNaturalSpace, natural_key(fac_, body->key));
  Result<Place> place = at && *at ? decode_place(**at) : Result<Place>(Error{Errc::not_found, "no natural key"});
  if (!place || place->key != key_ || place->seq != seq) wrong(seq, seq, "applied, but its natural key does not lead to it");
}

void Verifier::nothing_above(const LedgerRow& row) {
  if (std::optional<GapRow> gap = gap_after(row.w)) wrong(gap->first, gap->last, "a gap row above W");
  if (auto leaves = leaves_after(row.w)) wrong(leaves->second.first, leaves->first, "a block above W: W was lowered, or the block was never acknowledged");
}

void Verifier::check_row(const LedgerRow& row) {
  Seq at;
  Hash c = chain_start(fac_, key_);
  while (at < row.w) {
    std::optional<Step> step = follow(at, c);
    if (!step) {
      wrong(at.next(), row.w, "nothing is there: a block or a gap row is missing, or W was raised");
      return;
    }
    at = step->last;
    c = step->c;
  }
  if (at != row.w || c != row.c) wrong(row.w, at, "the chain does not end in the ledger's (W, c)");
  nothing_above(row);
}

// The digest, and that each natural key leads to an applied record.
void Verifier::check_naturals() {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  Result<void> scanned = kv_.scan(kNaturalSpace, Bytes(1, '\0'), Bytes(1, '\xff'), [&](ByteView key, ByteView) {
    EVP_DigestUpdate(digest, key.data(), key.size());
    verdict_.digest_records++;
    return true;
  });
  EVP_DigestFinal_ex(digest, verdict_.digest.data(), nullptr);
  EVP_MD_CTX_free(digest);
  fac_.clear();
  key_ = {};
  if (!scanned) wrong({}, {}, "the natural keys cannot be read: " + scanned.error().text);
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
  if (!scanned) return scanned.error();
  for (const auto& [name, row] : rows) {
    if (name.fac != fac_) verdict_.facilities++;
    fac_ = name.fac;
    key_ = name.key;
    check_row(row);
    verdict_.rows++;
    if (progress) progress(verdict_.rows, rows.size());
  }
  check_naturals();
  return std::move(verdict_);
}

}  // namespace

Result<Verdict> verify(const Kv& kv, const VerifyProgress& progress) { return Verifier(kv).run(progress); }

std::string text_of(const Finding& f) {
  if (f.fac.empty()) return f.what;
  std::string place = fmt::format("{} epoch {:016x} {}", f.fac, f.key.epoch.value, name_of(f.key.stream));
  if (f.first.value != 0 || f.last.value != 0) place += fmt::format(" {}-{}", f.first.value, f.last.value);
  return place + ": " + f.what;
}

}  // namespace egret::cloud
