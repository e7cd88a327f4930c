#include "cloud/recall_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/follower.h"
#include "cloud/json_text.h"
#include "cloud/log.h"
#include "cloud/merge/moment.h"
#include "cloud/results.h"
#include "cloud/row_bytes.h"
#include "schemas/chain.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

// A moment, or a day: its begin, or as an end the begin of the next one.
Result<int64_t> time_of(const char* option, const std::string& text, bool end, int64_t open) {
  if (text.empty()) return open;
  if (const auto time = time_from_text(text)) return time->us;
  if (const auto day = time_from_text(text + "T00:00:00Z")) return day->us + (end ? kDayUs : 0);
  return Error{Errc::bad_input, fmt::format("--{}: a day (2026-03-01) or a time (2026-03-01T08:30:00+08:00)", option)};
}

Result<AuditReaders> readers_of(const Kv& kv, const RecallScope& scope, size_t entries) {
  const Recall recall{1, scope, false};
  return audit_readers(kv, entries, [&](const ResultName& name) -> Result<bool> {
    if (!scope.fac.empty() && scope.fac != name.fac) return false;
    const auto row = find_result(kv, name);
    if (!row) return row.error();
    return *row && !recalls_of(name.fac, (*row)->all(), {&recall, 1}).empty();
  });
}

Result<void> count(const Kv& kv, RecallReport& out, const UsesProgress& progress, size_t entries) {
  const auto behind = Follower::behind(kv);
  if (!behind) return behind.error();
  out.views_behind = *behind;
  auto counted = count_uses(kv, out.scope, progress);
  if (!counted) return std::move(counted).error();
  out.by_site = std::move(*counted);
  if (entries == 0) return {};
  auto readers = readers_of(kv, out.scope, entries);
  if (!readers) return std::move(readers).error();
  out.readers = std::move(*readers);
  return {};
}

struct Sums {
  std::map<std::string, uint64_t> status, review;
  uint64_t critical = 0, retracted = 0;
};
Sums sums_of(const Touched& touched) {
  Sums out;
  for (const auto& [facets, n] : touched.by_facets) {
    if (n == 0) continue;
    out.status[status_name(facets.status)] += n;
    out.review[verdict_name(facets.verdict)] += n;
    out.critical += facets.critical ? n : 0;
    out.retracted += facets.retracted ? n : 0;
  }
  return out;
}

std::string counts_json(const std::map<std::string, uint64_t>& counts) {
  std::string out = "{";
  for (const auto& [name, n] : counts) out += fmt::format(R"({}"{}":{})", out.size() > 1 ? "," : "", name, n);
  return out + "}";
}

std::string counts_text(const std::map<std::string, uint64_t>& counts) {
  std::string out;
  for (const auto& [name, n] : counts) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, n);
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    const auto byte = text[i] == '%' && i + 2 < text.size() ? bytes_from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (byte) i += 2;
    out += byte ? (*byte)[0] : text[i] == '+' && !byte ? ' ' : text[i];
  }
  return out;
}

Result<RecallAsked> asked_in(std::string_view query) {
  RecallAsked out;
  const std::map<std::string_view, std::string*> known{
      {"model", &out.model}, {"version", &out.version}, {"from", &out.from}, {"to", &out.to}, {"facility", &out.fac}};
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    const size_t equals = part.find('=');
    const auto to = known.find(part.substr(0, equals));
    if (to == known.end() || equals == std::string_view::npos)
      return Error{Errc::bad_input, "known here: model, version, from, to, facility, each with a value"};
    *to->second = unescaped(part.substr(equals + 1));
  }
  if (out.model.empty()) return Error{Errc::bad_input, "model: which one?"};
  return out;
}

}  // namespace

uint64_t RecallReport::all() const {
  uint64_t out = 0;
  for (const auto& [fac, touched] : by_site) out += touched.all();
  return out;
}

