#include "cloud/fhir/terms.h"
#include "schemas/limits_fhir.h"
#include "tests/unit/cloud/fhir_rig.h"

namespace egret::cloud {
namespace {

using fhir::Json;

// Twelve results: two patients, two models, three codes, a day apart.
struct Many : FhirRig {
  Many() {
    for (uint8_t i = 0; i < 12; i++) {
      commit({rich_result(i, 1, [&](v1::AiResult& r) {
        r.mutable_phi()->mutable_subject()->set_value(i % 2 == 0 ? "P-even" : "P-odd");
        r.set_model_ref(Bytes(32, i < 6 ? 'a' : 'b'));
        r.mutable_code(0)->set_code("code-" + std::to_string(i % 3));
        r.mutable_t_effective()->set_us(r.t_effective().us() + int64_t(i) * 86'400'000'000);
        if (i == 11) r.set_status(v1::AiResult::STATUS_FINAL);
      })});
    }
  }
  std::vector<std::string> ids(std::initializer_list<uint8_t> numbers) {
    std::vector<std::string> out;
    for (uint8_t n : numbers) out.push_back(id(n));
    return out;
  }
  std::vector<std::string> sorted(const std::string& address) {
    auto out = found(address);
    std::ranges::sort(out);
    return out;
  }
};

TEST_CASE_METHOD(Many, "a search finds what its parameters say, and nothing else") {
  const std::string even = patient_id("urn:site", "P-even");
  CHECK(sorted("Observation").size() == 12);
  CHECK(sorted("Observation?patient=" + even) == ids({0, 2, 4, 6, 8, 10}));
  CHECK(sorted("Observation?patient=Patient/" + even) == ids({0, 2, 4, 6, 8, 10}));
  CHECK(sorted("Observation?subject:Patient=" + even) == ids({0, 2, 4, 6, 8, 10}));
  CHECK(sorted("Observation?subject:identifier=urn:site|P-odd") == ids({1, 3, 5, 7, 9, 11}));
  CHECK(sorted("Observation?device=Device/" + hex(Bytes(32, 'a'))) == ids({0, 1, 2, 3, 4, 5}));
  CHECK(sorted("Observation?device=" + hex(Bytes(32, 'a')) + "," + hex(Bytes(32, 'b'))).size() == 12);
  CHECK(sorted("Observation?code=urn:test|code-1") == ids({1, 4, 7, 10}));
  CHECK(sorted("Observation?code=code-1") == ids({1, 4, 7, 10}));
  CHECK(sorted("Observation?code=urn:other|code-1").empty());
  CHECK(sorted("Observation?code=urn:test|code-1,urn:test|code-2") == ids({1, 2, 4, 5, 7, 8, 10, 11}));
  CHECK(sorted("Observation?code=urn:test|code-1&patient=" + even) == ids({4, 10}));
  CHECK(sorted("Observation?status=final") == ids({11}));
  CHECK(sorted("Observation?category=urn:test|dr").size() == 12);
  CHECK(sorted("Observation?_security=AIAST").size() == 12);
  CHECK(sorted("Observation?_tag=none").empty());
  CHECK(sorted("Observation?identifier=urn:ietf:rfc:3986|urn:uuid:" + egret::text_of(id_of(5))) ==
        ids({5}));
  CHECK(sorted("Observation?_id=" + id(5) + "," + id(6)) == ids({5, 6}));
  CHECK(sorted("Observation?_lastUpdated=lt2020").empty());
  CHECK(sorted("Observation?_lastUpdated=ge2020").size() == 12);
  CHECK(sorted("DiagnosticReport?patient=" + even).size() == 6);
  CHECK(sorted("DiagnosticReport").size() == 12);
  CHECK(sorted("DiagnosticReport?result=Observation/" + id(3)).size() == 1);
  CHECK(sorted("Patient").size() == 2);
  CHECK(sorted("Patient?identifier=urn:site|P-even") == std::vector{even});
  CHECK(sorted("Patient?gender=female").size() == 2);
  CHECK(sorted("Patient?gender=male").empty());
  CHECK(sorted("Provenance?agent=Device/" + hex(Bytes(32, 'b'))).size() == 6);
  CHECK(sorted("Provenance").size() == 12);
  CHECK(sorted("Device").empty());  // none was described
  CHECK(sorted("Device?identifier=urn:egret:model|" + hex(Bytes(32, 'a'))).size() == 1);
}

TEST_CASE_METHOD(Many, "dates are compared as FHIR says: by the range that their digits leave open") {
  // From 2023-11-14 on, one a day.
  CHECK(sorted("Observation?date=2023-11-15") == ids({1}));
  CHECK(sorted("Observation?date=lt2023-11-15") == ids({0}));
  CHECK(sorted("Observation?date=le2023-11-15") == ids({0, 1}));
  CHECK(sorted("Observation?date=ge2023-11-24") == ids({10, 11}));
  CHECK(sorted("Observation?date=gt2023-11-24") == ids({11}));
  CHECK(sorted("Observation?date=ge2023-11-15&date=lt2023-11-17") == ids({1, 2}));
  CHECK(sorted("Observation?date=2023-11").size() == 12);
  CHECK(sorted("Observation?date=2023").size() == 12);
  CHECK(sorted("Observation?date=ne2023-11").empty());
  CHECK(sorted("Observation?date=2023-11-14T22:13Z") == ids({0}));
  CHECK(sorted("Observation?date=2023-11-14T22:13:20Z") == ids({0}));
  CHECK(sorted("Observation?date=2023-11-14T22:13:21Z").empty());
}

TEST_CASE_METHOD(FhirRig, "an interval is found by any day that it reaches, and by equality only when it lies inside") {
  commit({rich_result(1, 1, [](v1::AiResult& r) { r.mutable_t_effective_end()->set_us(r.t_effective().us() + 3LL * 86'400'000'000); })});
  CHECK(found("Observation?date=ge2023-11-16").size() == 1);
  CHECK(found("Observation?date=ge2023-11-18").empty());
  CHECK(found("Observation?date=2023-11-15").empty());
  CHECK(found("Observation?date=2023-11").size() == 1);
}

TEST_CASE_METHOD(Many, "pages hold everything once, in the order that was asked for, while results come") {
  std::vector<std::string> newest = ids({11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  CHECK(found("Observation?_sort=-date&_count=5") == newest);
  std::ranges::reverse(newest);
  CHECK(found("Observation?_sort=date&_count=5") == newest);
  CHECK(found("Observation?_sort=date&_count=1&patient=" + patient_id("urn:site", "P-odd")) == ids({1, 3, 5, 7, 9, 11}));
  size_t pages = 0;
  auto all = found("Observation?code=code-0,code-1,code-2&_count=5", "match", &pages);
  CHECK(pages == 3);
  std::ranges::sort(all);
  CHECK(all.size() == 12);
  CHECK(std::ranges::adjacent_find(all) == all.end());
  // A page in hand goes on where it was, although something came before it.
  const auto first = get("Observation?_sort=date&_count=6");
  commit({rich_result(200, 1, [](v1::AiResult& r) { r.mutable_t_effective()->set_us(1); })});
  std::string next;
  for (const Json& link : first.body->find("link")->items()) {
    if (link.text_at("relation") == "next") next = link.text_at("url").substr(std::string(kBase).size() + 1);
  }
  CHECK(found(next) == ids({6, 7, 8, 9, 10, 11}));
}

TEST_CASE_METHOD(Many, "a cursor of another search, of another store, or made up, is refused",
                 "[memory]") {
  const auto page = get("Observation?_count=2");
  std::string next;
  for (const Json& link : page.body->find("link")->items()) {
    if (link.text_at("relation") == "next") next = link.text_at("url").substr(std::string(kBase).size() + 1);
  }
  const std::string cursor = next.substr(next.find("_cursor=") + 8);
  CHECK(get("Observation?_count=3&_cursor=" + cursor).status == 400);
  CHECK(get("Observation?_count=2&_cursor=00").status == 400);
  CHECK(get("Observation?_count=2&_cursor=" + cursor + "00").status == 400);
  CHECK(get("Observation?_count=2&_cursor=" + std::string(cursor[0] == '0' ? "1" : "0") + cursor.substr(1)).status == 400);
  CHECK(get("Observation?_count=2&_cursor=" + cursor).status == 200);
  FhirRig other;
  other.entropy.next();
  KvBatch batch;
  MetaRow meta = decode_meta(**other.kv.get(kMetaSpace, meta_key())).value();
  meta.store_key[0] ^= 1;
  batch.put(kMetaSpace, meta_key(), encode(meta));
  REQUIRE(other.kv.write(batch, true).has_value());
  CHECK(other.get(next).status == 400);
}

TEST_CASE_METHOD(Many, "a count counts without showing, and a total stands beside a page") {
  const auto count = get("Observation?_summary=count&status=preliminary");
  CHECK(text_at(*count.body, "total") == "11");
  CHECK(count.body->find("entry") == nullptr);
  const auto page = get("Observation?_total=accurate&_count=3");
  CHECK(text_at(*page.body, "total") == "12");
  CHECK(page.body->find("entry")->items().size() == 3);
  CHECK(get("Observation?_count=3").body->find("total") == nullptr);
}

TEST_CASE_METHOD(Many, "what a search brings along is marked as such, and comes once") {
  CHECK(found("Observation?_include=Observation:device&_include=Observation:patient", "include").size() == 4);
  CHECK(found("Observation?_id=" + id(3) + "&_revinclude=Provenance:target", "include").size() == 1);
  CHECK(found("Provenance?_include=Provenance:target&_include=Provenance:agent&agent=" + hex(Bytes(32, 'a')), "include").size() == 7);
  CHECK(found("DiagnosticReport?_include=DiagnosticReport:result&_include=DiagnosticReport:patient", "include").size() == 14);
}

TEST_CASE_METHOD(Many, "what is not known is left out and reported, or refused when the client is strict") {
  const auto lenient = get("Observation?colour=blue&status=final&_include=Observation:performer&_sort=colour&_summary=text");
  REQUIRE(lenient.status == 200);
  const auto& entries = lenient.body->find("entry")->items();
  REQUIRE(entries.size() == 2);
  CHECK(text_at(entries[1], "search.mode") == "outcome");
  const std::string said = text_at(entries[1], "resource.issue.diagnostics");
  for (const char* name : {"colour", "_include", "_sort", "_summary"}) CHECK(said.find(name) != std::string::npos);
  CHECK(said.find("blue") == std::string::npos);
  CHECK(text_at(*lenient.body, "link.url") == std::string(kBase) + "/Observation?status=final");
  fhir::Request strict;
  strict.method = "GET";
  strict.path = "Observation";
  strict.query = "colour=blue";
  strict.prefer = "handling=strict";
  const auto refused = send(strict);
  CHECK(refused.status == 400);
  CHECK(issue_of(refused) == "not-supported");
}

TEST_CASE_METHOD(Many, "a search may be posted, so that no identifier stands in an address") {
  fhir::Request request;
  request.method = "POST";
  request.path = "Observation/_search";
  request.query = "_count=2";
  request.content_type = "application/x-www-form-urlencoded";
  request.body = "subject%3Aidentifier=urn%3Asite%7CP-odd&_total=accurate";
  const auto page = send(request);
  REQUIRE(page.status == 200);
  CHECK(text_at(*page.body, "total") == "6");
  CHECK(page.body->find("entry")->items().size() == 2);
  request.content_type = "text/plain";
  CHECK(send(request).status == 415);
}

TEST_CASE_METHOD(FhirRig, "links of patients are followed when it is read, and parted again") {
  commit({rich_result(1, 1), rich_result(2, 1, [](v1::AiResult& r) { r.mutable_phi()->mutable_subject()->set_value("P-2"); })});
  const auto link = [&](v1::IdentityLink::Verdict verdict, int64_t t) {
    v1::Body body;
    v1::IdentityLink* l = body.mutable_identity_link();
    l->mutable_phi()->mutable_a()->set_system("urn:site");
    l->mutable_phi()->mutable_a()->set_value("P-1");
    l->mutable_phi()->mutable_b()->set_system("urn:site");
    l->mutable_phi()->mutable_b()->set_value("P-2");
    l->set_verdict(verdict);
    l->set_authority("register");
    l->mutable_t()->set_us(1'700'000'000'000'000 + t);
    return record_from(body, kFac);
  };
  const std::string search = "Observation?subject:identifier=urn:site|P-1";
  CHECK(found(search).size() == 1);
  commit({link(v1::IdentityLink::VERDICT_SAME, 1)});
  CHECK(found(search).size() == 2);
  CHECK(text_at(*get("Patient/" + patient_id("urn:site", "P-1")).body, "link.other.reference") == "Patient/" + patient_id("urn:site", "P-2"));
  commit({link(v1::IdentityLink::VERDICT_NOT_SAME, 2)});
  CHECK(found(search).size() == 1);
}

TEST_CASE_METHOD(FhirRig, "what is too long is refused, and named without its value") {
  std::string many, long_value(kFhirParameterBytesMax + 1, 'x'), values = "a";
  for (size_t i = 0; i <= kFhirParametersMax; i++) many += "code=a&";
  for (size_t i = 0; i < kFhirOrValuesMax; i++) values += ",a";
  CHECK(get("Observation?" + many).status == 413);
  CHECK(get("Observation?code=" + long_value).status == 413);
  CHECK(get("Observation?code=" + values).status == 413);
  CHECK(get("Observation?date=yesterday").status == 400);
  CHECK(get("Observation?_count=many").status == 400);
  CHECK(get("Observation?code=").status == 400);
  for (const char* address : {"Observation?date=P-4711", "Observation?_count=P-4711", "Observation?_cursor=P-4711", "Observation?code=%4", "Observation/P_4711"}) {
    const auto refused = get(address);
    CHECK(refused.status >= 400);
    CHECK(fhir::write_json(*refused.body).find("4711") == std::string::npos);
  }
}

TEST_CASE("a term finds exactly what matches it") {
  const fhir::Type& type = *fhir::find_type("Observation");
  const Json resource = fhir::parse_json(R"({"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"},{"code":"x|y"}]},
      "subject":{"reference":"Patient/7","identifier":{"system":"urn:s","value":"v,1"}}})").value();
  const auto terms = fhir::terms_of(resource, type);
  struct Case {
    const char *param, *value;
    bool by_identifier, hit;
  };
  for (const Case& c : {Case{"code", "http://loinc.org|1-8", false, true}, Case{"code", "1-8", false, true}, Case{"code", "|1-8", false, false}, Case{"code", R"(x\|y)", false, true},
                        Case{"code", R"(|x\|y)", false, true}, Case{"patient", "7", false, true}, Case{"subject", "Patient/7", false, true}, Case{"subject", "Group/7", false, false},
                        Case{"subject", R"(urn:s|v\,1)", true, true}, Case{"subject", "urn:s|v", true, false}, Case{"status", "final", false, true}, Case{"status", "amended", false, false}}) {
    INFO(c.param << "=" << c.value);
    const fhir::Criterion criterion{fhir::find_param(type, c.param), c.by_identifier, {c.value}, {}};
    CHECK(fhir::matches(resource, criterion, "") == c.hit);
    const auto term = fhir::term_of(type, criterion, c.value, "");
    REQUIRE(term.has_value());
    if (c.hit) CHECK(std::ranges::find(terms, *term) != terms.end());
  }
}

}  // namespace
}  // namespace egret::cloud
