// What belongs to results: runs as DiagnosticReports, models as Devices, pseudonyms as Patients.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/fhir/ai.h"
#include "cloud/fhir/elements.h"
#include "cloud/fhir/exchange.h"
#include "cloud/fhir/types.h"
#include "cloud/model_uses.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud::fhir {
namespace {

// A version for what has none of its own: of its content.
Json with_version(Json resource, const std::string& last_updated) {
  Json meta = Json::object({{"versionId", hex(view(sha256(write_json(resource))).substr(0, 8))}, {"lastUpdated", last_updated}});
  if (const Json* there = resource.find("meta")) {
    for (const Json::Member& member : there->members()) meta.set(member.first, member.second);
  }
  resource.set("meta", std::move(meta));
  return resource;
}

// A report is as far as the least of its results.
std::string status_of(const std::vector<Json>& results) {
  constexpr std::string_view kRising[] = {"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error"};
  size_t least = std::size(kRising);
  for (const Json& result : results) least = std::min<size_t>(least, std::ranges::find(kRising, result.text_at("status")) - std::begin(kRising));
  return least == std::size(kRising) ? "unknown" : std::string(kRising[least]);
}

std::string latest(const std::vector<Json>& results, std::string_view path) {
  std::string out;
  for (const Json& result : results) {
    for (const Json* at : elements_at(result, path)) out = std::max(out, at->text());
  }
  return out;
}

// The record of the version that a result shows. nullopt: it is not there any more.
Result<std::optional<v1::Body>> body_of_result(Sight& sight, const ResultName& name) {
  using Body = std::optional<v1::Body>;
  const auto row = find_result(sight.kv, name);
  if (!row) return row.error();
  const PlacedStatement* shown = *row ? shown_version(**row, (*row)->view()) : nullptr;
  if (shown == nullptr) return Body();
  const auto record = sight.reader.at(shown->by, shown->place);
  if (!record && record.error().code != Errc::not_found) return record.error();
  const auto parts = record && !record->gone ? split_record(record->record) : Result<RecordView>(Error{Errc::not_found, ""});
  v1::Body body;
  if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) return Body();
  return Body(std::move(body));
}

Json model_card(const v1::ModelDef::ModelCard& card) {
  return Json::object({{"url", std::string(kGuide) + "/StructureDefinition/aitransparency.modelCardDescription"},
                       {"valueReference", logical("DocumentReference", identifier(kUris, card.url()))}});
}

void describe(Json& out, const v1::ModelDef& model) {
  if (model.has_model_card()) out.set("extension", Json::array({model_card(model.model_card())}));
  Json ids = *out.find("identifier");
  ids.push(identifier("urn:egret:registration", model.registration_no()));
  out.set("identifier", std::move(ids));
  if (!model.udi_di().empty()) out.set("udiCarrier", Json::array({Json::object({{"deviceIdentifier", model.udi_di()}})}));
  out.set("status", "active");
  out.set("manufacturer", model.vendor());
  out.set("deviceName", Json::array({Json::object({{"name", model.name()}, {"type", "model-name"}})}));
  out.set("modelNumber", model.model_id());
  out.set("version", Json::array({Json::object({{"value", model.version()}})}));
  if (!model.intended_use().empty()) out.set("note", Json::array({Json::object({{"text", model.intended_use()}})}));
}

}  // namespace

