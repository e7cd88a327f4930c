// /fhir/$export: bulk exports in HTTP (FHIR Bulk Data Access): asked for, looked after, fetched,
// cancelled.
#include <spdlog/fmt/fmt.h>

#include "cloud/api/fhir_http.h"
#include "cloud/fhir/catch_up.h"
#include "cloud/fhir/exports.h"
#include "cloud/follower.h"
#include "cloud/taken_away.h"

namespace egret::cloud {
namespace {

using fhir::ExportSeen;

constexpr const char* kExports = "/fhir/exports/";
constexpr const char* kAskAgainS = "2";

// What is asked for, before there is a store to take it from.
fhir::ExportAsked asked_by(const ApiCall& call, fhir::ExportWish wish) {
  fhir::ExportAsked out;
  out.wish = std::move(wish);
  out.client = call.caller.name;
  const std::string base = fhir_base_of(call.http);
  out.request = base + call.http.path.substr(std::string_view(kFhirPath).size()) +
                (call.http.query.empty() ? "" : "?" + call.http.query);
  out.files = base + "/exports";
  return out;
}

// The views with all that is committed, and the store of that moment. Errors: locked, store_failed,
// corrupt.
Result<OpenedStore> frozen_with_views(const Region& region, OpenedStore& store) {
  for (int i = 0; i < kFhirFreezeTries; i++) {
    if (auto ready = fhir::catch_up(*store.kv, true); !ready) return std::move(ready).error();
    auto frozen = region.freeze(store);
    if (!frozen) return frozen;
    const auto behind = Follower::behind(*frozen->kv);
    if (!behind) return behind.error();
    if (*behind && **behind == 0) return frozen;  // else another process has committed in between
  }
  return Error{Errc::locked, "the views are behind; try again"};
}

HttpResponse too_many(const Error& error) {
  HttpResponse out = fhir_as_http(fhir::refusal(429, fhir::Issue::transient, error.text));
  out.headers.emplace_back("Retry-After", "60");
  return out;
}

HttpResponse begin(const Region& region, OpenedStore& store, fhir::ExportAsked asked) {
  if (auto room = region.exports->has_room(); !room) return too_many(room.error());
  auto frozen = frozen_with_views(region, store);
  if (!frozen) return fhir_as_http(fhir::refusal(frozen.error()));
  // Where several processes commit, each by its own clock, what was committed last may state a time
  // before the one of the export before.
  if (asked.wish.since_us && dynamic_cast<SharedKv*>(store.kv.get()) != nullptr)
    *asked.wish.since_us -= kFhirSharedSinceUs;
  const auto taken_away = times_taken_away(*frozen->kv);
  if (!taken_away) return fhir_as_http(fhir::refusal(taken_away.error()));
  asked.taken_away = *taken_away;
  asked.store = std::move(*frozen);
  asked.at = region.now();
  const std::string files = asked.files;
  const auto id = region.exports->start(std::move(asked));
  if (!id && id.error().code == Errc::locked) return too_many(id.error());
  if (!id)
    return fhir_as_http(
        fhir::refusal(507, fhir::Issue::transient,
                      "the export cannot be begun: the region's state folder cannot be written"));
  fhir::Response accepted;
  accepted.status = 202;
  accepted.body = fhir::outcome(
      fhir::Issue::informational,
      "the export has begun; Content-Location says where it can be followed", "information");
  HttpResponse out = fhir_as_http(accepted);
  out.headers.emplace_back("Content-Location", files + "/" + *id);
  return out;
}

void kick_off(const Region& region, const ApiCall& call, HttpAnswer answer,
              fhir::ExportLevel level) {
  if (call.http.method != "GET")
    return answer(
        fhir_as_http(fhir::refusal(405, fhir::Issue::not_supported, "export: GET is expected")));
  call.note->what = level == fhir::ExportLevel::patients ? "export Patient" : "export";
  const std::string prefer = header_of(call.http, "prefer");
  const auto parameters = fhir::parse_query(call.http.query);
  if (!parameters) return answer(fhir_as_http(fhir::refusal(parameters.error())));
  if (!fhir::prefers(prefer, "respond-async"))
    return answer(fhir_as_http(fhir::refusal(
        400, fhir::Issue::required, "export: the header Prefer: respond-async is wanted")));
  auto wish = fhir::parse_export(level, *parameters, fhir::prefers(prefer, "handling=lenient"));
  if (!wish && wish.error().code == Errc::unsupported)
    return answer(fhir_as_http(fhir::refusal(400, fhir::Issue::not_supported, wish.error().text)));
  if (!wish) return answer(fhir_as_http(fhir::refusal(wish.error())));
  auto asked = std::make_shared<fhir::ExportAsked>(asked_by(call, std::move(*wish)));
  answer_from_store(region, std::move(answer), [region, asked](OpenedStore& store) {
    return begin(region, store, std::move(*asked));
  });
}

HttpResponse not_there() {
  return fhir_as_http(fhir::refusal(404, fhir::Issue::not_found,
                                    "there is no such export of yours, or not any more"));
}

HttpResponse look(const Region& region, const ApiCall& call) {
  const auto seen = region.exports->look(call.names[0], call.caller.name);
  if (!seen) return not_there();
  if (seen->state == ExportSeen::State::failed)
    return fhir_as_http(fhir::refusal(500, fhir::Issue::exception, "export: " + seen->why));
  if (seen->state != ExportSeen::State::done)
    return {202,
            "text/plain; charset=utf-8",
            "",
            {{"X-Progress", seen->progress}, {"Retry-After", kAskAgainS}}};
  return {200,
          "application/json",
          fhir::write_json(seen->manifest),
          {{"Expires", fhir::http_date(seen->goes)}}};
}

HttpResponse send_file(const Region& region, const ApiCall& call) {
  auto file = region.exports->file(call.names[0], call.names[1], call.caller.name);
  call.note->what = "export file";
  if (!file) return not_there();
  return {200, fhir::kExportFormat, "", {}, std::move(*file)};
}

HttpResponse cancel(const Region& region, const ApiCall& call) {
  if (!region.exports->cancel(call.names[0], call.caller.name)) return not_there();
  fhir::Response out;
  out.status = 202;
  out.body = fhir::outcome(fhir::Issue::informational, "the export is cancelled, and its files go",
                           "information");
  return fhir_as_http(out);
}

}  // namespace

void add_fhir_exports(Endpoints& endpoints, const Region& region) {
  const auto endpoint = [](const char* method, const std::string& path, const char* does,
                           ApiHandler handler) {
    return Endpoint{method,           path,        {Role::fhir}, does, std::move(handler),
                    kApiBodyBytesMax, fhir_refusal};
  };
  const auto add = [&](const char* method, const std::string& path, const char* does,
                       ApiHandler handler) {
    endpoints.add(endpoint(method, path, does, std::move(handler)));
  };
  const auto at_once = [region](HttpResponse (*from)(const Region&, const ApiCall&)) {
    return [region, from](const ApiCall& call, HttpAnswer answer) { answer(from(region, call)); };
  };
  const std::string one = std::string(kExports) + "{id}";
  // A client may have escaped the $, or not.
  for (const char* sign : {"$", "%24"}) {
    add("GET", fmt::format("{}/{}export", kFhirPath, sign),
        "FHIR bulk export of all resources; ?_type, _since, _outputFormat; Prefer: respond-async",
        [region](const ApiCall& call, HttpAnswer answer) {
          kick_off(region, call, std::move(answer), fhir::ExportLevel::system);
        });
    add("GET", fmt::format("{}/Patient/{}export", kFhirPath, sign),
        "the same of what is of patients", [region](const ApiCall& call, HttpAnswer answer) {
          kick_off(region, call, std::move(answer), fhir::ExportLevel::patients);
        });
  }
  // Asked again and again, and says nothing of a record.
  endpoints.add(unaudited(
      endpoint("GET", one, "how far a bulk export of one's own is: 202, or 200 and its manifest",
               at_once(look))));
  add("GET", one + "/{file}", "a file of it, as application/fhir+ndjson", at_once(send_file));
  add("DELETE", one, "cancels it, or deletes its files", at_once(cancel));
}

}  // namespace egret::cloud
