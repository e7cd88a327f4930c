#include "cloud/fhir/keep.h"
#include "cloud/fhir/patch.h"
#include "cloud/fhir/write.h"
#include "cloud/own_facility.h"
#include "cloud/verify.h"
#include "cloud/verify_views.h"
#include "schemas/limits_fhir.h"
#include "tests/unit/cloud/fhir_rig.h"

namespace egret::cloud {
namespace {

using fhir::Json;

const std::string kPatient = R"({"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"7"}],"gender":"female","birthDate":"1961-03"})";
const std::string kObservation = R"({"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
  "subject":{"reference":"Patient/absent"},"effectiveDateTime":"2026-03-01T08:30:00+08:00","valueQuantity":{"value":72.500,"unit":"/min"}})";

struct WriteRig : FhirRig {
  // Chains, leaves and dispositions are what they should be.
  bool proved() {
    const auto verdict = verify(kv, [](uint64_t, uint64_t) {});
    REQUIRE(verdict.has_value());
    for (const Finding& finding : verdict->findings) WARN(text_of(finding));
    return verdict->wrong == 0;
  }
  // The bench commits blocks of sites without their ledger.
  bool proved_of(const Facility& fac) {
    const auto verdict = verify(kv, [](uint64_t, uint64_t) {});
    REQUIRE(verdict.has_value());
    return std::ranges::none_of(verdict->findings, [&](const Finding& finding) { return finding.fac == fac; });
  }
  fhir::Response with(const std::string& method, const std::string& address, const std::string& body, const std::function<void(fhir::Request&)>& change) {
    fhir::Request request;
    request.method = method;
    const size_t mark = std::min(address.find('?'), address.size());
    request.path = address.substr(0, mark);
    request.query = address.substr(std::min(mark + 1, address.size()));
    request.body = body;
    change(request);
    return send(std::move(request));
  }
  fhir::Response if_none(const std::string& type, const std::string& body, const std::string& condition) {
    return with("POST", type, body, [&](fhir::Request& r) { r.if_none_exist = condition; });
  }
  fhir::Response if_match(const std::string& method, const std::string& address, const std::string& body, const std::string& tag) {
    return with(method, address, body, [&](fhir::Request& r) { r.if_match = tag; });
  }
};

std::string with_id(const std::string& body, const std::string& id) {
  return body.substr(0, body.find(',')) + R"(,"id":")" + id + '"' + body.substr(body.find(','));
}

TEST_CASE_METHOD(WriteRig, "what is created can be read at once, with its digits, and is a record like any other") {
  const auto created = ask("POST", "Observation", kObservation);
  REQUIRE(created.status == 201);
  const std::string id = created.body->text_at("id");
  CHECK(created.location == std::string(kBase) + "/Observation/" + id + "/_history/1");
  CHECK(created.etag == "W/\"1\"");
  const auto read = get("Observation/" + id);
  REQUIRE(read.status == 200);
  CHECK(*read.body == *created.body);
  CHECK(fhir::write_json(*read.body).find("72.500") != std::string::npos);
  CHECK(found("Observation?code=http://loinc.org|8867-4") == std::vector{id});
  CHECK(found("Observation?patient=absent") == std::vector{id});  // an unknown patient is no reason to refuse

  // In the ledger of the region's own facility, in the feed, and proved.
  const auto rows = store->begin()->rows(kRegionFacility).value();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].second.w == Seq{2});  // the document and its part
  CHECK(store->begin()->facility(kRegionFacility).value()->records == 2);
  CHECK(proved());
  const auto views = verify_views(kv);
  REQUIRE(views.has_value());
  CHECK(views->compared());
  CHECK(views->wrong.empty());
}

