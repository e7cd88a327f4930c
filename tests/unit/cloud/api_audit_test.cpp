// What the API writes down of itself: reads soon, changes before they happen, nothing of a patient; and that it does nothing else.
#include "api_rig.h"
#include "cloud/alerts.h"
#include "cloud/patients.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct AuditedRig : ApiRig {
  // Some time passes, and the store's thread comes round.
  void pass(int64_t ms) {
    mono = mono + ms;
    now.us += ms * 1'000;
    region.audit->tend(down ? nullptr : &opened);
  }
  std::vector<AuditRow> log() {
    std::vector<AuditRow> out;
    REQUIRE(each_audit(*opened.kv, 0, [&](const AuditRow& row) { return out.push_back(row), true; }).has_value());
    CHECK(verify_audit(*opened.kv).value().wrong.empty());
    return out;
  }
  HttpResponse fhir(const std::string& method, const std::string& target, const std::string& body = "") {
    HttpRequest asked = request(method, target, token(Role::fhir), body);
    asked.headers["content-type"] = method == "PATCH" ? "application/json-patch+json" : "application/fhir+json";
    return ask(std::move(asked));
  }
  std::vector<std::string> about(const AuditRow& row) {
    std::vector<std::string> out;
    for (const AuditSubject& s : row.entry.about) out.push_back(text_of(s));
    return out;
  }
};

const std::string kId = "01000000-0000-0000-0000-000000000000";
const std::string kOne = "/api/alerts/clinic-1/" + kId;
const std::string kPatient = R"({"resourceType":"Patient","id":"310101199001011234","identifier":[{"system":"urn:id","value":"310101199001011234"}]})";

}  // namespace

TEST_CASE("a read is in the log within a second, with who, what and which result", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1)});
  REQUIRE(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 200);
  rig.pass(kAuditReadMs / 2 - 1);
  CHECK(rig.log().empty());
  rig.pass(1);
  const auto log = rig.log();
  REQUIRE(log.size() == 1);
  CHECK(log[0].entry.step == AuditStep::read);
  CHECK(log[0].entry.who == "viewer");
  CHECK(log[0].entry.role == "viewer");
  CHECK(log[0].entry.what == "GET /api/results/{facility}/{id}");
  CHECK(log[0].entry.status == 200);
  CHECK(rig.about(log[0]) == std::vector<std::string>{"result clinic-1/" + kId});
  rig.pass(10 * kAuditCountMs);
  CHECK(rig.log().size() == 1);
}

TEST_CASE("a change is in the log before it is begun, and how it ended before it is answered", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1, v1::AiResult::STATUS_FINAL, true)});
  REQUIRE(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations))).status == 200);
  const auto log = rig.log();
  REQUIRE(log.size() == 2);
  CHECK(log[0].entry.step == AuditStep::asked);
  CHECK(log[0].entry.status == 0);
  CHECK(log[1].entry.step == AuditStep::done);
  CHECK(log[1].entry.status == 200);
  CHECK(log[1].entry.who == "operator");
  CHECK(rig.about(log[1]) == std::vector<std::string>{"result clinic-1/" + kId});
  // Not done, and that is written too.
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations))).status == 409);
  CHECK(rig.log().back().entry.status == 409);
}

TEST_CASE("what cannot be written is refused: nothing is changed, nothing shown, until it can be", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1, v1::AiResult::STATUS_FINAL, true)});
  REQUIRE(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 200);
  rig.memory->fail_write(1, KvMemory::Failure::lost);
  const HttpResponse refused = rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations)));
  CHECK(refused.status == 503);
  CHECK(refused.body.find("audit log cannot be written") != std::string::npos);
  CHECK(std::ranges::any_of(refused.headers, [](const auto& h) { return h.first == "Retry-After"; }));
  CHECK(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 503);
  CHECK(rig.fhir("GET", "/fhir/Observation").status == 503);
  CHECK(rig.fhir("GET", "/fhir/Observation").body.find("OperationOutcome") != std::string::npos);
  CHECK(rig.fhir("POST", "/fhir/Patient", R"({"resourceType":"Patient"})").status == 503);
  // What is no reading of records goes on.
  CHECK(rig.get("/healthz", Role::viewer).status == 200);
  CHECK(rig.get("/api/facilities", Role::viewer).status == 200);
  rig.pass(kAuditReadMs);
  CHECK(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 503);
  rig.memory->heal();
  CHECK(rig.log().empty());
  rig.pass(kAuditReadMs);
  CHECK(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 200);
  CHECK(rig.get(kOne, Role::viewer).body.find("\"state\":\"open\"") != std::string::npos);
  const auto log = rig.log();
  REQUIRE(log.size() == 1);  // the read of before, once; what was refused was never done
  CHECK(log[0].entry.step == AuditStep::read);
}

