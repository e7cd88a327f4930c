#include "cloud/api/live.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "cloud/json_text.h"
#include "cloud/log.h"

namespace egret::cloud {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

// When that began for which a site wants somebody, as far as the store knows it.
WallTime since(const FacilityView& view) {
  WallTime out;
  switch (view.attention) {
    case Attention::incident:
      for (const Incident& incident : view.incidents) {
        if (out.us == 0 || incident.opened < out) out = incident.opened;
      }
      return out;
    case Attention::silent: return view.row.last_seen;
    case Attention::behind: return view.row.last_progress;
    default: return out;
  }
}

// Times and no ages: what stands still is not told again.
std::string site_json(const FacilityView& view) {
  const FacilityRow& row = view.row;
  const Vitals& site = row.vitals;
  return fmt::format(
      R"({{"facility":{},"name":{},"district":{},"keys":{},"blocked":{},"attention":"{}","since":{},"last_seen":{},"last_progress":{},"behind":{},"eta_s":{},"records_per_s":{},"records":{},"quarantined":{},"gap_records":{},"incidents":{},)"
      R"("version":{},"waiting":{},"oldest_unsynced_s":{},"shed":{},"refused":{},"parked":{},"disk_used_permille":{},"disk_days_left":{},"certificate_ends":{},"link_bytes_per_s":{},"clock_offset_ms":{}}})",
      json_string(view.fac), json_string(view.name), json_string(view.district), view.keys, view.blocked, name_of(view.attention), json_time(since(view)), json_time(row.last_seen), json_time(row.last_progress), view.behind, view.eta_ms ? std::to_string(*view.eta_ms / 1000) : "null",
      view.records_per_s ? fmt::format("{:.1f}", *view.records_per_s) : "null", row.records, row.quarantined, row.gap_records, view.incidents.size(), json_string(site.agent_version), site.waiting_records,
      site.oldest_unsynced_ms / 1000, site.shed, site.refused, site.parked, site.disk_used_permille, disk_days_json(site), json_time(site.certificate_ends), site.link_bytes_per_s,
      site.clock_offset_ms);
}

struct Sums {
  uint64_t sites = 0, complete = 0, behind = 0, silent = 0, wanting = 0, gap_records = 0, shed = 0, quarantined = 0, incidents = 0, records = 0, missing = 0, oldest_s = 0;
  double records_per_s = 0;
};
Sums sums_of(const std::vector<FacilityView>& views) {
  Sums out;
  out.sites = views.size();
  for (const FacilityView& view : views) {
    out.complete += view.complete();
    out.behind += view.behind > 0;
    out.silent += view.attention == Attention::silent || view.attention == Attention::never_seen;
    out.wanting += view.attention != Attention::none && view.attention != Attention::revoked;
    out.gap_records += view.row.gap_records;
    out.shed += view.row.vitals.shed;
    out.quarantined += view.row.quarantined;
    out.incidents += view.incidents.size();
    out.records += view.row.records;
    out.missing += view.behind;
    out.oldest_s = std::max(out.oldest_s, static_cast<uint64_t>(view.row.vitals.oldest_unsynced_ms / 1000));
    out.records_per_s += view.records_per_s.value_or(0);
  }
  return out;
}

std::string to_json(const Sums& s) {
  return fmt::format(R"({{"sites":{},"complete":{},"behind":{},"silent":{},"wanting":{},"gap_records":{},"shed":{},"quarantined":{},"incidents":{},"records":{},"missing":{},"oldest_unsynced_s":{},"records_per_s":{:.1f}}})",
                     s.sites, s.complete, s.behind, s.silent, s.wanting, s.gap_records, s.shed, s.quarantined, s.incidents, s.records, s.missing, s.oldest_s, s.records_per_s);
}

// A second before the minute is over, or the next one.
int64_t until_minute_ends_ms(WallTime now) {
  const int64_t left = 59'000 - now.us / 1000 % 60'000;
  return left > 0 ? left : left + 60'000;
}

HttpFlow::Piece event_of(const std::string& service, uint64_t number, const char* name, const std::string& data) {
  return std::make_shared<const std::string>(fmt::format("id: {}-{}\nevent: {}\ndata: {}\n\n", service, number, name, data));
}

}  // namespace

