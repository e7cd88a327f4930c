// Alerts: critical findings as something that must be answered: one alert a result, however often and in whatever order it
// came, with an ordered log of what became of it: opened, withdrawn, opened again, acknowledged, escalated.
// Promises: an alert that the views show is in the log once, whatever is killed in between: the mark that asks for it is
// written with the view, and goes with the event; an event's number is never given twice; views that are made anew open
// nothing again. No value and no patient: facility, result, times, who.
// Leaves to others: which results are critical (merge/, rule 22), telling anybody (alert_outputs.h, the API).
//
// Space 0, beside what tables.h has:
//   'a' fac id 16      an alert: state u8 (1 open, 2 withdrawn), opened i64, changed i64, deadline u32 s, acknowledged i64 or
//                      0, escalations u8, due i64 or 0, its last event u64, acknowledged by text
//   'b' number u64     an event: kind u8, at i64, deadline u32 s, name (fac, id), by text, note text
//   'c' name           an output: number of the last event that it has delivered u64
//   'd'                number of the last event u64
//   'e' due i64 fac id 16
//                      an open alert that is not acknowledged: when it escalates
// Space 5: 'A' fac id 16, an alert to be looked at.
#pragma once

#include <vector>

#include "cloud/view_tables.h"

namespace egret::cloud {

inline constexpr uint32_t kAlertDeadlineS = 1'800;  // where the record says none
inline constexpr uint8_t kEscalationsMax = 3;       // one each time the deadline passes again
inline constexpr size_t kAlertsAStep = 64;
inline constexpr size_t kAlertTextBytesMax = 512;   // who, and note

// On disk. Never renumbered.
enum class AlertEventKind : uint8_t { opened = 1, withdrawn = 2, opened_again = 3, acknowledged = 4, escalated = 5 };
const char* name_of(AlertEventKind kind);

struct AlertRow {
  AlertState state = AlertState::open;
  WallTime opened, changed;
  uint32_t deadline_s = kAlertDeadlineS;  // to acknowledge it, as the record says
  WallTime acknowledged;                  // us 0: not yet
  std::string by;                         // who did
  uint8_t escalations = 0;
  WallTime due;                           // of the next; us 0: none
  uint64_t last_event = 0;
};
struct AlertEvent {
  uint64_t number = 0;
  AlertEventKind kind = AlertEventKind::opened;
  WallTime at;
  uint32_t deadline_s = 0;
  ResultName about;
  std::string by, note;  // of an acknowledgement
};

// Looks at what was marked and at what is due, at most kAlertsAStep each. How many events it wrote.
// One at a time; after the Follower. Errors: conflict, corrupt, store_failed.
Result<size_t> keep_alerts(Kv& kv, WallTime now);
// Errors: not_found (no alert), conflict (withdrawn, or somebody has already), bad_input (who, or note, is too long).
Result<AlertEvent> acknowledge_alert(Kv& kv, const ResultName& name, const std::string& by, const std::string& note, WallTime now);

Result<std::optional<AlertRow>> find_alert(const Kv& kv, const ResultName& name);
// After `after`, in order, at most `most`.
Result<std::vector<AlertEvent>> alert_events(const Kv& kv, uint64_t after, size_t most);
Result<uint64_t> last_alert_event(const Kv& kv);
// Alerts that are open and not acknowledged, the one that is due first first.
Result<std::vector<std::pair<ResultName, AlertRow>>> waiting_alerts(const Kv& kv, size_t most);
// Alerts that somebody has acknowledged, the last one first, as they stand now: at most `most`, of the last `events` words.
Result<std::vector<std::pair<ResultName, AlertRow>>> answered_alerts(const Kv& kv, size_t most, size_t events);
// How far an output is; it never goes back, though two may tell for a moment. Errors of the second: conflict, too.
Result<uint64_t> delivered_to(const Kv& kv, const std::string& output);
Result<void> put_delivered(Kv& kv, const std::string& output, uint64_t number);

std::string to_json(const AlertEvent& event, uint64_t gen);
std::string to_json(const ResultName& name, const AlertRow& row);

Bytes alert_mark_key(const ResultName& name);

}  // namespace egret::cloud
