#include "schemas/record_text.h"
#include "tests/unit/cloud/fhir_rig.h"

namespace egret::cloud {
namespace {

using fhir::Json;

struct Rich : FhirRig {
  Bytes first_model = model("2.4.1");
  Hash ref = ref_of_model(first_model);
  Rich() {
    commit({first_model, rich_result(1, 1, [&](v1::AiResult& r) { r.set_model_ref(Bytes(view(ref))); })});
  }
};

TEST_CASE_METHOD(Rich, "a result is an Observation that says it is a machine's, by which Device, of whom and when") {
  const auto answer = get("Observation/" + id(1));
  REQUIRE(answer.status == 200);
  const Json& o = *answer.body;
  CHECK(text_at(o, "resourceType") == "Observation");
  CHECK(text_at(o, "meta.security.code") == "AIAST");
  CHECK(text_at(o, "device.reference") == "Device/" + hex(view(ref)));
  CHECK(text_at(o, "status") == "preliminary");
  CHECK(text_at(o, "code.coding.code") == "71490-7");
  CHECK(text_at(o, "category.coding.code") == "dr");
  CHECK(text_at(o, "subject.reference") == "Patient/" + patient_id("urn:site", "P-1"));
  CHECK(text_at(o, "subject.identifier.value") == "P-1");
  CHECK(text_at(o, "effectiveDateTime") == "2023-11-14T22:13:20Z");
  CHECK(text_at(o, "basedOn.identifier.type.coding.code") == "ACSN");
  CHECK(text_at(o, "partOf.identifier.value") == "urn:oid:1.2.840.1");
  CHECK(text_at(o, "extension.valueDecimal") == "0.930");
  SECTION("decimals keep their digits") {
    CHECK(text_at(o, "valueQuantity.value") == "1.50");
    CHECK(fhir::write_json(o).find(R"("value":1.50)") != std::string::npos);
  }
  SECTION("and an ETag, a time and a version that are the resource's own") {
    CHECK(answer.etag == "W/\"" + text_at(o, "meta.versionId") + "\"");
    CHECK(!answer.last_modified.empty());
    CHECK(text_at(o, "meta.versionId").starts_with("1-"));
  }
  SECTION("which is not sent again to who has it") {
    fhir::Request request;
    request.method = "GET";
    request.path = "Observation/" + id(1);
    request.if_none_match = answer.etag;
    CHECK(send(request).status == 304);
    request.if_none_match = "W/\"1-0000000000000000\"";
    CHECK(send(request).status == 200);
  }
}

TEST_CASE_METHOD(Rich, "a run is a DiagnosticReport, a model a Device, a patient a pseudonym, a statement has Provenance") {
  const auto report = get("DiagnosticReport/" + fhir::id_of(take<16>(Bytes(16, '\1')), kFac));
  REQUIRE(report.status == 200);
  CHECK(text_at(*report.body, "result.reference") == "Observation/" + id(1));
  CHECK(text_at(*report.body, "conclusion") == "see image");
  CHECK(text_at(*report.body, "status") == "preliminary");
  CHECK(text_at(*report.body, "code.coding.code") == "dr");

  const auto device = get("Device/" + hex(view(ref)));
  REQUIRE(device.status == 200);
  CHECK(text_at(*device.body, "type.coding.code") == "Artificial-Intelligence");
  CHECK(text_at(*device.body, "version.value") == "2.4.1");
  CHECK(text_at(*device.body, "manufacturer") == "Sample Imaging");
  CHECK(text_at(*device.body, "udiCarrier.deviceIdentifier") == "00844588003288");
  CHECK(text_at(*device.body, "extension.valueReference.identifier.value") == "https://vendor.example/card.md");

  const auto patient = get("Patient/" + patient_id("urn:site", "P-1"));
  REQUIRE(patient.status == 200);
  CHECK(text_at(*patient.body, "gender") == "female");
  CHECK(text_at(*patient.body, "birthDate") == "1961");
  CHECK(patient.body->find("name") == nullptr);

  const auto all = found("Provenance?target=Observation/" + id(1));
  REQUIRE(all.size() == 1);
  const auto provenance = get("Provenance/" + all[0]);
  REQUIRE(provenance.status == 200);
  CHECK(text_at(*provenance.body, "agent.who.reference") == "Device/" + hex(view(ref)));
  CHECK(text_at(*provenance.body, "agent.type.coding.code") == "author");
  CHECK(text_at(*provenance.body, "reason.coding.code") == "AIAST");
  CHECK(text_at(*provenance.body, "target.reference").starts_with("Observation/" + id(1) + "/_history/1-"));
}

TEST_CASE_METHOD(FhirRig, "a model that was never described is a Device as soon as it made a result") {
  CHECK(get("Device/" + hex(Bytes(32, 'm'))).status == 404);
  commit({result(1, 1)});
  const auto device = get("Device/" + hex(Bytes(32, 'm')));
  REQUIRE(device.status == 200);
  CHECK(text_at(*device.body, "identifier.value") == hex(Bytes(32, 'm')));
}

// The bench has no ledger that says when the region had a record.
Json without_time(Json resource) {
  resource.find("meta")->remove("lastUpdated");
  return resource;
}

TEST_CASE_METHOD(FhirRig, "a review that agrees makes a version that is final, with a person beside the model") {
  commit({result(1, 1)});
  register_facility("hospital");
  commit({review(1, 1, v1::Review::VERDICT_AGREED, "hospital", kFac)}, "hospital");
  const auto answer = get("Observation/" + id(1));
  CHECK(text_at(*answer.body, "status") == "final");
  const auto history = get("Observation/" + id(1) + "/_history");
  REQUIRE(history.status == 200);
  const auto& entries = history.body->find("entry")->items();
  REQUIRE(entries.size() == 2);
  CHECK(text_at(*history.body, "total") == "2");
  CHECK(text_at(entries[0], "resource.status") == "final");
  CHECK(text_at(entries[1], "resource.status") == "preliminary");
  for (const Json& entry : entries) {
    const auto version = get("Observation/" + id(1) + "/_history/" + text_at(entry, "resource.meta.versionId"));
    REQUIRE(version.status == 200);
    CHECK(without_time(*version.body) == without_time(*entry.find("resource")));
  }
  bool verified = false;
  for (const std::string& one : found("Provenance?target=Observation/" + id(1))) {
    const auto provenance = get("Provenance/" + one);
    verified = verified || text_at(*provenance.body, "agent.type.coding.code") == "verifier";
  }
  CHECK(verified);
}

TEST_CASE_METHOD(FhirRig, "a review with changes gives its own value, and one that rejects leaves a tag") {
  commit({result(1, 1), result(2, 1)});
  v1::Body body;
  body.ParseFromString(Bytes(split_record(review(1, 1, v1::Review::VERDICT_AGREED, kFac, kFac))->body));
  body.mutable_review()->set_verdict(v1::Review::VERDICT_AGREED_WITH_CHANGES);
  body.mutable_review()->mutable_new_value()->set_text("grade 0");
  v1::Body again;
  *again.mutable_review() = body.review();
  commit({record_from(again, kFac), review(2, 1, v1::Review::VERDICT_REJECTED, kFac, kFac)});
  CHECK(text_at(*get("Observation/" + id(1)).body, "valueString") == "grade 0");
  const auto rejected = get("Observation/" + id(2));
  CHECK(text_at(*rejected.body, "status") == "preliminary");
  CHECK(text_at(*rejected.body, "meta.tag.code") == "review-rejected");
}

TEST_CASE_METHOD(FhirRig, "what was taken back is read by its id alone, as entered in error") {
  commit({result(1, 1), result(2, 1)});
  CHECK(found("Observation").size() == 2);
  commit({retraction(1, 2)});
  CHECK(text_at(*get("Observation/" + id(1)).body, "status") == "entered-in-error");
  CHECK(found("Observation") == std::vector{id(2)});
  CHECK(found("Observation?code=urn:test|71490-7") == std::vector{id(2)});
  CHECK(found("Observation?patient=" + patient_id("urn:site", "P-1")) == std::vector{id(2)});
  CHECK(found("Observation?_id=" + id(1)) == std::vector{id(1)});
}

TEST_CASE_METHOD(FhirRig, "a version keeps its name whatever comes after it, and before it") {
  commit({result(1, 2)});
  const auto second = get("Observation/" + id(1));
  const std::string name = text_at(*second.body, "meta.versionId");
  CHECK(name.starts_with("2-"));
  commit({result(1, 1)});
  commit({result(1, 3, v1::AiResult::STATUS_FINAL)});
  const auto again = get("Observation/" + id(1) + "/_history/" + name);
  REQUIRE(again.status == 200);
  CHECK(text_at(*again.body, "valueString") == "grade 2");
  CHECK(text_at(*get("Observation/" + id(1)).body, "valueString") == "grade 3");
  CHECK(get("Observation/" + id(1) + "/_history/9-0123456789abcdef").status == 404);
}

TEST_CASE_METHOD(FhirRig, "the values of before are shown for a final version that has none of its own") {
  commit({result(1, 1), rich_result(1, 2, [](v1::AiResult& r) {
            r.clear_value();
            r.set_no_value(v1::AiResult::NO_VALUE_UNCHANGED);
            r.set_status(v1::AiResult::STATUS_FINAL);
          })});
  const auto answer = get("Observation/" + id(1));
  CHECK(text_at(*answer.body, "status") == "final");
  CHECK(text_at(*answer.body, "valueString") == "grade 1");
}

TEST_CASE_METHOD(FhirRig, "the history of a type goes back through everything, page by page, without one twice") {
  std::vector<std::string> all;
  for (uint8_t i = 1; i <= 7; i++) {
    commit({result(i, 1), result(i, 2)});
    all.push_back(id(i));
  }
  std::vector<std::string> seen;
  std::string address = "Observation/_history?_count=3";
  size_t pages = 0;
  while (!address.empty()) {
    const auto page = get(address);
    REQUIRE(page.status == 200);
    ++pages;
    for (const Json& entry : page.body->find("entry")->items()) seen.push_back(text_at(entry, "resource.id") + "/" + text_at(entry, "resource.meta.versionId"));
    address.clear();
    for (const Json& link : page.body->find("link")->items()) {
      if (link.text_at("relation") == "next") address = link.text_at("url").substr(std::string(kBase).size() + 1);
    }
    // What comes meanwhile is no part of the walk.
    commit({result(static_cast<uint8_t>(100 + pages), 1)});
  }
  CHECK(pages > 2);
  CHECK(seen.size() == 14);
  CHECK(std::set(seen.begin(), seen.end()).size() == 14);
  CHECK(seen.front().starts_with(id(7)));
  CHECK(seen.back().starts_with(id(1)));
}

TEST_CASE_METHOD(FhirRig, "a recall marks what its model made") {
  commit({result(1, 1)});
  Order order;
  order.scope = {{take<32>(Bytes(32, 'm'))}, 0, kTimeMaxUs, {}};
  order.by = "dr-q";
  order.reason = "drift";
  order.model = "m";
  REQUIRE(add_order(kv, order).has_value());
  CHECK(text_at(*get("Observation/" + id(1)).body, "meta.tag.code") == "recall");
  CHECK(found("Observation?_tag=recall") == std::vector{id(1)});
}

TEST_CASE_METHOD(FhirRig, "what is not there, or not known, is an OperationOutcome") {
  const std::pair<const char*, unsigned> asked[] = {
      {"Observation/nothing", 404}, {"Observation/00000000000000000000000000000000clinic-1", 404}, {"Claim/1", 404}, {"Claim", 404}, {"Observation/a/b/c/d", 404},
      {"Observation/%zz", 400}, {"Device/0000", 404}, {"Patient/" "00000000000000000000000000000000000000000000000000000000000000ab", 404}, {"Provenance/x", 404}};
  for (const auto& [address, status] : asked) {
    INFO(address);
    const auto answer = get(address);
    CHECK(answer.status == status);
    REQUIRE(answer.body.has_value());
    CHECK(answer.body->text_at("resourceType") == "OperationOutcome");
  }
  CHECK(ask("DELETE", "Observation/1").status == 405);
  CHECK(ask("GET", "").status == 405);
}

}  // namespace
}  // namespace egret::cloud
