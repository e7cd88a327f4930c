#include "agent/metrics.h"

#include <algorithm>
#include <limits>

namespace egret::agent {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr double kNever = std::numeric_limits<double>::infinity();

uint64_t one(bool yes) { return yes ? 1 : 0; }

double drain_seconds(const StatusFacts& f) {
  const bool waits = std::any_of(f.lanes.begin(), f.lanes.end(), [](const LaneFacts& lane) { return lane.records > 0; });
  if (!waits) return 0;
  return f.drain_eta_s < 0 ? kUnknown : static_cast<double>(f.drain_eta_s);
}

void add_state(MetricList& out, const StatusFacts& f) {
  out.gauge("build_info", "1, with the version of the agent.").at({{"version", EGRET_VERSION}}, uint64_t{1});
  out.gauge("start_time_seconds", "When this process began, in Unix time.", static_cast<double>(f.started_ms) / 1000);
  out.gauge("linked", "1 while the region answers this site.", one(f.session.state == edge::State::active));
  Metric& states = out.gauge("session_state", "1 for the state that the session with the region is in.");
  for (edge::State state : {edge::State::down, edge::State::connecting, edge::State::greeting, edge::State::active, edge::State::held})
    states.at({{"state", edge::name_of(state)}}, one(f.session.state == state));
  out.gauge("session_state_seconds", "How long it has been linked, or in the state it is in.", static_cast<double>(f.now_ms - f.since_ms) / 1000);
  out.gauge("store_open", "1 while the store takes records.", one(f.store_state == "open"));
  out.counter("store_reopened_total", "Times the store was opened again after a failure.", f.reopens);
}

void add_records(MetricList& out, const StatusFacts& f) {
  const edge::Counters& c = f.view.counters;
  out.kept_counter("records_accepted_total", "Records that got their 2xx, ever.", c.accepted);
  out.kept_counter("records_shed_total", "Records of telemetry that were dropped for room, ever; each is named by a gap.", c.shed);
  out.kept_counter("records_refused_total", "Records that were refused at the door, ever; kept with the next one that is accepted.", c.refused);
  out.kept_counter("records_corrupt_total", "Records whose block could not be read any more, ever; each is named by a gap.", c.corrupt);
  out.kept_counter("records_exposed_total", "Records deleted for room when the region held them but not yet safely, ever.", c.exposed);
  Metric& records = out.gauge("records_waiting", "Records that the region has not acknowledged.");
  for (size_t i = 0; i < kStreamCount; i++) records.at({{"lane", name_of(StreamId(i))}}, f.lanes[i].records);
  Metric& bytes = out.gauge("waiting_bytes", "The same in bytes, as stored.");
  for (size_t i = 0; i < kStreamCount; i++) bytes.at({{"lane", name_of(StreamId(i))}}, f.lanes[i].bytes);
  Metric& oldest = out.gauge("oldest_waiting_seconds", "Age of the oldest of them; 0: none waits.");
  for (size_t i = 0; i < kStreamCount; i++) oldest.at({{"lane", name_of(StreamId(i))}}, static_cast<double>(f.lanes[i].oldest_s));
  out.gauge("drain_eta_seconds", "Until all is sent at the measured rate of the line; NaN: not known.", drain_seconds(f));
  out.gauge("parked_blocks", "Blocks that could not be sent and are kept aside.", f.view.parked_blocks);
  out.gauge("records_quarantined", "Records of this site that the region keeps with a reason, as it last said.", f.session.quarantined);
  out.gauge("epochs", "Epochs that hold something.", uint64_t{f.view.epochs.size()});
}

void add_road(MetricList& out, const StatusFacts& f) {
  const edge::SessionStatus& s = f.session;
  out.counter("frames_sent_total", "Frames given to the broker.", s.frames_sent);
  out.counter("frames_resent_total", "Of those, again.", s.frames_resent);
  out.counter("sent_bytes_total", "Bytes of these frames.", s.bytes_sent);
  out.counter("stray_frames_total", "Frames that came and are none of this session.", s.stray_frames);
  out.counter("region_went_back_total", "Times the region was seen to have lost what it had confirmed.", s.w_falls);
  out.gauge("link_bytes_per_second", "Measured rate of the line; 0: not known.", static_cast<double>(s.link_bytes_per_s));
}

void add_machine(MetricList& out, const StatusFacts& f, const MetricFacts& m) {
  out.gauge("disk_used_bytes", "What the store takes.", f.disk_used_bytes);
  out.gauge("disk_budget_bytes", "What it may take.", f.disk_budget_bytes);
  out.gauge("disk_free_bytes", "What its file system has left.", f.disk_free_bytes);
  out.gauge("disk_full_in_seconds", "Until the budget is full at the growth of about the last hour; +Inf: it is not growing.", f.disk_days_left < 0 ? kNever : f.disk_days_left * 24 * 3600);
  out.gauge("certificate_end_timestamp_seconds", "When the site's certificate at the broker ends, in Unix time; NaN: there is none, or it cannot be read.", m.certificate_end ? static_cast<double>(*m.certificate_end) : kUnknown);
  out.gauge("clock_synchronized", "1 while the system says that its clock is.", one(m.clock_synced));
  out.gauge("clock_error_seconds", "The system's own bound of its clock's error.", static_cast<double>(m.clock_error_ms) / 1000);
}

void add_work(MetricList& out, const StatusFacts& f, const MetricFacts& m) {
  out.counter("commits_total", "Groups that were written and synced.", f.commits);
  out.counter("commit_records_total", "Records in these groups.", f.commit_records);
  out.histogram("commit_seconds", "A group, from the first byte written to its sync.", m.commit_seconds);
  out.histogram("accept_seconds", "A request, from the writer's queue to its answer.", m.accept_seconds);
  out.counter("http_requests_total", "Requests at the doors.", f.requests);
  out.gauge("http_connections", "Connections at the doors now.", f.connections);
  out.counter("otlp_pushes_total", "Sets of metrics pushed to the OTLP receiver, by what became of them.").at({{"result", "taken"}}, m.otlp.taken).at({{"result", "failed"}}, m.otlp.failed);
}

}  // namespace

MetricList metrics_of(const StatusFacts& status, const MetricFacts& facts) {
  MetricList out("egret_agent_");
  add_state(out, status);
  add_records(out, status);
  add_road(out, status);
  add_machine(out, status, facts);
  add_work(out, status, facts);
  return out;
}

}  // namespace egret::agent
