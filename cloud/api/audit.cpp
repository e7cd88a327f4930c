// /api/audit: who read or wrote what, for the auditor: entries in order with a cursor, and the signed roots.
#include <spdlog/fmt/fmt.h>

#include "cloud/api/query.h"
#include "cloud/api/region.h"
#include "cloud/cursor.h"
#include "cloud/json_text.h"
#include "cloud/results.h"

namespace egret::cloud {
namespace {

constexpr uint64_t kEntriesAPage = 1'000;
constexpr size_t kLookedAtAPage = 20'000;       // entries; a page may be short, and have more behind it
constexpr size_t kAnswerBytes = 1 * kMiB;

struct Wanted {
  std::optional<Cursor> after;
  uint64_t lines = 0;
  AuditAsked asked;
};

Result<Wanted> wanted_in(const std::string& text) {
  const auto query = query_of(text, {"after", "who", "result", "lines"});
  if (!query) return query.error();
  Wanted out;
  if (const auto at = query->find("after"); at != query->end() && !at->second.empty()) {
    out.after = cursor_of(at->second);
    if (!out.after) return Error{Errc::bad_input, "after: no cursor; it is what an answer called \"cursor\""};
  }
  const auto lines = number_in(*query, "lines", kEntriesAPage, 1, kEntriesAPage);
  if (!lines) return lines.error();
  out.lines = *lines;
  if (const auto at = query->find("who"); at != query->end()) out.asked.who = at->second;
  if (const auto at = query->find("result"); at != query->end()) {
    const auto name = result_name_of(at->second);
    if (!name) return Error{Errc::bad_input, "result: a result is named FACILITY/UUID"};
    out.asked.about = subject_of(*name);
  }
  return out;
}

HttpResponse page(OpenedStore& store, const Wanted& wanted) {
  const auto meta = store.store->meta();
  const auto head = audit_head(*store.kv);
  if (!meta || !head) return error_answer(meta ? head.error() : meta.error());
  if (wanted.after && wanted.after->gen != meta->gen)
    return json_answer(410, fmt::format(R"({{"error":"the store was restored from a backup since this cursor: begin again without after","cursor":"{}"}})", text_of(Cursor{meta->gen, 0, 0})));
  uint64_t at = wanted.after ? wanted.after->number : 0;
  std::string lines;
  size_t looked = 0, count = 0;
  bool more = false;
  const auto walked = each_audit(*store.kv, at, [&](const AuditRow& row) {
    more = count == wanted.lines || looked == kLookedAtAPage || lines.size() >= kAnswerBytes;
    if (more) return false;
    ++looked;
    at = row.number;
    if (!wanted.asked.wants(row.entry)) return true;
    ++count;
    lines += (lines.empty() ? "" : ",") + to_json(row);
    return true;
  });
  if (!walked) return error_answer(walked.error());
  return json_answer(200, fmt::format(R"({{"cursor":"{}","more":{},"last":{},"expired":{},"entries":[{}]}})", text_of(Cursor{meta->gen, at, 0}), more, head->last, head->expired, lines));
}

HttpResponse roots(OpenedStore& store) {
  const auto head = audit_head(*store.kv);
  const auto all = audit_roots(*store.kv);
  if (!head || !all) return error_answer(head ? all.error() : head.error());
  std::string out;
  for (const AuditRoot& root : *all) out += (out.empty() ? "" : ",") + to_json(root);
  return json_answer(200, fmt::format(R"({{"last":{},"c":"{}","expired":{},"roots":[{}]}})", head->last, hex(view(head->c)), head->expired, out));
}

}  // namespace

void add_audit(Endpoints& endpoints, const Region& region) {
  endpoints.add({"GET", "/api/audit", {Role::auditor}, "?after=CURSOR&who=NAME&result=FACILITY/UUID&lines=N: who read or wrote what, in order", [region](const ApiCall& call, HttpAnswer answer) {
                   const auto wanted = wanted_in(call.http.query);
                   if (!wanted) return answer(error_answer(wanted.error()));
                   answer_from_store(region, std::move(answer), [wanted = *wanted](OpenedStore& store) { return page(store, wanted); });
                 }});
  endpoints.add({"GET", "/api/audit/roots", {Role::auditor}, "the end of that log, and its root of each day, signed: keep them elsewhere",
                 [region](const ApiCall&, HttpAnswer answer) { answer_from_store(region, std::move(answer), roots); }});
}

}  // namespace egret::cloud