TEST_CASE_METHOD(WriteRig, "an update makes a version, the same once more makes none, and each is kept") {
  REQUIRE(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).status == 201);
  const auto same = ask("PUT", "Patient/p1", with_id(kPatient, "p1"));
  CHECK(same.status == 200);
  CHECK(same.etag == "W/\"1\"");
  std::string changed = with_id(kPatient, "p1");
  changed.replace(changed.find("female"), 6, "male");
  const auto updated = ask("PUT", "Patient/p1", changed);
  CHECK(updated.status == 200);
  CHECK(updated.etag == "W/\"2\"");
  CHECK(text_at(*get("Patient/p1/_history/1").body, "gender") == "female");
  CHECK(text_at(*get("Patient/p1").body, "gender") == "male");
  CHECK(found("Patient?gender=female").empty());
  CHECK(found("Patient?gender=male").size() == 1);
  const auto history = get("Patient/p1/_history");
  CHECK(text_at(*history.body, "total") == "2");
  CHECK(text_at(history.body->find("entry")->items()[0], "response.etag") == "W/\"2\"");
  CHECK(get("Patient/_history").body->find("entry")->items().size() == 2);
  // Back to what it was before is a version, too.
  CHECK(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).etag == "W/\"3\"");
}

TEST_CASE_METHOD(WriteRig, "If-Match lets only the version through that was seen") {
  REQUIRE(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).status == 201);
  std::string changed = with_id(kPatient, "p1");
  changed.replace(changed.find("1961"), 4, "1962");
  CHECK(if_match("PUT", "Patient/p1", changed, "W/\"2\"").status == 412);
  CHECK(if_match("PUT", "Patient/p1", changed, "nonsense").status == 412);
  CHECK(if_match("PUT", "Patient/p2", with_id(kPatient, "p2"), "W/\"1\"").status == 412);
  CHECK(text_at(*get("Patient/p1").body, "birthDate") == "1961-03");
  CHECK(if_match("PUT", "Patient/p1", changed, "W/\"1\"").status == 200);
}

TEST_CASE_METHOD(WriteRig, "a conditional create makes one, however often it comes") {
  const auto first = if_none("Patient", kPatient, "identifier=urn:mrn|7");
  CHECK(first.status == 201);
  for (int i = 0; i < 50; i++) {
    const auto again = if_none("Patient", kPatient, "identifier=urn:mrn|7");
    CHECK(again.status == 200);
    CHECK(again.body->text_at("id") == first.body->text_at("id"));
  }
  CHECK(found("Patient?identifier=urn:mrn|7").size() == 1);
  REQUIRE(ask("POST", "Patient", kPatient).status == 201);
  CHECK(if_none("Patient", kPatient, "identifier=urn:mrn|7").status == 412);
  CHECK(if_none("Patient", kPatient, "colour=blue").status == 400);
  CHECK(if_none("Patient", kPatient, "_count=7").status == 400);
}

TEST_CASE_METHOD(WriteRig, "a conditional update finds the one that matches, makes one, or refuses") {
  const auto made = ask("PUT", "Patient?identifier=urn:mrn|7", kPatient);
  CHECK(made.status == 201);
  std::string changed = kPatient;
  changed.replace(changed.find("female"), 6, "other");
  const auto updated = ask("PUT", "Patient?identifier=urn:mrn|7", changed);
  CHECK(updated.status == 200);
  CHECK(updated.body->text_at("id") == made.body->text_at("id"));
  CHECK(updated.etag == "W/\"2\"");
  CHECK(ask("PUT", "Patient?identifier=urn:mrn|7", with_id(kPatient, "other")).status == 400);
  REQUIRE(ask("POST", "Patient", kPatient).status == 201);
  CHECK(ask("PUT", "Patient?identifier=urn:mrn|7", changed).status == 412);
}

