// /api/alerts and /api/changes: ordered, with a cursor, and waiting for news.
#include <spdlog/fmt/fmt.h>

#include "cloud/alerts.h"
#include "cloud/api/query.h"
#include "cloud/api/region.h"
#include "cloud/changes.h"
#include "cloud/json_text.h"
#include "cloud/results.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};
constexpr size_t kEventsAPage = 1'000;
constexpr uint64_t kLinesAPage = 10'000;

// 30s, or 30; at most kWaitMsMax.
Result<int64_t> wait_in(const Query& query) {
  Query plain = query;
  if (auto at = plain.find("wait"); at != plain.end() && at->second.ends_with('s')) at->second.pop_back();
  const auto seconds = number_in(plain, "wait", 0, 0, kWaitMsMax / 1000);
  if (!seconds) return seconds.error();
  return static_cast<int64_t>(*seconds) * 1000;
}

// Where to go on; without `after` the beginning.
Result<std::optional<Cursor>> after_in(const Query& query) {
  const auto at = query.find("after");
  if (at == query.end() || at->second.empty()) return std::optional<Cursor>();
  const auto cursor = cursor_of(at->second);
  if (!cursor) return Error{Errc::bad_input, "after: no cursor; it is what an answer called \"cursor\" or Egret-Cursor"};
  return std::optional(*cursor);
}

// The store was restored since: what followed the cursor may be gone, and comes again under other numbers.
HttpResponse gone(uint64_t gen) {
  return json_answer(410, fmt::format(R"({{"error":"the store was restored from a backup since this cursor, and goes on otherwise: begin again without after, or from this one; ids have stayed the same","cursor":"{}"}})",
                                      text_of(Cursor{gen, 0, 0})));
}

// What all feeds share: query, gen, waiting. `page` answers from a place, and says whether there was news.
struct Paged {
  HttpResponse response;
  bool news = false;
};
using PageOf = std::function<Result<Paged>(OpenedStore& store, const Cursor& after)>;

void answer_feed(const Region& region, const Query& query, HttpAnswer answer, PageOf page) {
  const auto wait = wait_in(query);
  const auto after = after_in(query);
  if (!wait || !after) return answer(error_answer(wait ? after.error() : wait.error()));
  Waiting::Try attempt = [after = *after, page = std::move(page)](OpenedStore* store, bool last) -> std::optional<HttpResponse> {
    if (store == nullptr) return last ? std::optional(error_answer(503, "the store is being opened again")) : std::nullopt;
    const auto meta = store->store->meta();
    if (!meta) return error_answer(meta.error());
    if (after && after->gen != meta->gen) return gone(meta->gen);
    auto got = page(*store, after.value_or(Cursor{meta->gen, 0, 0}));
    if (!got) return error_answer(got.error());
    return got->news || last ? std::optional(std::move(got->response)) : std::nullopt;
  };
  region.on_store([waiting = region.waiting, now = region.mono, wait = *wait, attempt = std::move(attempt), answer = std::move(answer)](OpenedStore* store) mutable {
    waiting->ask(store, now(), wait, std::move(attempt), std::move(answer));
  });
}

Result<Paged> alerts_page(OpenedStore& store, const Cursor& after, AuditNote& note) {
  const auto events = alert_events(*store.kv, after.number, kEventsAPage);
  if (!events) return events.error();
  std::string lines;
  for (const AlertEvent& event : *events) {
    lines += (lines.empty() ? "" : ",") + to_json(event, after.gen);
    note.about.push_back(subject_of(event.about));
  }
  const Cursor next{after.gen, events->empty() ? after.number : events->back().number, 0};
  return Paged{json_answer(200, fmt::format(R"({{"cursor":"{}","alerts":[{}]}})", text_of(next), lines)), !events->empty()};
}

Result<Paged> changes_page(OpenedStore& store, const Cursor& after, uint64_t lines, bool records, AuditNote& note) {
  ChangesAsked asked;
  asked.after = after;
  asked.lines = lines;
  asked.records = records;
  auto page = changes(*store.kv, asked);
  if (!page) return std::move(page).error();
  note.about = std::move(page->shown);
  HttpResponse response{200, "application/x-ndjson", std::move(page->lines), {{"Egret-Cursor", text_of(page->next)}, {"Egret-More", page->more ? "yes" : "no"}}};
  return Paged{std::move(response), page->count > 0 || page->next != after};
}

