#include "cloud/verify_views.h"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>

#include "cloud/fhir/shelf.h"
#include "cloud/follower.h"
#include "cloud/result_index.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// A set of rows, whatever their order: the sum of their hashes.
class Sum {
 public:
  void add(ByteView key, ByteView value) {
    Bytes row;
    put_u64(row, key.size());
    row.append(key).append(value);
    const Hash hash = sha256(row);
    for (size_t i = 0; i < parts_.size(); i++) parts_[i] += get_u64(view(hash), 8 * i);
    ++count_;
  }
  bool operator==(const Sum&) const = default;

 private:
  std::array<uint64_t, 4> parts_{};
  uint64_t count_ = 0;
};

// Where nothing is stored yet: what is made on top of it is made from the records alone.
class Nothing final : public Kv {
 public:
  Result<void> write(const KvBatch&, bool) override { return Error{Errc::store_failed, "nothing is written here"}; }
  Result<std::optional<Bytes>> get(Space, ByteView) const override { return std::optional<Bytes>(); }
  Result<void> scan(Space, ByteView, ByteView, const Visit&) const override { return {}; }
  Result<void> scan_back(Space, ByteView, ByteView, const Visit&) const override { return {}; }
  uint64_t disk_bytes() const override { return 0; }
  void reclaim(Space, ByteView, ByteView) override {}
};

// What an alert is opened by depends on the steps; that it is there does not.
ByteView value_of(ByteView key, ByteView value) {
  return key[0] == 'a' ? ByteView() : value;
}

Bytes statement_row(const ResultName& name, const PlacedStatement& s) {
  ResultRow row;
  row.statements.push_back(s);
  return result_key(name) + encode(row);
}

class Comparer {
 public:
  explicit Comparer(const Kv& kv) : kv_(kv), reader_(kv), models_(nothing_), gauges_(nothing_), volumes_(nothing_) {}

  Result<ViewsVerdict> run() {
    const auto behind = Follower::behind(kv_);
    if (!behind) return behind.error();
    out_.behind = *behind;
    if (!out_.compared()) return std::move(out_);
    const auto key = patient_key(kv_);
    if (!key) return key.error();
    store_key_ = *key;
    if (auto read = read_blocks(); !read) return std::move(read).error();
    if (auto read = read_rows(); !read) return std::move(read).error();
    if (auto read = read_derived(); !read) return std::move(read).error();
    compare();
    return std::move(out_);
  }

 private:
  Result<void> read_blocks() {
    std::optional<Error> failed;
    auto scanned = kv_.scan(kBlockSpace, Bytes(1, char(0)), end_of_space(), [&](ByteView key, ByteView) {
      const auto name = numbered_of(key);
      const auto entries = name ? reader_.block(name->fac, name->key, name->seq) : Result<std::vector<StoredEntry>>(Error{Errc::corrupt, ""});
      if (!entries) return true;  // `verify` says which, and the views pass it over, too
      for (size_t i = 0; i < entries->size() && !failed; i++) {
        const StoredEntry& entry = (*entries)[i];
        telemetry_expired_ |= entry.kind == EntryKind::expired && Kind(entry.statement) == Kind::telemetry_batch;
        if (entry.kind != EntryKind::applied) continue;
        if (auto taken = take_record(name->fac, {name->key, name->seq + i}, entry.record); !taken) failed = taken.error();
      }
      if (auto counted = volumes_.take(key, *entries); !counted) failed = counted.error();
      KvBatch days;
      volumes_.write_blocks(days);
      expect(days);
      return !failed;
    });
    if (!scanned) return scanned;
    if (failed) return std::move(*failed);
    KvBatch batch;
    gauges_.write(batch);
    if (auto counted = volumes_.write(batch); !counted) return counted;
    expect(batch);
    return {};
  }

