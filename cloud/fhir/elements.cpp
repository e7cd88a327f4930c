#include "cloud/fhir/elements.h"

#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

Json quantity(const v1::Quantity& from) {
  return Json::object({{"value", Json::number(from.value())}, {"unit", from.unit()}, {"system", "http://unitsofmeasure.org"}, {"code", from.unit()}});
}

}  // namespace

Json coding(std::string_view system, std::string_view code, std::string_view display) {
  return Json::object({{"system", system}, {"code", code}, {"display", display}});
}

Json coding(const v1::Coding& from) {
  return Json::object({{"system", from.system()}, {"version", from.version()}, {"code", from.code()}, {"display", from.display()}});
}

Json concept_of(Json one) {
  return Json::object({{"coding", Json::array({std::move(one)})}});
}

Json concept_of(const v1::Coding& from) {
  return concept_of(coding(from));
}

Json identifier(std::string_view system, std::string_view value) {
  if (value.empty()) return {};
  return Json::object({{"system", system}, {"value", value}});
}

Json reference(std::string text) {
  return Json::object({{"reference", std::move(text)}});
}

Json logical(std::string_view type, Json id) {
  if (id.empty()) return {};
  return Json::object({{"type", type}, {"identifier", std::move(id)}});
}

Json date_time(const v1::Time& time) {
  return time_to_text({time.us(), time.tz_min()});
}

void add_value(Json& to, const v1::Value& value) {
  constexpr int64_t kIntegerMax = 2'147'483'647;  // FHIR integer has 32 bits
  switch (value.value_case()) {
    case v1::Value::kQuantity: to.set("valueQuantity", quantity(value.quantity())); return;
    case v1::Value::kInteger:
      if (value.integer() >= -kIntegerMax - 1 && value.integer() <= kIntegerMax) to.set("valueInteger", Json::number(value.integer()));
      else to.set("valueQuantity", Json::object({{"value", Json::number(value.integer())}}));
      return;
    case v1::Value::kBoolean: to.set("valueBoolean", Json::boolean(value.boolean())); return;
    case v1::Value::kCoding: to.set("valueCodeableConcept", concept_of(value.coding())); return;
    case v1::Value::kText: to.set("valueString", value.text()); return;
    case v1::Value::kRatio:
      to.set("valueRatio", Json::object({{"numerator", quantity(value.ratio().numerator())}, {"denominator", quantity(value.ratio().denominator())}}));
      return;
    case v1::Value::VALUE_NOT_SET: return;
  }
}

void add_confidence(Json& to, const std::string& prob, const std::string& low, const std::string& high) {
  const std::string url = std::string(kGuide) + "/StructureDefinition/AIconfidence";
  Json extensions = Json::array();
  if (!prob.empty()) extensions.push(Json::object({{"url", url}, {"valueDecimal", Json::number(prob)}}));
  if (!low.empty()) {
    const auto end = [](const std::string& digits) { return Json::object({{"value", Json::number(digits)}}); };
    extensions.push(Json::object({{"url", url}, {"valueRange", Json::object({{"low", end(low)}, {"high", end(high)}})}}));
  }
  to.set("extension", std::move(extensions));
}

Json ai_label() {
  return coding("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST", "Artificial Intelligence asserted");
}

}  // namespace egret::cloud::fhir