TEST_CASE_METHOD(WriteRig, "what a site states is not written over by a client") {
  commit({result(1, 1)});
  std::string own = with_id(kObservation, id(1));
  CHECK(ask("PUT", "Observation/" + id(1), own).status == 403);
  CHECK(ask("PATCH", "Observation/" + id(1), R"([{"op":"replace","path":"/status","value":"final"}])").status == 403);
  CHECK(ask("PUT", "Patient/" + patient_id("urn:site", "P-1"), with_id(kPatient, patient_id("urn:site", "P-1"))).status == 403);
  CHECK(text_at(*get("Observation/" + id(1)).body, "status") == "preliminary");
  // A condition that matches one is no way round it.
  CHECK(ask("PUT", "Observation?_id=" + id(1), kObservation).status == 403);
}

TEST_CASE_METHOD(WriteRig, "a Provenance with a verifier is a review, and counts like one of a site") {
  commit({result(1, 1)});
  const std::string version = text_at(*get("Observation/" + id(1)).body, "meta.versionId");
  const auto review = [&](const std::string& target, const std::string& verdict, const std::string& role = "specialist") {
    return R"({"resourceType":"Provenance","target":[{"reference":")" + target + R"("}],"recorded":"2026-03-01T08:30:00+08:00","activity":{"coding":[{"system":"urn:egret:fhir","code":")" + verdict +
           R"("}]},"agent":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"verifier"}]},"role":[{"coding":[{"system":"urn:egret:fhir","code":")" +
           role + R"("}]}],"who":{"identifier":{"value":"r-7"}}}]})";
  };
  const std::string target = "Observation/" + id(1) + "/_history/" + version;
  CHECK(ask("POST", "Provenance", review("Observation/" + id(1), "agreed")).status == 400);
  CHECK(ask("POST", "Provenance", review(target, "agreed_with_changes")).status == 400);
  CHECK(ask("POST", "Provenance", review(target, "fine")).status == 400);
  CHECK(ask("POST", "Provenance", review(target, "agreed", "king")).status == 400);
  CHECK(text_at(*get("Observation/" + id(1)).body, "status") == "preliminary");

  const auto made = ask("POST", "Provenance", review(target, "agreed"));
  REQUIRE(made.status == 201);
  CHECK(text_at(*made.body, "agent.type.coding.code") == "verifier");
  CHECK(text_at(*made.body, "agent.who.identifier.value") == "r-7");
  CHECK(text_at(*get("Observation/" + id(1)).body, "status") == "final");
  CHECK(get("Provenance/" + made.body->text_at("id")).status == 200);
  CHECK(found("Provenance?target=Observation/" + id(1)).size() == 2);
  const ResultRow row = row_of(1).value();
  CHECK(row.statements.back().by == kRegionFacility);
  CHECK(std::get<Review>(row.statements.back().statement).verdict == ReviewVerdict::agreed);
  // Once more it is the same one.
  CHECK(ask("POST", "Provenance", review(target, "agreed")).status == 200);
  CHECK(found("Provenance?target=Observation/" + id(1)).size() == 2);
  CHECK(proved_of(kRegionFacility));
  // One about something else is kept as it is.
  CHECK(ask("POST", "Provenance", review("Patient/1", "agreed")).body->find("meta")->text_at("versionId") == "1");
}

TEST_CASE_METHOD(WriteRig, "a site under the region's own name stops writes, for they would be its") {
  register_facility(kRegionFacility);
  CHECK(ask("POST", "Patient", kPatient).status == 403);
  CHECK(found("Patient").empty());
}

