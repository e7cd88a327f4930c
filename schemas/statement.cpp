#include "schemas/statement.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "schemas/kv.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kFormat = "egret-statement-1";

Bytes signed_bytes(ByteView line) { return Bytes(kFormat).append(1, '\0').append(line); }

std::string text_of(const StatedRow& row) {
  std::string gaps;
  for (const StatedGap& gap : row.gaps) {
    gaps += fmt::format(R"({}{{"first":{},"last":{},"kind":"{}","unverified":{}}})", gaps.empty() ? "" : ",", gap.first.value, gap.last.value, name_of(gap.kind), gap.unverified);
  }
  return fmt::format(
      R"({{"epoch":"{:016x}","stream":"{}","complete_to":{},"c":"{}","claimed_to":{},"final":{},"moved":{},"finished":{},"unverified":{},"gaps":[{}],"more_gaps":{}}})",
      row.key.epoch.value, name_of(row.key.stream), row.complete_to.value, hex(view(row.c)), row.claimed_to.value, row.final, row.moved, row.finished, row.unverified, gaps,
      row.more_gaps);
}

// Reads members; the first that is missing or of another form is the mistake.
class Reader {
 public:
  explicit Reader(dom::element from) : from_(from) {}

  void number(const char* name, uint64_t& out) {
    if (from_[name].get(out) != simdjson::SUCCESS) wrong(name);
  }
  void number(const char* name, int64_t& out) {
    if (from_[name].get(out) != simdjson::SUCCESS) wrong(name);
  }
  void flag(const char* name, bool& out) {
    if (from_[name].get(out) != simdjson::SUCCESS) wrong(name);
  }
  std::string_view text(const char* name) {
    std::string_view out;
    if (from_[name].get(out) != simdjson::SUCCESS) wrong(name);
    return out;
  }
  Bytes hex_bytes(const char* name, size_t size) {
    auto out = bytes_from_hex(text(name));
    if (!out || out->size() != size) wrong(name);
    return mistake_.empty() ? *out : Bytes(size, '\0');
  }
  template <class T, class Name>
  void named(const char* name, T& out, size_t kinds, Name name_of_kind) {
    const std::string_view given = text(name);
    for (size_t i = 0; i < kinds; i++) {
      if (given != name_of_kind(T(i))) continue;
      out = T(i);
      return;
    }
    wrong(name);
  }
  template <class Each>
  void list(const char* name, size_t most, Each each) {
    dom::array items;
    if (from_[name].get(items) != simdjson::SUCCESS) return wrong(name);
    size_t count = 0;
    for (dom::element item : items) {
      if (++count > most) return wrong(name);
      Reader inner(item);
      each(inner);
      if (mistake_.empty()) mistake_ = inner.mistake_;
      if (!mistake_.empty()) return;
    }
  }
  void wrong(const char* name) {
    if (mistake_.empty()) mistake_ = name;
  }
  const std::string& mistake() const { return mistake_; }

 private:
  dom::element from_;
  std::string mistake_;
};

constexpr size_t kGapKinds = 5;

void read_row(Reader& in, StatedRow& row) {
  row.key.epoch.value = get_u64(in.hex_bytes("epoch", 8), 0);
  in.named("stream", row.key.stream, kStreamCount, [](StreamId s) { return std::string_view(name_of(s)); });
  in.number("complete_to", row.complete_to.value);
  row.c = take<32>(in.hex_bytes("c", 32));
  in.number("claimed_to", row.claimed_to.value);
  in.flag("final", row.final);
  in.flag("moved", row.moved);
  in.flag("finished", row.finished);
  in.flag("unverified", row.unverified);
  in.number("more_gaps", row.more_gaps);
  in.list("gaps", kStatementGapsMax, [&](Reader& gap) {
    StatedGap out;
    gap.number("first", out.first.value);
    gap.number("last", out.last.value);
    gap.named("kind", out.kind, kGapKinds, [](GapKind k) { return std::string_view(name_of(k)); });
    gap.flag("unverified", out.unverified);
    row.gaps.push_back(out);
  });
}

