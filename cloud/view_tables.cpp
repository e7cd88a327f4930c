#include "cloud/view_tables.h"

#include <algorithm>

#include "cloud/row_bytes.h"

namespace egret::cloud {
namespace {

enum class StatementTag : uint8_t { version = 1, retraction = 2, review = 3, successor = 4 };

constexpr size_t kPlaceBytes = 8 + 1 + 8;
constexpr size_t kStatementBytesMin = 1 + kPlaceBytes + sizeof(Hash);

Error damaged() {
  return {Errc::corrupt, "cloud store: a row of the views is not as it was written; run `egret-cloud views rebuild`"};
}

const Hash& body_of(const Statement& statement) {
  return std::visit([](const auto& s) -> const Hash& { return s.body; }, statement);
}

void put_name(Bytes& out, const ResultName& name) {
  out.append(name.fac).push_back('\0');
  out.append(view(name.id));
}

struct Write {
  RowWriter& out;
  void operator()(const Version& v) {
    out.u8(uint8_t(StatementTag::version)).fixed(v.body).u32(v.number).u8(uint8_t(v.status)).u8(v.unchanged).u8(v.critical);
    out.fixed(v.output).fixed(v.model).fixed(v.run);
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

bool ResultRow::add(const Statement& statement, const Place& place) {
  for (const PlacedStatement& known : statements) {
    if (known.statement.index() == statement.index() && body_of(known.statement) == body_of(statement)) return false;
  }
  statements.push_back({statement, place});
  return true;
}

ResultView ResultRow::view() const {
  std::vector<Statement> all;
  all.reserve(statements.size());
  for (const PlacedStatement& s : statements) all.push_back(s.statement);
  return merge_result(all);
}

const Place* ResultRow::place_of(const Hash& body) const {
  for (const PlacedStatement& s : statements) {
    if (body_of(s.statement) == body) return &s.place;
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

Bytes model_use_key(const Hash& model, int64_t t_us, const ResultName& name) {
  Bytes out = "m";
  out.append(view(model));
  put_u64(out, static_cast<uint64_t>(t_us) ^ (uint64_t{1} << 63));  // negative times sort first
  put_name(out, name);
  return out;
}

std::optional<ResultName> result_of(char table, ByteView key) {
  const size_t head = table == 'a' ? 2 : 1;  // an alert's key has its state there
  if (key.size() < head || key[0] != table) return std::nullopt;
  key.remove_prefix(head);
  const size_t end = key.find('\0');
  if (end == ByteView::npos || key.size() - end - 1 != sizeof(Uuid)) return std::nullopt;
  return ResultName{Facility(key.substr(0, end)), take<sizeof(Uuid)>(key.substr(end + 1))};
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
  if (row.format == kViewsFormat && !in.done()) return damaged();
  return row;
}

Bytes encode(const ResultRow& row) {
  RowWriter out(16 + row.statements.size() * 160);
  out.u64(row.changed).u32(static_cast<uint32_t>(row.statements.size()));
  for (const PlacedStatement& s : row.statements) {
    out.u64(s.place.key.epoch.value).u8(uint8_t(s.place.key.stream)).u64(s.place.seq.value);
    std::visit(Write{out}, s.statement);
  }
  return out.take();
}

Result<ResultRow> decode_result(ByteView value) {
  RowReader in(value);
  ResultRow row;
  row.changed = in.u64();
  const uint32_t count = in.u32();
  if (!in.holds(count, kStatementBytesMin)) return damaged();
  for (uint32_t i = 0; i < count; i++) {
    Place place;
    place.key.epoch.value = in.u64();
    place.key.stream = StreamId(in.u8());
    place.seq.value = in.u64();
    std::optional<Statement> statement = read_statement(in);
    if (!statement || !in.ok()) return damaged();
    row.statements.push_back({*statement, place});
  }
  if (!in.done()) return damaged();
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