TEST_CASE_METHOD(WriteRig, "what is no resource is refused, and nothing of it repeated") {
  const std::pair<const char*, unsigned> bodies[] = {
      {"", 400}, {"{", 400}, {"[]", 400}, {R"({"resourceType":"Patient","name":null})", 400}, {R"({"resourceType":"Patient","name":[]})", 400},
      {R"({"resourceType":"Observation","status":"final"})", 400}, {R"({"resourceType":"Patient","secret4711":"x"})", 400},
      {R"({"resourceType":"Patient","gender":7})", 400}, {R"({"resourceType":"Patient","name":{}})", 400}, {R"({"resourceType":"Patient","gender":"a","gender":"b"})", 400},
      {R"({"resourceType":"Patient","id":"not an id"})", 400}};
  for (const auto& [body, status] : bodies) {
    INFO(body);
    const auto answer = ask("POST", "Patient", body);
    CHECK(answer.status == status);
    REQUIRE(answer.body.has_value());
    CHECK(fhir::write_json(*answer.body).find("4711") == std::string::npos);
  }
  CHECK(ask("PUT", "Patient/p1", with_id(kPatient, "p2")).status == 400);
  CHECK(ask("PUT", "Patient/p1", kPatient).status == 400);
  CHECK(ask("PUT", "Patient", kPatient).status == 400);
  CHECK(ask("POST", "Claim", kPatient).status == 404);
  CHECK(with("POST", "Patient", kPatient, [](fhir::Request& r) { r.content_type = "text/xml"; }).status == 415);
  std::string large = kPatient;
  large.insert(large.size() - 1, R"(,"name":[{"text":")" + std::string(kFhirResourceBytesMax, 'x') + R"("}])");
  CHECK(ask("POST", "Patient", large).status == 413);
  CHECK(ask("POST", "Patient", R"({"resourceType":"Patient","name":[)" + std::string(kFhirRequestBytesMax, ' ') + "]}").status == 413);
  CHECK(found("Patient").empty());
}

TEST_CASE_METHOD(WriteRig, "a resource of many parts comes back whole") {
  std::string large = kPatient;
  large.insert(large.size() - 1, R"(,"name":[{"text":")" + std::string(300'000, 'x') + R"("}])");
  const auto created = ask("POST", "Patient", large);
  REQUIRE(created.status == 201);
  CHECK(text_at(*get("Patient/" + created.body->text_at("id")).body, "name.text").size() == 300'000);
  CHECK(proved());
}

TEST_CASE_METHOD(WriteRig, "views made anew have the same resources") {
  REQUIRE(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).status == 201);
  REQUIRE(ask("POST", "Observation", kObservation).status == 201);
  commit({rich_result(1, 1)});
  follow();
  const auto before = views();
  REQUIRE(Follower::ask_rebuild(kv).has_value());
  follow();
  CHECK(views() == before);
  CHECK(get("Patient/p1").status == 200);
  CHECK(verify_views(kv)->wrong.empty());
}

TEST_CASE_METHOD(WriteRig, "who has written meanwhile is seen before anything is stored") {
  fhir::World world(kv, *store, entropy, now.wall);
  world.base = kBase;
  const auto head = fhir::head_of(world);
  REQUIRE(head.has_value());
  REQUIRE(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).status == 201);
  const auto kept = fhir::keep(world, *head, {{{"Patient", "p1", 1, fhir::parse_json(with_id(kPatient, "p1")).value()}}, {}});
  REQUIRE(!kept.has_value());
  CHECK(kept.error().code == Errc::conflict);
}

TEST_CASE_METHOD(WriteRig, "a store that cannot write answers no 2xx, and has nothing of it",
                 "[memory]") {
  CloudRig::kv.fail_write(1, KvMemory::Failure::lost);
  const auto refused = ask("POST", "Patient", kPatient);
  CHECK(refused.status == 500);
  CHECK(issue_of(refused) == "exception");
  CloudRig::kv.heal();
  CHECK(found("Patient").empty());
  CHECK(ask("POST", "Patient", kPatient).status == 201);
}