Result<Statement> read_statement(ByteView line) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(line.data(), line.size(), true).get(root) != simdjson::SUCCESS) return Error{Errc::bad_input, "statement: its first line is no JSON"};
  Reader in(root);
  Statement out;
  if (in.text("format") != kFormat) return Error{Errc::bad_input, "statement: format: another than egret-statement-1"};
  out.fac = Facility(in.text("facility"));
  if (!valid_facility(out.fac)) in.wrong("facility");
  in.number("made_us", out.made.us);
  in.number("last_seen_us", out.last_seen.us);
  in.number("gen", out.gen);
  in.number("records", out.records);
  in.number("duplicates", out.duplicates);
  in.number("quarantined", out.quarantined);
  in.number("gap_records", out.gap_records);
  in.list("rows", kStatementRowsMax, [&](Reader& row) { read_row(row, out.rows.emplace_back()); });
  if (!in.mistake().empty()) return Error{Errc::bad_input, "statement: " + in.mistake() + ": missing, or of another form"};
  return out;
}

}  // namespace

Result<Bytes> sign_statement(const Statement& s, const SitePrivateKey& key) {
  if (s.rows.size() > kStatementRowsMax) return Error{Errc::too_large, fmt::format("statement: {} rows, at most {}", s.rows.size(), kStatementRowsMax)};
  Bytes line = fmt::format(R"({{"format":"{}","facility":"{}","made_us":{},"last_seen_us":{},"gen":{},"records":{},"duplicates":{},"quarantined":{},"gap_records":{},"rows":[)", kFormat, s.fac,
                           s.made.us, s.last_seen.us, s.gen, s.records, s.duplicates, s.quarantined, s.gap_records);
  for (size_t i = 0; i < s.rows.size(); i++) line += (i == 0 ? "" : ",") + text_of(s.rows[i]);
  line += "]}";
  if (line.size() + kKiB > kStatementBytesMax) return Error{Errc::too_large, fmt::format("statement: {} bytes, at most {}", line.size(), kStatementBytesMax - kKiB)};
  const SealSignature signature = key.sign(signed_bytes(line));
  return line + "\n" + fmt::format(R"({{"signer":"{}","signature":"{}"}})", hex(view(key.public_key().point)), hex(view(signature))) + "\n";
}

Result<OpenedStatement> open_statement(ByteView file, const SitePublicKey& signer) {
  if (file.size() > kStatementBytesMax) return Error{Errc::too_large, fmt::format("statement: {} bytes, at most {}", file.size(), kStatementBytesMax)};
  const size_t end = file.find('\n');
  if (end == file.npos) return Error{Errc::bad_input, "statement: two lines are expected, the statement and its signature"};
  const ByteView line = file.substr(0, end);
  const Bytes second(file.substr(end + 1));
  dom::parser parser;
  dom::element root;
  if (second.find('\n') != second.size() - 1 || second.empty() || parser.parse(second).get(root) != simdjson::SUCCESS)
    return Error{Errc::bad_input, "statement: its second line is no signature"};
  Reader in(root);
  const Bytes by = in.hex_bytes("signer", 32), signature = in.hex_bytes("signature", kSignatureBytes);
  if (!in.mistake().empty()) return Error{Errc::bad_input, "statement: " + in.mistake() + ": missing, or of another form"};
  // What was not signed is not even read.
  if (by != view(signer.point)) return Error{Errc::bad_signature, "statement: signed with another key than the one given"};
  if (!verify(signer, signed_bytes(line), signature)) return Error{Errc::bad_signature, "statement: the signature does not fit: something of it was changed"};
  auto statement = read_statement(line);
  if (!statement) return std::move(statement).error();
  return OpenedStatement{std::move(*statement), signer};
}

}  // namespace egret