TEST_CASE("a change that is done is told, although how it ended could not be written; that is made good", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1, v1::AiResult::STATUS_FINAL, true)});
  rig.memory->fail_write(3, KvMemory::Failure::lost);  // asked, the acknowledgement, then this
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations))).status == 200);
  CHECK(rig.get(kOne, Role::viewer).status == 503);
  rig.memory->heal();
  rig.pass(kAuditReadMs);
  const auto log = rig.log();
  REQUIRE(log.size() == 2);
  CHECK(log[1].entry.step == AuditStep::done);
  CHECK(rig.get(kOne, Role::viewer).status == 200);
}

TEST_CASE("while the store is down nothing is changed, and reads of before are not lost", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1)});
  REQUIRE(rig.get("/api/results/clinic-1/" + kId, Role::viewer).status == 200);
  rig.down = true;
  CHECK(rig.ask(ApiRig::request("POST", kOne + "/acknowledge", rig.token(Role::operations))).status == 503);
  rig.pass(kAuditReadMs);
  rig.down = false;
  rig.pass(1);
  REQUIRE(rig.log().size() == 1);
  CHECK(rig.log()[0].entry.status == 200);
}

TEST_CASE("refusals and what showed no record are counted for a minute, whoever floods", "[api][audit]") {
  AuditedRig rig;
  for (int i = 0; i < 500; i++) {
    CHECK(rig.ask(ApiRig::request("GET", "/fhir/Patient/310101199001011234", "egret_0")).status == 401);
    CHECK(rig.get("/fhir/Patient/310101199001011234", Role::viewer).status == 403);
    CHECK(rig.get("/api/recalls", Role::viewer).status == 200);
    rig.pass(100);
  }
  CHECK(rig.log().empty());
  rig.pass(kAuditCountMs);
  const auto log = rig.log();
  REQUIRE(log.size() == 3);
  uint64_t sum = 0;
  for (const AuditRow& row : log) sum += row.entry.count;
  CHECK(sum == 1'500);
  CHECK(std::ranges::any_of(log, [](const AuditRow& row) { return row.entry.step == AuditStep::refused && row.entry.who.empty() && row.entry.status == 401 && row.entry.count == 500; }));
  CHECK(std::ranges::any_of(log, [](const AuditRow& row) { return row.entry.step == AuditStep::refused && row.entry.who == "viewer" && row.entry.status == 403; }));
}

TEST_CASE("reads that come fast are written before a second is over, when there are many", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1)});
  for (size_t i = 0; i + 1 < kAuditWaitingMax; i++) rig.get("/api/results/clinic-1/" + kId, Role::viewer);
  CHECK(rig.log().empty());
  rig.get("/api/results/clinic-1/" + kId, Role::viewer);
  CHECK(rig.log().size() == kAuditWaitingMax);
}

TEST_CASE("probes and the counts of all sites leave nothing in the log", "[api][audit]") {
  AuditedRig rig;
  for (const char* path : {"/", "/healthz", "/metrics", "/api", "/api/facilities", "/api/completeness"}) CHECK(rig.get(path, Role::viewer).status != 403);
  CHECK(rig.fhir("GET", "/fhir/metadata").status == 200);
  rig.pass(10 * kAuditCountMs);
  CHECK(rig.log().empty());
}

