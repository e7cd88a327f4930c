// /api/recalls: what a recall would touch, making one, and taking it back.
#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "cloud/api/query.h"
#include "cloud/api/region.h"
#include "cloud/recall_report.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};

std::string at(const Query& query, std::string_view name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

void show(const Region& region, std::string which, const ApiCall& call, HttpAnswer answer) {
  // Who has read what is not for everybody who may read it.
  const size_t entries = call.caller.role == Role::viewer ? 0 : kReadersLookedMax;
  answer_from_store(region, std::move(answer), [which = std::move(which), query = call.http.query, entries](OpenedStore& store) { return answer_of(recalls_text(*store.kv, which, query, entries)); });
}

// What was shown must be what is marked: whoever ordered it has judged by those numbers. What comes later is marked, too, as the order says.
HttpResponse make(OpenedStore& store, const Query& said, const std::string& by, WallTime now, AuditNote& note) {
  const RecallAsked asked{at(said, "model"), at(said, "version"), at(said, "from"), at(said, "to"), at(said, "facility")};
  const auto counted = report(*store.kv, asked, {}, 0);
  if (!counted) return error_answer(counted.error());
  if (hex(view(digest_of(*counted))) != at(said, "digest"))
    return error_answer(409, "what it would touch is not what was shown (digest), and nothing was marked: ask for the preview again");
  auto args = args_of(*counted, asked);
  args["reason"] = at(said, "reason");
  args["by"] = by;
  const auto order = make_recall(*store.kv, args, now);
  if (!order) return error_answer(order.error());
  note.about.push_back(subject_of_order(order->id));
  return json_answer(200, fmt::format(R"({{"order":{},"touches":{}}})", to_json(*order, false), to_json(*counted)));
}

void answer_make(const Region& region, const ApiCall& call, HttpAnswer answer) {
  auto said = texts_in(call.http.body, {"model", "version", "from", "to", "facility", "digest", "reason"});
  if (!said) return answer(error_answer(said.error()));
  if (at(*said, "model").empty()) return answer(error_answer(400, "model: which one?"));
  if (at(*said, "reason").empty()) return answer(error_answer(400, "reason: say why; it is kept with the recall, so no patient in it"));
  if (const std::string fac = at(*said, "facility"); !fac.empty() && !valid_facility(fac)) return answer(error_answer(400, kWrongSite));
  const auto digest = bytes_from_hex(at(*said, "digest"));
  if (!digest || digest->size() != sizeof(Hash)) return answer(error_answer(400, "digest: of the preview that was shown, 64 hex digits"));
  answer_from_store(region, std::move(answer), [said = std::move(*said), by = call.caller.name, now = region.now(), note = call.note](OpenedStore& store) { return make(store, said, by, now, *note); });
}

void answer_undo(const Region& region, const ApiCall& call, HttpAnswer answer) {
  auto said = texts_in(call.http.body, {"reason"});
  if (!said) return answer(error_answer(said.error()));
  if (at(*said, "reason").empty()) return answer(error_answer(400, "reason: say why; it is kept with the recall"));
  const std::string& text = call.names[0];
  uint64_t id = 0;
  const auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (failed != std::errc{} || stop != text.data() + text.size()) return answer(error_answer(400, "a recall is named by its number"));
  call.note->about.push_back(subject_of_order(id));
  answer_from_store(region, std::move(answer), [id, reason = at(*said, "reason"), by = call.caller.name, now = region.now()](OpenedStore& store) {
    const auto order = undo_recall(*store.kv, id, by, reason, now);
    return order ? json_answer(200, to_json(*order, false)) : error_answer(order.error());
  });
}

}  // namespace

void add_recalls(Endpoints& endpoints, const Region& region) {
  endpoints.add({"GET", "/api/recalls", kReaders, "every recall and every undoing, with who, when and why", [region](const ApiCall& call, HttpAnswer answer) { show(region, "", call, std::move(answer)); }});
  endpoints.add({"GET", "/api/recalls/preview", kReaders, "?model=M&version=V&from=A&to=B&facility=F: what a recall would touch, by site; changes nothing",
                 [region](const ApiCall& call, HttpAnswer answer) { show(region, "preview", call, std::move(answer)); }});
  endpoints.add({"GET", "/api/recalls/{id}", kReaders, "one recall and what it touches", [region](const ApiCall& call, HttpAnswer answer) { show(region, call.names[0], call, std::move(answer)); }});
  endpoints.add({"POST", "/api/recalls", {Role::operations}, R"({"model","version","from","to","facility","digest","reason"}: marks what the preview of this digest has shown; 409 when it would be something else now)",
                 [region](const ApiCall& call, HttpAnswer answer) { answer_make(region, call, std::move(answer)); }});
  endpoints.add({"POST", "/api/recalls/{id}/undo", {Role::operations}, R"({"reason":"…"}: takes a recall back; once)", [region](const ApiCall& call, HttpAnswer answer) { answer_undo(region, call, std::move(answer)); }});
}

}  // namespace egret::cloud