  Result<void> take_record(const Facility& fac, const Place& place, ByteView record) {
    const auto parts = split_record(record);
    v1::Body body;
    if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || body.schema() != kRecordSchema) return {};
    const Hash content = sha256(parts->body);
    KvBatch batch;
    if (body.has_identity_link()) put_link(batch, read_link(body.identity_link(), store_key_, content, fac, place));
    if (body.has_model_def()) {
      const v1::ModelDef& m = body.model_def();
      const Hash ref = model_ref_of(m);
      if (models_seen_.insert(ref).second) {
        put_model(batch, {ref, m.model_id(), m.vendor(), m.name(), m.version()});
        put_definition(batch, m);
      }
    }
    if (body.has_source_document()) {
      if (auto shelved = fhir::shelve(reader_, fac, place, body.source_document(), batch); !shelved) return shelved;
    }
    expect(batch);
    if (body.has_telemetry_batch()) return gauges_.take(fac, body.telemetry_batch(), content);
    std::set<Bytes> once;
    for (Stated& stated : statements_in(body, content)) {
      if (auto* version = std::get_if<Version>(&stated.statement)) version->subject = patient_of(store_key_, body.ai_result().phi().subject());
      const Bytes row = statement_row(stated.about, {stated.statement, place, fac});
      if (once.insert(row).second) said_[stated.about.fac].add(row, {});
    }
    return {};
  }

  Result<void> read_rows() {
    std::optional<Error> failed;
    auto scanned = kv_.scan(kViewSpace, "r", "s", [&](ByteView key, ByteView value) {
      const auto name = result_of('r', key);
      auto row = name ? decode_result(value) : Result<ResultRow>(damaged_view());
      if (!row) failed = row.error();
      if (!row) return false;
      ++out_.results;
      out_.statements += row->statements.size();
      for (const PlacedStatement& s : row->statements) shown_[name->fac].add(statement_row(*name, s), {});
      KvBatch batch;
      Follower::derive(*name, {}, *row, row->changed, models_, batch);
      expect(batch);
      return true;
    });
    if (!scanned) return scanned;
    if (failed) return std::move(*failed);
    KvBatch counts;
    if (auto counted = models_.write_counts(counts); !counted) return counted;
    expect(counts);
    return {};
  }

  void expect(const KvBatch& batch) {
    for (const KvOp& op : batch.ops()) {
      if (op.what == KvOp::What::put && op.key[0] != 'r' && op.key[0] != 'A') expected_[op.key[0]].add(op.key, value_of(op.key, op.value));
    }
  }

  Result<void> read_derived() {
    return kv_.scan(kViewSpace, Bytes(1, char(0)), end_of_space(), [&](ByteView key, ByteView value) {
      if (key[0] != 'r' && key[0] != 'c' && key[0] != 'A') stored_[key[0]].add(key, value_of(key, value));
      return true;
    });
  }

  void compare() {
    for (const auto& [fac, sum] : said_) shown_[fac];
    for (const auto& [fac, sum] : shown_) {
      if (sum != said_[fac]) out_.wrong.push_back(fac + ": the views of its results are not what the records say");
    }
    if (telemetry_expired_) {  // a live value stays when its point goes
      expected_.erase('g');
      stored_.erase('g');
    }
    for (const auto& [table, sum] : expected_) stored_[table];
    for (const auto& [table, sum] : stored_) {
      if (sum != expected_[table]) out_.wrong.push_back(fmt::format("the views' table '{}' is not what it is made from", table));
    }
  }

  const Kv& kv_;
  BlockReader reader_;
  Nothing nothing_;
  ModelUses models_;
  Gauges gauges_;
  Volumes volumes_;
  Key32 store_key_{};
  bool telemetry_expired_ = false;
  ViewsVerdict out_;
  std::set<Hash> models_seen_;
  std::map<Facility, Sum> said_, shown_;  // statements: in blocks, in rows
  std::map<char, Sum> expected_, stored_;  // the other tables
};

// A row as any store has it.
Result<Bytes> canonical(ByteView key, ByteView value) {
  if (key[0] != 'r') return Bytes(value_of(key, value));
  auto row = decode_result(value);
  if (!row) return std::move(row).error();
  std::vector<Bytes> statements;
  for (PlacedStatement& s : row->statements) {
    if (auto* version = std::get_if<Version>(&s.statement)) version->subject = {};
    statements.push_back(s.by + '\0' + encode(s.statement));
  }
  std::ranges::sort(statements);
  Bytes out;
  for (const Bytes& s : statements) out += s;
  return out;
}

}  // namespace

Result<ViewsVerdict> verify_views(const Kv& kv) {
  return Comparer(kv).run();
}

Result<Hash> views_digest(const Kv& kv) {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  std::optional<Error> failed;
  auto scanned = kv.scan(kViewSpace, Bytes(1, char(0)), end_of_space(), [&](ByteView key, ByteView value) {
    // 'i' and 's' are named by the store's own key, 'c' is how far they are, 'A' what is to be told; 'V' and 'v' are about the copies that came first.
    if (ByteView("AVcisv").find(key[0]) != ByteView::npos) return true;
    const auto row = canonical(key, value);
    if (!row) failed = row.error();
    if (!row) return false;
    Bytes head;
    put_u64(head, key.size());
    put_u64(head, row->size());
    for (const ByteView part : {ByteView(head), key, ByteView(*row)}) EVP_DigestUpdate(digest, part.data(), part.size());
    return true;
  });
  Hash out{};
  EVP_DigestFinal_ex(digest, out.data(), nullptr);
  EVP_MD_CTX_free(digest);
  if (!scanned) return std::move(scanned).error();
  if (failed) return std::move(*failed);
  return out;
}

}  // namespace egret::cloud
