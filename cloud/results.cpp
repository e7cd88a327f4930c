#include "cloud/results.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/block_reader.h"
#include "cloud/json_text.h"
#include "cloud/orders.h"
#include "cloud/restrictions.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

// The JSON name that record.proto gives to a number; `none` for one that states nothing.
std::string enum_name(const MessageRules& rules, const char* field, uint8_t number, const char* none) {
  const std::string_view name = rules.find(field)->names->name_of(number);
  return name.empty() ? none : std::string(name);
}
std::string name_of(ResultStatus status) {
  return status_name(status);
}
std::string name_of(RetractionReason reason) {
  return enum_name(rules_of<v1::Retraction>(), "reason", uint8_t(reason), "unstated");
}
std::string name_of(ReviewVerdict verdict) {
  return verdict_name(uint8_t(verdict));
}
std::string role_name(uint8_t role) {
  return enum_name(rules_of<v1::Review>(), "role", role, "unknown");
}

const char* name_of(AlertState state) {
  switch (state) {
    case AlertState::none:
      return "none";
    case AlertState::open:
      return "open";
    case AlertState::withdrawn:
      return "withdrawn";
  }
  return "unknown";
}

std::string place_json(const Place& place) {
  return fmt::format(R"({{"epoch":"{:016x}","stream":"{}","seq":{}}})", place.key.epoch.value, egret::name_of(place.key.stream),
                     place.seq.value);
}

// What a statement says beside its body and place.
struct Says {
  std::string operator()(const Version& v) const {
    return fmt::format(R"("kind":"version","version":{},"status":"{}","critical":{},"unchanged":{},"model":"{}","run":"{}")", v.number,
                       name_of(v.status), v.critical, v.unchanged, hex(view(v.model)), egret::text_of(v.run));
  }
  std::string operator()(const Retraction& r) const {
    return fmt::format(R"("kind":"retraction","version":{},"reason":"{}")", r.number, name_of(r.reason));
  }
  std::string operator()(const Review& r) const {
    return fmt::format(R"("kind":"review","version_seen":{},"role":"{}","verdict":"{}","t":{})", r.version_seen, role_name(r.role),
                       name_of(r.verdict), json_time({r.t_us}));
  }
  std::string operator()(const Successor& s) const {
    return fmt::format(R"("kind":"successor","result":"{}","model":"{}")", egret::text_of(s.result), hex(view(s.model)));
  }
};

std::vector<PlacedStatement> in_order(const ResultRow& row) {
  std::vector<PlacedStatement> out = row.statements;
  const auto number = [](const Statement& s) {
    struct Number {
      uint32_t operator()(const Version& v) const { return v.number; }
      uint32_t operator()(const Retraction& r) const { return r.number; }
      uint32_t operator()(const Review& r) const { return r.version_seen; }
      uint32_t operator()(const Successor&) const { return UINT32_MAX; }
    };
    return std::visit(Number{}, s);
  };
  std::sort(out.begin(), out.end(), [&](const PlacedStatement& a, const PlacedStatement& b) {
    return std::tuple(number(a.statement), a.statement.index(), body_of(a.statement)) <
           std::tuple(number(b.statement), b.statement.index(), body_of(b.statement));
  });
  return out;
}

std::string hash_or_null(const std::optional<Hash>& hash) {
  return hash ? "\"" + hex(view(*hash)) + "\"" : "null";
}

std::string issue_json(const Issue& issue) {
  return fmt::format(R"({{"kind":"{}","first":{},"last":{},"body":{}}})", name_of(issue.kind), issue.first, issue.last,
                     issue.body == Hash{} ? "null" : "\"" + hex(view(issue.body)) + "\"");
}

template <class T, class Fn>
std::string list_json(const std::vector<T>& items, Fn&& each) {
  std::string out = "[";
  for (const T& item : items) out += (out.size() > 1 ? "," : "") + each(item);
  return out + "]";
}

std::string says_text(const PlacedStatement& s) {
  struct Text {
    std::string operator()(const Version& v) const {
      return fmt::format("version {}  {}{}{}  model {:.12}", v.number, name_of(v.status), v.critical ? "  CRITICAL" : "",
                         v.unchanged ? "  values as before" : "", hex(view(v.model)));
    }
    std::string operator()(const Retraction& r) const {
      return fmt::format("version {}  retracted: {}", r.number, name_of(r.reason));
    }
    std::string operator()(const Review& r) const {
      return fmt::format("review of version {}  {}  by a {}", r.version_seen, name_of(r.verdict), role_name(r.role));
    }
    std::string operator()(const Successor& r) const { return "succeeded by " + egret::text_of(r.result); }
  };
  return fmt::format("  {}  [{} {:016x} {} {}, body {:.12}]\n", std::visit(Text{}, s.statement), s.by, s.place.key.epoch.value,
                     egret::name_of(s.place.key.stream), s.place.seq.value, hex(view(body_of(s.statement))));
}

