// What the CapabilityStatement says is tried, entry by entry, on a store that holds something of every type: an entry that
// nobody tries here fails the test.
#include "cloud/fhir/types.h"
#include "tests/unit/cloud/api_rig.h"
#include "tests/unit/cloud/fhir_rig.h"

namespace egret::cloud {
namespace {

using fhir::Json;

struct Sample {
  const char* type;
  const char* resource;
  std::map<std::string, std::string> found_by;  // a value for each parameter that finds it
  const char* patch;
};

const Sample kSamples[] = {
    {"Patient", R"({"resourceType":"Patient","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"identifier":[{"system":"urn:i","value":"1"}],"gender":"female","birthDate":"1961-03"})",
     {{"identifier", "urn:i|1"}, {"gender", "female"}, {"birthdate", "1961"}}, R"([{"op":"add","path":"/active","value":true}])"},
    {"Device", R"({"resourceType":"Device","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"identifier":[{"system":"urn:i","value":"1"}],"manufacturer":"Maker","modelNumber":"M1",
      "deviceName":[{"name":"Scale","type":"model-name"}],"type":{"coding":[{"code":"scale"}]},"patient":{"reference":"Patient/s"}})",
     {{"identifier", "urn:i|1"}, {"manufacturer", "mak"}, {"model", "M1"}, {"device-name", "scale"}, {"type", "scale"}, {"patient", "s"}}, R"([{"op":"add","path":"/lotNumber","value":"7"}])"},
    {"Observation", R"({"resourceType":"Observation","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"identifier":[{"system":"urn:i","value":"1"}],"status":"final","category":[{"coding":[{"code":"vital-signs"}]}],
      "code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/s"},"effectiveDateTime":"2026-03-01","device":{"reference":"Device/s"}})",
     {{"identifier", "urn:i|1"}, {"patient", "s"}, {"subject", "Patient/s"}, {"code", "http://loinc.org|8867-4"}, {"status", "final"}, {"date", "2026-03-01"}, {"device", "s"}, {"category", "vital-signs"}},
     R"([{"op":"add","path":"/valueInteger","value":7}])"},
    {"DiagnosticReport", R"({"resourceType":"DiagnosticReport","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"identifier":[{"system":"urn:i","value":"1"}],"status":"final","category":[{"coding":[{"code":"LAB"}]}],
      "code":{"coding":[{"code":"panel"}]},"subject":{"reference":"Patient/s"},"effectiveDateTime":"2026-03-01","result":[{"reference":"Observation/s"}]})",
     {{"identifier", "urn:i|1"}, {"patient", "s"}, {"subject", "Patient/s"}, {"code", "panel"}, {"status", "final"}, {"date", "2026-03-01"}, {"category", "LAB"}, {"result", "Observation/s"}},
     R"([{"op":"add","path":"/conclusion","value":"fine"}])"},
    {"Provenance", R"({"resourceType":"Provenance","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"target":[{"reference":"Observation/s"},{"reference":"Patient/s"},{"reference":"Device/s"},{"reference":"DiagnosticReport/s"},{"reference":"ImagingStudy/s"},{"reference":"Provenance/s"}],
      "recorded":"2026-03-01T08:30:00Z","agent":[{"who":{"reference":"Device/s"}}]})",
     {{"target", "Observation/s"}, {"agent", "Device/s"}, {"recorded", "2026-03-01"}}, R"([{"op":"add","path":"/policy","value":["urn:p"]}])"},
    {"ImagingStudy", R"({"resourceType":"ImagingStudy","id":"s","meta":{"tag":[{"system":"urn:t","code":"t"}],"security":[{"code":"R"}]},"identifier":[{"system":"urn:i","value":"1"}],"status":"available","modality":[{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"CT"}],
      "subject":{"reference":"Patient/s"},"started":"2026-03-01"})",
     {{"identifier", "urn:i|1"}, {"patient", "s"}, {"subject", "Patient/s"}, {"status", "available"}, {"started", "2026-03"}, {"modality", "CT"}}, R"([{"op":"add","path":"/description","value":"chest"}])"}};