TEST_CASE("every endpoint that is not a probe leaves one entry of a read, or two of a change", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1, v1::AiResult::STATUS_FINAL, true)});
  for (const Endpoint& e : rig.door->endpoints().all()) {
    INFO(e.method << " " << e.path);
    std::string path = e.path;
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"{facility}", "clinic-1"}, {"{id}", kId}, {"*", "Observation"}}) {
      if (const size_t at = path.find(from); at != path.npos) path.replace(at, from.size(), to);
    }
    const size_t before = rig.log().size();
    bool changes = false;
    for (Role role : kAllRoles) {
      if (!e.who.has(role) || e.who.open()) continue;
      const HttpRequest request = ApiRig::request(e.method, path, rig.token(role), e.method == "GET" ? "" : "{}");
      changes = e.changes ? e.changes(request) : e.method != "GET";
      rig.ask(request);
      break;
    }
    rig.pass(2 * kAuditCountMs);
    const size_t entries = rig.log().size() - before;
    CHECK(entries == (!e.audited ? 0 : !changes ? 1 : 2));
  }
}

TEST_CASE("FHIR: what is shown and whose it is stands in the log; no identifier, no id of a client's, no search", "[api][audit][fhir]") {
  AuditedRig rig;
  rig.commit({result(1, 1), result(2, 1)});
  v1::Identifier identifier;
  identifier.set_system("urn:site");
  identifier.set_value("P-1");
  const std::string patient = "patient " + hex(view(patient_of(patient_key(*rig.opened.kv).value(), identifier))).substr(0, 32);
  REQUIRE(rig.fhir("GET", "/fhir/Observation?subject:identifier=urn:site%7CP-1").status == 200);
  rig.pass(kAuditReadMs);
  auto log = rig.log();
  REQUIRE(log.size() == 1);
  CHECK(log[0].entry.what == "GET /fhir/*: search Observation");
  CHECK(rig.about(log[0]) == std::vector<std::string>{"result clinic-1/" + kId, "result clinic-1/02000000-0000-0000-0000-000000000000", patient});

  REQUIRE(rig.fhir("PUT", "/fhir/Patient/310101199001011234", kPatient).status == 201);
  REQUIRE(rig.fhir("GET", "/fhir/Patient/310101199001011234").status == 200);
  REQUIRE(rig.fhir("GET", "/fhir/Patient/310101199001011234/_history").status == 200);
  REQUIRE(rig.fhir("GET", "/fhir/Patient/310101199001015678").status == 404);
  HttpRequest form = ApiRig::request("POST", "/fhir/Patient/_search", rig.token(Role::fhir), "identifier=urn:id%7C310101199001011234");
  form.headers["content-type"] = "application/x-www-form-urlencoded";
  REQUIRE(rig.ask(form).status == 200);
  rig.pass(kAuditReadMs);
  log = rig.log();
  REQUIRE(log.size() == 7);
  CHECK(log[1].entry.step == AuditStep::asked);
  CHECK(log[2].entry.step == AuditStep::done);
  CHECK(log[2].entry.what == "PUT /fhir/*: update Patient");
  REQUIRE(rig.about(log[2]).size() == 1);
  CHECK(rig.about(log[2])[0].starts_with("Patient #"));
  CHECK(rig.about(log[3]) == rig.about(log[2]));
  CHECK(rig.about(log[4]) == rig.about(log[2]));
  CHECK(rig.about(log[5]) != rig.about(log[2]));
  CHECK(log[5].entry.status == 404);
  CHECK(log[6].entry.what == "POST /fhir/*: search Patient");
  CHECK(log[6].entry.step == AuditStep::read);
  CHECK(rig.about(log[6]) == rig.about(log[2]));
  // A transaction names all that it wrote.
  const std::string bundle = R"({"resourceType":"Bundle","type":"transaction","entry":[{"resource":)" + kPatient +
                             R"(,"request":{"method":"PUT","url":"Patient/310101199001011234"}},{"resource":{"resourceType":"Device","id":"d1"},"request":{"method":"PUT","url":"Device/d1"}}]})";
  REQUIRE(rig.fhir("POST", "/fhir", bundle).status == 200);
  CHECK(rig.log().back().entry.what == "POST /fhir: transaction");
  CHECK(rig.about(rig.log().back()).size() == 2);
  for (const AuditRow& row : rig.log()) {
    const std::string json = to_json(row);
    for (const char* value : {"3101011990", "P-1", "urn:id", "urn:site"}) CHECK(json.find(value) == std::string::npos);
  }
}

