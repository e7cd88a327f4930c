#include "cloud/view_tables.h"

#include <algorithm>

#include "cloud/row_bytes.h"

namespace egret::cloud {
namespace {

enum class StatementTag : uint8_t { version = 1, retraction = 2, review = 3, successor = 4 };

constexpr size_t kPlaceBytes = 8 + 1 + 8;
constexpr size_t kStatementBytesMin = 1 + kPlaceBytes + 4 + sizeof(Hash);

struct Write {
  RowWriter& out;
  void operator()(const Version& v) {
    out.u8(uint8_t(StatementTag::version)).fixed(v.body).u32(v.number).u8(uint8_t(v.status)).u8(v.unchanged).u8(v.critical);
    out.fixed(v.output).fixed(v.model).fixed(v.run).i64(v.t_us).fixed(v.subject);
    out.u8(static_cast<uint8_t>(v.codes.size()));
    for (const CodeHash& code : v.codes) out.fixed(code);
  }
  void operator()(const Retraction& r) {
    out.u8(uint8_t(StatementTag::retraction)).fixed(r.body).u32(r.number).u8(uint8_t(r.reason));
  }
  void operator()(const Review& r) {
    out.u8(uint8_t(StatementTag::review)).fixed(r.body).u32(r.version_seen).u8(r.role).u8(uint8_t(r.verdict)).i64(r.t_us);
  }
  void operator()(const Successor& s) {
    out.u8(uint8_t(StatementTag::successor)).fixed(s.body).fixed(s.result).fixed(s.model);
  }
};

std::optional<Statement> read_statement(RowReader& in) {
  const auto tag = StatementTag(in.u8());
  const Hash body = in.fixed<32>();
  switch (tag) {
    case StatementTag::version: {
      Version v;
      v.body = body;
      v.number = in.u32();
      v.status = ResultStatus(in.u8());
      v.unchanged = in.flag();
      v.critical = in.flag();
      v.output = in.fixed<32>();
      v.model = in.fixed<32>();
      v.run = in.fixed<16>();
      v.t_us = in.i64();
      v.subject = in.fixed<32>();
      for (uint8_t n = in.u8(); n > 0 && in.ok(); n--) v.codes.push_back(in.fixed<sizeof(CodeHash)>());
      return v;
    }
    case StatementTag::retraction: {
      const uint32_t number = in.u32();
      return Retraction{number, body, RetractionReason(in.u8())};
    }
    case StatementTag::review: {
      const uint32_t seen = in.u32();
      const uint8_t role = in.u8();
      const auto verdict = ReviewVerdict(in.u8());
      return Review{seen, body, role, verdict, in.i64()};
    }
    case StatementTag::successor: {
      const Uuid result = in.fixed<16>();
      return Successor{body, result, in.fixed<32>()};
    }
  }
  return std::nullopt;
}

}  // namespace

Error damaged_view() {
  return {Errc::corrupt, "cloud store: a row of the views is not as it was written; run `egret-cloud views --rebuild`"};
}

const Hash& body_of(const Statement& statement) {
  return std::visit([](const auto& s) -> const Hash& { return s.body; }, statement);
}

Kind kind_of(const Statement& statement) {
  if (std::holds_alternative<Review>(statement)) return Kind::review;
  return std::holds_alternative<Retraction>(statement) ? Kind::retraction : Kind::ai_result;
}

void put_name(Bytes& out, const ResultName& name) {
  out.append(name.fac).push_back('\0');
  out.append(view(name.id));
}

std::optional<ResultName> name_in(ByteView bytes) {
  const size_t end = bytes.find('\0');
  if (end == ByteView::npos || bytes.size() - end - 1 != sizeof(Uuid)) return std::nullopt;
  return ResultName{Facility(bytes.substr(0, end)), take<sizeof(Uuid)>(bytes.substr(end + 1))};
}

bool ResultRow::add(const Statement& statement, const Place& place, const Facility& by) {
  for (const PlacedStatement& known : statements) {
    if (known.statement.index() == statement.index() && body_of(known.statement) == body_of(statement)) return false;
  }
  statements.push_back({statement, place, by});
  return true;
}

std::vector<Statement> ResultRow::all() const {
  std::vector<Statement> out;
  out.reserve(statements.size());
  for (const PlacedStatement& s : statements) out.push_back(s.statement);
  return out;
}

ResultView ResultRow::view() const {
  return merge_result(all());
}

const PlacedStatement* ResultRow::find(const Hash& body) const {
  for (const PlacedStatement& s : statements) {
    if (body_of(s.statement) == body) return &s;
  }
  return nullptr;
}

Bytes views_state_key() {
  return "c";
}

Bytes rebuild_asked_key() {
  return "!";
}

Bytes result_key(const ResultName& name) {
  Bytes out = "r";
  put_name(out, name);
  return out;
}

Bytes alert_key(AlertState state, const ResultName& name) {
  Bytes out = "a";
  out.push_back(char(state));
  put_name(out, name);
  return out;
}

Bytes worklist_key(const ResultName& name) {
  Bytes out = "w";
  put_name(out, name);
  return out;
}

Bytes look_again_key(const ResultName& name) {
  Bytes out = "?";
  put_name(out, name);
  return out;
}

std::optional<ResultName> result_of(char table, ByteView key) {
  const size_t head = table == 'a' ? 2 : 1;  // an alert's key has its state there
  if (key.size() < head || key[0] != table) return std::nullopt;
  return name_in(key.substr(head));
}

Bytes encode(const ViewsState& row) {
  return RowWriter().u32(row.format).u64(row.done).text(row.next_block).take();
}

Result<ViewsState> decode_views_state(ByteView value) {
  RowReader in(value);
  ViewsState row;
  row.format = in.u32();
  row.done = in.u64();
  row.next_block = Bytes(in.text());
  // One of another format is thrown away whole, whatever it looks like.
  if (row.format == kViewsFormat && !in.done()) return damaged_view();
  return row;
}

Bytes encode(const ResultRow& row) {
  RowWriter out(16 + row.statements.size() * 160);
  out.u64(row.changed).u32(static_cast<uint32_t>(row.statements.size()));
  for (const PlacedStatement& s : row.statements) {
    out.u64(s.place.key.epoch.value).u8(uint8_t(s.place.key.stream)).u64(s.place.seq.value).text(s.by);
    std::visit(Write{out}, s.statement);
  }
  return out.take();
}

Bytes encode(const Statement& statement) {
  RowWriter out(192);
  std::visit(Write{out}, statement);
  return out.take();
}

Result<ResultRow> decode_result(ByteView value) {
  RowReader in(value);
  ResultRow row;
  row.changed = in.u64();
  const uint32_t count = in.u32();
  if (!in.holds(count, kStatementBytesMin)) return damaged_view();
  for (uint32_t i = 0; i < count; i++) {
    Place place;
    place.key.epoch.value = in.u64();
    place.key.stream = StreamId(in.u8());
    place.seq.value = in.u64();
    Facility by(in.text());
    std::optional<Statement> statement = read_statement(in);
    if (!statement || !in.ok()) return damaged_view();
    row.statements.push_back({*statement, place, std::move(by)});
  }
  if (!in.done()) return damaged_view();
  return row;
}

Result<std::optional<ResultRow>> find_result(const Kv& kv, const ResultName& name) {
  const auto stored = kv.get(kViewSpace, result_key(name));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<ResultRow>();
  auto row = decode_result(**stored);
  if (!row) return std::move(row).error();
  return std::optional<ResultRow>(std::move(*row));
}

}  // namespace egret::cloud