const Sample& sample_of(const std::string& type) {
  for (const Sample& sample : kSamples) {
    if (sample.type == type) return sample;
  }
  throw std::runtime_error("no sample of " + type);
}

struct CapabilityRig : FhirRig {
  Json statement;
  CapabilityRig() {
    for (const Sample& sample : kSamples) REQUIRE(ask("PUT", std::string(sample.type) + "/s", sample.resource).status == 201);
    statement = *get("metadata").body;
  }
  bool has(const std::vector<std::string>& ids) { return std::ranges::find(ids, "s") != ids.end(); }
  fhir::Response with(const std::string& method, const std::string& path, const std::string& query, const std::string& body, const std::string& if_none_exist = "") {
    fhir::Request request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.body = body;
    request.if_none_exist = if_none_exist;
    return send(std::move(request));
  }
  std::string without_id(const Sample& sample) {
    Json json = fhir::parse_json(sample.resource).value();
    json.remove("id");
    return fhir::write_json(json);
  }

  bool try_interaction(const Sample& sample, const std::string& code) {
    const std::string at = std::string(sample.type) + "/s";
    if (code == "read") return get(at).status == 200;
    if (code == "vread") return get(at + "/_history/1").status == 200 && get(at + "/_history/99").status == 404;
    if (code == "update") return ask("PUT", at, sample.resource).status == 200;
    if (code == "patch") return ask("PATCH", at, sample.patch).etag == "W/\"2\"";
    if (code == "history-instance") return get(at + "/_history").status == 200;
    if (code == "history-type") return get(std::string(sample.type) + "/_history").body->find("entry") != nullptr;
    if (code == "create") return ask("POST", sample.type, without_id(sample)).status == 201;
    if (code == "search-type") return has(found(sample.type));
    return false;
  }

  // One that finds it, and the same made to miss it.
  bool try_parameter(const Sample& sample, const std::string& name) {
    std::map<std::string, std::string> values = sample.found_by;
    values.insert({{"_id", "s"}, {"_lastUpdated", "ge2020"}, {"_tag", "urn:t|t"}, {"_security", "R"}});
    if (!values.contains(name)) return false;
    const std::string search = std::string(sample.type) + "?" + name + "=";
    const bool date = name == "date" || name == "_lastUpdated" || name == "recorded" || name == "started" || name == "birthdate";
    return has(found(search + values[name])) && !has(found(search + (date ? "lt1900" : "nobody")));
  }

  bool try_claim(const Sample& sample, const std::string& name, const std::string& value) {
    const std::string type = sample.type;
    const auto absent = [&](const std::string& id) { return R"({"resourceType":")" + type + R"(","id":")" + id + '"' + std::string(sample.resource).substr(std::string(sample.resource).find(R"("id":"s")") + 8); };
    if (name == "versioning") return value == "versioned" && get(type + "/s").etag.starts_with("W/");
    if (name == "readHistory") return value == "true" && get(type + "/s/_history/1").status == 200;
    if (name == "updateCreate") return value == "true" && ask("PUT", type + "/new", absent("new")).status == 201;
    if (name == "conditionalCreate") return value == "true" && with("POST", type, "", without_id(sample), "_id=s").status == 200;
    if (name == "conditionalUpdate") return value == "true" && with("PUT", type, "_id=s", without_id(sample)).status == 200;
    if (name == "conditionalRead") {
      fhir::Request request;
      request.method = "GET";
      request.path = type + "/s";
      request.if_none_match = get(type + "/s").etag;
      return value == "not-match" && send(request).status == 304;
    }
    return false;
  }
};

