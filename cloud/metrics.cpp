#include "cloud/metrics.h"

#include <spdlog/fmt/fmt.h>

namespace egret::cloud {
namespace {

constexpr std::string_view kPrefix = "egret_cloud_";

std::string head(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {0}{1} {2}\n# TYPE {0}{1} {3}\n", kPrefix, name, help, type);
}
template <class T>
std::string line(std::string_view name, std::string_view labels, T value) {
  if (labels.empty()) return fmt::format("{}{} {}\n", kPrefix, name, value);
  return fmt::format("{}{}{{{}}} {}\n", kPrefix, name, labels, value);
}
template <class T>
std::string single(std::string_view name, std::string_view type, std::string_view help, T value) {
  return head(name, type, help) + line(name, "", value);
}

// Both lines of the broker under one name.
template <class T>
std::string both_lines(std::string_view name, std::string_view type, std::string_view help,
                       T control, T bulk) {
  return head(name, type, help) + line(name, R"(line="control")", control) +
         line(name, R"(line="bulk")", bulk);
}

std::string broker_text(const BrokerStatus& b) {
  std::string out;
  out += both_lines("broker_connected", "gauge", "1 while the line to the broker stands.",
                    int(b.control.connected), int(b.bulk.connected));
  out += both_lines("broker_connects_total", "counter", "Connections made to the broker.",
                    b.control.connects, b.bulk.connects);
  out += single("shards", "gauge", "Of the 256 shards of all facilities, those whose frames this reconciler takes.", b.shards);
  out += single("frames_of_other_shards_total", "counter", "Frames that other reconcilers take.", b.of_other_shards);
  out += both_lines("frames_received_total", "counter", "Frames that came from the broker.",
                    b.control.received, b.bulk.received);
  out += both_lines("queue_messages", "gauge", "Frames that wait for the store.",
                    b.control.queued_messages, b.bulk.queued_messages);
  out += both_lines("queue_bytes", "gauge", "Bytes that wait for the store.",
                    b.control.queued_bytes, b.bulk.queued_bytes);
  out += both_lines("queue_dropped_total", "counter",
                    "Frames dropped because the queue was full or the store down.",
                    b.control.dropped, b.bulk.dropped);
  out += single("stray_topics_total", "counter", "Messages on topics that are not es1's.",
                b.stray_topics);
  out += head("replies_total", "counter", "Answers to sites, by what became of them.");
  out += line("replies_total", R"(result="published")", b.replies_published);
  out += line("replies_total", R"(result="failed")", b.replies_failed);
  out += line("replies_total", R"(result="unsent")", b.replies_unsent);
  return out;
}

}  // namespace

void Histogram::observe(double seconds) {
  size_t at = 0;
  while (at < kBounds.size() && seconds > kBounds[at]) ++at;
  ++counts_[at];
  sum_ += seconds;
}

std::string Histogram::text(const std::string& name) const {
  std::string out;
  uint64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    out += line(name + "_bucket", fmt::format(R"(le="{}")", kBounds[i]), below);
  }
  below += counts_.back();
  out += line(name + "_bucket", R"(le="+Inf")", below);
  out += line(name + "_sum", "", sum_);
  out += line(name + "_count", "", below);
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

void Metrics::facilities(const std::vector<FacilityView>& views) {
  std::lock_guard held(lock_);
  incidents_.fill(0);
  attentions_.fill(0);
  facilities_ = views.size();
  behind_ = 0;
  for (const FacilityView& view : views) {
    behind_ += view.behind;
    ++attentions_[static_cast<size_t>(view.attention)];
    for (const Incident& incident : view.incidents) {
      size_t kind = static_cast<size_t>(incident.kind);
      if (kind < kIncidentKinds) ++incidents_[kind];
    }
  }
}

std::string Metrics::frames_text() const {
  std::string out = head("frames_total", "counter", "Frames taken from the queue, by type.");
  out += line("frames_total", R"(type="hello")", hellos_);
  out += line("frames_total", R"(type="batch")", batches_);
  out += line("frames_total", R"(type="other")", others_);
  out += head("frames_dropped_total", "counter", "Frames that changed nothing, by reason.");
  for (size_t i = 1; i < kDropReasons; ++i) {
    const char* reason = name_of(static_cast<DropReason>(i));
    out += line("frames_dropped_total", fmt::format(R"(reason="{}")", reason), drops_[i]);
  }
  out += head("batches_refused_total", "counter",
              "Batches that were answered with something else than OK.");
  out += line("batches_refused_total", R"(status="gap")", gaps_);
  out += line("batches_refused_total", R"(status="fork")", forks_);
  out += line("batches_refused_total", R"(status="bad_body")", bad_bodies_);
  return out;
}

std::string Metrics::records_text() const {
  std::string out =
      head("records_total", "counter", "Records of committed batches, by what became of them.");
  out += line("records_total", R"(result="applied")", applied_);
  out += line("records_total", R"(result="duplicate")", duplicates_);
  out += line("records_total", R"(result="quarantined")", quarantined_);
  out += line("records_total", R"(result="gap")", gap_records_);
  out += single("commits_total", "counter", "Groups of frames handed to the store.", groups_);
  out += head("commit_frames_lost_total", "counter",
              "Frames whose commit failed, or whose outcome nobody knows.");
  out += line("commit_frames_lost_total", R"(outcome="failed")", failed_);
  out += line("commit_frames_lost_total", R"(outcome="unknown")", unknown_);
  out += single("store_reopened_total", "counter",
                "Times the store was opened again after a failure.", reopened_);
  out += head("commit_seconds", "histogram", "From taking a group to its commit.");
  out += commit_seconds_.text("commit_seconds");
  return out;
}

std::string Metrics::facilities_text() const {
  std::string out = single("facilities", "gauge", "Registered facilities.", facilities_);
  out +=
      head("facilities_by_attention", "gauge", "Facilities by the most urgent thing about them.");
  for (size_t i = 0; i < kAttentions; ++i) {
    const char* attention = name_of(static_cast<Attention>(i));
    out += line("facilities_by_attention", fmt::format(R"(attention="{}")", attention),
                attentions_[i]);
  }
  out += head("incidents_open", "gauge", "Open incidents, by kind.");
  for (size_t i = 1; i < kIncidentKinds; ++i) {
    const char* kind = name_of(static_cast<IncidentKind>(i));
    out += line("incidents_open", fmt::format(R"(kind="{}")", kind), incidents_[i]);
  }
  out += single("records_behind", "gauge", "Records that sites hold and that are not committed.",
                behind_);
  out += single("views_behind_blocks", "gauge",
                "Blocks that are committed and not in the views of results.",
                views_behind_.value_or(0));
  out += single("views_made_anew", "gauge", "1 while the views of results are being made anew.",
                int(!views_behind_));
  return out;
}

void Metrics::views(std::optional<uint64_t> behind) {
  std::lock_guard held(lock_);
  views_behind_ = behind;
}

std::string Metrics::text(const MetricsNow& now) const {
  std::string out = broker_text(now.broker);
  out +=
      single("store_healthy", "gauge", "1 while the store takes commits.", int(now.store_healthy));
  out += single("credit_granted", "gauge", "Batches in flight that are granted to sites.",
                now.credit_granted);
  out += single("uptime_seconds", "gauge", "Since this process is ready.", now.uptime_s);
  std::lock_guard held(lock_);
  return out + frames_text() + records_text() + facilities_text();
}

}  // namespace egret::cloud
