#include "cloud/fhir/capability.h"

#include "cloud/fhir/types.h"

namespace egret::cloud::fhir {
namespace {

Json coded(std::initializer_list<const char*> codes) {
  Json out = Json::array();
  for (const char* code : codes) out.push(Json::object({{"code", code}}));
  return out;
}

const char* name_of(ParamKind kind) {
  switch (kind) {
    case ParamKind::token: return "token";
    case ParamKind::reference: return "reference";
    case ParamKind::date: return "date";
    case ParamKind::string: return "string";
  }
  return "string";
}

Json param(const Param& from) {
  return Json::object({{"name", from.name}, {"type", name_of(from.kind)}});
}

// FHIR Bulk Data Access, by GET (export_wish.h).
constexpr const char* kBulkData = "http://hl7.org/fhir/uv/bulkdata";

Json export_operation(const char* definition) {
  return Json::array({Json::object(
      {{"name", "export"},
       {"definition", std::string(kBulkData) + "/OperationDefinition/" + definition}})});
}

Json resource(const Type& type) {
  Json out = Json::object({{"type", type.name}});
  out.set("interaction", coded({"read", "vread", "update", "patch", "history-instance", "history-type", "create", "search-type"}));
  out.set("versioning", "versioned");
  out.set("readHistory", Json::boolean(true));
  out.set("updateCreate", Json::boolean(true));
  out.set("conditionalCreate", Json::boolean(true));
  out.set("conditionalRead", "not-match");
  out.set("conditionalUpdate", Json::boolean(true));
  Json includes = Json::array();
  for (const std::string_view include : type.includes) includes.push(include);
  out.set("searchInclude", std::move(includes));
  out.set("searchRevInclude", Json::array({"Provenance:target"}));
  Json params = Json::array();
  for (const Param& one : common_params()) params.push(param(one));
  for (const Param& one : type.params) params.push(param(one));
  out.set("searchParam", std::move(params));
  if (type.name == "Patient") out.set("operation", export_operation("patient-export"));
  return out;
}

}  // namespace

Json capability_statement(const std::string& base) {
  Json resources = Json::array();
  for (const Type& type : types()) resources.push(resource(type));
  Json rest = Json::object({{"mode", "server"}, {"documentation", "Results of AI models of a region's sites, and what clients write beside them."}});
  rest.set("resource", std::move(resources));
  rest.set("interaction", coded({"transaction", "batch"}));
  rest.set("operation", export_operation("export"));
  Json out = Json::object({{"resourceType", "CapabilityStatement"}, {"status", "active"}, {"date", "2026-11-29"}, {"kind", "instance"}});
  out.set("instantiates", Json::array({std::string(kBulkData) + "/CapabilityStatement/bulk-data"}));
  out.set("software", Json::object({{"name", "Egret"}, {"version", EGRET_VERSION}}));
  out.set("implementation", Json::object({{"description", "The region's store of results"}, {"url", base}}));
  out.set("fhirVersion", "4.0.1");
  out.set("format", Json::array({"application/fhir+json", "json"}));
  out.set("patchFormat", Json::array({"application/json-patch+json"}));
  out.set("rest", Json::array({std::move(rest)}));
  return out;
}

}  // namespace egret::cloud::fhir
