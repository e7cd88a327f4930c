#include "cloud/results.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/json_text.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

// The JSON name that record.proto gives to a number; `none` for one that states nothing.
std::string name_in(const MessageRules& rules, const char* field, uint8_t number, const char* none) {
  const std::string_view name = rules.find(field)->names->name_of(number);
  return name.empty() ? none : std::string(name);
}
std::string name_of(ResultStatus status) {
  return name_in(rules_of<v1::AiResult>(), "status", uint8_t(status), "unknown");
}
std::string name_of(RetractionReason reason) {
  return name_in(rules_of<v1::Retraction>(), "reason", uint8_t(reason), "unstated");
}
std::string name_of(ReviewVerdict verdict) {
  return name_in(rules_of<v1::Review>(), "verdict", uint8_t(verdict), "unknown");
}
std::string role_name(uint8_t role) {
  return name_in(rules_of<v1::Review>(), "role", role, "unknown");
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

const Hash& body_of(const Statement& statement) {
  return std::visit([](const auto& s) -> const Hash& { return s.body; }, statement);
}

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
  return fmt::format("  {}  [{:016x} {} {}, body {:.12}]\n", std::visit(Text{}, s.statement), s.place.key.epoch.value,
                     egret::name_of(s.place.key.stream), s.place.seq.value, hex(view(body_of(s.statement))));
}

}  // namespace

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

std::string to_json(const ResultName& name, const ResultRow& row) {
  const ResultView view = row.view();
  std::string out = fmt::format(
      R"({{"facility":"{}","result":"{}","version":{},"status":"{}","current":{},"values":{},"retracted":{},"reason":{},)"
      R"("review":{},"verdict":{},"critical":{},"alert":"{}","changed":{},)",
      name.fac, egret::text_of(name.id), view.number, name_of(view.status), hash_or_null(view.current), hash_or_null(view.values),
      view.retracted, view.retracted ? fmt::format("\"{}\"", name_of(view.reason)) : "null", hash_or_null(view.review),
      view.verdict ? fmt::format("\"{}\"", name_of(*view.verdict)) : "null", view.critical, name_of(view.alert), row.changed);
  out += "\"successors\":" + list_json(view.successors, [](const Uuid& id) { return "\"" + egret::text_of(id) + "\""; });
  out += ",\"issues\":" + list_json(view.issues, issue_json);
  out += ",\"history\":" + list_json(in_order(row), [](const PlacedStatement& s) {
           return fmt::format(R"({{{},"body":"{}","place":{}}})", std::visit(Says{}, s.statement), hex(egret::view(body_of(s.statement))),
                              place_json(s.place));
         });
  return out + "}";
}

std::string to_text(const ResultName& name, const ResultRow& row) {
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
  for (const PlacedStatement& s : in_order(row)) out += says_text(s);
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