TEST_CASE_METHOD(WriteRig, "a patch changes what it names, or nothing") {
  REQUIRE(ask("PUT", "Patient/p1", with_id(kPatient, "p1")).status == 201);
  const auto patched = ask("PATCH", "Patient/p1", R"([{"op":"test","path":"/gender","value":"female"},{"op":"replace","path":"/gender","value":"male"},
      {"op":"add","path":"/identifier/-","value":{"system":"urn:x","value":"8"}},{"op":"remove","path":"/birthDate"}])");
  REQUIRE(patched.status == 200);
  CHECK(patched.etag == "W/\"2\"");
  CHECK(text_at(*patched.body, "gender") == "male");
  CHECK(patched.body->find("birthDate") == nullptr);
  CHECK(found("Patient?identifier=urn:x|8").size() == 1);
  CHECK(ask("PATCH", "Patient/p1", R"([{"op":"test","path":"/gender","value":"female"}])").status == 422);
  CHECK(ask("PATCH", "Patient/p1", R"([{"op":"remove","path":"/gender"},{"op":"remove","path":"/nothing"}])").status == 400);
  CHECK(ask("PATCH", "Patient/p1", R"([{"op":"replace","path":"/resourceType","value":"Claim"}])").status == 400);
  CHECK(ask("PATCH", "Patient/p1", R"({"op":"remove"})").status == 400);
  CHECK(ask("PATCH", "Patient/none", R"([{"op":"remove","path":"/gender"}])").status == 404);
  CHECK(if_match("PATCH", "Patient/p1", R"([{"op":"remove","path":"/gender"}])", "W/\"1\"").status == 412);
  CHECK(text_at(*get("Patient/p1").body, "gender") == "male");
  CHECK(ask("PATCH", "Patient?identifier=urn:x|8", R"([{"op":"remove","path":"/gender"}])").status == 200);
  CHECK(ask("PATCH", "Patient?identifier=urn:x|9", R"([{"op":"remove","path":"/gender"}])").status == 404);
}

TEST_CASE("JSON Patch does what RFC 6902 says") {
  struct Case {
    const char *target, *patch, *result;  // nullptr: refused
  };
  const Case cases[] = {
      {R"({"a":{"b":1}})", R"([{"op":"add","path":"/a/c","value":2}])", R"({"a":{"b":1,"c":2}})"},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/3","value":2}])", nullptr},
      {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/01","value":2}])", nullptr},
      {R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/0"}])", R"({"a":[2]})"},
      {R"({"a":[1],"b":2})", R"([{"op":"remove","path":"/a/0"}])", R"({"b":2})"},
      {R"({"a":1,"b":2})", R"([{"op":"move","from":"/a","path":"/c"}])", R"({"b":2,"c":1})"},
      {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", nullptr},
      {R"({"a":1})", R"([{"op":"copy","from":"/a","path":"/b"}])", R"({"a":1,"b":1})"},
      {R"({"a/b":1,"m~n":2})", R"([{"op":"test","path":"/a~1b","value":1},{"op":"replace","path":"/m~0n","value":3}])", R"({"a/b":1,"m~n":3})"},
      {R"({"a":1})", R"([{"op":"test","path":"/a","value":1.0}])", nullptr},
      {R"({"a":1})", R"([{"op":"replace","path":"","value":{"b":2}}])", R"({"b":2})"},
      {R"({"a":1})", R"([{"op":"replace","path":"/b","value":2}])", nullptr},
      {R"({"a":1})", R"([{"op":"swap","path":"/a"}])", nullptr},
      {R"({"a":1})", R"([{"op":"add","path":"a","value":2}])", nullptr},
      {R"({"a":1})", R"([])", nullptr}};
  for (const Case& c : cases) {
    INFO(c.patch);
    const auto out = fhir::patched(fhir::parse_json(c.target).value(), fhir::parse_json(c.patch).value());
    REQUIRE(out.has_value() == (c.result != nullptr));
    if (c.result != nullptr) CHECK(fhir::write_json(*out) == c.result);
  }
  // What doubles itself at every step is stopped.
  std::string doubling = R"([{"op":"add","path":"/a","value":["xxxxxxxxxxxxxxxx"]})";
  for (int i = 0; i < 40; i++) doubling += R"(,{"op":"copy","from":"/a","path":"/a/-"})";
  const auto grown = fhir::patched(Json::object(), fhir::parse_json(doubling + "]").value());
  REQUIRE(!grown.has_value());
  CHECK(grown.error().code == Errc::too_large);
}

}  // namespace
}  // namespace egret::cloud
