#include "cloud/metrics.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace egret::cloud {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kNever = std::numeric_limits<double>::infinity();

uint64_t one(bool yes) { return yes ? 1 : 0; }
double seconds_of(WallTime at) { return static_cast<double>(at.us) / 1e6; }
double known(const std::optional<uint64_t>& value) { return value ? static_cast<double>(*value) : kUnknown; }

// Both lines of the broker under one name.
void both_lines(Metric& metric, uint64_t control, uint64_t bulk) {
  metric.at({{"line", "control"}}, control).at({{"line", "bulk"}}, bulk);
}

void add_broker(MetricList& out, const BrokerStatus& b) {
  both_lines(out.gauge("broker_connected", "1 while the line to the broker stands."), one(b.control.connected), one(b.bulk.connected));
  both_lines(out.counter("broker_connects_total", "Connections made to the broker."), b.control.connects, b.bulk.connects);
  out.gauge("shards", "Of the 256 shards of all facilities, those whose frames this reconciler takes.", uint64_t{b.shards});
  out.counter("frames_of_other_shards_total", "Frames that other reconcilers take.", b.of_other_shards);
  both_lines(out.counter("frames_received_total", "Frames that came from the broker."), b.control.received, b.bulk.received);
  both_lines(out.gauge("queue_messages", "Frames that wait for the store."), b.control.queued_messages, b.bulk.queued_messages);
  both_lines(out.gauge("queue_bytes", "Bytes that wait for the store."), b.control.queued_bytes, b.bulk.queued_bytes);
  both_lines(out.counter("queue_dropped_total", "Frames dropped because the queue was full or the store down."), b.control.dropped, b.bulk.dropped);
  out.counter("stray_topics_total", "Messages on topics that are not es1's.", b.stray_topics);
  out.counter("replies_total", "Answers to sites, by what became of them.")
      .at({{"result", "published"}}, b.replies_published)
      .at({{"result", "failed"}}, b.replies_failed)
      .at({{"result", "unsent"}}, b.replies_unsent);
}

double seconds_until_full(const Vitals& site) {
  const auto days = disk_days_left(site);
  return days ? *days * 24 * 3600 : kNever;
}

double drain_seconds(const FacilityView& view) {
  if (view.behind == 0) return 0;
  return view.eta_ms ? static_cast<double>(*view.eta_ms) / 1000 : kUnknown;
}

bool clock_off(const FacilityView& view) {
  return view.row.last_seen.us != 0 && (view.row.vitals.clock_offset_ms > kClockOffMs || view.row.vitals.clock_offset_ms < -kClockOffMs);
}

bool certificate_low(const FacilityView& view, WallTime now) {
  const WallTime ends = view.row.vitals.certificate_ends;
  return ends.us != 0 && ends.us < now.us + kCertificateDaysLow * 86'400'000'000;
}

}  // namespace

SiteFigures figures_of(const std::vector<FacilityView>& views, WallTime now) {
  SiteFigures out;
  out.facilities = views.size();
  for (const FacilityView& view : views) {
    const Vitals& site = view.row.vitals;
    ++out.attentions[static_cast<size_t>(view.attention)];
    for (const Incident& incident : view.incidents) {
      const size_t kind = static_cast<size_t>(incident.kind);
      if (kind < out.incidents.size()) ++out.incidents[kind];
    }
    out.behind += view.behind;
    out.quarantined += view.row.quarantined;
    out.gap_records += view.row.gap_records;
    out.accepted += site.accepted;
    out.shed += site.shed;
    out.refused += site.refused;
    if (view.revoked) continue;  // nobody waits for it any more
    out.silent += view.silent;
    out.stalled += view.stalled;
    const auto days = disk_days_left(site);
    out.disk_low += days && *days < kDiskDaysLow;
    out.certificate_low += certificate_low(view, now);
    out.clock_off += clock_off(view);
    out.drain_long += view.eta_ms && *view.eta_ms > kDrainLongMs;
  }
  return out;
}

void Metrics::count(const Outcome& outcome) {
  hellos_ += outcome.hello;
  batches_ += outcome.batch;
  others_ += !outcome.hello && !outcome.batch;
  size_t drop = static_cast<size_t>(outcome.drop);
  if (drop < kDropReasons) ++drops_[drop];
  applied_ += outcome.applied;
  duplicates_ += outcome.duplicates;
  quarantined_ += outcome.quarantined;
  gap_records_ += outcome.gap_records;
  forks_ += outcome.fork;
  gaps_ += outcome.gap;
  bad_bodies_ += outcome.bad_body;
}

