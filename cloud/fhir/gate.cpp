#include "cloud/fhir/gate.h"

#include "cloud/fhir/ai.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/shelf.h"
#include "cloud/fhir/types.h"
#include "cloud/own_facility.h"
#include "schemas/record.pb.h"

namespace egret::cloud::fhir {
namespace {

constexpr int kHopsMax = 2;  // a Provenance of an Observation of a Patient

// An absolute one too, under whatever name of this server: it may have another today.
std::optional<Ref> ours_in(std::string_view text) {
  const std::string path = std::string(kFhirPath) + "/";
  const size_t at = text.rfind(path);
  return reference_in(at == std::string_view::npos ? text : text.substr(at + path.size()));
}

class Judge {
 public:
  Judge(Sight& sight, const Restricted& restricted) : sight_(sight), restricted_(restricted) {}

  Result<bool> resource(const Json& one, int hops = 0) {
    const std::string type = one.text_at("resourceType");
    if (type == "Patient") return patient(one);
    if (const auto unit = unit_in(one.text_at("id")); unit && type == "Observation") {
      const auto orders = restricted_.orders_of(sight_.kv, {unit->fac, unit->unit});
      if (!orders) return orders.error();
      if (!orders->empty()) return true;
    }
    for (const Json* id : elements_at(one, "subject.identifier")) {
      const auto is = identifier(*id);
      if (!is || *is) return is;
    }
    for (const char* path : {"subject.reference", "patient.reference", "target.reference"}) {
      for (const Json* text : elements_at(one, path)) {
        const auto ref = text->is(Json::Kind::string) ? ours_in(text->text()) : std::nullopt;
        if (!ref) continue;
        const auto is = reference(*ref, hops);
        if (!is || *is) return is;
      }
    }
    return false;
  }

 private:
  Result<bool> reference(const Ref& ref, int hops) {
    if (ref.type == "Patient") {
      if (const auto hash = hash_in(ref.id)) return !restricted_.orders_of(*hash).empty();
    }
    if (hops == kHopsMax || find_type(ref.type) == nullptr) return false;
    const auto found = fetch(sight_, ref.type, ref.id);
    if (!found) return found.error();
    return *found ? resource(**found, hops + 1) : Result<bool>(false);
  }

  Result<bool> patient(const Json& one) {
    if (const auto hash = hash_in(one.text_at("id")); hash && !restricted_.orders_of(*hash).empty()) return true;
    for (const Json* id : elements_at(one, "identifier")) {
      const auto is = identifier(*id);
      if (!is || *is) return is;
    }
    return false;
  }

  Result<bool> identifier(const Json& id) {
    const auto key = sight_.key();
    if (!key) return key.error();
    v1::Identifier named;
    named.set_system(id.text_at("system"));
    named.set_value(id.text_at("value"));
    return !restricted_.orders_of(patient_of(*key, named)).empty();
  }

  Sight& sight_;
  const Restricted& restricted_;
};

}  // namespace

Result<bool> is_restricted(Sight& sight, const Json& resource) {
  const auto restricted = sight.restricted();
  if (!restricted) return restricted.error();
  if ((*restricted)->nobody()) return false;
  return Judge(sight, **restricted).resource(resource);
}

Result<bool> is_restricted(Sight& sight, const Facility& fac, const Place& place, ByteView bytes) {
  const auto restricted = sight.restricted();
  if (!restricted) return restricted.error();
  if ((*restricted)->nobody()) return false;
  const auto orders = (*restricted)->orders_of(sight.kv, fac, bytes);
  if (!orders) return orders.error();
  if (!orders->empty()) return true;
  v1::Body body;
  if (fac != kRegionFacility || !body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  const auto document = document_of(place, body);
  if (!document) return false;
  const auto resource = load(sight.reader, *document);
  if (!resource && resource.error().code == Errc::store_failed) return resource.error();
  return resource ? Judge(sight, **restricted).resource(*resource) : Result<bool>(true);
}

Response restricted_refusal() { return refusal(403, Issue::forbidden, "the data of this patient may be kept and not be used, by an order of the region; its operator knows of it"); }

Response let_out(Sight& sight, Response answer) {
  if (!answer.body) return answer;
  const auto restricted = sight.restricted();
  if (!restricted) return refusal(restricted.error());
  if ((*restricted)->nobody()) return answer;
  if (answer.body->text_at("resourceType") != "Bundle") {
    const auto is = is_restricted(sight, *answer.body);
    if (!is) return refusal(is.error());
    return *is ? restricted_refusal() : answer;
  }
  const Json* entries = answer.body->find("entry");
  if (entries == nullptr) return answer;
  Json kept = Json::array();
  for (const Json& entry : entries->items()) {
    const Json* one = entry.find("resource");
    const auto is = one == nullptr ? Result<bool>(false) : is_restricted(sight, *one);
    if (!is) return refusal(is.error());
    if (!*is) kept.push(entry);
  }
  const bool all_gone = kept.items().empty() && !entries->items().empty();
  // All versions of one: as if it were asked for by its id.
  if (all_gone && answer.body->text_at("type") == "history" && answer.body->find("total") != nullptr) return restricted_refusal();
  answer.body->remove("entry");
  answer.body->set("entry", std::move(kept));
  return answer;
}

}  // namespace egret::cloud::fhir
