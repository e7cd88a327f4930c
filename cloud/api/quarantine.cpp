// /api/quarantine: records that could not be taken: why, what they are made of, their bytes, and looking again.
// Bytes may be about a patient. Who operates the region sees what a record is made of and no value; the bytes are for the auditor alone,
// and that they are looked at is in the audit log, synced, before they are shown.
#include "cloud/quarantine.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/api/region.h"
#include "cloud/json_text.h"
#include "cloud/record_outline.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr Roles kReaders{Role::viewer, Role::operations, Role::auditor};
constexpr const char* kWrongRecord = "a record is named by its facility and 64 hex digits";
constexpr size_t kQuarantinedShown = 200;  // of a site

// Why each was refused, then and now. A record's bytes are not here: it may be about a patient.
Result<std::string> quarantine_json(OpenedStore& store, const Facility& fac) {
  const auto all = reread_quarantined(*store.kv, fac, "");
  if (!all) return all.error();
  std::string out;
  size_t shown = 0;
  for (const Reread& r : all->records) {
    if (shown++ == kQuarantinedShown) break;
    out += fmt::format(R"({}{{"id":"{}","reason":"{}","detail":{},"now":{},"becomes":"{}","epoch":"{:016x}","stream":"{}","seq":{},"at":{},"bytes":{}}})", out.empty() ? "" : ",", hex(view(r.id)), name_of(r.was),
                       json_string(r.detail), json_string(r.now), name_of(r.becomes), r.place.key.epoch.value, egret::name_of(r.place.key.stream), r.place.seq.value, json_time(r.at), r.record.size());
  }
  return fmt::format(R"({{"facility":{},"records":[{}],"more":{}}})", json_string(fac), out, all->more || all->records.size() > kQuarantinedShown);
}

HttpResponse retry_one(OpenedStore& store, const Facility& fac, const std::string& id) {
  const auto done = retry_quarantined(*store.kv, fac, id);
  if (!done) return error_answer(done.error());
  if (done->looked_at == 0) return error_answer(404, "no refused record of that facility has this name");
  return json_answer(200, fmt::format(R"({{"looked_at":{},"applied":{},"duplicates":{},"deleted":{},"more":{}}})", done->looked_at, done->applied, done->duplicates, done->deleted, done->more));
}

bool is_hash(const std::string& id) {
  const auto bytes = bytes_from_hex(id);
  return bytes && bytes->size() == sizeof(Hash);
}

// Of that record in the log: the first half of its id, which is SHA-256 of its bytes.
void about_record(const ApiCall& call) {
  const auto id = bytes_from_hex(call.names[1]);
  call.note->about.push_back({AuditKind::record, call.names[0], take<sizeof(Uuid)>(*id)});
}

// A handler for a record that is named as it must be; `from` answers from its row.
using FromRow = std::function<HttpResponse(const QuarantineRow& row, const std::string& id)>;
ApiHandler of_one(const Region& region, FromRow from) {
  return [region, from = std::move(from)](const ApiCall& call, HttpAnswer answer) {
    if (!valid_facility(call.names[0]) || !is_hash(call.names[1])) return answer(error_answer(400, kWrongRecord));
    about_record(call);
    answer_from_store(region, std::move(answer), [from, fac = call.names[0], id = call.names[1]](OpenedStore& store) {
      const auto value = store.kv->get(kMetaSpace, quarantine_key(fac, take<sizeof(Hash)>(*bytes_from_hex(id))));
      if (!value) return error_answer(value.error());
      if (!*value) return error_answer(404, "no refused record of that facility has this name");
      const auto row = decode_quarantine(**value);
      return row ? from(*row, id) : error_answer(row.error());
    });
  };
}

HttpResponse outline_answer(const QuarantineRow& row, const std::string& id) {
  return json_answer(200, fmt::format(R"({{"id":"{}","reason":"{}","detail":{},"bytes":{},"outline":{}}})", id, name_of(row.reason), json_string(row.detail), row.record.size(), to_json(outline_of(row.record))));
}

HttpResponse bytes_answer(const QuarantineRow& row, const std::string& id) {
  return {200, "application/octet-stream", row.record, {{"Content-Disposition", fmt::format("attachment; filename=\"{:.16}.record\"", id)}}};
}

}  // namespace

void add_quarantine(Endpoints& endpoints, const Region& region) {
  endpoints.add({"GET", "/api/quarantine/{facility}", kReaders, "records of a site that could not be taken: why, then and now; at most 200, no bytes", of_site([region](const ApiCall& call, HttpAnswer answer) {
                   answer_from_store(region, std::move(answer), [fac = call.names[0]](OpenedStore& store) { return answer_of(quarantine_json(store, fac)); });
                 })});
  endpoints.add({"POST", "/api/quarantine/{facility}/{id}/retry", {Role::operations}, "looks again at a record that could not be taken", of_site([region](const ApiCall& call, HttpAnswer answer) {
                   if (!is_hash(call.names[1])) return answer(error_answer(400, kWrongRecord));
                   answer_from_store(region, std::move(answer), [fac = call.names[0], id = call.names[1]](OpenedStore& store) { return retry_one(store, fac, id); });
                 })});
  endpoints.add({"GET", "/api/quarantine/{facility}/{id}", {Role::operations, Role::auditor}, "what such a record is made of: fields by name, type and length; no value", of_one(region, outline_answer)});
  Endpoint bytes{"GET", "/api/quarantine/{facility}/{id}/bytes", {Role::auditor}, "the record as it came; in the audit log before it is shown", of_one(region, bytes_answer)};
  bytes.changes = [](const HttpRequest&) { return true; };
  endpoints.add(std::move(bytes));
}

}  // namespace egret::cloud