void Metrics::group_committed(const CommitReport& report, size_t frames, double seconds) {
  std::lock_guard held(lock_);
  for (const Outcome& outcome : report.outcomes) count(outcome);
  groups_ += frames > 0;
  failed_ += report.failed;
  unknown_ += report.unknown;
  commit_seconds_.observe(seconds);
}

void Metrics::store_reopened() {
  std::lock_guard held(lock_);
  ++reopened_;
}

void Metrics::facilities(const std::vector<FacilityView>& views, WallTime now) {
  const SiteFigures figures = figures_of(views, now);
  std::vector<FacilityView> named;
  for (const FacilityView& view : views) {
    if (named.size() == sites_named_max_) break;
    named.push_back(view);
  }
  std::lock_guard held(lock_);
  sites_ = figures;
  named_ = std::move(named);
}

void Metrics::views(std::optional<uint64_t> behind) {
  std::lock_guard held(lock_);
  views_behind_ = behind;
}

void Metrics::findings(const FindingFigures& figures) {
  std::lock_guard held(lock_);
  findings_ = figures;
}

void Metrics::backup(WallTime confirmed) {
  std::lock_guard held(lock_);
  backup_ = confirmed;
}

void Metrics::add_frames(MetricList& out) const {
  out.counter("frames_total", "Frames taken from the queue, by type.").at({{"type", "hello"}}, hellos_).at({{"type", "batch"}}, batches_).at({{"type", "other"}}, others_);
  Metric& drops = out.counter("frames_dropped_total", "Frames that changed nothing, by reason.");
  for (size_t i = 1; i < kDropReasons; ++i) drops.at({{"reason", name_of(static_cast<DropReason>(i))}}, drops_[i]);
  out.counter("batches_refused_total", "Batches that were answered with something else than OK.")
      .at({{"status", "gap"}}, gaps_)
      .at({{"status", "fork"}}, forks_)
      .at({{"status", "bad_body"}}, bad_bodies_);
}

void Metrics::add_records(MetricList& out) const {
  out.counter("records_total", "Records of committed batches, by what became of them.")
      .at({{"result", "applied"}}, applied_)
      .at({{"result", "duplicate"}}, duplicates_)
      .at({{"result", "quarantined"}}, quarantined_)
      .at({{"result", "gap"}}, gap_records_);
  out.counter("commits_total", "Groups of frames handed to the store.", groups_);
  out.counter("commit_frames_lost_total", "Frames whose commit failed, or whose outcome nobody knows.").at({{"outcome", "failed"}}, failed_).at({{"outcome", "unknown"}}, unknown_);
  out.counter("store_reopened_total", "Times the store was opened again after a failure.", reopened_);
  out.histogram("commit_seconds", "From taking a group to its commit.", commit_seconds_);
}

void Metrics::add_facilities(MetricList& out) const {
  if (!sites_) return;
  const SiteFigures& sites = *sites_;
  out.gauge("facilities", "Registered facilities.", sites.facilities);
  Metric& attentions = out.gauge("facilities_by_attention", "Facilities by the most urgent thing about them.");
  for (size_t i = 0; i < kAttentions; ++i) attentions.at({{"attention", name_of(static_cast<Attention>(i))}}, sites.attentions[i]);
  Metric& incidents = out.gauge("incidents_open", "Open incidents, by kind.");
  for (size_t i = 1; i < kIncidentKinds; ++i) incidents.at({{"kind", name_of(static_cast<IncidentKind>(i))}}, sites.incidents[i]);
  out.gauge("records_behind", "Records that sites hold and that are not committed.", sites.behind);
  out.gauge("records_quarantined", "Records that are kept with a reason now.", sites.quarantined);
  out.gauge("gap_records", "Records in gaps, each with its reason.", sites.gap_records);
  out.gauge("sites_records", "What the sites themselves have counted, as they last said; falls when a site's disk is replaced.")
      .at({{"result", "accepted"}}, sites.accepted)
      .at({{"result", "shed"}}, sites.shed)
      .at({{"result", "refused"}}, sites.refused);
  out.gauge("facilities_silent", "Facilities that have not spoken for long, whatever else is about them.", sites.silent);
  out.gauge("facilities_stalled", "Facilities that hold something of which nothing came for long, or that have held it for long.", sites.stalled);
  out.gauge("facilities_disk_low", "Facilities whose disk is full within 3 days, at the growth they see.", sites.disk_low);
  out.gauge("facilities_certificate_low", "Facilities whose certificate ends within 14 days, or has ended.", sites.certificate_low);
  out.gauge("facilities_clock_off", "Facilities whose clock was off by more than a minute when they last spoke.", sites.clock_off);
  out.gauge("facilities_drain_long", "Facilities that need more than a day for what they hold, at the rate of now.", sites.drain_long);
}

