#include "cloud/fhir/review.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/fhir/ai.h"
#include "cloud/fhir/elements.h"
#include "cloud/fhir/terms.h"
#include "cloud/own_facility.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

// The code of one system in CodeableConcepts; "": none.
std::string code_in(const Json& element, std::string_view path, std::string_view system) {
  const Param param{"", ParamKind::token, path, ""};
  for (const Token& token : tokens_at(element, param)) {
    if (token.system == system) return token.code;
  }
  return "";
}

const Json* verifier_in(const Json& provenance) {
  const Json* agents = provenance.find("agent");
  if (agents == nullptr) return nullptr;
  for (const Json& agent : agents->items()) {
    if (code_in(agent, "type", "http://terminology.hl7.org/CodeSystem/provenance-participant-type") == "verifier") return &agent;
  }
  return nullptr;
}

Error missing(const char* element, const std::string& allowed) {
  return {Errc::bad_input, fmt::format("Provenance.{}: of a review: {}", element, allowed)};
}

Result<int> number_of(const char* field, const char* element, const std::string& code) {
  const FieldRules* rules = rules_of<v1::Review>().find(field);
  const int number = rules->names->number_of(code);
  if (number == 0) return missing(element, std::string(kOwnCodes) + ": " + rules->names->allowed);
  return number;
}

}  // namespace

Result<std::optional<NewBody>> review_in(const Json& provenance) {
  using Review = std::optional<NewBody>;
  const auto targets = elements_at(provenance, "target.reference");
  const auto ref = targets.empty() ? std::nullopt : reference_in(targets.front()->text());
  const auto unit = ref && ref->type == "Observation" ? unit_in(ref->id) : std::nullopt;
  const Json* verifier = verifier_in(provenance);
  if (!unit || verifier == nullptr) return Review();
  const auto seen = static_cast<uint32_t>(std::strtoul(ref->version.c_str(), nullptr, 10));
  if (seen == 0) return missing("target", "Observation/ID/_history/VERSION, the version that was seen");
  const auto reviewer = elements_at(*verifier, "who.identifier.value");
  if (reviewer.empty()) return missing("agent.who.identifier.value", "the reviewer's pseudonym");
  const auto role = number_of("role", "agent.role", code_in(*verifier, "role", kOwnCodes));
  const auto verdict = number_of("verdict", "activity", code_in(provenance, "activity", kOwnCodes));
  if (!role || !verdict) return role ? verdict.error() : role.error();
  if (*verdict == v1::Review::VERDICT_AGREED_WITH_CHANGES) return missing("activity", "changes have no place in a Provenance; reject, and state an Observation of your own");
  const std::string& when = provenance.text_at("occurredDateTime").empty() ? provenance.text_at("recorded") : provenance.text_at("occurredDateTime");
  const auto time = time_from_text(when);
  if (!time) return missing("recorded", "an instant");
  v1::Body body;
  body.set_sens(4);
  body.add_purpose(v1::PURPOSE_CARE);
  v1::Review& review = *body.mutable_review();
  review.set_logical_id(Bytes(view(unit->unit)));
  review.set_version_seen(seen);
  if (unit->fac != kRegionFacility) review.set_result_facility(unit->fac);
  review.set_reviewer(reviewer.front()->text());
  review.set_role(static_cast<v1::Review::Role>(*role));
  review.set_verdict(static_cast<v1::Review::Verdict>(*verdict));
  review.set_site(v1::Review::SITE_CLOUD);
  review.mutable_t()->set_us(time->us);
  review.mutable_t()->set_tz_min(time->tz_min);
  const Json* reasons = provenance.find("reason");
  if (reasons != nullptr) {
    for (const Json* coding : elements_at(*reasons, "coding")) {
      if (coding->text_at("code") == "AIAST" || coding->text_at("code").empty() || coding->text_at("system").empty()) continue;
      review.mutable_reason()->set_system(coding->text_at("system"));
      review.mutable_reason()->set_code(coding->text_at("code"));
      break;
    }
  }
  auto made = make_body(body, kRegionFacility);
  if (!made) return std::move(made).error();
  return Review(std::move(*made));
}

}  // namespace egret::cloud::fhir