Hash digest_of(const RecallReport& report) {
  RowWriter out;
  out.text("egret-recall-1").u32(static_cast<uint32_t>(report.scope.models.size()));
  for (const Hash& model : report.scope.models) out.fixed(model);
  out.i64(report.scope.from_us).i64(report.scope.to_us).text(report.scope.fac);
  for (const auto& [fac, touched] : report.by_site) {
    if (touched.all() > 0) out.text(fac).u64(touched.all()).u64(sums_of(touched).critical);
  }
  return sha256(out.take());
}

Result<RecallReport> report(const Kv& kv, const RecallAsked& asked, const UsesProgress& progress, size_t entries) {
  RecallReport out;
  const auto from = time_of("from", asked.from, false, kTimeMinUs), to = time_of("to", asked.to, true, kTimeMaxUs);
  if (!from || !to) return !from ? from.error() : to.error();
  if (*from >= *to) return Error{Errc::bad_input, "--to: it is not after --from"};
  auto models = find_models(kv, asked.model, asked.version);
  if (!models) return std::move(models).error();
  if (models->empty())
    return Error{Errc::not_found, "no model calls itself so; its id, its name, or the 64 hex digits that results name it by are known"};
  if (models->size() > kOrderModels) return Error{Errc::bad_input, fmt::format("{} models call themselves so, at most {} can be recalled at once: name a version", models->size(), kOrderModels)};
  out.models = std::move(*models);
  for (const ModelText& model : out.models) out.scope.models.push_back(model.ref);
  std::ranges::sort(out.scope.models);
  out.scope.from_us = *from;
  out.scope.to_us = *to;
  out.scope.fac = asked.fac;
  if (auto counted = count(kv, out, progress, entries); !counted) return std::move(counted).error();
  return out;
}

Result<RecallReport> report(const Kv& kv, const Recall& recall, const UsesProgress& progress, size_t entries) {
  RecallReport out;
  out.scope = recall.scope;
  for (const Hash& ref : recall.scope.models) {
    auto named = find_models(kv, hex(view(ref)), "");
    if (!named) return std::move(named).error();
    out.models.insert(out.models.end(), named->begin(), named->end());
  }
  if (auto counted = count(kv, out, progress, entries); !counted) return std::move(counted).error();
  return out;
}

std::string to_json(const RecallReport& report) {
  std::string models, sites;
  for (const ModelText& model : report.models) models += (models.empty() ? "" : ",") + to_json(model);
  for (const auto& [fac, touched] : report.by_site) {
    if (touched.all() == 0) continue;
    const Sums sums = sums_of(touched);
    sites += fmt::format(R"({}{{"facility":"{}","results":{},"by_status":{},"by_review":{},"critical":{},"retracted":{}}})", sites.empty() ? "" : ",", fac,
                         touched.all(), counts_json(sums.status), counts_json(sums.review), sums.critical, sums.retracted);
  }
  std::string readers;
  if (report.readers) {
    for (const AuditReader& reader : report.readers->readers) readers += (readers.empty() ? "" : ",") + to_json(reader);
    readers = fmt::format(R"(,"readers":[{}],"readers_from":{})", readers, report.readers->from);
  }
  return fmt::format(R"({{"results":{},"digest":"{}","models":[{}],"from":{},"to":{},"facilities":[{}]{},"views_behind":{}}})", report.all(), hex(view(digest_of(report))),
                     models, json_time({report.scope.from_us}), json_time({report.scope.to_us}), sites, readers,
                     report.views_behind ? std::to_string(*report.views_behind) : "null");
}

std::string to_text(const RecallReport& report) {
  std::string out;
  for (const ModelText& m : report.models) out += fmt::format("model {} {} {} {} [{:.16}]\n", m.vendor, m.model_id, m.name, m.version, hex(view(m.ref)));
  uint64_t sites = 0;
  for (const auto& [fac, touched] : report.by_site) {
    if (touched.all() == 0) continue;
    ++sites;
    const Sums sums = sums_of(touched);
    out += fmt::format("{:20} {:>10}  {}  |  reviews: {}  |  critical {}, retracted {}\n", fac, touched.all(), counts_text(sums.status), counts_text(sums.review),
                       sums.critical, sums.retracted);
  }
  for (const AuditReader& r : report.readers ? report.readers->readers : std::vector<AuditReader>())
    out += fmt::format("read by {} {}: {} of them, {} times, last {}\n", r.who.empty() ? "nobody's token" : r.who, r.role.empty() ? "" : "(" + r.role + ")", r.results, r.reads, json_time(r.last));
  return out + fmt::format("{} results of {} sites\n", report.all(), sites);
}

