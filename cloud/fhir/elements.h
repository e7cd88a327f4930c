// Elements: parts of FHIR resources made from parts of records.
// Promises: what a record does not state is left out; digits stay. Leaves to others: which element it becomes (ai.h).
#pragma once

#include "cloud/fhir/json.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class Coding;
class Identifier;
class Time;
class Value;
}  // namespace egret::v1

namespace egret::cloud::fhir {

inline constexpr const char* kGuide = "http://hl7.org/fhir/uv/aitransparency";
inline constexpr const char* kOwnCodes = "urn:egret:fhir";
inline constexpr const char* kUris = "urn:ietf:rfc:3986";

Json coding(std::string_view system, std::string_view code, std::string_view display = "");
Json coding(const v1::Coding& from);
Json concept_of(Json coding);
Json concept_of(const v1::Coding& from);  // {} when it states no code
Json identifier(std::string_view system, std::string_view value);
Json reference(std::string text);
Json logical(std::string_view type, Json identifier);  // a reference without an address
Json date_time(const v1::Time& time);
// Adds value[x]; `prefix` "value".
void add_value(Json& to, const v1::Value& value);
// AIconfidence: a probability, and its interval; nothing for "".
void add_confidence(Json& to, const std::string& prob, const std::string& low = "", const std::string& high = "");
// AI Transparency: asserted by an artificial intelligence.
Json ai_label();

}  // namespace egret::cloud::fhir
