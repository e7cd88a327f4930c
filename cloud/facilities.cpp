#include "cloud/facilities.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/json_text.h"
#include "cloud/own_facility.h"

namespace egret::cloud {
namespace {

int64_t since_ms(WallTime then, WallTime now) {
  return then.us == 0 || then.us > now.us ? 0 : (now.us - then.us) / 1000;
}

// Records a second over the row's last two marks; 0 when W stands still.
double rate_of(const LedgerRow& row) {
  if (row.marks.size() < 2) return 0;
  const LedgerRow::Mark& last = row.marks.back();
  const LedgerRow::Mark& before = row.marks[row.marks.size() - 2];
  if (last.at.us <= before.at.us) return 0;
  return static_cast<double>(span(before.w, last.w)) * 1e6 /
         static_cast<double>(last.at.us - before.at.us);
}

Attention attention_of(const FacilityView& view) {
  const FacilityRow& row = view.row;
  if (view.revoked) return Attention::revoked;
  if (!view.incidents.empty()) return Attention::incident;
  if (view.fac == kRegionFacility) return Attention::none;  // it is here
  if (row.last_seen.us == 0) return Attention::never_seen;
  if (view.silent) return Attention::silent;
  if (row.gap_records > 0) return Attention::gap;
  if (row.quarantined > 0) return Attention::quarantine;
  return view.stalled ? Attention::behind : Attention::none;
}

// Whatever else is about it.
void judge(FacilityView& view, const FacilitiesQuery& query) {
  const FacilityRow& row = view.row;
  view.silent = row.last_seen.us != 0 && since_ms(row.last_seen, query.now) > query.silent_after_ms;
  view.stalled = view.behind > 0 && (since_ms(row.last_progress, query.now) > query.stalled_after_ms || static_cast<int64_t>(row.vitals.oldest_unsynced_ms) > query.stalled_after_ms);
  view.attention = attention_of(view);
}

void add_row(FacilityView& view, StreamKey key, const LedgerRow& row, const FacilitiesQuery& query,
             bool backup_confirmed) {
  RowView out{key, row.w, row.claimed, {}, row.final, row.moved, row.finished, row.unverified};
  out.safe = safe_of(row, query.safe, query.safe_age_ms, backup_confirmed, query.now);
  // What a moved row still lacks comes in another epoch, and is counted there.
  uint64_t lacks = row.moved ? 0 : span(row.w, row.claimed);
  view.behind += lacks;
  if (row.finished && lacks == 0) {
    ++view.rows_finished;
  } else {
    view.rows.push_back(out);
  }
}

void add_rate(FacilityView& view, double marked_rate, const FacilitiesQuery& query) {
  double rate = marked_rate;
  if (query.rates) {
    auto found = query.rates->find(view.fac);
    rate = found == query.rates->end() ? 0 : found->second;
  }
  if (rate <= 0) return;
  view.records_per_s = rate;
  if (view.behind > 0)
    view.eta_ms = static_cast<int64_t>(static_cast<double>(view.behind) / rate * 1000.0);
}

Result<FacilityView> view_of(Txn& txn, const Facility& fac, const FacilitiesQuery& query,
                             bool backup_confirmed) {
  FacilityView view;
  view.fac = fac;
  auto registration = txn.registration(fac);
  if (!registration) return registration.error();
  if (*registration) {
    view.revoked = (*registration)->revoked;
    view.blocked = (*registration)->blocked;
    view.district = (*registration)->district;
    view.name = (*registration)->name;
    view.keys = (*registration)->keys.size();
  }
  auto row = txn.facility(fac);
  if (!row) return row.error();
  if (*row) view.row = **row;
  auto rows = txn.rows(fac);
  if (!rows) return rows.error();
  double rate = 0;
  for (const auto& [key, ledger] : *rows) {
    add_row(view, key, ledger, query, backup_confirmed);
    rate += rate_of(ledger);
  }
  auto incidents = txn.incidents(fac, true);
  if (!incidents) return incidents.error();
  view.incidents = std::move(*incidents);
  add_rate(view, rate, query);
  judge(view, query);
  return view;
}

std::string json_of(const RowView& row) {
  return fmt::format(
      R"({{"epoch":"{:016x}","stream":"{}","w":{},"claimed":{},"safe":{},"final":{},"moved":{},"finished":{},"unverified":{}}})",
      row.key.epoch.value, name_of(row.key.stream), row.w.value, row.claimed.value, row.safe.value,
      row.final, row.moved, row.finished, row.unverified);
}

std::string json_of(const Incident& incident) {
  return fmt::format(
      R"({{"id":{},"kind":"{}","epoch":"{:016x}","stream":"{}","first":{},"last":{},"opened":{}}})",
      incident.id, name_of(incident.kind), incident.key.epoch.value, name_of(incident.key.stream),
      incident.first.value, incident.last.value, json_time(incident.opened));
}

template <class T>
std::string json_list(const std::vector<T>& items) {
  std::string out = "[";
  for (const T& item : items) {
    if (out.size() > 1) out += ',';
    out += json_of(item);
  }
  return out + ']';
}

template <class T>
std::string json_or_null(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "null";
}

// Seconds since; null: never.
std::string json_age(WallTime then, WallTime now) {
  return then.us == 0 ? "null" : fmt::format("{}", since_ms(then, now) / 1000);
}

std::string json_of(const FacilityView& view, WallTime now) {
  const FacilityRow& row = view.row;
  const Vitals& site = row.vitals;
  std::string out = fmt::format(R"({{"facility":{},"name":{},"district":{},"keys":{},)", json_string(view.fac), json_string(view.name), json_string(view.district), view.keys);
  out += fmt::format(
      R"("attention":"{}","last_seen":{},"last_seen_age_s":{},"last_progress":{},"behind":{},)",
      name_of(view.attention), json_time(row.last_seen),
      json_age(row.last_seen, now), json_time(row.last_progress), view.behind);
  out += fmt::format(
      R"("eta_s":{},"records_per_s":{},"records":{},"duplicates":{},"quarantined":{},"gap_records":{},)",
      view.eta_ms ? fmt::format("{}", *view.eta_ms / 1000) : "null",
      json_or_null(view.records_per_s), row.records, row.duplicates, row.quarantined,
      row.gap_records);
  out += fmt::format(
      R"("site":{{"version":{},"accepted":{},"waiting":{},"oldest_unsynced_s":{},"shed":{},"refused":{},"parked":{},)",
      json_string(site.agent_version), site.accepted, site.waiting_records,
      site.oldest_unsynced_ms / 1000, site.shed, site.refused, site.parked);
  out += fmt::format(
      R"("disk_used_permille":{},"disk_days_left":{},"certificate_ends":{},"link_bytes_per_s":{},"clock_offset_ms":{},"w_falls":{}}},)",
      site.disk_used_permille, disk_days_json(site), json_time(site.certificate_ends),
      site.link_bytes_per_s, site.clock_offset_ms, site.w_falls);
  out += fmt::format(R"("revoked":{},"blocked":{},"rows_finished":{},"incidents":{},"rows":{}}})",
                     view.revoked, view.blocked, view.rows_finished, json_list(view.incidents),
                     json_list(view.rows));
  return out;
}

}  // namespace

const char* name_of(Attention attention) {
  switch (attention) {
    case Attention::none:
      return "ok";
    case Attention::revoked:
      return "revoked";
    case Attention::behind:
      return "behind";
    case Attention::quarantine:
      return "quarantine";
    case Attention::gap:
      return "gap";
    case Attention::never_seen:
      return "never seen";
    case Attention::silent:
      return "silent";
    case Attention::incident:
      return "incident";
  }
  return "unknown";
}

Result<std::vector<FacilityView>> facilities(Store& store, const FacilitiesQuery& query) {
  auto meta = store.meta();
  if (!meta) return meta.error();
  auto names = store.facilities();
  if (!names) return names.error();
  std::vector<FacilityView> out;
  auto txn = store.begin();
  for (const Facility& fac : *names) {
    auto view = view_of(*txn, fac, query, meta->backup_confirmed);
    if (!view) return view.error();
    out.push_back(std::move(*view));
  }
  std::sort(out.begin(), out.end(), [](const FacilityView& a, const FacilityView& b) {
    if (a.attention != b.attention) return a.attention > b.attention;
    if (a.behind != b.behind) return a.behind > b.behind;
    return a.fac < b.fac;
  });
  return out;
}

Result<std::optional<FacilityView>> facility(Store& store, const Facility& fac, const FacilitiesQuery& query) {
  const auto meta = store.meta();
  const auto names = store.facilities();
  if (!meta || !names) return !meta ? meta.error() : names.error();
  if (std::ranges::find(*names, fac) == names->end()) return std::optional<FacilityView>();
  auto txn = store.begin();
  auto view = view_of(*txn, fac, query, meta->backup_confirmed);
  if (!view) return std::move(view).error();
  return std::optional(std::move(*view));
}

std::optional<double> disk_days_left(const Vitals& vitals) {
  if (vitals.disk_hours_left == 0) return std::nullopt;
  return vitals.disk_hours_left / 24.0;
}

std::string disk_days_json(const Vitals& vitals) {
  const auto days = disk_days_left(vitals);
  return days ? fmt::format("{:.1f}", *days) : "null";
}

std::string to_json(const std::vector<FacilityView>& views, WallTime now) {
  std::string out = "{\"now\":" + json_time(now) + ",\"facilities\":[";
  for (size_t i = 0; i < views.size(); ++i) {
    if (i > 0) out += ',';
    out += json_of(views[i], now);
  }
  return out + "]}\n";
}

}  // namespace egret::cloud
