#include "cloud/waiting_findings.h"

#include <algorithm>

namespace egret::cloud {
namespace {

constexpr size_t kEventsAtOnce = 256;

}  // namespace

// The number first: what is written between the two reads is looked at once more.
Result<void> WaitingFindings::begin(const Kv& kv) {
  const auto last = last_alert_event(kv);
  if (!last) return last.error();
  auto rows = waiting_alerts(kv, SIZE_MAX);
  if (!rows) return std::move(rows).error();
  for (const auto& [name, row] : *rows) waiting_[name] = {row.opened, row.deadline_s};
  last_ = *last;
  begun_ = true;
  return {};
}

Result<void> WaitingFindings::catch_up(const Kv& kv) {
  for (;;) {
    const auto events = alert_events(kv, last_, kEventsAtOnce);
    if (!events) return events.error();
    for (const AlertEvent& event : *events) {
      const auto row = find_alert(kv, event.about);
      if (!row) return row.error();
      if (*row && (*row)->state == AlertState::open && (*row)->acknowledged.us == 0) {
        waiting_[event.about] = {(*row)->opened, (*row)->deadline_s};
      } else {
        waiting_.erase(event.about);
      }
      last_ = event.number;
    }
    if (events->size() < kEventsAtOnce) return {};
  }
}

Result<FindingFigures> WaitingFindings::look(const Kv& kv, WallTime now) {
  const Result<void> read = begun_ ? catch_up(kv) : begin(kv);
  if (!read) return read.error();
  FindingFigures out;
  out.waiting = waiting_.size();
  for (const auto& [name, waits] : waiting_) {
    out.overdue += waits.opened.us + int64_t{waits.deadline_s} * 1'000'000 < now.us;
    if (out.oldest.us == 0 || waits.opened < out.oldest) out.oldest = waits.opened;
  }
  return out;
}

}  // namespace egret::cloud
