#include "cloud/alerts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "cloud/block_reader.h"
#include "cloud/cursor.h"
#include "cloud/decoded.h"
#include "cloud/json_text.h"
#include "cloud/results.h"
#include "cloud/row_bytes.h"
#include "cloud/shared_kv.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

Bytes row_key(const ResultName& name) {
  Bytes out("a");
  put_name(out, name);
  return out;
}
Bytes event_key(uint64_t number) {
  Bytes out("b");
  put_u64(out, number);
  return out;
}
Bytes number_key() { return "d"; }
Bytes due_key(WallTime due, const ResultName& name) {
  Bytes out("e");
  put_u64(out, static_cast<uint64_t>(due.us));
  put_name(out, name);
  return out;
}

Error damaged_alert() { return {Errc::corrupt, "cloud store: a row of the table \"alerts\" is not as it was written; restore from a backup"}; }

Bytes encode(const AlertRow& row) {
  return RowWriter(96).u8(uint8_t(row.state)).i64(row.opened.us).i64(row.changed.us).u32(row.deadline_s).i64(row.acknowledged.us).u8(row.escalations).i64(row.due.us).u64(row.last_event).text(row.by).take();
}

Result<AlertRow> decode_alert(ByteView value) {
  RowReader in(value);
  AlertRow row;
  row.state = AlertState(in.u8());
  row.opened.us = in.i64();
  row.changed.us = in.i64();
  row.deadline_s = in.u32();
  row.acknowledged.us = in.i64();
  row.escalations = in.u8();
  row.due.us = in.i64();
  row.last_event = in.u64();
  row.by = in.text();
  if (!in.done() || (row.state != AlertState::open && row.state != AlertState::withdrawn)) return damaged_alert();
  return row;
}

Bytes encode(const AlertEvent& event) {
  Bytes name;
  put_name(name, event.about);
  return RowWriter(96).u8(uint8_t(event.kind)).i64(event.at.us).u32(event.deadline_s).text(name).text(event.by).text(event.note).take();
}

Result<AlertEvent> decode_event(ByteView key, ByteView value) {
  RowReader in(value);
  AlertEvent event;
  event.number = get_u64(key, 1);
  event.kind = AlertEventKind(in.u8());
  event.at.us = in.i64();
  event.deadline_s = in.u32();
  const auto name = name_in(in.text());
  event.by = in.text();
  event.note = in.text();
  if (!in.done() || !name || key.size() != 9 || event.kind < AlertEventKind::opened || event.kind > AlertEventKind::escalated) return damaged_alert();
  event.about = *name;
  return event;
}

// How long a person has, as the current version says.
uint32_t deadline_of(const Kv& kv, const ResultRow& row) {
  const ResultView view = row.view();
  const PlacedStatement* version = view.values ? row.find(*view.values) : nullptr;
  if (version == nullptr) return kAlertDeadlineS;
  BlockReader reader(kv);
  const auto record = reader.at(version->by, version->place);
  const auto parts = record && !record->gone ? split_record(record->record) : Result<RecordView>(Error{});
  v1::Body body;
  if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || body.ai_result().ack_deadline_s() == 0) return kAlertDeadlineS;
  return body.ai_result().ack_deadline_s();
}

// What one step or one acknowledgement writes.
class Change {
 public:
  explicit Change(const Kv& kv) : kv_(kv) {}

  Result<void> begin() {
    const auto last = last_alert_event(kv_);
    if (!last) return last.error();
    number_ = *last;
    return {};
  }
  AlertEvent tell(const ResultName& name, AlertRow& row, AlertEventKind kind, WallTime now, const std::string& by = "", const std::string& note = "") {
    if (row.due.us != 0) batch.erase(kMetaSpace, due_key(row.due, name));
    row.changed = now;
    row.last_event = ++number_;
    const bool waits = row.state == AlertState::open && row.acknowledged.us == 0 && row.escalations < kEscalationsMax;
    row.due = waits ? WallTime{now.us + int64_t{row.deadline_s} * 1'000'000} : WallTime{};
    if (waits) batch.put(kMetaSpace, due_key(row.due, name), {});
    AlertEvent event{number_, kind, now, row.deadline_s, name, by, note};
    batch.put(kMetaSpace, event_key(number_), encode(event));
    ++events;
    return event;
  }
  // Once a batch: of a row that was not there a second put would be a rival's.
  void keep(const ResultName& name, const AlertRow& row) { batch.put(kMetaSpace, row_key(name), encode(row)); }
  Result<void> commit(Kv& kv) {
    if (batch.empty()) return {};
    Bytes number;
    put_u64(number, number_);
    if (events > 0) batch.put(kMetaSpace, number_key(), std::move(number));
    return kv.write(batch, true);
  }

  KvBatch batch;
  size_t events = 0;

 private:
  const Kv& kv_;
  uint64_t number_ = 0;
};

