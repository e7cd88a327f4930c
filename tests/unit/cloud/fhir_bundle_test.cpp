#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"
#include "tests/unit/cloud/fhir_rig.h"

namespace egret::cloud {
namespace {

using fhir::Json;

std::string bundle(const std::string& type, const std::vector<std::string>& entries) {
  std::string out = R"({"resourceType":"Bundle","type":")" + type + R"(","entry":[)";
  for (const std::string& entry : entries) out += (out.back() == '[' ? "" : ",") + entry;
  return out + "]}";
}
std::string entry(const std::string& method, const std::string& url, const std::string& resource, const std::string& full_url = "", const std::string& more = "") {
  return (full_url.empty() ? "{" : R"({"fullUrl":")" + full_url + R"(",)") + (resource.empty() ? "" : R"("resource":)" + resource + ",") +
         R"("request":{"method":")" + method + R"(","url":")" + url + '"' + more + "}}";
}
const std::string kPatient = R"({"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"7"}]})";
std::string observation(const std::string& subject) {
  return R"({"resourceType":"Observation","status":"final","code":{"text":"pulse"},"subject":{"reference":")" + subject + R"("}})";
}
constexpr const char* kUrn = "urn:uuid:0b1c2d3e-0000-4000-8000-000000000001";

TEST_CASE_METHOD(FhirRig, "a transaction stores all, with references to what its entries became, answered in their order") {
  const auto done = ask("POST", "", bundle("transaction", {entry("GET", "Patient/p9", ""), entry("POST", "Observation", observation(kUrn)), entry("POST", "Patient", kPatient, kUrn),
                                                           entry("PUT", "Patient/p9", R"({"resourceType":"Patient","id":"p9"})")}));
  REQUIRE(done.status == 200);
  CHECK(text_at(*done.body, "type") == "transaction-response");
  const auto& entries = done.body->find("entry")->items();
  REQUIRE(entries.size() == 4);
  CHECK(text_at(entries[0], "resource.id") == "p9");  // reads see what was written
  CHECK(text_at(entries[1], "response.status") == "201 Created");
  CHECK(text_at(entries[1], "resource.subject.reference") == "Patient/" + text_at(entries[2], "resource.id"));
  CHECK(text_at(entries[2], "response.location").starts_with(std::string(kBase) + "/Patient/"));
  CHECK(text_at(entries[2], "response.etag") == "W/\"1\"");
  CHECK(!text_at(entries[2], "response.lastModified").empty());
  CHECK(found("Observation?patient=" + text_at(entries[2], "resource.id")).size() == 1);
}

TEST_CASE_METHOD(FhirRig, "a transaction with one bad entry stores nothing, and says which") {
  const auto refused = ask("POST", "", bundle("transaction", {entry("POST", "Patient", kPatient), entry("POST", "Observation", R"({"resourceType":"Observation"})")}));
  CHECK(refused.status == 400);
  CHECK(text_at(*refused.body, "issue.diagnostics").starts_with("Bundle.entry[1]: "));
  CHECK(found("Patient").empty());
  CHECK(ask("POST", "", bundle("transaction", {entry("POST", "Patient", kPatient), entry("DELETE", "Patient/1", "")})).status == 400);
  CHECK(ask("POST", "", bundle("transaction", {entry("POST", "Observation", observation("urn:uuid:nobody"))})).status == 400);
  CHECK(found("Patient").empty());
}

TEST_CASE_METHOD(FhirRig, "two entries for one identity are refused before anything is stored [25]") {
  const std::string p1 = R"({"resourceType":"Patient","id":"p1"})";
  const std::string condition = R"(,"ifNoneExist":"identifier=urn:mrn|7")";
  for (const auto& entries : {std::vector{entry("PUT", "Patient/p1", p1), entry("PUT", "Patient/p1", p1)},
                              std::vector{entry("POST", "Patient", kPatient, "", condition), entry("POST", "Patient", kPatient, "", condition)},
                              std::vector{entry("PUT", "Patient?identifier=urn:mrn|7", kPatient), entry("PUT", "Patient?identifier=urn:mrn|7", kPatient)},
                              std::vector{entry("POST", "Patient", kPatient, kUrn), entry("POST", "Patient", kPatient, kUrn)}}) {
    const auto refused = ask("POST", "", bundle("transaction", entries));
    CHECK(refused.status == 400);
    CHECK(issue_of(refused) == "duplicate");
    CHECK(found("Patient").empty());
  }
  // By its id, and by what it is found by.
  REQUIRE(ask("PUT", "Patient/p7", R"({"resourceType":"Patient","id":"p7","identifier":[{"system":"urn:mrn","value":"7"}]})").status == 201);
  const auto refused = ask("POST", "", bundle("transaction", {entry("PUT", "Patient/p7", R"({"resourceType":"Patient","id":"p7"})"), entry("PUT", "Patient?identifier=urn:mrn|7", kPatient)}));
  CHECK(refused.status == 400);
  CHECK(get("Patient/p7").etag == "W/\"1\"");
}