Result<std::string> recalls_text(const Kv& kv, const std::string& which, const std::string& query, size_t entries) {
  if (which == "preview") {
    const auto asked = asked_in(query);
    if (!asked) return asked.error();
    const auto counted = report(kv, *asked, {}, entries);
    if (!counted) return counted.error();
    return to_json(*counted);
  }
  const auto all = orders(kv);
  if (!all) return all.error();
  const std::vector<Recall> known = recalls_in(*all);
  std::string out;
  for (const Order& order : *all) {
    const bool undone = std::ranges::any_of(known, [&](const Recall& r) { return r.id == order.id && r.undone; });
    if (which.empty()) out += (out.empty() ? "" : ",") + to_json(order, undone);
    if (std::to_string(order.id) != which || order.kind != Order::Kind::recall) continue;
    const auto counted = report(kv, Recall{order.id, order.scope, undone}, {}, entries);
    if (!counted) return counted.error();
    return fmt::format(R"({{"order":{},"touches":{}}})", to_json(order, undone), to_json(*counted));
  }
  if (which.empty()) return "[" + out + "]";
  return Error{Errc::not_found, "there is no recall of this number"};
}

std::map<std::string, std::string> args_of(const RecallReport& report, const RecallAsked& asked) {
  std::string models;
  for (const Hash& model : report.scope.models) models += hex(view(model));
  return {{"models", models}, {"from", std::to_string(report.scope.from_us)}, {"to", std::to_string(report.scope.to_us)},
          {"fac", report.scope.fac}, {"model", asked.model}, {"version", asked.version}};
}

Result<Order> order_of(const std::map<std::string, std::string>& args, WallTime now) {
  const auto at = [&](const char* name) {
    const auto found = args.find(name);
    return found == args.end() ? std::string() : found->second;
  };
  Order out;
  out.at = now;
  out.by = at("by");
  out.reason = at("reason");
  out.model = at("model");
  out.version = at("version");
  out.scope.fac = at("fac");
  if (!out.scope.fac.empty() && !valid_facility(out.scope.fac)) return Error{Errc::bad_input, "--facility: a facility is 1-32 of [a-z0-9-]"};
  out.scope.from_us = std::strtoll(at("from").c_str(), nullptr, 10);
  out.scope.to_us = std::strtoll(at("to").c_str(), nullptr, 10);
  const auto models = at("models").empty() ? std::optional<Bytes>(Bytes()) : bytes_from_hex(at("models"));
  if (!models || models->size() % sizeof(Hash) != 0) return Error{Errc::bad_input, "models: 64 hex digits each"};
  for (size_t i = 0; i < models->size(); i += sizeof(Hash)) out.scope.models.push_back(take<sizeof(Hash)>(ByteView(*models).substr(i)));
  return out;
}

namespace {

Result<Order> ordered(Kv& kv, Order order, const char* what) {
  const Result<uint64_t> id = add_order(kv, order);
  if (!id) return id.error();
  order.id = *id;
  log("order_given", *id, Word{what}, Word{order.by});
  return order;
}

}  // namespace

Result<Order> make_recall(Kv& kv, const std::map<std::string, std::string>& args, WallTime now) {
  Result<Order> order = order_of(args, now);
  return order ? ordered(kv, std::move(*order), "recall") : order;
}

Result<Order> undo_recall(Kv& kv, uint64_t id, const std::string& by, const std::string& reason, WallTime now) {
  Order order;
  order.kind = Order::Kind::undo;
  order.at = now;
  order.by = by;
  order.reason = reason;
  order.undoes = id;
  return ordered(kv, std::move(order), "recall undone");
}

}  // namespace egret::cloud
