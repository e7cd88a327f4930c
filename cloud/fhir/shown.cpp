#include "cloud/fhir/shown.h"

#include <algorithm>

#include "cloud/fhir/ai.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/types.h"
#include "schemas/seal.h"

namespace egret::cloud::fhir {
namespace {

class Shown {
 public:
  Shown(World& world, std::vector<AuditSubject>& out) : world_(world), out_(out) {}

  void add(std::string_view type, std::string_view id) {
    if (find_type(type) == nullptr || !is_id(id)) return;
    if (auto subject = subject_of(world_, type, id)) out_.push_back(std::move(*subject));
  }

  void answer(const Json& body) {
    if (body.text_at("resourceType") != "Bundle") return resource(body);
    const Json* entries = body.find("entry");
    if (entries == nullptr) return;
    for (const Json& entry : entries->items()) {
      if (const Json* one = entry.find("resource")) answer(*one);
      if (const Json* response = entry.find("response")) location(response->text_at("location"));
    }
  }

  // What was written and is not shown: ".../Patient/1/_history/2".
  void location(std::string_view address) {
    if (const auto ref = reference_in(address, world_.base)) add(ref->type, ref->id);
  }

 private:
  void resource(const Json& one) {
    add(one.text_at("resourceType"), one.text_at("id"));
    for (const char* path : {"subject.reference", "patient.reference"}) {
      for (const Json* reference : elements_at(one, path)) {
        const auto ref = reference->is(Json::Kind::string) ? reference_in(reference->text(), world_.base) : std::nullopt;
        if (ref && ref->type == "Patient") add(ref->type, ref->id);
      }
    }
  }

  World& world_;
  std::vector<AuditSubject>& out_;
};

}  // namespace

std::string interaction_of(const Request& request) {
  const auto path = parse_path(request.path);
  if (!path) return "unreadable";
  if (path->empty()) return "transaction";
  if (path->size() == 1 && path->front() == "metadata") return "capabilities";
  const Type* type = find_type(path->front());
  const std::string of = type == nullptr ? "" : " " + std::string(type->name);
  const bool versions = path->size() > 1 && path->back() == "_history", search = path->size() == 1 || path->back() == "_search";
  if (request.method == "GET") return (versions ? "history" : search ? "search" : path->size() == 4 ? "vread" : "read") + of;
  if (request.method == "POST") return (search && path->size() == 2 ? "search" : "create") + of;
  return (request.method == "PUT" ? "update" : "patch") + of;
}

Result<AuditSubject> subject_of(World& world, std::string_view type, std::string_view id) {
  const auto unit = unit_in(id);
  if (unit && type == "Observation") return cloud::subject_of(ResultName{unit->fac, unit->unit});
  if (unit && type == "DiagnosticReport") return AuditSubject{AuditKind::run, unit->fac, unit->unit};
  if (unit && type == "Provenance") return AuditSubject{AuditKind::record, unit->fac, unit->unit};
  const auto hash = hash_in(id);
  if (hash && type == "Patient") return subject_of_patient(*hash);
  if (hash && type == "Device") return AuditSubject{AuditKind::model, "", take<sizeof(Uuid)>(view(*hash))};
  const auto key = world.key();
  if (!key) return key.error();
  const std::string name = std::string(type) + "/" + std::string(id);
  return AuditSubject{AuditKind::resource, std::string(type), take<sizeof(Uuid)>(view(hmac_sha256(view(*key), name)))};
}

std::vector<AuditSubject> shown_in(const Request& request, const Response& response, World& world) {
  std::vector<AuditSubject> out;
  Shown shown(world, out);
  if (response.body && response.status < 300) shown.answer(*response.body);
  shown.location(response.location);
  if (out.empty()) {
    const auto path = parse_path(request.path);
    if (path && path->size() >= 2) shown.add((*path)[0], (*path)[1]);
  }
  return out;
}

}  // namespace egret::cloud::fhir
