// Restrictions, seen from outside: FHIR, the change feed, the export: nothing of the patient leaves, whichever way is tried.
#include <catch2/catch.hpp>

#include <sstream>

#include "cloud/changes.h"
#include "cloud/export.h"
#include "cloud/restrictions.h"
#include "fhir_rig.h"
#include "schemas/record_text.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct HiddenRig : FhirRig {
  HiddenRig() {
    commit({model("2.4.1"), of("P-hidden", 1), of("P-other", 2)});
    commit({review(1, 1, v1::Review::VERDICT_AGREED, "hospital", kFac)}, "hospital");
    follow();
  }
  static Bytes of(const std::string& patient, uint8_t id) {
    return rich_result(id, 1, [&](v1::AiResult& r) { r.mutable_phi()->mutable_subject()->set_value(patient); });
  }
  uint64_t restrict() {
    const auto hash = bytes_from_hex(patient_id("urn:site", "P-hidden"));
    return add_restriction(kv, {0, RestrictionOrder::Kind::restrict, now.wall, "dr-q", "disputed", take<sizeof(Hash)>(*hash), 0}).value();
  }
  void lift(uint64_t id) { REQUIRE(add_restriction(kv, {0, RestrictionOrder::Kind::lift, now.wall, "dr-q", "settled", {}, id}).has_value()); }
  std::string all(const std::string& address) {
    const auto response = get(address);
    // Without the links, which say once more what was asked.
    const fhir::Json* entries = response.body ? response.body->find("entry") : nullptr;
    return std::to_string(response.status) + " " + (entries != nullptr ? fhir::write_json(*entries) : "");
  }
};

bool shows(const std::string& text) { return text.find("P-hidden") != std::string::npos; }

}  // namespace

TEST_CASE("FHIR: what is restricted is in no list, and refused by its id; the others are there; lifted, all is as before", "[fhir][restrict]") {
  HiddenRig rig;
  const std::string observation = "Observation/" + rig.id(1), patient = "Patient/" + rig.patient_id("urn:site", "P-hidden");
  const std::vector<std::string> lists{"Observation", "Observation?subject:identifier=urn:site%7CP-hidden", "Observation?patient=" + patient, "Observation?_id=" + rig.id(1),
                                       "Observation?code=urn:test%7C71490-7", "Observation/_history", "Patient", "Patient?identifier=urn:site%7CP-hidden", "DiagnosticReport",
                                       "Observation?_include=Observation:subject", "Observation?_revinclude=Provenance:target"};
  std::vector<std::string> before;
  for (const std::string& list : lists) before.push_back(rig.all(list));
  CHECK(shows(before[0]));
  const std::string run = "DiagnosticReport/" + rig.found("DiagnosticReport?patient=" + patient).at(0);
  const std::vector<std::string> provenance = rig.found("Provenance?target=" + observation);
  REQUIRE(provenance.size() == 2);
  CHECK(rig.get("Observation?_summary=count").body->find("total")->text() == "2");

  const uint64_t order = rig.restrict();
  for (const std::string& list : lists) {
    INFO(list);
    const std::string text = rig.all(list);
    CHECK(text.starts_with("200"));
    CHECK_FALSE(shows(text));
    CHECK(text.find(rig.id(1)) == std::string::npos);
  }
  CHECK(rig.found("Observation") == std::vector<std::string>{rig.id(2)});
  CHECK(rig.get("Observation?_summary=count").body->find("total")->text() == "1");
  CHECK(rig.found("Provenance?target=" + observation).empty());
  for (const std::string& one : {observation, observation + "/_history", patient, run, "Provenance/" + provenance[0], "Provenance/" + provenance[1]}) {
    INFO(one);
    const auto refused = rig.get(one);
    CHECK(refused.status == 403);
    CHECK(issue_of(refused) == "forbidden");
    CHECK_FALSE(shows(fhir::write_json(*refused.body)));
  }
  CHECK(rig.get("Observation/" + rig.id(2)).status == 200);
  CHECK(rig.get("metadata").status == 200);
  // A batch is another way to read.
  const auto batch = rig.ask("POST", "", R"({"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":")" + observation + R"("}},{"request":{"method":"GET","url":"Observation"}}]})");
  REQUIRE(batch.status == 200);
  CHECK_FALSE(shows(fhir::write_json(*batch.body)));
  CHECK(fhir::write_json(*batch.body).find("403 Forbidden") != std::string::npos);

  rig.lift(order);
  for (size_t i = 0; i < lists.size(); i++) {
    INFO(lists[i]);
    CHECK(shows(rig.all(lists[i])) == shows(before[i]));
  }
  CHECK(rig.get(observation).status == 200);
}

TEST_CASE("FHIR: what clients wrote of a restricted patient is hidden and not changed; what is new is stored", "[fhir][restrict]") {
  HiddenRig rig;
  const std::string mine = R"({"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:site","value":"P-hidden"}]})";
  REQUIRE(rig.ask("PUT", "Patient/p1", mine).status == 201);
  const std::string weight = R"({"resourceType":"Observation","id":"w1","status":"final","code":{"text":"weight"},"subject":{"reference":"Patient/p1"}})";
  REQUIRE(rig.ask("PUT", "Observation/w1", weight).status == 201);
  rig.restrict();
  for (const char* one : {"Patient/p1", "Observation/w1", "Patient/p1/_history", "Patient/p1/_history/1"}) CHECK(rig.get(one).status == 403);
  CHECK(rig.found("Observation?patient=Patient/p1").empty());
  CHECK(rig.ask("PUT", "Observation/w1", weight).status == 403);
  CHECK(rig.ask("PATCH", "Observation/w1", R"([{"op":"replace","path":"/status","value":"amended"}])").status == 403);
  CHECK(rig.ask("PUT", "Observation/w2", R"({"resourceType":"Observation","id":"w2","status":"final","code":{"text":"weight"},"subject":{"reference":"Patient/p1"}})").status == 201);
  CHECK(rig.get("Observation/w2").status == 403);
}