// A result whose alert may have changed: told when it has.
Result<void> look_at(const Kv& kv, const ResultName& name, WallTime now, Change& change) {
  const auto result = find_result(kv, name);
  if (!result) return result.error();
  const auto known = find_alert(kv, name);
  if (!known) return known.error();
  const AlertState state = *result ? (*result)->view().alert : AlertState::none;
  AlertRow row = known->value_or(AlertRow{});
  const bool open = state == AlertState::open;
  if (!*known && state == AlertState::none) return {};
  const uint64_t before = row.last_event;
  // One that is taken back before anybody was told of it is told of too: both words, in this order.
  if (!*known || (open && row.state == AlertState::withdrawn)) {
    row.state = AlertState::open;
    row.acknowledged = {};
    row.by.clear();
    row.escalations = 0;
    if (!*known) row.opened = now;
    if (*result) row.deadline_s = deadline_of(kv, **result);
    change.tell(name, row, *known ? AlertEventKind::opened_again : AlertEventKind::opened, now);
  }
  if (!open && row.state == AlertState::open) {
    row.state = AlertState::withdrawn;
    change.tell(name, row, AlertEventKind::withdrawn, now);
  }
  if (row.last_event != before) change.keep(name, row);
  return {};
}

// While the views are made anew a result is seen without what was said of it last: nothing is told until they are whole.
Result<bool> views_are_whole(const Kv& kv) {
  const auto asked = kv.get(kViewSpace, rebuild_asked_key());
  const auto stored = kv.get(kViewSpace, views_state_key());
  if (!asked || !stored) return asked ? stored.error() : asked.error();
  if (*asked || !*stored) return false;
  const auto state = decode_views_state(**stored);
  if (!state) return state.error();
  return state->next_block.empty();
}

Result<std::vector<ResultName>> marked(const Kv& kv) {
  std::vector<ResultName> out;
  const auto whole = views_are_whole(kv);
  if (!whole) return whole.error();
  if (!*whole) return out;
  const auto scanned = kv.scan(kViewSpace, "A", "B", [&](ByteView key, ByteView) {
    if (auto name = result_of('A', key)) out.push_back(std::move(*name));
    return out.size() < kAlertsAStep;
  });
  if (!scanned) return scanned.error();
  return out;
}

Result<std::vector<ResultName>> named_in_due(const Kv& kv, const Bytes& end, size_t most) {
  std::vector<ResultName> out;
  const auto scanned = kv.scan(kMetaSpace, "e", end, [&](ByteView key, ByteView) {
    if (auto name = key.size() > 9 ? name_in(key.substr(9)) : std::nullopt) out.push_back(std::move(*name));
    return out.size() < most;
  });
  if (!scanned) return scanned.error();
  return out;
}

}  // namespace

const char* name_of(AlertEventKind kind) {
  switch (kind) {
    case AlertEventKind::opened: return "opened";
    case AlertEventKind::withdrawn: return "withdrawn";
    case AlertEventKind::opened_again: return "opened_again";
    case AlertEventKind::acknowledged: return "acknowledged";
    case AlertEventKind::escalated: return "escalated";
  }
  return "";
}

Bytes alert_mark_key(const ResultName& name) {
  Bytes out("A");
  put_name(out, name);
  return out;
}

Result<size_t> keep_alerts(Kv& kv, WallTime now) {
  const AtOnce at_once(kv);
  const auto marks = marked(kv);
  if (!marks) return marks.error();
  const auto due = named_in_due(kv, due_key({now.us + 1}, {}).substr(0, 9), kAlertsAStep);
  if (!due) return due.error();
  if (marks->empty() && due->empty()) return size_t{0};
  Change change(kv);
  if (auto begun = change.begin(); !begun) return std::move(begun).error();
  for (const ResultName& name : *marks) {
    if (auto looked = look_at(kv, name, now, change); !looked) return std::move(looked).error();
    change.batch.erase(kViewSpace, alert_mark_key(name));
  }
  for (const ResultName& name : *due) {
    // Of one that is marked too the mark has spoken; its time comes round again.
    if (std::ranges::find(*marks, name) != marks->end()) continue;
    const auto row = find_alert(kv, name);
    if (!row) return row.error();
    if (!*row) return damaged_alert();
    AlertRow late = **row;
    ++late.escalations;
    change.tell(name, late, AlertEventKind::escalated, now);
    change.keep(name, late);
  }
  const size_t events = change.events;
  if (auto written = change.commit(kv); !written) return std::move(written).error();
  return events;
}

Result<AlertEvent> acknowledge_alert(Kv& kv, const ResultName& name, const std::string& by, const std::string& note, WallTime now) {
  if (by.empty()) return Error{Errc::bad_input, "by: who acknowledges it?"};
  if (by.size() + note.size() > kAlertTextBytesMax) return Error{Errc::bad_input, fmt::format("who and note together: {} bytes, at most {}", by.size() + note.size(), kAlertTextBytesMax)};
  const AtOnce at_once(kv);
  const auto row = find_alert(kv, name);
  if (!row) return row.error();
  if (!*row) return Error{Errc::not_found, "there is no alert of this result"};
  AlertRow now_row = **row;
  if (now_row.state == AlertState::withdrawn) return Error{Errc::conflict, "this alert was withdrawn"};
  if (now_row.acknowledged.us != 0) return Error{Errc::conflict, fmt::format("acknowledged already by {} at {}", now_row.by, json_time(now_row.acknowledged))};
  Change change(kv);
  if (auto begun = change.begin(); !begun) return std::move(begun).error();
  now_row.acknowledged = now;
  now_row.by = by;
  AlertEvent event = change.tell(name, now_row, AlertEventKind::acknowledged, now, by, note);
  change.keep(name, now_row);
  if (auto written = change.commit(kv); !written) return std::move(written).error();
  return event;
}

