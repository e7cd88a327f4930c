// Types: the resource types of the facade, what they may hold at their first level, and what they are searched by: one
// table that CapabilityStatement, check, index and search read, so that they cannot disagree (FHIR R4, 4.0.1).
// Promises: what is not in the table is refused. Leaves to others: what is inside an element.
#pragma once

#include <optional>
#include <span>

#include "cloud/fhir/json.h"

namespace egret::cloud::fhir {

enum class ParamKind : uint8_t { token, reference, date, string };

struct Param {
  std::string_view name;
  ParamKind kind;
  std::string_view path;     // of elements from the resource on: "agent.who"; several separated by '|'
  std::string_view targets;  // types that a reference may name without saying so: "Patient"
};

struct Element {
  std::string_view name;
  Json::Kind kind;
  bool list = false, required = false;
};

struct Type {
  std::string_view name;
  std::span<const Element> elements;
  std::span<const Param> params;
  std::span<const std::string_view> includes;  // "Observation:device"
};

// nullptr: the facade has no such type.
const Type* find_type(std::string_view name);
std::span<const Type> types();
// Also those of every type: _id, _lastUpdated, _tag, _security. nullptr: none.
const Param* find_param(const Type& type, std::string_view name);
std::span<const Param> common_params();

// Every element at a path, lists opened.
std::vector<const Json*> elements_at(const Json& resource, std::string_view path);

bool is_id(std::string_view text);  // [A-Za-z0-9\-\.]{1,64}

// What stands in a reference: "Patient/1", "Patient/1/_history/2", absolute below `base` too. nullopt: it is none of them.
struct Ref {
  std::string type, id, version;
};
std::optional<Ref> reference_in(std::string_view text, std::string_view base = {});

// Why a resource may not be stored; nullopt: it may. `type` is where it is written to.
std::optional<Error> find_fault(const Json& resource, const Type& type);

}  // namespace egret::cloud::fhir
