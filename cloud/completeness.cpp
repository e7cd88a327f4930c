#include "cloud/completeness.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/json_text.h"
#include "cloud/merge/moment.h"

namespace egret::cloud {
namespace {

constexpr uint32_t kDaysShown = 14;

Result<StreamCompleteness> stream_of(Txn& txn, const Facility& fac, StreamKey key, const LedgerRow& row) {
  StreamCompleteness out{key, row.w, row.c, row.claimed, row.purged, row.moved ? 0 : span(row.w, row.claimed), row.final, row.moved, row.finished, row.unverified, {}, 0};
  for (Seq after{0};;) {
    const auto page = txn.gaps(fac, key, after, kStatementGapsMax);
    if (!page) return page.error();
    if (page->empty()) return out;
    for (const GapRow& gap : *page) {
      if (out.gaps.size() < kStatementGapsMax) {
        out.gaps.push_back(gap);
      } else {
        ++out.more_gaps;
      }
    }
    after = page->back().last;
  }
}

const char* name_of(GapReason reason) {
  switch (reason) {
    case GapReason::none: return "none";
    case GapReason::disk_budget: return "disk budget";
    case GapReason::unreadable: return "unreadable";
    case GapReason::cloud_restored: return "cloud restored";
    case GapReason::frame_too_large: return "frame too large";
    case GapReason::undecodable: return "undecodable";
  }
  return "unknown";
}

// For a terminal.
std::string plain_time(WallTime at) {
  const std::string text = json_time(at);
  return at.us == 0 ? "never" : text.substr(1, text.size() - 2);
}

std::string date_of(uint32_t day) { return json_time({int64_t{day} * kDayUs}).substr(1, 10); }

std::string gap_json(const GapRow& gap) {
  return fmt::format(R"({{"first":{},"last":{},"kind":"{}","reason":"{}","unverified":{},"at":{}}})", gap.first.value, gap.last.value, egret::name_of(gap.kind), name_of(gap.reason),
                     gap.unverified, json_time(gap.at));
}

std::string stream_json(const StreamCompleteness& s) {
  std::string gaps;
  for (const GapRow& gap : s.gaps) gaps += (gaps.empty() ? "" : ",") + gap_json(gap);
  return fmt::format(
      R"({{"epoch":"{:016x}","stream":"{}","complete_to":{},"claimed_to":{},"purged_to":{},"missing":{},"c":"{}","final":{},"moved":{},"finished":{},"unverified":{},"gaps":[{}],"more_gaps":{}}})",
      s.key.epoch.value, egret::name_of(s.key.stream), s.complete_to.value, s.claimed_to.value, s.purged_to.value, s.missing, hex(view(s.c)), s.final, s.moved, s.finished, s.unverified, gaps, s.more_gaps);
}

std::string day_json(const DayVolume& day, bool partial) {
  std::string streams;
  for (size_t i = 0; i < kStreamCount; i++) streams += fmt::format(R"({}"{}":{})", i == 0 ? "" : ",", egret::name_of(StreamId(i)), day.received[i]);
  return fmt::format(R"({{"day":"{}","partial":{},"received":{},"expected":{},"streams":{{{}}}}})", date_of(day.day), partial, day.all(),
                     day.expected ? std::to_string(*day.expected) : "null", streams);
}

// What a list of sites and one site begin with.
std::string head_json(const FacilityView& site) {
  return fmt::format(R"("facility":{},"complete":{},"attention":"{}","last_seen":{},"last_progress":{},"missing":{},"eta_s":{},"records_per_s":{},"records":{},"duplicates":{},"quarantined":{},"gap_records":{},"waiting_at_site":{},"open_incidents":{},"disk_days_left":{},"certificate_ends":{},"clock_offset_ms":{})",
                     json_string(site.fac), site.complete(), egret::cloud::name_of(site.attention), json_time(site.row.last_seen),
                     json_time(site.row.last_progress), site.behind, site.eta_ms ? std::to_string(*site.eta_ms / 1000) : "null",
                     site.records_per_s ? fmt::format("{:.1f}", *site.records_per_s) : "null", site.row.records, site.row.duplicates, site.row.quarantined, site.row.gap_records,
                     site.row.vitals.waiting_records, site.incidents.size(), disk_days_json(site.row.vitals), json_time(site.row.vitals.certificate_ends), site.row.vitals.clock_offset_ms);
}

}  // namespace

Result<Completeness> completeness(Store& store, const Kv& kv, const Facility& fac, const FacilitiesQuery& query) {
  auto site = facility(store, fac, query);
  if (!site) return std::move(site).error();
  if (!*site) return Error{Errc::not_found, "no such facility"};
  Completeness out;
  out.site = std::move(**site);
  auto txn = store.begin();
  const auto rows = txn->rows(fac);
  if (!rows) return rows.error();
  for (const auto& [key, row] : *rows) {
    auto stream = stream_of(*txn, fac, key, row);
    if (!stream) return std::move(stream).error();
    out.streams.push_back(std::move(*stream));
  }
  auto days = volumes(kv, fac, query.now, kDaysShown);
  if (!days) return std::move(days).error();
  out.days = std::move(*days);
  return out;
}

Result<Bytes> signed_statement(const Completeness& of, const StoreMeta& meta, WallTime now, const SitePrivateKey& key) {
  Statement out;
  out.fac = of.site.fac;
  out.made = now;
  out.last_seen = of.site.row.last_seen;
  out.gen = meta.gen;
  out.records = of.site.row.records;
  out.duplicates = of.site.row.duplicates;
  out.quarantined = of.site.row.quarantined;
  out.gap_records = of.site.row.gap_records;
  for (const StreamCompleteness& s : of.streams) {
    StatedRow row{s.key, s.complete_to, s.c, s.claimed_to, s.final, s.moved, s.finished, s.unverified, {}, s.more_gaps};
    for (const GapRow& gap : s.gaps) row.gaps.push_back({gap.first, gap.last, gap.kind, gap.unverified});
    out.rows.push_back(std::move(row));
  }
  return sign_statement(out, key);
}

std::string to_json(const Completeness& of, WallTime now) {
  std::string streams, days;
  for (const StreamCompleteness& s : of.streams) streams += (streams.empty() ? "" : ",") + stream_json(s);
  const uint32_t today = of.days.empty() ? 0 : of.days.back().day;
  for (const DayVolume& day : of.days) days += (days.empty() ? "" : ",") + day_json(day, day.day == today);
  return fmt::format(R"({{"now":{},{},"streams":[{}],"days":[{}]}})", json_time(now), head_json(of.site), streams, days);
}

Result<std::string> volumes_json(const Kv& kv, const std::vector<FacilityView>& views, WallTime now, uint32_t days) {
  std::string names, sites;
  for (uint32_t i = 0; i < days; i++) names += fmt::format(R"({}"{}")", i == 0 ? "" : ",", date_of(static_cast<uint32_t>(now.us / kDayUs) - (days - 1 - i)));
  std::vector<const FacilityView*> by_name;
  for (const FacilityView& view : views) by_name.push_back(&view);
  std::ranges::sort(by_name, {}, &FacilityView::fac);
  for (const FacilityView* view : by_name) {
    const auto volume = volumes(kv, view->fac, now, days);
    if (!volume) return volume.error();
    std::string received, expected;
    for (const DayVolume& day : *volume) {
      received += (received.empty() ? "" : ",") + std::to_string(day.all());
      expected += (expected.empty() ? "" : ",") + (day.expected ? std::to_string(*day.expected) : "null");
    }
    sites += fmt::format(R"({}{{"facility":{},"missing":{},"gap_records":{},"received":[{}],"expected":[{}]}})", sites.empty() ? "" : ",", json_string(view->fac), view->behind, view->row.gap_records, received, expected);
  }
  return fmt::format(R"({{"now":{},"days":[{}],"sites":[{}]}})", json_time(now), names, sites);
}

std::string summary_json(const std::vector<FacilityView>& views, WallTime now) {
  std::string out;
  for (const FacilityView& site : views) out += (out.empty() ? "{" : ",{") + head_json(site) + "}";
  return fmt::format(R"({{"now":{},"facilities":[{}]}})", json_time(now), out);
}

std::string to_text(const Completeness& of, WallTime now) {
  const FacilityView& site = of.site;
  std::string out = fmt::format("{}: {}; {} records claimed and not here, {} in gaps, {} open incidents\nlast seen {}, last progress {}{}\n", site.fac,
                                site.complete() ? "complete" : "not complete", site.behind, site.row.gap_records, site.incidents.size(), plain_time(site.row.last_seen),
                                plain_time(site.row.last_progress), site.eta_ms ? fmt::format(", done in {} s", *site.eta_ms / 1000) : "");
  out += fmt::format("{:16} {:9} {:>12} {:>12} {:>10}\n", "epoch", "stream", "complete to", "claimed to", "missing");
  for (const StreamCompleteness& s : of.streams) {
    out += fmt::format("{:016x} {:9} {:>12} {:>12} {:>10}{}{}{}\n", s.key.epoch.value, egret::name_of(s.key.stream), s.complete_to.value, s.claimed_to.value, s.missing, s.finished ? " finished" : "",
                       s.moved ? " moved" : "", s.unverified ? " unverified" : "");
    for (const GapRow& gap : s.gaps) out += fmt::format("    {}-{} {} ({})\n", gap.first.value, gap.last.value, egret::name_of(gap.kind), name_of(gap.reason));
    if (s.more_gaps > 0) out += fmt::format("    and {} more\n", s.more_gaps);
  }
  out += fmt::format("{:10} {:>10} {:>10}\n", "day (UTC)", "received", "expected");
  for (const DayVolume& day : of.days) {
    out += fmt::format("{:10} {:>10} {:>10}{}\n", date_of(day.day), day.all(), day.expected ? std::to_string(*day.expected) : "-", int64_t{day.day} == now.us / kDayUs ? "  (until now)" : "");
  }
  return out;
}

}  // namespace egret::cloud
