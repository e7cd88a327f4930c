#include "cloud/export.h"

#include <openssl/evp.h>
#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <map>

#include "cloud/fhir/gate.h"
#include "cloud/json_text.h"
#include "schemas/chain.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"
#include "schemas/record_document.h"
#include "schemas/record_json.h"

namespace egret::cloud {
namespace {

std::string base64(ByteView bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(n));
  return out;
}

class Exporter {
 public:
  Exporter(const Kv& kv, const ExportOptions& options, const std::function<void(const std::string&)>& line)
      : kv_(kv), options_(options), line_(line), reader_(kv), bodies_(kv), judged_(kv) {}
  Result<Exported> run();

 private:
  void put(const std::string& text) {
    line_(text);
    done_.lines++;
  }
  Result<void> stream(const StreamName& name, const LedgerRow& row);
  Result<void> block(const StreamName& name, const LeafRow& leaves);
  Result<void> record(const StreamName& name, Seq seq, const StoredEntry& entry);
  void gap(const StreamName& name, const GapRow& gap);
  void collect(const Facility& fac, const NaturalKey& key, ByteView body, const StreamName& name,
               Seq seq);
  Result<void> write_documents();

  const Kv& kv_;
  const ExportOptions& options_;
  const std::function<void(const std::string&)>& line_;
  BlockReader reader_, bodies_;
  fhir::Sight judged_;
  Exported done_;
  // Documents by their hash: where the SourceDocument and its parts stand.
  struct Document {
    Place source;
    bool has_source = false;
    std::map<uint32_t, Place> parts;
  };
  std::map<std::pair<Facility, Bytes>, Document> documents_;
};

void Exporter::gap(const StreamName& name, const GapRow& gap) {
  put(fmt::format(R"({{"facility":"{}","epoch":"{:016x}","stream":"{}","gap":{{"first":{},"last":{},"kind":"{}","reason":{},"unverified":{},"at":{}}}}})",
                  name.fac, name.key.epoch.value, name_of(name.key.stream), gap.first.value, gap.last.value, name_of(gap.kind),
                  static_cast<int>(gap.reason), gap.unverified, json_time(gap.at)));
}

Result<void> Exporter::record(const StreamName& name, Seq seq, const StoredEntry& entry) {
  Result<ReadRecord> read = bodies_.whole(name.fac, entry);
  if (!read) return read.error();
  std::string head = fmt::format(R"({{"facility":"{}","epoch":"{:016x}","stream":"{}","seq":{},"disposition":"{}")", name.fac, name.key.epoch.value,
                                 name_of(name.key.stream), seq.value, name_of(entry.kind));
  Result<RecordView> parts = read->gone ? Result<RecordView>(Error{Errc::not_found, ""}) : split_record(read->record);
  Result<CheckedBody> body = parts ? check_body(parts->body, name.fac) : Result<CheckedBody>(parts.error());
  if (!body) {  // erased, or kept in quarantine: `quarantine show` has its bytes
    if (options_.kind.empty()) put(head + "}");
    return {};
  }
  const bool asked_for = options_.kind.empty() || options_.kind == name_of(body->key.kind);
  if (!asked_for && options_.documents.empty()) return {};
  const auto hidden = options_.restricted ? Result<bool>(false) : fhir::is_restricted(judged_, name.fac, {name.key, seq}, parts->body);
  if (!hidden) return hidden.error();
  if (!*hidden) collect(name.fac, body->key, parts->body, name, seq);
  if (!asked_for) return {};
  head += fmt::format(R"(,"kind":"{}","content_sha256":"{}")", name_of(body->key.kind), hex(view(body->key.content)));
  if (entry.kind == EntryKind::quarantined) {
    put(head + "}");
    return {};
  }
  if (*hidden) {
    put(head + ",\"restricted\":true}");
    return {};
  }
  Result<std::string> json = json_from_body(parts->body);
  Result<std::string> arrival = json_from_arrival(parts->arrival);
  head += ",\"body\":" + (json ? *json : std::string("null")) + ",\"arrival\":" + (arrival ? *arrival : std::string("null"));
  if (options_.raw) head += ",\"body_b64\":\"" + base64(parts->body) + "\"";
  put(head + "}");
  return {};
}

void Exporter::collect(const Facility& fac, const NaturalKey& key, ByteView body,
                       const StreamName& name, Seq seq) {
  bool part = key.kind == Kind::document_part;
  if (options_.documents.empty() || (!part && key.kind != Kind::source_document)) return;
  v1::Body parsed;
  if (!parsed.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
  if (part) {
    documents_[{fac, parsed.document_part().document()}].parts[parsed.document_part().index()] = {name.key, seq};
  } else {
    Document& document = documents_[{fac, parsed.source_document().sha256()}];
    document.source = {name.key, seq};
    document.has_source = true;
  }
}

Result<void> Exporter::write_documents() {
  std::error_code failed;
  std::filesystem::create_directories(options_.documents, failed);
  for (const auto& [name, document] : documents_) {
    auto body_at = [&, fac = name.first](const Place& place) -> Bytes {
      Result<ReadRecord> read = bodies_.at(fac, place);
      Result<RecordView> parts = read && !read->gone ? split_record(read->record) : Result<RecordView>(Error{});
      return parts ? Bytes(parts->body) : Bytes();
    };
    std::vector<Bytes> parts;
    for (const auto& [index, place] : document.parts) parts.push_back(body_at(place));
    Result<Bytes> whole = document.has_source ? join_document(body_at(document.source), parts) : Result<Bytes>(Error{Errc::not_found, "no SourceDocument"});
    if (!whole) {
      done_.incomplete_documents++;
      continue;
    }
    std::filesystem::path dir = options_.documents / name.first;
    std::filesystem::create_directories(dir, failed);
    std::ofstream out(dir / hex(name.second), std::ios::binary);
    out.write(whole->data(), static_cast<std::streamsize>(whole->size()));
    if (!out.flush()) return Error{Errc::store_failed, dir.string() + ": a document cannot be written"};
    done_.documents++;
  }
  return {};
}

Result<void> Exporter::block(const StreamName& name, const LeafRow& leaves) {
  Result<std::vector<StoredEntry>> entries = reader_.block(name.fac, name.key, leaves.first);
  if (!entries) return entries.error();
  for (size_t i = 0; i < entries->size(); i++) {
    if (Result<void> r = record(name, leaves.first + i, (*entries)[i]); !r) return r;
  }
  return {};
}

// Blocks and gaps in the order of their numbers.
Result<void> Exporter::stream(const StreamName& name, const LedgerRow& row) {
  std::vector<GapRow> gaps;
  Bytes prefix = gap_key(name.fac, name.key, {});
  prefix.resize(prefix.size() - sizeof(uint64_t));
  std::optional<Error> wrong;
  Result<void> scanned = kv_.scan(kMetaSpace, prefix, after_prefix(prefix), [&](ByteView key, ByteView value) {
    std::optional<NumberedName> at = numbered_of('g', key);
    Result<GapRow> gap = at ? decode_gap(value, at->seq) : Result<GapRow>(Error{Errc::corrupt, "gap key"});
    if (gap && gap->last <= row.w) gaps.push_back(*gap);
    return true;
  });
  if (!scanned) return scanned;
  size_t next_gap = 0;
  prefix = stream_key(name.fac, name.key);
  scanned = kv_.scan(kLeafSpace, prefix, after_prefix(prefix), [&](ByteView, ByteView value) {
    Result<LeafRow> leaves = decode_leaves(value);
    if (leaves && leaves->first > row.w) return false;
    while (leaves && next_gap < gaps.size() && gaps[next_gap].first < leaves->first) gap(name, gaps[next_gap++]);
    Result<void> written = leaves ? block(name, *leaves) : Result<void>(leaves.error());
    if (!written) wrong = written.error();
    return !wrong;
  });
  while (next_gap < gaps.size()) gap(name, gaps[next_gap++]);
  if (wrong) return *wrong;
  return scanned;
}

Result<Exported> Exporter::run() {
  std::vector<std::pair<StreamName, LedgerRow>> rows;
  Bytes first = options_.fac.empty() ? table_prefix('l') : table_prefix('l', options_.fac);
  Result<void> scanned = kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
    std::optional<StreamName> name = stream_of('l', key);
    Result<LedgerRow> row = decode_ledger(value);
    if (name && row) rows.emplace_back(*name, std::move(*row));
    return true;
  });
  if (!scanned) return scanned.error();
  for (const auto& [name, row] : rows) {
    if (Result<void> r = stream(name, row); !r) return r.error();
  }
  if (!options_.documents.empty()) {
    if (Result<void> r = write_documents(); !r) return r.error();
  }
  return done_;
}

}  // namespace

Result<Exported> export_records(const Kv& kv, const ExportOptions& options, const std::function<void(const std::string&)>& line) {
  return Exporter(kv, options, line).run();
}

}  // namespace egret::cloud