std::string moment_json(const ResultDetail& detail, const Hash& body) {
  const auto found = detail.issued.find(body);
  if (found == detail.issued.end()) return "";
  const Moment& m = found->second;
  return fmt::format(R"(,"issued":{{"stated":{},"corrected":{},"uncertainty_ms":{},"trusted":{}}})", json_time({m.stated_us}), json_time({m.corrected_us}),
                     m.uncertainty_us / 1000, m.trusted);
}

std::string moment_text(const ResultDetail& detail, const Hash& body) {
  const auto found = detail.issued.find(body);
  if (found == detail.issued.end() || found->second.stated_us == found->second.corrected_us) return "";
  const Moment& m = found->second;
  return fmt::format("    its clock was wrong: issued {}, rather {} give or take {} s{}\n", json_time({m.stated_us}), json_time({m.corrected_us}),
                     m.uncertainty_us / 1'000'000, m.trusted ? "" : ", not to be trusted");
}

std::string reader_json(const Reader& r) {
  return fmt::format(R"({{"facility":"{}","reviewer":{},"role":"{}","version_seen":{},"verdict":"{}","t":{}}})", r.fac, json_string(r.reviewer),
                     role_name(r.role), r.version_seen, name_of(r.verdict), json_time({r.t_us}));
}

// When the region had this record at the latest: W was past it then.
int64_t committed_by(const Kv& kv, const Facility& fac, const Place& place) {
  const auto stored = kv.get(kMetaSpace, ledger_key(fac, place.key));
  const auto row = stored && *stored ? decode_ledger(**stored) : Result<LedgerRow>(LedgerRow{});
  if (!row) return kTimeMaxUs;
  for (const LedgerRow::Mark& mark : row->marks) {
    if (mark.w >= place.seq) return mark.at.us;
  }
  return kTimeMaxUs;
}

void add_detail(const Kv& kv, const PlacedStatement& s, const v1::Body& body, ByteView arrival_bytes, ResultDetail& out) {
  if (const auto* review = std::get_if<Review>(&s.statement)) {
    out.readers.push_back({s.by, body.review().reviewer(), review->role, review->version_seen, review->verdict, review->t_us});
    return;
  }
  v1::Arrival arrival;
  if (!std::holds_alternative<Version>(s.statement) || !arrival.ParseFromArray(arrival_bytes.data(), static_cast<int>(arrival_bytes.size()))) return;
  Clocks clocks;
  clocks.wall_us = arrival.wall_us();
  clocks.state = static_cast<ClockState>(arrival.clock_state());
  if (arrival.has_clock_off_ms()) clocks.offset_ms = arrival.clock_off_ms();
  clocks.committed_us = committed_by(kv, s.by, s.place);
  out.issued[body_of(s.statement)] = correct(body.ai_result().t_issued().us(), clocks);
}

}  // namespace

std::string status_name(ResultStatus status) {
  return enum_name(rules_of<v1::AiResult>(), "status", uint8_t(status), "unknown");
}

std::string verdict_name(uint8_t verdict) {
  return enum_name(rules_of<v1::Review>(), "verdict", verdict, "none");
}

Result<ResultDetail> detail_of(const Kv& kv, const ResultName& name, const ResultRow& row) {
  ResultDetail out;
  const auto known = recalls(kv);
  if (!known) return known.error();
  out.recalls = recalls_of(name.fac, row.all(), *known);
  const auto restricted = Restricted::read(kv);
  if (!restricted) return restricted.error();
  out.restrictions = restricted->orders_of(row);
  BlockReader reader(kv);
  for (const PlacedStatement& s : row.statements) {
    const auto record = reader.at(s.by, s.place);
    if (!record && record.error().code != Errc::not_found) return record.error();
    const auto parts = record ? split_record(record->record) : Result<RecordView>(record.error());
    v1::Body body;
    if (parts && body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) add_detail(kv, s, body, parts->arrival, out);
  }
  std::sort(out.readers.begin(), out.readers.end(), [](const Reader& a, const Reader& b) {
    return std::tie(a.t_us, a.fac, a.reviewer, a.version_seen) < std::tie(b.t_us, b.fac, b.reviewer, b.version_seen);
  });
  return out;
}