// Bulk export is asked for beside what a World answers: of the region's API, at the address that
// the operation's name gives.
bool try_operation(const std::string& path, const Json& operation, const char* definition) {
  ApiRig rig;
  HttpRequest request = ApiRig::request("GET", "/fhir/" + path + "$" + operation.text_at("name"),
                                        rig.token(Role::fhir));
  request.headers["prefer"] = "respond-async";
  const bool known =
      operation.text_at("definition") ==
      std::string("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/") + definition;
  return known && rig.ask(request).status == 202;
}

TEST_CASE_METHOD(CapabilityRig,
                 "bulk export is what is said of the system and of patients, and nothing else is; "
                 "the guide that it follows is named") {
  const auto of_system = fhir::elements_at(statement, "rest.operation"),
             of_types = fhir::elements_at(statement, "rest.resource.operation");
  REQUIRE(of_system.size() == 1);
  CHECK(try_operation("", *of_system[0], "export"));
  REQUIRE(of_types.size() == 1);
  for (const Json* resource : fhir::elements_at(statement, "rest.resource"))
    CHECK((resource->find("operation") != nullptr) == (resource->text_at("type") == "Patient"));
  CHECK(try_operation("Patient/", *of_types[0], "patient-export"));
  CHECK_FALSE(try_operation("Group/", *of_types[0], "patient-export"));
  const auto guides = fhir::elements_at(statement, "instantiates");
  REQUIRE(guides.size() == 1);
  CHECK(guides[0]->text() == "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data");
}

TEST_CASE_METHOD(CapabilityRig, "the CapabilityStatement says what every other test relies on") {
  CHECK(text_at(statement, "fhirVersion") == "4.0.1");
  CHECK(text_at(statement, "implementation.url") == kBase);
  const auto resources = fhir::elements_at(statement, "rest.resource");
  REQUIRE(resources.size() == fhir::types().size());
}

TEST_CASE_METHOD(CapabilityRig, "every interaction, parameter, include and claim of the CapabilityStatement works as it says") {
  for (const Json* resource : fhir::elements_at(statement, "rest.resource")) {
    const Sample& sample = sample_of(resource->text_at("type"));
    size_t tried = 0;
    for (const Json::Member& member : resource->members()) {
      const std::string& name = member.first;
      INFO(sample.type << "." << name << " " << fhir::write_json(member.second));
      if (name == "type" || name == "operation") continue;  // the latter has a test of its own
      ++tried;
      if (name == "interaction") {
        for (const Json& one : member.second.items()) {
          INFO(one.text_at("code"));
          CHECK(try_interaction(sample, one.text_at("code")));
        }
      } else if (name == "searchParam") {
        for (const Json& one : member.second.items()) {
          INFO(one.text_at("name"));
          CHECK(try_parameter(sample, one.text_at("name")));
        }
      } else if (name == "searchInclude") {
        for (const Json& one : member.second.items()) CHECK(!found(std::string(sample.type) + "?_id=s&_include=" + one.text(), "include").empty());
      } else if (name == "searchRevInclude") {
        REQUIRE(member.second.items().size() == 1);
        // A Provenance that targets itself is on the page already.
        if (sample.type != std::string("Provenance")) CHECK(found(std::string(sample.type) + "?_id=s&_revinclude=" + member.second.items()[0].text(), "include") == std::vector<std::string>{"s"});
      } else {
        CHECK(try_claim(sample, name, member.second.text()));
      }
    }
    CHECK(tried >= 9);
  }
}

TEST_CASE_METHOD(CapabilityRig, "transaction and batch are what the system does, and nothing else is said of it") {
  const auto codes = fhir::elements_at(statement, "rest.interaction.code");
  REQUIRE(codes.size() == 2);
  for (const Json* code : codes) {
    const auto done = ask("POST", "", R"({"resourceType":"Bundle","type":")" + code->text() + R"("})");
    CHECK(text_at(*done.body, "type") == code->text() + "-response");
  }
  CHECK(fhir::elements_at(statement, "patchFormat").size() == 1);
}

}  // namespace
}  // namespace egret::cloud