TEST_CASE("the change feed with records names what it showed, without them it names nothing", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1), telemetry("a", {{1, 1.0}})});
  REQUIRE(rig.get("/api/changes", Role::viewer).status == 200);
  REQUIRE(rig.get("/api/changes?records=1", Role::fhir).status == 200);
  rig.pass(2 * kAuditCountMs);
  const auto log = rig.log();
  REQUIRE(log.size() == 2);
  const AuditRow& with = log[0].entry.who == "fhir" ? log[0] : log[1];
  REQUIRE(rig.about(with).size() == 2);
  CHECK(rig.about(with)[0] == "result clinic-1/" + kId);
  CHECK(rig.about(with)[1].starts_with("record clinic-1/"));
}

TEST_CASE("the auditor reads the log in pages, by who and by result, and from a cursor on", "[api][audit]") {
  AuditedRig rig;
  rig.commit({result(1, 1), result(2, 1)});
  for (int i = 0; i < 3; i++) rig.get("/api/results/clinic-1/" + kId, Role::viewer);
  rig.get("/api/results/clinic-1/02000000-0000-0000-0000-000000000000", Role::operations);
  rig.pass(kAuditReadMs);
  const auto count = [](const HttpResponse& r) {
    size_t n = 0;
    for (size_t at = r.body.find("\"number\""); at != std::string::npos; at = r.body.find("\"number\"", at + 1)) ++n;
    return n;
  };
  const auto cursor = [](const HttpResponse& r) { return r.body.substr(11, r.body.find('"', 11) - 11); };
  CHECK(count(rig.get("/api/audit", Role::auditor)) == 4);
  CHECK(count(rig.get("/api/audit?who=operator", Role::auditor)) == 1);
  CHECK(count(rig.get("/api/audit?result=clinic-1/" + kId, Role::auditor)) == 3);
  const HttpResponse page = rig.get("/api/audit?lines=3", Role::auditor);
  CHECK(count(page) == 3);
  CHECK(page.body.find("\"more\":true") != std::string::npos);
  const HttpResponse rest = rig.get("/api/audit?after=" + cursor(page), Role::auditor);
  CHECK(count(rest) == 1);
  CHECK(rest.body.find("\"more\":false") != std::string::npos);
  CHECK(rig.get("/api/audit?after=0000000000000001-3-0", Role::auditor).status == 410);
  for (const char* bad : {"?after=x", "?result=x", "?lines=0", "?lines=1001", "?x=1"}) CHECK(rig.get(std::string("/api/audit") + bad, Role::auditor).status == 400);
  REQUIRE(make_root(*rig.opened.kv, SitePrivateKey{{7}}, rig.now).value().has_value());
  const HttpResponse roots = rig.get("/api/audit/roots", Role::auditor);
  CHECK(roots.body.find("\"last\":4") != std::string::npos);
  CHECK(roots.body.find("\"signature\":\"") != std::string::npos);
}

TEST_CASE("a recall's preview tells operator and auditor who has read what it touches, and no viewer", "[api][audit][recall]") {
  AuditedRig rig;
  rig.commit({result(1, 1)});
  rig.get("/api/results/clinic-1/" + kId, Role::viewer);
  rig.pass(kAuditReadMs);
  const std::string preview = "/api/recalls/preview?model=" + hex(Bytes(32, 'm'));
  CHECK(rig.get(preview, Role::auditor).body.find(R"("readers":[{"who":"viewer")") != std::string::npos);
  CHECK(rig.get(preview, Role::operations).body.find(R"("readers":[{"who":"viewer")") != std::string::npos);
  CHECK(rig.get(preview, Role::viewer).body.find("readers") == std::string::npos);
  CHECK(rig.get(preview, Role::viewer).status == 200);
}
