#include "cloud/quality.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "cloud/block_reader.h"
#include "cloud/json_text.h"
#include "cloud/results.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// The highest version that a model made of a result.
const PlacedStatement* made_by(const ResultRow& row, const RecallScope& scope, const Facility& fac) {
  const PlacedStatement* best = nullptr;
  uint32_t number = 0;
  for (const PlacedStatement& s : row.statements) {
    const auto* version = std::get_if<Version>(&s.statement);
    if (version == nullptr || version->number < number || !scope.touches(fac, *version)) continue;
    best = &s;
    number = version->number;
  }
  return best;
}

class Reading {
 public:
  explicit Reading(const Kv& kv) : kv_(kv), reader_(kv) {}

  Result<void> walk(const RecallScope& scope, bool before, ModelQuality& out) {
    std::optional<Error> failed;
    const auto walked = each_use(kv_, scope, [&](const ResultName& name) {
      if (auto read = one(scope, name, before, out.sites[name.fac]); !read) failed = read.error();
      return !failed;
    });
    if (!walked) return walked;
    if (failed) return std::move(*failed);
    return {};
  }

 private:
  Result<void> one(const RecallScope& scope, const ResultName& name, bool before, SiteQuality& site) {
    const auto row = find_result(kv_, name);
    if (!row) return row.error();
    const PlacedStatement* version = *row ? made_by(**row, scope, name.fac) : nullptr;
    if (version == nullptr) return {};  // gone since
    const auto record = reader_.at(version->by, version->place);
    if (!record && record.error().code != Errc::not_found) return record.error();
    const auto parts = record && !record->gone ? split_record(record->record) : Result<RecordView>(Error{});
    v1::Body body;
    const bool read = parts && body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) && body.has_ai_result();
    Scores& scores = before ? site.before : site.scores;
    if (read && !body.ai_result().prob().empty()) scores.add(std::strtod(body.ai_result().prob().c_str(), nullptr));
    if (before) return {};
    const ResultView view = (*row)->view();
    ++site.results;
    site.unread += read ? 0 : 1;
    site.ungradable += read && !body.ai_result().gradable() ? 1 : 0;
    site.critical += view.critical ? 1 : 0;
    site.retracted += view.retracted ? 1 : 0;
    if (view.verdict) ++site.reviews[*view.verdict];
    return {};
  }

  const Kv& kv_;
  BlockReader reader_;
};

Result<RecallReport> scope_of(const Kv& kv, RecallAsked asked, const std::string& from, const std::string& to) {
  asked.from = from;
  asked.to = to;
  return report(kv, asked);
}

std::string rate(uint64_t part, uint64_t all) { return all == 0 ? "null" : fmt::format("{:.4f}", static_cast<double>(part) / static_cast<double>(all)); }

std::string site_json(const Facility& fac, const SiteQuality& s) {
  std::string bins, reviews;
  for (uint64_t n : s.scores.bins) bins += (bins.empty() ? "" : ",") + std::to_string(n);
  for (const auto& [verdict, n] : s.reviews) reviews += fmt::format(R"({}"{}":{})", reviews.empty() ? "" : ",", verdict_name(uint8_t(verdict)), n);
  const auto drift = drift_between(s.before, s.scores);
  const auto agreement = s.agreement();
  return fmt::format(
      R"({{"facility":"{}","results":{},"ungradable":{},"ungradable_rate":{},"critical":{},"retracted":{},"unread":{},"scores":[{}],"drift":{},"reviews":{{{}}},"agreement":{}}})", fac, s.results,
      s.ungradable, rate(s.ungradable, s.results - s.unread), s.critical, s.retracted, s.unread, bins,
      drift ? fmt::format(R"({{"psi":{:.4f},"jensen_shannon":{:.4f},"before":{}}})", drift->psi, drift->jensen_shannon, s.before.all()) : "null", reviews,
      agreement ? fmt::format("{:.4f}", *agreement) : "null");
}

}  // namespace

uint64_t Scores::all() const {
  uint64_t out = 0;
  for (uint64_t n : bins) out += n;
  return out;
}

void Scores::add(double prob) { ++bins[std::min(kScoreBins - 1, static_cast<size_t>(std::max(prob, 0.0) * kScoreBins))]; }

