#include "cloud/fhir/types.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

constexpr auto kText = Json::Kind::string;
constexpr auto kObject = Json::Kind::object;
constexpr auto kNumber = Json::Kind::number;
constexpr auto kFlag = Json::Kind::boolean;
constexpr bool kList = true, kRequired = true;

constexpr Element kEvery[] = {{"resourceType", kText, false, kRequired}, {"id", kText}, {"meta", kObject}, {"implicitRules", kText},
                              {"language", kText}, {"text", kObject}, {"contained", kObject, kList}, {"extension", kObject, kList},
                              {"modifierExtension", kObject, kList}, {"identifier", kObject, kList}};

constexpr Element kPatient[] = {
    {"active", kFlag}, {"name", kObject, kList}, {"telecom", kObject, kList}, {"gender", kText}, {"birthDate", kText}, {"deceasedBoolean", kFlag},
    {"deceasedDateTime", kText}, {"address", kObject, kList}, {"maritalStatus", kObject}, {"multipleBirthBoolean", kFlag}, {"multipleBirthInteger", kNumber},
    {"photo", kObject, kList}, {"contact", kObject, kList}, {"communication", kObject, kList}, {"generalPractitioner", kObject, kList},
    {"managingOrganization", kObject}, {"link", kObject, kList}};
constexpr Param kPatientBy[] = {{"identifier", ParamKind::token, "identifier", ""}, {"gender", ParamKind::token, "gender", ""}, {"birthdate", ParamKind::date, "birthDate", ""}};

constexpr Element kDevice[] = {
    {"definition", kObject}, {"udiCarrier", kObject, kList}, {"status", kText}, {"statusReason", kObject, kList}, {"distinctIdentifier", kText},
    {"manufacturer", kText}, {"manufactureDate", kText}, {"expirationDate", kText}, {"lotNumber", kText}, {"serialNumber", kText},
    {"deviceName", kObject, kList}, {"modelNumber", kText}, {"partNumber", kText}, {"type", kObject}, {"specialization", kObject, kList},
    {"version", kObject, kList}, {"property", kObject, kList}, {"patient", kObject}, {"owner", kObject}, {"contact", kObject, kList},
    {"location", kObject}, {"url", kText}, {"note", kObject, kList}, {"safety", kObject, kList}, {"parent", kObject}};
constexpr Param kDeviceBy[] = {{"identifier", ParamKind::token, "identifier", ""}, {"type", ParamKind::token, "type", ""},
                               {"manufacturer", ParamKind::string, "manufacturer", ""}, {"model", ParamKind::string, "modelNumber", ""},
                               {"device-name", ParamKind::string, "deviceName.name", ""}, {"patient", ParamKind::reference, "patient", "Patient"}};
constexpr std::string_view kDeviceWith[] = {"Device:patient"};

constexpr Element kObservation[] = {
    {"basedOn", kObject, kList}, {"partOf", kObject, kList}, {"status", kText, false, kRequired}, {"category", kObject, kList}, {"code", kObject, false, kRequired},
    {"subject", kObject}, {"focus", kObject, kList}, {"encounter", kObject}, {"effectiveDateTime", kText}, {"effectivePeriod", kObject},
    {"effectiveTiming", kObject}, {"effectiveInstant", kText}, {"issued", kText}, {"performer", kObject, kList}, {"valueQuantity", kObject},
    {"valueCodeableConcept", kObject}, {"valueString", kText}, {"valueBoolean", kFlag}, {"valueInteger", kNumber}, {"valueRange", kObject},
    {"valueRatio", kObject}, {"valueSampledData", kObject}, {"valueTime", kText}, {"valueDateTime", kText}, {"valuePeriod", kObject},
    {"dataAbsentReason", kObject}, {"interpretation", kObject, kList}, {"note", kObject, kList}, {"bodySite", kObject}, {"method", kObject},
    {"specimen", kObject}, {"device", kObject}, {"referenceRange", kObject, kList}, {"hasMember", kObject, kList}, {"derivedFrom", kObject, kList},
    {"component", kObject, kList}};
constexpr std::string_view kEffective = "effectiveDateTime|effectivePeriod|effectiveInstant";
constexpr Param kObservationBy[] = {
    {"identifier", ParamKind::token, "identifier", ""}, {"patient", ParamKind::reference, "subject", "Patient"}, {"subject", ParamKind::reference, "subject", "Patient"},
    {"code", ParamKind::token, "code", ""}, {"status", ParamKind::token, "status", ""}, {"date", ParamKind::date, kEffective, ""},
    {"device", ParamKind::reference, "device", "Device"}, {"category", ParamKind::token, "category", ""}};
