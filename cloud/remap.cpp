#include "cloud/remap.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "cloud/json_text.h"
#include "cloud/results.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

using Becomes = Reread::Becomes;

// Rows of results, with what would be said of them.
class Said {
 public:
  explicit Said(const Kv& kv) : kv_(kv) {}

  Result<void> add(const Facility& fac, const Reread& read) {
    const auto parts = split_record(read.record);
    v1::Body body;
    if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) return {};
    for (const Stated& stated : statements_in(body, read.key.content)) {
      auto row = find(stated.about);
      if (!row) return row.error();
      (*row)->after.add(stated.statement, read.place, fac);
    }
    return {};
  }
  std::vector<Remapped::Change> changes() const {
    std::vector<Remapped::Change> out;
    for (const auto& [name, rows] : rows_) {
      Remapped::Change change{name, std::nullopt, rows.after.view()};
      if (rows.before) change.before = rows.before->view();
      if (!change.before || !(*change.before == change.after)) out.push_back(std::move(change));
    }
    return out;
  }

 private:
  struct Rows {
    std::optional<ResultRow> before;
    ResultRow after;
  };
  Result<Rows*> find(const ResultName& name) {
    const auto [at, fresh] = rows_.try_emplace(name);
    if (!fresh) return &at->second;
    auto stored = find_result(kv_, name);
    if (!stored) return std::move(stored).error();
    if (*stored) at->second.after = **stored;
    at->second.before = std::move(*stored);
    return &at->second;
  }

  const Kv& kv_;
  std::map<ResultName, Rows> rows_;
};

std::string view_text(const ResultView& v) {
  std::string out = fmt::format("version {}, {}", v.number, status_name(v.status));
  if (v.critical) out += ", critical";
  if (v.retracted) out += ", retracted";
  if (v.verdict) out += ", review: " + verdict_name(uint8_t(*v.verdict));
  if (v.alert == AlertState::open) out += ", alert open";
  if (!v.issues.empty()) out += fmt::format(", {} issues", v.issues.size());
  return out;
}

std::string view_json(const ResultView& v) {
  return fmt::format(R"({{"version":{},"status":"{}","critical":{},"retracted":{},"review":"{}","alert_open":{},"issues":{}}})", v.number, status_name(v.status), v.critical, v.retracted,
                     verdict_name(v.verdict ? uint8_t(*v.verdict) : 0), v.alert == AlertState::open, v.issues.size());
}

}  // namespace

uint64_t Remapped::count(Becomes becomes) const {
  return static_cast<uint64_t>(std::ranges::count_if(records, [&](const Record& r) { return r.read.becomes == becomes; }));
}

Result<Remapped> remap(const Kv& kv, const std::vector<Facility>& facs, const std::string& id) {
  Remapped out;
  Said said(kv);
  Bytes text("egret-remap-1");
  for (const Facility& fac : facs) {
    auto all = reread_quarantined(kv, fac, id);
    if (!all) return std::move(all).error();
    out.more = out.more || all->more;
    for (Reread& read : all->records) {
      if (read.becomes != Becomes::refused) {
        text.append(fac).push_back('\0');
        text.append(view(read.id)).push_back(static_cast<char>(read.becomes));
      }
      if (read.becomes == Becomes::applied) {
        if (auto added = said.add(fac, read); !added) return std::move(added).error();
      }
      out.records.push_back({fac, std::move(read)});
    }
  }
  out.results = said.changes();
  out.digest = sha256(text);
  return out;
}

std::string to_json(const Remapped& seen) {
  std::string records, results;
  for (const Remapped::Record& r : seen.records) {
    const bool taken = r.read.becomes != Becomes::refused;
    records += fmt::format(R"({}{{"facility":"{}","id":"{}","was":"{}","was_detail":{},"becomes":"{}","kind":{},"content_sha256":{},"why":{}}})", records.empty() ? "" : ",", r.fac, hex(view(r.read.id)),
                           name_of(r.read.was), json_string(r.read.detail), name_of(r.read.becomes), taken ? json_string(egret::name_of(r.read.key.kind)) : "null",
                           taken ? json_string(hex(view(r.read.key.content))) : "null", taken ? "null" : json_string(r.read.now));
  }
  for (const Remapped::Change& c : seen.results)
    results += fmt::format(R"({}{{"result":{},"before":{},"after":{}}})", results.empty() ? "" : ",", json_string(text_of(c.name)), c.before ? view_json(*c.before) : "null", view_json(c.after));
  return fmt::format(R"({{"applied":{},"duplicates":{},"deleted":{},"refused":{},"more":{},"digest":"{}","records":[{}],"results":[{}]}})", seen.count(Becomes::applied), seen.count(Becomes::duplicate),
                     seen.count(Becomes::deleted), seen.count(Becomes::refused), seen.more, hex(view(seen.digest)), records, results);
}

std::string to_text(const Remapped& seen) {
  std::string out;
  for (const Remapped::Record& r : seen.records) {
    if (r.read.becomes == Becomes::refused) {
      out += fmt::format("  {} {:.16}  still refused: {}\n", r.fac, hex(view(r.read.id)), r.read.now);
      continue;
    }
    out += fmt::format("- {} {:.16}  refused, {}: {}\n", r.fac, hex(view(r.read.id)), name_of(r.read.was), r.read.detail);
    out += fmt::format("+ {} {:.16}  {}: {}\n", r.fac, hex(view(r.read.id)), name_of(r.read.becomes), egret::name_of(r.read.key.kind));
  }
  for (const Remapped::Change& c : seen.results) {
    out += fmt::format("- {}  {}\n", text_of(c.name), c.before ? view_text(*c.before) : "nothing is known of it");
    out += fmt::format("+ {}  {}\n", text_of(c.name), view_text(c.after));
  }
  return out + fmt::format("{} would be applied, {} are duplicates, {} are deleted, {} stay refused; {} results change{}\n", seen.count(Becomes::applied), seen.count(Becomes::duplicate),
                           seen.count(Becomes::deleted), seen.count(Becomes::refused), seen.results.size(), seen.more ? "; there are more" : "");
}

}  // namespace egret::cloud