std::optional<Drift> drift_between(const Scores& before, const Scores& now) {
  if (before.all() < kDriftResultsMin || now.all() < kDriftResultsMin) return std::nullopt;
  const auto share = [](const Scores& of, size_t i) { return (static_cast<double>(of.bins[i]) + 0.5) / (static_cast<double>(of.all()) + 0.5 * kScoreBins); };
  Drift out;
  for (size_t i = 0; i < kScoreBins; i++) {
    const double q = share(before, i), p = share(now, i), m = (p + q) / 2;
    out.psi += (p - q) * std::log(p / q);
    out.jensen_shannon += 0.5 * p * std::log2(p / m) + 0.5 * q * std::log2(q / m);
  }
  return out;
}

std::optional<double> SiteQuality::agreement() const {
  const auto of = [&](ReviewVerdict verdict) { return reviews.contains(verdict) ? reviews.at(verdict) : 0; };
  const uint64_t judged = of(ReviewVerdict::agreed) + of(ReviewVerdict::agreed_with_changes) + of(ReviewVerdict::rejected);
  if (judged == 0) return std::nullopt;
  return static_cast<double>(of(ReviewVerdict::agreed)) / static_cast<double>(judged);
}

Result<std::vector<ModelQuality>> model_quality(const Kv& kv, const QualityAsked& asked) {
  const auto now = report(kv, asked.of);
  if (!now) return now.error();
  std::optional<RecallReport> before;
  if (!asked.before_from.empty() || !asked.before_to.empty()) {
    auto scope = scope_of(kv, asked.of, asked.before_from, asked.before_to);
    if (!scope) return std::move(scope).error();
    before = std::move(*scope);
  }
  const uint64_t all = now->all() + (before ? before->all() : 0);
  if (all > asked.results_max) return Error{Errc::too_large, fmt::format("{} results, at most {} are read for one answer: a shorter time, one site, or egret-cloud quality", all, asked.results_max)};
  std::vector<ModelQuality> out;
  Reading reading(kv);
  for (const ModelText& model : now->models) {
    ModelQuality& one = out.emplace_back();
    one.model = model;
    const RecallReport* const parts[] = {&*now, before ? &*before : nullptr};
    for (const RecallReport* part : parts) {
      if (part == nullptr) continue;
      RecallScope scope = part->scope;
      scope.models = {model.ref};
      if (auto walked = reading.walk(scope, part != &*now, one); !walked) return std::move(walked).error();
    }
  }
  return out;
}

std::string to_json(const std::vector<ModelQuality>& models) {
  std::string out;
  for (const ModelQuality& m : models) {
    std::string sites;
    for (const auto& [fac, site] : m.sites) sites += (sites.empty() ? "" : ",") + site_json(fac, site);
    out += fmt::format(R"({}{{"ref":"{}","model_id":{},"name":{},"version":{},"sites":[{}]}})", out.empty() ? "" : ",", hex(view(m.model.ref)), json_string(m.model.model_id),
                       json_string(m.model.name), json_string(m.model.version), sites);
  }
  return "{\"models\":[" + out + "]}";
}

std::string to_text(const std::vector<ModelQuality>& models) {
  std::string out;
  for (const ModelQuality& m : models) {
    out += fmt::format("{} {} ({:.12})\n{:20} {:>9} {:>10} {:>9} {:>9} {:>9} {:>7} {:>7}\n", m.model.name.empty() ? m.model.model_id : m.model.name, m.model.version, hex(view(m.model.ref)), "  site", "results",
                       "ungradable", "critical", "retracted", "agreed", "PSI", "JS");
    for (const auto& [fac, s] : m.sites) {
      const auto drift = drift_between(s.before, s.scores);
      const auto agreement = s.agreement();
      out += fmt::format("  {:18} {:>9} {:>10} {:>9} {:>9} {:>9} {:>7} {:>7}\n", fac, s.results, s.ungradable, s.critical, s.retracted, agreement ? fmt::format("{:.1f} %", *agreement * 100) : "-",
                         drift ? fmt::format("{:.3f}", drift->psi) : "-", drift ? fmt::format("{:.3f}", drift->jensen_shannon) : "-");
    }
  }
  return out;
}

}  // namespace egret::cloud