constexpr std::string_view kObservationWith[] = {"Observation:device", "Observation:patient", "Observation:subject"};

constexpr Element kReport[] = {
    {"basedOn", kObject, kList}, {"status", kText, false, kRequired}, {"category", kObject, kList}, {"code", kObject, false, kRequired}, {"subject", kObject},
    {"encounter", kObject}, {"effectiveDateTime", kText}, {"effectivePeriod", kObject}, {"issued", kText}, {"performer", kObject, kList},
    {"resultsInterpreter", kObject, kList}, {"specimen", kObject, kList}, {"result", kObject, kList}, {"imagingStudy", kObject, kList},
    {"media", kObject, kList}, {"conclusion", kText}, {"conclusionCode", kObject, kList}, {"presentedForm", kObject, kList}};
constexpr Param kReportBy[] = {
    {"identifier", ParamKind::token, "identifier", ""}, {"patient", ParamKind::reference, "subject", "Patient"}, {"subject", ParamKind::reference, "subject", "Patient"},
    {"code", ParamKind::token, "code", ""}, {"status", ParamKind::token, "status", ""}, {"date", ParamKind::date, "effectiveDateTime|effectivePeriod", ""},
    {"category", ParamKind::token, "category", ""}, {"result", ParamKind::reference, "result", "Observation"}};
constexpr std::string_view kReportWith[] = {"DiagnosticReport:patient", "DiagnosticReport:result", "DiagnosticReport:subject"};

constexpr Element kProvenance[] = {
    {"target", kObject, kList, kRequired}, {"occurredPeriod", kObject}, {"occurredDateTime", kText}, {"recorded", kText, false, kRequired},
    {"policy", kText, kList}, {"location", kObject}, {"reason", kObject, kList}, {"activity", kObject}, {"agent", kObject, kList, kRequired},
    {"entity", kObject, kList}, {"signature", kObject, kList}};
constexpr Param kProvenanceBy[] = {{"target", ParamKind::reference, "target", "Observation"}, {"agent", ParamKind::reference, "agent.who", "Device"},
                                   {"recorded", ParamKind::date, "recorded", ""}};
constexpr std::string_view kProvenanceWith[] = {"Provenance:agent", "Provenance:target"};

constexpr Element kStudy[] = {
    {"status", kText, false, kRequired}, {"modality", kObject, kList}, {"subject", kObject, false, kRequired}, {"encounter", kObject}, {"started", kText},
    {"basedOn", kObject, kList}, {"referrer", kObject}, {"interpreter", kObject, kList}, {"endpoint", kObject, kList}, {"numberOfSeries", kNumber},
    {"numberOfInstances", kNumber}, {"procedureReference", kObject}, {"procedureCode", kObject, kList}, {"location", kObject},
    {"reasonCode", kObject, kList}, {"reasonReference", kObject, kList}, {"note", kObject, kList}, {"description", kText}, {"series", kObject, kList}};
constexpr Param kStudyBy[] = {
    {"identifier", ParamKind::token, "identifier", ""}, {"patient", ParamKind::reference, "subject", "Patient"}, {"subject", ParamKind::reference, "subject", "Patient"},
    {"status", ParamKind::token, "status", ""}, {"started", ParamKind::date, "started", ""}, {"modality", ParamKind::token, "modality", ""}};
constexpr std::string_view kStudyWith[] = {"ImagingStudy:patient", "ImagingStudy:subject"};

const Type kTypes[] = {{"DiagnosticReport", kReport, kReportBy, kReportWith}, {"Device", kDevice, kDeviceBy, kDeviceWith},
                       {"ImagingStudy", kStudy, kStudyBy, kStudyWith},        {"Observation", kObservation, kObservationBy, kObservationWith},
                       {"Patient", kPatient, kPatientBy, {}},                 {"Provenance", kProvenance, kProvenanceBy, kProvenanceWith}};

constexpr Param kCommon[] = {{"_id", ParamKind::token, "id", ""}, {"_lastUpdated", ParamKind::date, "meta.lastUpdated", ""},
                             {"_security", ParamKind::token, "meta.security", ""}, {"_tag", ParamKind::token, "meta.tag", ""}};

void collect(const Json& from, std::string_view path, std::vector<const Json*>& out) {
  if (from.is(Json::Kind::array)) {
    for (const Json& item : from.items()) collect(item, path, out);
    return;
  }
  if (path.empty()) {
    out.push_back(&from);
    return;
  }
  const size_t dot = std::min(path.find('.'), path.size());
  if (const Json* next = from.find(path.substr(0, dot))) collect(*next, path.substr(std::min(dot + 1, path.size())), out);
}