TEST_CASE("what clients wrote of a restricted patient is in no feed and no export, part by part", "[fhir][restrict]") {
  HiddenRig rig;
  const auto put = [&](const std::string& path, const std::string& rest) {
    const size_t slash = path.find('/');
    REQUIRE(rig.ask("PUT", path, R"({"resourceType":")" + path.substr(0, slash) + R"(","id":")" + path.substr(slash + 1) + "\"," + rest + "}").status == 201);
  };
  const auto weight_of = [](const std::string& subject, size_t note = 1) {
    return R"("status":"final","code":{"text":"weight"},"note":[{"text":")" + std::string(note, 'x') + R"("}],"subject":{"reference":")" + subject + "\"}";
  };
  put("Patient/p1", R"("identifier":[{"system":"urn:site","value":"P-hidden"}])");     // a document and a part
  put("Observation/w1", weight_of("Patient/p1", 40'000));                              // a document and two parts
  put("Observation/w2", weight_of("https://region.example.org/fhir/Patient/p1"));      // a document and a part
  put("Patient/p2", R"("identifier":[{"system":"urn:site","value":"P-other"}])");      // a document and a part
  put("Observation/w3", weight_of("Patient/p2"));                                      // a document and a part
  const auto count = [&](const std::string& lines, const std::string& what) {
    std::istringstream in(lines);
    size_t found = 0;
    for (std::string line; std::getline(in, line);) found += line.find(R"("facility":"region")") != line.npos && line.find(what) != line.npos;
    return found;
  };
  ChangesAsked asked;
  asked.after = Cursor{rig.store->meta()->gen, 0, 0};
  asked.records = true;
  const auto exported = [&](const std::string& kind = {}) {
    ExportOptions options;
    options.kind = kind;
    std::string out;
    REQUIRE(export_records(rig.kv, options, [&](const std::string& line) { out += line + "\n"; }).has_value());
    return out;
  };
  CHECK(count(changes(rig.kv, asked)->lines, "\"record\":") == 11);
  CHECK(count(exported(), "\"body\":") == 11);
  const uint64_t order = rig.restrict();
  const std::string fed = changes(rig.kv, asked)->lines;
  CHECK(count(fed, "\"record\":") == 4);
  CHECK(count(fed, "\"restricted\":true}") == 7);
  CHECK(count(exported(), "\"body\":") == 4);
  CHECK(count(exported(), "\"restricted\":true}") == 7);
  CHECK(count(exported("document_part"), "\"restricted\":true}") == 4);
  rig.lift(order);
  CHECK(count(changes(rig.kv, asked)->lines, "\"record\":") == 11);
}

TEST_CASE("FHIR: a condition makes no second patient of one that is hidden, and does not show it", "[fhir][restrict]") {
  HiddenRig rig;
  rig.restrict();
  fhir::Request again;
  again.method = "POST";
  again.path = "Patient";
  again.body = R"({"resourceType":"Patient","identifier":[{"system":"urn:site","value":"P-hidden"}]})";
  again.if_none_exist = "identifier=urn:site|P-hidden";
  const auto refused = rig.send(again);
  CHECK(refused.status == 403);
  CHECK_FALSE(shows(fhir::write_json(*refused.body)));
}

TEST_CASE("an order that cannot be read lets nothing out", "[fhir][restrict]") {
  HiddenRig rig;
  KvBatch batch;
  batch.put(kMetaSpace, table_row('z', 1), "x");
  REQUIRE(rig.kv.write(batch, true).has_value());
  CHECK(rig.get("Observation").status == 500);
  CHECK(rig.get("Observation/" + rig.id(2)).status == 500);
  ChangesAsked asked;
  asked.records = true;
  CHECK_FALSE(changes(rig.kv, asked).has_value());
}

TEST_CASE("change feed and export tell that a restricted record is there, and not what it says", "[restrict]") {
  HiddenRig rig;
  ChangesAsked asked;
  asked.after = Cursor{rig.store->meta()->gen, 0, 0};
  asked.records = true;
  CHECK(shows(changes(rig.kv, asked)->lines));
  const uint64_t order = rig.restrict();
  const auto page = changes(rig.kv, asked);
  CHECK_FALSE(shows(page->lines));
  CHECK(page->lines.find("P-other") != std::string::npos);
  CHECK(page->lines.find("\"restricted\":true}") != std::string::npos);
  CHECK(page->count == 4);
  CHECK(std::ranges::none_of(page->shown, [](const AuditSubject& s) { return s == subject_of(ResultName{kFac, id_of(1)}); }));
  rig.lift(order);
  CHECK(shows(changes(rig.kv, asked)->lines));

  Writer writer{key_of(9)};
  writer.data({HiddenRig::of("P-hidden", 5), HiddenRig::of("P-other", 6)});
  rig.hello({CloudRig::listing(writer)});
  rig.push_all(writer, 0, 1);
  rig.follow();
  const auto exported = [&](const ExportOptions& options) {
    std::string out;
    REQUIRE(export_records(rig.kv, options, [&](const std::string& line) { out += line + "\n"; }).has_value());
    return out;
  };
  CHECK(shows(exported({})));
  rig.restrict();
  const std::string text = exported({});
  CHECK_FALSE(shows(text));
  CHECK(text.find("P-other") != std::string::npos);
  CHECK(text.find("\"restricted\":true}") != std::string::npos);
  ExportOptions for_a_court;
  for_a_court.restricted = true;
  CHECK(shows(exported(for_a_court)));
}