Found report(Sight& sight, const RunName& run) {
  const auto names = results_of_run(sight.kv, run.fac, run.run);
  if (!names) return names.error();
  std::vector<Json> results;
  std::string conclusion;
  for (const ResultName& name : *names) {
    auto one = concluded(sight, name);
    if (!one) return std::move(one).error();
    if (!*one) continue;
    results.push_back(std::move((*one)->observation));
    if (conclusion.empty()) conclusion = std::move((*one)->conclusion);
  }
  // What was taken back is in no report that still says something.
  const auto gone = [](const Json& result) { return result.text_at("status") == "entered-in-error"; };
  if (!std::ranges::all_of(results, gone)) std::erase_if(results, gone);
  if (results.empty()) return std::optional<Json>();
  const Json& first = results.front();
  Json members = Json::array();
  for (const Json& result : results) members.push(reference("Observation/" + result.text_at("id")));
  Json out = Json::object({{"resourceType", "DiagnosticReport"}, {"id", id_of(run.run, run.fac)}});
  out.set("meta", Json::object({{"security", Json::array({ai_label()})}}));
  out.set("identifier", Json::array({identifier(kUris, "urn:uuid:" + egret::text_of(run.run))}));
  if (const Json* order = first.find("basedOn")) out.set("basedOn", *order);
  out.set("status", status_of(results));
  out.set("category", Json::array({concept_of(coding("http://terminology.hl7.org/CodeSystem/v2-0074", "OTH", "Other"))}));
  const Json* scenario = first.find("category");
  out.set("code", scenario != nullptr && !scenario->items().empty() ? scenario->items().front() : Json());
  for (const char* same : {"subject", "encounter", "effectiveDateTime", "effectivePeriod"}) {
    if (const Json* value = first.find(same)) out.set(same, *value);
  }
  out.set("issued", latest(results, "issued"));
  out.set("result", std::move(members));
  out.set("conclusion", std::move(conclusion));
  return std::optional<Json>(with_version(std::move(out), latest(results, "meta.lastUpdated")));
}

Found device(Sight& sight, const Hash& model) {
  const auto stored = find_definition(sight.kv, model);
  if (!stored) return stored.error();
  v1::ModelDef definition;
  const bool defined = *stored && definition.ParseFromString(**stored);
  bool used = defined;
  if (!defined) {
    CodedRange of_model;
    of_model.code = code_of_model(model);
    auto scanned = each_coded(sight.kv, of_model, [&](const CodedPlace&) { return !(used = true); });
    if (!scanned) return std::move(scanned).error();
  }
  if (!used) return std::optional<Json>();
  Json out = Json::object({{"resourceType", "Device"}, {"id", hex(view(model))}});
  out.set("identifier", Json::array({identifier("urn:egret:model", hex(view(model)))}));
  if (defined) describe(out, definition);
  out.set("type", concept_of(coding(std::string(kGuide) + "/CodeSystem/AIdeviceTypeCS", "Artificial-Intelligence", "All kinds of Artificial Intelligence")));
  return std::optional<Json>(with_version(std::move(out), ""));
}

Found patient(Sight& sight, const Hash& name) {
  const PatientName own{Bytes(view(name))};
  std::optional<v1::Body> body;
  std::optional<Error> failed;
  const auto key = sight.key();
  if (!key) return key.error();
  auto walked = each_of_patient(sight.kv, own, [&](const ResultName& result) {
    const auto read = body_of_result(sight, result);
    if (!read) failed = read.error();
    // A later version may be about another patient.
    if (read && *read && patient_of(*key, (*read)->ai_result().phi().subject()) == name) body = **read;
    return !failed && !body;
  });
  if (!walked) return std::move(walked).error();
  if (failed) return std::move(*failed);
  if (!body) return std::optional<Json>();
  const auto group = resolve(sight.kv, name);
  if (!group) return group.error();
  const v1::AiResult::Phi& phi = body->ai_result().phi();
  Json out = Json::object({{"resourceType", "Patient"}, {"id", hex(view(name))}});
  out.set("identifier", Json::array({identifier(phi.subject().system(), phi.subject().value())}));
  constexpr std::string_view kGenders[] = {"", "male", "female", "other", "unknown"};
  if (phi.sex() > 0 && static_cast<size_t>(phi.sex()) < std::size(kGenders)) out.set("gender", kGenders[phi.sex()]);
  if (phi.has_birth_year()) out.set("birthDate", fmt::format("{:04}", phi.birth_year()));
  Json links = Json::array();
  for (const PatientName& other : group->names) {
    if (other != own) links.push(Json::object({{"other", reference("Patient/" + hex(other))}, {"type", "seealso"}}));
  }
  out.set("link", std::move(links));
  return std::optional<Json>(with_version(std::move(out), ""));
}

}  // namespace egret::cloud::fhir