Error fault(std::string_view type, std::string_view element, std::string_view why) {
  return {Errc::bad_input, fmt::format("{}.{}: {}", type, element, why)};
}

// FHIR JSON: nothing is null but in the shadow lists of primitives ("_given"), nothing is empty.
bool has_hollow(const Json& json, bool shadow) {
  if (json.empty()) return !(shadow && json.is(Json::Kind::null));
  if (std::ranges::any_of(json.items(), [&](const Json& item) { return has_hollow(item, true); })) return true;
  return std::ranges::any_of(json.members(), [&](const Json::Member& member) { return has_hollow(member.second, false); });
}

const Element* element_of(const Type& type, std::string_view name) {
  for (const Element& each : kEvery) {
    if (each.name == name) return &each;
  }
  for (const Element& each : type.elements) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

std::optional<Error> fault_of_member(const Type& type, const Json::Member& member) {
  const std::string_view name = member.first;
  if (name.starts_with('_') && element_of(type, name.substr(1)) != nullptr) return std::nullopt;  // what is beside a primitive
  const Element* element = element_of(type, name);
  // The name is the client's own: it is not repeated, for it could be anything.
  if (element == nullptr) return Error{Errc::bad_input, fmt::format("{}: has an element that FHIR R4 does not know", type.name)};
  if (element->list && !member.second.is(Json::Kind::array)) return fault(type.name, name, "a list is expected");
  const auto wrong = [&](const Json& value) { return !value.is(element->kind) && !(element->list && value.is(Json::Kind::null)); };
  if (element->list ? std::ranges::any_of(member.second.items(), wrong) : wrong(member.second)) return fault(type.name, name, "a value of another kind is expected");
  return std::nullopt;
}

}  // namespace

std::span<const Type> types() {
  return kTypes;
}

const Type* find_type(std::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::span<const Param> common_params() {
  return kCommon;
}

const Param* find_param(const Type& type, std::string_view name) {
  for (const Param& param : type.params) {
    if (param.name == name) return &param;
  }
  for (const Param& param : kCommon) {
    if (param.name == name) return &param;
  }
  return nullptr;
}

std::vector<const Json*> elements_at(const Json& resource, std::string_view path) {
  std::vector<const Json*> out;
  while (!path.empty()) {
    const size_t bar = std::min(path.find('|'), path.size());
    collect(resource, path.substr(0, bar), out);
    path.remove_prefix(std::min(bar + 1, path.size()));
  }
  return out;
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kFhirIdCharsMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

std::optional<Ref> reference_in(std::string_view text, std::string_view base) {
  if (!base.empty() && text.starts_with(base) && text.substr(base.size()).starts_with('/')) text.remove_prefix(base.size() + 1);
  std::vector<std::string_view> parts;
  while (parts.size() < 5) {
    const size_t slash = std::min(text.find('/'), text.size());
    parts.push_back(text.substr(0, slash));
    if (slash == text.size()) break;
    text.remove_prefix(slash + 1);
  }
  const bool versioned = parts.size() == 4 && parts[2] == "_history" && is_id(parts[3]);
  if ((parts.size() != 2 && !versioned) || !is_id(parts[1]) || parts[0].empty() || !std::ranges::all_of(parts[0], [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }))
    return std::nullopt;
  return Ref{std::string(parts[0]), std::string(parts[1]), versioned ? std::string(parts[3]) : ""};
}

std::optional<Error> find_fault(const Json& resource, const Type& type) {
  if (!resource.is(Json::Kind::object)) return Error{Errc::bad_input, "resource: an object is expected"};
  if (resource.text_at("resourceType") != type.name) return fault(type.name, "resourceType", "is not the type that is written to");
  if (const Json* id = resource.find("id"); id != nullptr && !is_id(id->text())) return fault(type.name, "id", "1 to 64 of letters, digits, - and .");
  for (const Json::Member& member : resource.members()) {
    if (has_hollow(member.second, member.first.starts_with('_'))) return Error{Errc::bad_input, fmt::format("{}: null and what is empty are no FHIR", type.name)};
    if (auto found = fault_of_member(type, member)) return found;
  }
  for (const Element& element : type.elements) {
    if (element.required && resource.find(element.name) == nullptr) return fault(type.name, element.name, "is missing");
  }
  return std::nullopt;
}

}  // namespace egret::cloud::fhir