Result<std::optional<AlertRow>> find_alert(const Kv& kv, const ResultName& name) {
  const auto stored = kv.get(kMetaSpace, row_key(name));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<AlertRow>();
  auto row = decode_alert(**stored);
  if (!row) return std::move(row).error();
  return std::optional(std::move(*row));
}

Result<std::vector<AlertEvent>> alert_events(const Kv& kv, uint64_t after, size_t most) {
  return decoded(kv, kMetaSpace, event_key(after + 1), "c", decode_event, most);
}

Result<uint64_t> last_alert_event(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, number_key());
  if (!stored) return stored.error();
  return *stored ? get_u64(**stored, 0) : 0;
}

Result<std::vector<std::pair<ResultName, AlertRow>>> waiting_alerts(const Kv& kv, size_t most) {
  std::vector<std::pair<ResultName, AlertRow>> out;
  std::optional<Error> failed;
  // The rows themselves: one that has escalated for the last time is due no more, and still waits.
  const auto scanned = kv.scan(kMetaSpace, "a", "b", [&](ByteView key, ByteView value) {
    const auto name = name_in(key.substr(1));
    auto row = decode_alert(value);
    if (!name || !row) failed = damaged_alert();
    if (failed) return false;
    if (row->state == AlertState::open && row->acknowledged.us == 0) out.emplace_back(*name, std::move(*row));
    return out.size() < most;
  });
  if (!scanned) return scanned.error();
  if (failed) return std::move(*failed);
  std::ranges::sort(out, {}, [](const auto& one) { return std::tie(one.second.opened, one.first); });
  return out;
}

Result<std::vector<std::pair<ResultName, AlertRow>>> answered_alerts(const Kv& kv, size_t most, size_t events) {
  std::vector<std::pair<ResultName, AlertRow>> out;
  std::optional<Error> failed;
  std::set<ResultName> seen;
  const auto scanned = kv.scan_back(kMetaSpace, "b", "c", [&](ByteView key, ByteView value) {
    const auto event = decode_event(key, value);
    if (!event) failed = event.error();
    if (failed || events-- == 0) return false;
    if (event->kind != AlertEventKind::acknowledged || !seen.insert(event->about).second) return true;
    auto row = find_alert(kv, event->about);
    if (!row) failed = row.error();
    // One that was opened again since waits once more.
    if (row && *row && (*row)->acknowledged.us != 0) out.emplace_back(event->about, std::move(**row));
    return !failed && out.size() < most;
  });
  if (!scanned) return scanned.error();
  if (failed) return std::move(*failed);
  return out;
}

Result<uint64_t> delivered_to(const Kv& kv, const std::string& output) {
  const auto stored = kv.get(kMetaSpace, "c" + output);
  if (!stored) return stored.error();
  return *stored ? get_u64(**stored, 0) : 0;
}

Result<void> put_delivered(Kv& kv, const std::string& output, uint64_t number) {
  const AtOnce at_once(kv);
  const auto before = delivered_to(kv, output);
  if (!before) return before.error();
  if (*before >= number) return {};
  KvBatch batch;
  Bytes value;
  put_u64(value, number);
  batch.put(kMetaSpace, "c" + output, std::move(value));
  return kv.write(batch, true);
}

std::string to_json(const AlertEvent& event, uint64_t gen) {
  return fmt::format(R"({{"cursor":"{}","event":"{}","facility":"{}","result":"{}","at":{},"ack_deadline_s":{},"by":{}}})", text_of(Cursor{gen, event.number, 0}), name_of(event.kind),
                     event.about.fac, egret::text_of(event.about.id), json_time(event.at), event.deadline_s, event.by.empty() ? "null" : json_string(event.by));
}

std::string to_json(const ResultName& name, const AlertRow& row) {
  return fmt::format(R"({{"facility":"{}","result":"{}","state":"{}","opened":{},"changed":{},"ack_deadline_s":{},"acknowledged":{},"by":{},"escalations":{},"escalates":{}}})", name.fac,
                     egret::text_of(name.id), row.state == AlertState::open ? (row.acknowledged.us != 0 ? "acknowledged" : "open") : "withdrawn", json_time(row.opened), json_time(row.changed),
                     row.deadline_s, json_time(row.acknowledged), row.by.empty() ? "null" : json_string(row.by), row.escalations, json_time(row.due));
}

}  // namespace egret::cloud