void Metrics::add_named(MetricList& out) const {
  const auto each = [&](const char* name, const char* help, auto value) {
    Metric& metric = out.gauge(name, help);
    for (const FacilityView& view : named_) metric.at({{"facility", view.fac}}, value(view));
  };
  Metric& attention = out.gauge("site_attention", "1, with the most urgent thing about this site.");
  for (const FacilityView& view : named_) attention.at({{"facility", view.fac}, {"attention", name_of(view.attention)}}, uint64_t{1});
  each("site_last_seen_timestamp_seconds", "When this site last spoke, in Unix time; 0: never.", [](const FacilityView& v) { return seconds_of(v.row.last_seen); });
  each("site_records_behind", "Records that this site holds and that are not committed.", [](const FacilityView& v) { return v.behind; });
  each("site_oldest_unsynced_seconds", "Age of the oldest of them, as it last said; 0: none.", [](const FacilityView& v) { return static_cast<double>(v.row.vitals.oldest_unsynced_ms) / 1000; });
  each("site_drain_eta_seconds", "Until nothing is behind at the rate of now; NaN: not known.", drain_seconds);
  each("site_disk_full_in_seconds", "Until its disk is full at the growth it sees; +Inf: it is not growing.", [](const FacilityView& v) { return seconds_until_full(v.row.vitals); });
  each("site_certificate_end_timestamp_seconds", "When its certificate ends, in Unix time; NaN: it has none, or has not said.",
       [](const FacilityView& v) { return v.row.vitals.certificate_ends.us == 0 ? kUnknown : seconds_of(v.row.vitals.certificate_ends); });
  each("site_clock_offset_seconds", "Its clock less the region's, when it last spoke.", [](const FacilityView& v) { return static_cast<double>(v.row.vitals.clock_offset_ms) / 1000; });
  each("site_records_quarantined", "Records of it that are kept with a reason now.", [](const FacilityView& v) { return v.row.quarantined; });
  each("site_gap_records", "Records of it in gaps.", [](const FacilityView& v) { return v.row.gap_records; });
}

void Metrics::add_watched(MetricList& out, const MetricsNow& now) const {
  out.gauge("views_behind_blocks", "Blocks that are committed and not in the views of results.", views_behind_.value_or(0));
  out.gauge("views_made_anew", "1 while the views of results are being made anew.", one(!views_behind_));
  if (findings_) {
    const FindingFigures& f = *findings_;
    out.gauge("critical_findings_waiting", "Critical findings that are open and that nobody has acknowledged.", f.waiting);
    out.gauge("critical_findings_overdue", "Of those, past the time in which they should have been acknowledged.", f.overdue);
    const bool none = f.oldest.us == 0 || f.oldest > now.wall;
    out.gauge("critical_findings_oldest_seconds", "Age of the oldest of those that wait; 0: none waits.", none ? 0.0 : seconds_of(now.wall) - seconds_of(f.oldest));
  }
  if (backup_) out.gauge("backup_confirmed_timestamp_seconds", "When the newest copy of the store was read back and confirmed, in Unix time; 0: none was, ever.", seconds_of(*backup_));
}

MetricList Metrics::list(const MetricsNow& now) const {
  MetricList out("egret_cloud_");
  out.gauge("build_info", "1, with the version of this program.").at({{"version", EGRET_VERSION}}, uint64_t{1});
  out.gauge("uptime_seconds", "Since this process is ready.", now.uptime_s);
  add_broker(out, now.broker);
  out.gauge("queue_limit_messages", "Frames that may wait for the store, on each line.", now.own_queue_messages);
  out.gauge("broker_held_messages", "Messages that the broker itself holds for all who subscribe, as Mosquitto tells; NaN: it does not tell.", known(now.broker_holds.held));
  out.gauge("broker_dropped_messages", "Messages that the broker has dropped since it began, as Mosquitto tells; NaN: it does not tell.", known(now.broker_holds.dropped));
  out.gauge("broker_queue_limit_messages", "What the broker queues for one client, as the configuration says.", now.broker_queue_messages);
  out.gauge("store_healthy", "1 while the store takes commits.", one(now.store_healthy));
  out.gauge("credit_granted", "Batches in flight that are granted to sites.", now.credit_granted);
  out.counter("otlp_pushes_total", "Sets of metrics pushed to the OTLP receiver, by what became of them.").at({{"result", "taken"}}, now.otlp.taken).at({{"result", "failed"}}, now.otlp.failed);
  std::lock_guard held(lock_);
  add_frames(out);
  add_records(out);
  add_facilities(out);
  add_watched(out, now);
  if (sites_named_max_ > 0) add_named(out);
  return out;
}

}  // namespace egret::cloud