Result<void> Live::compute(KvStore& store, const FacilitiesQuery& query) {
  const auto views = facilities(store, query);
  if (!views) return views.error();
  std::string changed, gone;
  std::map<Facility, std::string> sites;
  for (const FacilityView& view : *views) {
    std::string json = site_json(view);
    const auto known = sites_.find(view.fac);
    if (known == sites_.end() || known->second != json) changed += (changed.empty() ? "" : ",") + json;
    sites.emplace(view.fac, std::move(json));
  }
  for (const auto& [fac, json] : sites_) {
    if (!sites.contains(fac)) gone += (gone.empty() ? "" : ",") + json_string(fac);
  }
  sites_ = std::move(sites);
  const Sums sums = sums_of(*views);
  region_ = to_json(sums);
  now_ = query.now;
  remember(store.kv(), *views, query.now);
  ++number_;
  kept_.push_back({number_, event_of(service_, number_, "some", fmt::format(R"({{"now":{},"region":{},"sites":[{}],"gone":[{}]}})", json_time(now_), region_, changed, gone))});
  kept_bytes_ += kept_.back().text->size();
  while (kept_.size() > kLiveKept || (kept_.size() > 1 && kept_bytes_ > kLiveKeptBytes)) {
    kept_bytes_ -= kept_.front().text->size();
    kept_.pop_front();
  }
  return {};
}

void Live::remember(Kv& kv, const std::vector<FacilityView>& views, WallTime now) {
  Result<void> kept = timeline_.begin(kv, now);
  if (auto looked = timeline_.look(kv, views, now); kept) kept = std::move(looked);
  const std::string trouble = kept ? std::string() : kept.error().text;
  if (trouble != timeline_trouble_ && !trouble.empty()) log("timeline_failed", Told{trouble});
  timeline_trouble_ = trouble;
}

void Live::end(KvStore& store) {
  if (timeline_.region().empty()) return;
  if (const auto kept = timeline_.write(store.kv()); !kept) log("timeline_not_kept", kept.error());
}

std::string Live::history_json() const {
  std::string out;
  for (const RegionMinute& m : timeline_.region())
    out += fmt::format(R"({}{{"at":{},"records":{},"behind":{},"wanting":{},"silent":{}}})", out.empty() ? "" : ",", json_time({m.minute * kMinuteUs}), m.records, m.behind, m.wanting, m.silent);
  return out;
}

// Built once for all who come within the same second.
HttpFlow::Piece Live::everything() {
  if (all_.number == number_ && all_.text != nullptr) return all_.text;
  std::string sites;
  for (const auto& [fac, json] : sites_) sites += (sites.empty() ? "" : ",") + json;
  all_ = {number_, event_of(service_, number_, "all", fmt::format(R"({{"now":{},"region":{},"sites":[{}],"history":[{}]}})", json_time(now_), region_, sites, history_json()))};
  return all_.text;
}

void Live::forget_the_gone() {
  std::erase_if(watchers_, [](const Watcher& w) {
    if (w.flow->open() && w.still && !w.still()) w.flow->let_go();
    return !w.flow->open();
  });
}

bool Live::make_room() {
  if (watchers_.size() < kLiveWatchers) return true;
  forget_the_gone();
  if (watchers_.size() < kLiveWatchers) return true;
  const auto slowest = std::ranges::max_element(watchers_, {}, [](const Watcher& w) { return w.flow->behind_bytes(); });
  if (slowest->flow->behind_bytes() < kLiveBehindBytes) return false;
  slowest->flow->let_go();
  watchers_.erase(slowest);
  return true;
}

bool Live::watch(KvStore& store, std::shared_ptr<HttpFlow> flow, std::string_view after, const FacilitiesQuery& query, std::function<bool()> still) {
  if (!make_room()) return false;
  uint64_t from = 0;
  const size_t dash = after.rfind('-');
  const bool ours = dash != std::string_view::npos && after.substr(0, dash) == service_;
  const auto [stop, failed] = ours ? std::from_chars(after.data() + dash + 1, after.data() + after.size(), from) : std::from_chars_result{after.data(), std::errc::invalid_argument};
  const bool known = failed == std::errc{} && stop == after.data() + after.size() && from <= number_ && !kept_.empty() && from + 1 >= kept_.front().number && !watchers_.empty();
  std::vector<HttpFlow::Piece> missed;
  size_t missed_bytes = 0;
  for (const Event& event : kept_) {
    if (!known || event.number <= from) continue;
    missed.push_back(event.text);
    missed_bytes += event.text->size();
  }
  if (known && missed_bytes <= kLiveGoOnBytes) {
    for (HttpFlow::Piece& piece : missed) flow->put(std::move(piece));
  } else {
    // Nobody watched: what was told last is old.
    if (watchers_.empty() && !compute(store, query)) return flow->end(), true;
    flow->put(everything());
  }
  watchers_.push_back({std::move(flow), std::move(still)});
  return true;
}

void Live::look(KvStore& store, const FacilitiesQuery& query) {
  const MonoTime now = clock_();
  forget_the_gone();
  if (now < (watchers_.empty() ? next_minute_ : next_)) return;
  next_minute_ = now + until_minute_ends_ms(query.now);  // for the history
  const bool computed = compute(store, query).has_value();
  next_ = now + std::max(kLiveEveryMs, (clock_() - now) * kLiveShare);
  if (!computed) return;  // a store that is lost is told of by its thread
  for (const Watcher& w : watchers_) w.flow->put(kept_.back().text);
}

}  // namespace egret::cloud