TEST_CASE_METHOD(FhirRig, "conditions and references that are searches are decided inside a transaction") {
  REQUIRE(ask("PUT", "Patient/p7", R"({"resourceType":"Patient","id":"p7","identifier":[{"system":"urn:mrn","value":"7"}]})").status == 201);
  const std::string condition = R"(,"ifNoneExist":"identifier=urn:mrn|7")";
  const auto done = ask("POST", "", bundle("transaction", {entry("POST", "Patient", kPatient, kUrn, condition), entry("POST", "Observation", observation(kUrn)),
                                                           entry("POST", "Observation", observation("Patient?identifier=urn:mrn|7"))}));
  REQUIRE(done.status == 200);
  const auto& entries = done.body->find("entry")->items();
  CHECK(text_at(entries[0], "response.status") == "200 OK");
  CHECK(text_at(entries[1], "resource.subject.reference") == "Patient/p7");
  CHECK(text_at(entries[2], "resource.subject.reference") == "Patient/p7");
  CHECK(ask("POST", "", bundle("transaction", {entry("POST", "Observation", observation("Patient?identifier=urn:mrn|8"))})).status == 412);
  // One that is not there yet gets an id that others can name.
  const std::string absent = R"(,"ifNoneExist":"identifier=urn:mrn|9")";
  const auto made = ask("POST", "", bundle("transaction", {entry("POST", "Observation", observation(kUrn)),
                                                           entry("PUT", "Patient?identifier=urn:mrn|9", R"({"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"9"}]})", kUrn)}));
  REQUIRE(made.status == 200);
  CHECK(text_at(made.body->find("entry")->items()[0], "resource.subject.reference") == "Patient/" + text_at(made.body->find("entry")->items()[1], "resource.id"));
}

TEST_CASE_METHOD(FhirRig, "each entry of a batch stands for itself, and sees what came before it") {
  const std::string condition = R"(,"ifNoneExist":"identifier=urn:mrn|7")";
  const auto done = ask("POST", "", bundle("batch", {entry("POST", "Patient", kPatient, "", condition), entry("POST", "Observation", R"({"resourceType":"Observation"})"),
                                                     entry("POST", "Patient", kPatient, "", condition), entry("GET", "Patient?identifier=urn:mrn|7", ""), entry("GET", "Claim/1", ""),
                                                     entry("DELETE", "Patient/1", "")}));
  REQUIRE(done.status == 200);
  const auto& entries = done.body->find("entry")->items();
  REQUIRE(entries.size() == 6);
  CHECK(text_at(entries[0], "response.status") == "201 Created");
  CHECK(text_at(entries[1], "response.status") == "400 Bad Request");
  CHECK(text_at(entries[1], "response.outcome.resourceType") == "OperationOutcome");
  CHECK(text_at(entries[2], "response.status") == "200 OK");
  CHECK(text_at(entries[2], "resource.id") == text_at(entries[0], "resource.id"));
  CHECK(text_at(entries[3], "resource.entry.resource.id") == text_at(entries[0], "resource.id"));
  CHECK(text_at(entries[4], "response.status") == "404 Not Found");
  CHECK(text_at(entries[5], "response.status") == "400 Bad Request");
}

TEST_CASE_METHOD(FhirRig, "a patch in a transaction is a Binary, with the version that was seen") {
  REQUIRE(ask("PUT", "Patient/p1", R"({"resourceType":"Patient","id":"p1","gender":"female"})").status == 201);
  const std::string steps = bytes_to_base64(R"([{"op":"replace","path":"/gender","value":"male"}])");
  const std::string binary = R"({"resourceType":"Binary","contentType":"application/json-patch+json","data":")" + steps + R"("})";
  CHECK(ask("POST", "", bundle("transaction", {entry("PATCH", "Patient/p1", binary, "", R"(,"ifMatch":"W/\"2\"")")})).status == 412);
  const auto done = ask("POST", "", bundle("transaction", {entry("PATCH", "Patient/p1", binary, "", R"(,"ifMatch":"W/\"1\"")")}));
  REQUIRE(done.status == 200);
  CHECK(text_at(done.body->find("entry")->items()[0], "response.etag") == "W/\"2\"");
  CHECK(text_at(*get("Patient/p1").body, "gender") == "male");
}

TEST_CASE_METHOD(FhirRig, "what is no Bundle, or too many entries, is refused") {
  CHECK(ask("POST", "", kPatient).status == 400);
  CHECK(ask("POST", "", bundle("history", {})).status == 400);
  CHECK(ask("POST", "", R"({"resourceType":"Bundle","type":"batch","entry":7})").status == 400);
  CHECK(ask("POST", "", R"({"resourceType":"Bundle","type":"batch"})").status == 200);
  CHECK(ask("POST", "", bundle("batch", std::vector<std::string>(kFhirEntriesMax + 1, "{}"))).status == 413);
  CHECK(ask("POST", "", bundle("transaction", {"{}"})).status == 400);
  CHECK(ask("POST", "", bundle("transaction", {entry("PUT", "Patient/a/b", kPatient)})).status == 400);
}

TEST_CASE_METHOD(FhirRig, "a transaction of many entries is one commit") {
  std::vector<std::string> entries;
  for (int i = 0; i < 400; i++) entries.push_back(entry("POST", "Observation", observation("Patient/" + std::to_string(i))));
  REQUIRE(ask("POST", "", bundle("transaction", entries)).status == 200);
  CHECK(found("Observation?_count=200").size() == 400);
}

}  // namespace
}  // namespace egret::cloud