void changes_feed(const Region& region, const ApiCall& call, HttpAnswer answer) {
  const auto query = query_of(call.http.query, {"after", "wait", "lines", "records"});
  if (!query) return answer(error_answer(query.error()));
  const auto lines = number_in(*query, "lines", 1'000, 1, kLinesAPage);
  const auto records = number_in(*query, "records", 0, 0, 1);
  if (!lines || !records) return answer(error_answer(lines ? records.error() : lines.error()));
  if (*records == 1 && call.caller.role != Role::fhir) return answer(error_answer(403, "records=1 shows patients: it is for: fhir"));
  answer_feed(region, *query, std::move(answer), [lines = *lines, with = *records == 1, note = call.note](OpenedStore& store, const Cursor& after) { return changes_page(store, after, lines, with, *note); });
}

constexpr size_t kAnsweredShown = 100, kAnsweredLookedMax = 5'000;

Result<std::string> alerts_json(const Result<std::vector<std::pair<ResultName, AlertRow>>>& all, AuditNote& note) {
  if (!all) return all.error();
  std::string out;
  for (const auto& [name, row] : *all) {
    out += (out.empty() ? "" : ",") + to_json(name, row);
    note.about.push_back(subject_of(name));
  }
  return "{\"alerts\":[" + out + "]}";
}

void acknowledge(const Region& region, const ApiCall& call, HttpAnswer answer) {
  const auto name = result_name_of(call.names[0] + "/" + call.names[1]);
  const auto note = note_in(call.http.body);
  if (!name || !note) return answer(error_answer(name ? note.error() : Error{Errc::bad_input, "an alert is named FACILITY/UUID"}));
  call.note->about.push_back(subject_of(*name));
  answer_from_store(region, std::move(answer), [region, name = *name, note = *note, by = call.caller.name](OpenedStore& store) {
    const auto event = acknowledge_alert(*store.kv, name, by, note, region.now());
    const auto meta = store.store->meta();
    if (!event || !meta) return error_answer(event ? meta.error() : event.error());
    return json_answer(200, to_json(*event, meta->gen));
  });
}

}  // namespace

void add_feeds(Endpoints& endpoints, const Region& region) {
  endpoints.add({"GET", "/api/alerts", kReaders, "?after=CURSOR&wait=30s: what became of critical findings, in order", [region](const ApiCall& call, HttpAnswer answer) {
                   const auto query = query_of(call.http.query, {"after", "wait"});
                   if (!query) return answer(error_answer(query.error()));
                   answer_feed(region, *query, std::move(answer), [note = call.note](OpenedStore& store, const Cursor& after) { return alerts_page(store, after, *note); });
                 }});
  endpoints.add({"GET", "/api/alerts/waiting", kReaders, "alerts that are open and that nobody has acknowledged, the oldest first", [region](const ApiCall& call, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [note = call.note](OpenedStore& store) { return answer_of(alerts_json(waiting_alerts(*store.kv, kEventsAPage), *note)); });
                 }});
  endpoints.add({"GET", "/api/alerts/answered", kReaders, "alerts that somebody has acknowledged, the last one first, at most 100", [region](const ApiCall& call, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [note = call.note](OpenedStore& store) { return answer_of(alerts_json(answered_alerts(*store.kv, kAnsweredShown, kAnsweredLookedMax), *note)); });
                 }});
  endpoints.add({"GET", "/api/alerts/{facility}/{id}", kReaders, "one alert as it stands", [region](const ApiCall& call, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [note = call.note, text = call.names[0] + "/" + call.names[1]](OpenedStore& store) {
                     const auto name = result_name_of(text);
                     if (name) note->about.push_back(subject_of(*name));
                     if (!name) return error_answer(400, "an alert is named FACILITY/UUID");
                     const auto row = find_alert(*store.kv, *name);
                     if (!row) return error_answer(row.error());
                     return *row ? json_answer(200, to_json(*name, **row)) : error_answer(404, "there is no alert of this result");
                   });
                 }});
  endpoints.add({"POST", "/api/alerts/{facility}/{id}/acknowledge", {Role::operations}, "{\"note\":\"…\"} or nothing: somebody has taken it up; once", [region](const ApiCall& call, HttpAnswer answer) { acknowledge(region, call, std::move(answer)); }});
  endpoints.add({"GET", "/api/changes", {Role::viewer, Role::operations, Role::auditor, Role::fhir}, "?after=CURSOR&wait=30s&lines=N: what was committed, in order, as NDJSON; records=1 (fhir alone): with the records",
                 [region](const ApiCall& call, HttpAnswer answer) { changes_feed(region, call, std::move(answer)); }});
}

}  // namespace egret::cloud