std::optional<ResultName> result_name_of(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ResultName name;
  name.fac = Facility(text.substr(0, slash));
  const std::optional<Bytes> id = uuid_from_text(text.substr(slash + 1));
  if (!id || !valid_facility(name.fac)) return std::nullopt;
  name.id = take<sizeof(Uuid)>(*id);
  return name;
}

std::string text_of(const ResultName& name) {
  return name.fac + "/" + egret::text_of(name.id);
}

std::string to_json(const ResultName& name, const ResultRow& row, const ResultDetail& detail) {
  const ResultView view = row.view();
  std::string out = fmt::format(
      R"({{"facility":"{}","result":"{}","version":{},"status":"{}","current":{},"values":{},"retracted":{},"reason":{},)"
      R"("review":{},"verdict":{},"critical":{},"alert":"{}","changed":{},)",
      name.fac, egret::text_of(name.id), view.number, name_of(view.status), hash_or_null(view.current), hash_or_null(view.values),
      view.retracted, view.retracted ? fmt::format("\"{}\"", name_of(view.reason)) : "null", hash_or_null(view.review),
      view.verdict ? fmt::format("\"{}\"", name_of(*view.verdict)) : "null", view.critical, name_of(view.alert), row.changed);
  out += "\"successors\":" + list_json(view.successors, [](const Uuid& id) { return "\"" + egret::text_of(id) + "\""; });
  out += ",\"issues\":" + list_json(view.issues, issue_json);
  out += ",\"recalls\":" + list_json(detail.recalls, [](uint64_t id) { return std::to_string(id); });
  out += ",\"restricted\":" + list_json(detail.restrictions, [](uint64_t id) { return std::to_string(id); });
  out += ",\"read_by\":" + list_json(detail.readers, reader_json);
  out += ",\"history\":" + list_json(in_order(row), [&](const PlacedStatement& s) {
           return fmt::format(R"({{{}{},"by":"{}","body":"{}","place":{}}})", std::visit(Says{}, s.statement), moment_json(detail, body_of(s.statement)),
                              s.by, hex(egret::view(body_of(s.statement))), place_json(s.place));
         });
  return out + "}";
}

std::string to_text(const ResultName& name, const ResultRow& row, const ResultDetail& detail) {
  const ResultView view = row.view();
  std::string out = text_of(name) + ": ";
  if (view.retracted) {
    out += fmt::format("retracted ({})", name_of(view.reason));
  } else if (view.current) {
    out += fmt::format("version {}, {}{}", view.number, name_of(view.status), view.critical ? ", CRITICAL" : "");
  } else {
    out += "nothing that can be shown yet";
  }
  if (view.verdict) out += fmt::format(", review: {}", name_of(*view.verdict));
  out += "\n";
  for (uint64_t id : detail.recalls) out += fmt::format("  RECALLED: its model is under recall {}\n", id);
  for (uint64_t id : detail.restrictions) out += fmt::format("  RESTRICTED: kept and not used, by order {}\n", id);
  for (const PlacedStatement& s : in_order(row)) out += says_text(s) + moment_text(detail, body_of(s.statement));
  for (const Reader& r : detail.readers) out += fmt::format("  read by {} of {} (version {})\n", r.reviewer, r.fac, r.version_seen);
  for (const Issue& issue : view.issues) {
    out += issue.first == issue.last ? fmt::format("  ! {} (version {})\n", name_of(issue.kind), issue.first)
                                     : fmt::format("  ! {} (versions {} to {})\n", name_of(issue.kind), issue.first, issue.last);
  }
  return out;
}

namespace {

Result<void> each_of_table(const Kv& kv, Bytes first, char table, const EachResult& each) {
  return kv.scan(kViewSpace, first, after_prefix(first), [&](ByteView key, ByteView) {
    const auto name = result_of(table, key);
    return !name || each(*name);
  });
}

Bytes of_facility(Bytes prefix, const Facility& fac) {
  if (!fac.empty()) prefix.append(fac).push_back('\0');
  return prefix;
}

}  // namespace

Result<void> each_odd(const Kv& kv, const Facility& fac, const EachResult& each) {
  return each_of_table(kv, of_facility("w", fac), 'w', each);
}

Result<void> each_alert(const Kv& kv, const Facility& fac, AlertState state, const EachResult& each) {
  return each_of_table(kv, of_facility(Bytes("a") + char(state), fac), 'a', each);
}

}  // namespace egret::cloud
