// Who may ask the region's API for what: every endpoint, with every role and without a token.
#include <fstream>
#include <sstream>
#include <sys/stat.h>

#include "api_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct Row {
  const char* method;
  const char* path;   // as in the table
  const char* asked;  // one of it
  const char* who;
};
// Written down once more, on purpose: a change of who may do what is a change of this list too.
const std::vector<Row> kMatrix{
    {"GET", "/", "/", "anybody"},
    {"GET", "/api", "/api", "anybody"},
    {"GET", "/healthz", "/healthz", "anybody"},
    {"GET", "/metrics", "/metrics", "viewer, operator, auditor, admin"},
    {"GET", "/api/facilities", "/api/facilities", "viewer, operator, auditor"},
    {"GET", "/api/completeness", "/api/completeness", "viewer, operator, auditor"},
    {"GET", "/api/completeness/{facility}", "/api/completeness/clinic-1",
     "viewer, operator, auditor"},
    {"GET", "/api/completeness/{facility}/statement", "/api/completeness/clinic-1/statement",
     "viewer, operator, auditor"},
    {"GET", "/api/results/{facility}/{id}",
     "/api/results/clinic-1/01000000-0000-0000-0000-000000000000", "viewer, operator, auditor"},
    {"GET", "/api/alerts", "/api/alerts", "viewer, operator, auditor"},
    {"GET", "/api/alerts/waiting", "/api/alerts/waiting", "viewer, operator, auditor"},
    {"GET", "/api/alerts/{facility}/{id}",
     "/api/alerts/clinic-1/01000000-0000-0000-0000-000000000000", "viewer, operator, auditor"},
    {"POST", "/api/alerts/{facility}/{id}/acknowledge",
     "/api/alerts/clinic-1/01000000-0000-0000-0000-000000000000/acknowledge", "operator"},
    {"GET", "/api/changes", "/api/changes", "viewer, operator, auditor, fhir"},
    {"GET", "/api/quality", "/api/quality?model=m", "viewer, operator, auditor"},
    {"GET", "/api/audit", "/api/audit", "auditor"},
    {"GET", "/api/audit/roots", "/api/audit/roots", "auditor"},
    {"GET", "/api/recalls", "/api/recalls", "viewer, operator, auditor"},
    {"GET", "/api/recalls/preview", "/api/recalls/preview?model=m", "viewer, operator, auditor"},
    {"GET", "/api/recalls/{id}", "/api/recalls/1", "viewer, operator, auditor"},
    {"POST", "/api/recalls", "/api/recalls", "operator"},
    {"POST", "/api/recalls/{id}/undo", "/api/recalls/1/undo", "operator"},
    {"GET", "/api/alerts/answered", "/api/alerts/answered", "viewer, operator, auditor"},
    {"GET", "/api/timeline/{facility}", "/api/timeline/clinic-1", "viewer, operator, auditor"},
    {"GET", "/api/quarantine/{facility}/{id}", "/api/quarantine/clinic-1/0101010101010101010101010101010101010101010101010101010101010101", "operator, auditor"},
    {"GET", "/api/quarantine/{facility}/{id}/bytes", "/api/quarantine/clinic-1/0101010101010101010101010101010101010101010101010101010101010101/bytes", "auditor"},
    {"GET", "/api/restrictions", "/api/restrictions", "operator, auditor"},
    {"GET", "/assets/*", "/assets/app.js", "anybody"},
    {"GET", "/plain", "/plain", "anybody"},
    {"GET", "/api/volumes", "/api/volumes", "viewer, operator, auditor"},
    {"GET", "/api/models", "/api/models", "viewer, operator, auditor"},
    {"GET", "/api/live", "/api/live", "viewer, operator, auditor"},
    {"GET", "/api/whoami", "/api/whoami", "viewer, operator, auditor, admin, fhir"},
    {"GET", "/api/incidents", "/api/incidents", "viewer, operator, auditor"},
    {"POST", "/api/incidents/{facility}/{id}/close", "/api/incidents/clinic-1/1/close", "operator"},
    {"GET", "/api/quarantine/{facility}", "/api/quarantine/clinic-1", "viewer, operator, auditor"},
    {"POST", "/api/quarantine/{facility}/{id}/retry", "/api/quarantine/clinic-1/0101010101010101010101010101010101010101010101010101010101010101/retry", "operator"},
    {"GET", "/fhir/*", "/fhir/metadata", "fhir"},
    {"POST", "/fhir/*", "/fhir/Observation", "fhir"},
    {"PUT", "/fhir/*", "/fhir/Observation/1", "fhir"},
    {"PATCH", "/fhir/*", "/fhir/Observation/1", "fhir"},
    {"POST", "/fhir", "/fhir", "fhir"},
    {"GET", "/fhir/$export", "/fhir/$export", "fhir"},
    {"GET", "/fhir/Patient/$export", "/fhir/Patient/$export", "fhir"},
    {"GET", "/fhir/%24export", "/fhir/%24export", "fhir"},
    {"GET", "/fhir/Patient/%24export", "/fhir/Patient/%24export", "fhir"},
    {"GET", "/fhir/exports/{id}", "/fhir/exports/1", "fhir"},
    {"GET", "/fhir/exports/{id}/{file}", "/fhir/exports/1/Patient.1.ndjson", "fhir"},
    {"DELETE", "/fhir/exports/{id}", "/fhir/exports/1", "fhir"},
};

// Of a refusal: the endpoint's own answers are none of these.
bool refused(const HttpResponse& answer) {
  return answer.status == 401 || answer.status == 403 || answer.status == 405 || answer.body.find("there is nothing at this path") != std::string::npos;
}

Roles roles_in(const std::string& text) {
  if (text == "anybody") return Roles::anybody();
  Roles out{};
  for (Role role : kAllRoles) {
    if ((", " + text + ",").find(", " + std::string(name_of(role)) + ",") != std::string::npos) out = out.with(role);
  }
  return out;
}

}  // namespace

TEST_CASE("every endpoint lets in the roles that are written for it, and nobody else", "[api]") {
  ApiRig rig;
  std::set<std::string> known;
  for (const Row& row : kMatrix) {
    INFO(row.method << " " << row.path);
    const auto found = rig.door->endpoints().find(row.method, ApiRig::request(row.method, row.asked).path);
    REQUIRE(found.endpoint != nullptr);
    CHECK(found.endpoint->path == row.path);
    CHECK(found.endpoint->who.text() == row.who);
    known.insert(std::string(row.method) + " " + row.path);
    const Roles may = roles_in(row.who);
    for (Role role : kAllRoles) {
      INFO(name_of(role));
      const HttpResponse answer = rig.ask(ApiRig::request(row.method, row.asked, rig.token(role)));
      CHECK(refused(answer) == !may.has(role));
      if (!may.has(role)) CHECK(answer.status == 403);
    }
    const HttpResponse nobody = rig.ask(ApiRig::request(row.method, row.asked));
    CHECK(refused(nobody) == !may.open());
    if (!may.open()) {
      CHECK(nobody.status == 401);
      CHECK(nobody.headers == std::vector<std::pair<std::string, std::string>>{{"WWW-Authenticate", "Bearer realm=\"egret\""}});
    }
    // A wrong token is refused even where none is needed.
    CHECK(rig.ask(ApiRig::request(row.method, row.asked, "egret_0")).status == 401);
  }
  for (const Endpoint& endpoint : rig.door->endpoints().all()) {
    INFO(endpoint.method << " " << endpoint.path << ": write it into the matrix above");
    CHECK(known.contains(endpoint.method + " " + endpoint.path));
  }
}

TEST_CASE("a handler runs only for who may", "[api]") {
  ApiRig rig;
  Endpoints table;
  std::vector<std::string> ran;
  for (const char* method : {"GET", "POST"})
    table.add({method, "/x/{a}/*", {Role::admin}, "", [&ran](const ApiCall& call, HttpAnswer answer) {
                 ran.push_back(call.caller.name + " " + call.http.method + " " + call.names.at(0) + " " + call.names.at(1));
                 answer({});
               }, 1'000'000});
  Door door(std::move(table), rig.file(), true, [&] { return rig.now; });
  for (Role role : kAllRoles) {
    const HttpRequest request = ApiRig::request("GET", "/x/a%20b/c/d%20e", rig.token(role));
    door.answer(request, [](HttpResponse) {});
    // Only who may send much is waited for.
    CHECK(door.body_limit(request) == (role == Role::admin ? 1'000'000 : kApiBodyBytesMax));
  }
  CHECK(ran == std::vector<std::string>{"admin GET a b c/d%20e"});
}

TEST_CASE("paths and methods that are not in the table are told so", "[api]") {
  ApiRig rig;
  const HttpResponse none = rig.get("/api/nothing", Role::viewer);
  CHECK(none.status == 404);
  CHECK(none.body == R"({"error":"there is nothing at this path: GET /api lists what there is"})");
  const HttpResponse method = rig.ask(ApiRig::request("DELETE", "/api/facilities", rig.token(Role::admin)));
  CHECK(method.status == 405);
  CHECK(method.headers == std::vector<std::pair<std::string, std::string>>{{"Allow", "GET"}});
  CHECK(rig.ask(ApiRig::request("HEAD", "/api/facilities", rig.token(Role::viewer))).status == 200);
  for (const char* path : {"", "x", "/api/results/", "/api/results/a", "/api/results/a/b/c", "/api/results//b", "/api/results/%zz/b", "//api"}) {
    INFO(path);
    CHECK(rig.get(path, Role::viewer).status == 404);
  }
  CHECK(rig.get("/api/results/a/b", Role::viewer).status == 400);
  rig.down = true;
  CHECK(rig.get("/api/facilities", Role::viewer).status == 503);
}

TEST_CASE("on the machine itself a viewer needs no token; a proxy and another host's name are not there", "[api]") {
  ApiRig rig;
  HttpRequest here = ApiRig::request("GET", "/api/facilities");
  CHECK(rig.ask(here).status == 401);
  here.local = true;
  CHECK(rig.ask(here).status == 200);
  for (const char* host : {"localhost", "localhost:8478", "127.0.0.1:1", "[::1]", "[::1]:8478"}) {
    here.headers["host"] = host;
    INFO(host);
    CHECK(rig.ask(here).status == 200);
  }
  for (const char* host : {"region.example", "region.example:80", "127.0.0.2", "[::2]:1", "localhost.example"}) {
    here.headers["host"] = host;
    INFO(host);
    CHECK(rig.ask(here).status == 401);
  }
  for (const char* sent_on : {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}) {
    HttpRequest passed = ApiRig::request("GET", "/api/facilities");
    passed.local = true;
    passed.headers[sent_on] = "x";
    INFO(sent_on);
    CHECK(rig.ask(passed).status == 401);
  }
  ApiRig closed(false);
  here.headers.erase("host");
  CHECK(closed.ask(here).status == 401);
}

TEST_CASE("a token that was removed or has ended opens nothing, at once", "[api]") {
  ApiRig rig;
  CHECK(rig.get("/api/facilities", Role::viewer).status == 200);
  REQUIRE(remove_token(rig.file(), "viewer").has_value());
  CHECK(rig.get("/api/facilities", Role::viewer).status == 401);
  const std::string day = add_token(rig.file(), "for-a-day", Role::viewer, 1, rig.now, rig.entropy).value();
  CHECK(rig.ask(ApiRig::request("GET", "/api/facilities", day)).status == 200);
  rig.now.us += 24LL * 3600 * 1'000'000;
  CHECK(rig.ask(ApiRig::request("GET", "/api/facilities", day)).status == 401);
  // Another scheme, or the token in other clothes.
  HttpRequest odd = ApiRig::request("GET", "/api/facilities");
  for (const std::string& shown : {"Basic " + rig.token(Role::auditor), rig.token(Role::auditor), "Bearer  " + rig.token(Role::auditor), std::string("Bearer ")}) {
    odd.headers["authorization"] = shown;
    CHECK(rig.ask(odd).status == 401);
  }
  odd.headers["authorization"] = "bearer " + rig.token(Role::auditor);
  CHECK(rig.ask(odd).status == 200);
}

TEST_CASE("a stream ends when its token does, and when its token becomes one of another role", "[api]") {
  ApiRig rig;
  const auto look = [&] {
    rig.mono = rig.mono + 1'000;
    rig.region.live->look(*rig.opened.store, rig.region.facilities_now());
  };
  const auto opened = [&](const std::string& token) {
    const HttpResponse answer = rig.ask(ApiRig::request("GET", "/api/live", token));
    REQUIRE(answer.flow != nullptr);
    return answer.flow;
  };
  const auto lasting = opened(rig.token(Role::auditor)), removed = opened(rig.token(Role::viewer)), changed = opened(rig.token(Role::operations));
  const auto day = opened(add_token(rig.file(), "for-a-day", Role::viewer, 1, rig.now, rig.entropy).value());
  look();
  for (const auto& flow : {lasting, removed, changed, day}) CHECK(flow->open());
  REQUIRE(remove_token(rig.file(), "viewer").has_value());
  std::ifstream in(rig.file());
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text.replace(text.find(" operator "), 10, " admin ");
  std::ofstream(rig.file()) << text;
  look();
  CHECK(lasting->open());
  CHECK_FALSE(removed->open());
  CHECK_FALSE(changed->open());
  CHECK(day->open());
  rig.now.us += 24LL * 3600 * 1'000'000;
  look();
  CHECK(lasting->open());
  CHECK_FALSE(day->open());
}

TEST_CASE("the file of tokens holds no token, and one that is damaged or open lets nobody in", "[api]") {
  ApiRig rig;
  std::stringstream text;
  text << std::ifstream(rig.file()).rdbuf();
  for (const std::string& token : rig.tokens) CHECK(text.str().find(token.substr(6)) == std::string::npos);
  struct stat st {};
  REQUIRE(::stat(rig.file().c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  CHECK(read_tokens(rig.file())->size() == kRoles);
  CHECK(add_token(rig.file(), "viewer", Role::admin, 0, rig.now, rig.entropy).error().code == Errc::conflict);
  CHECK(remove_token(rig.file(), "nobody").error().code == Errc::not_found);
  for (const char* name : {"", "a b", "a\n", "../x"}) CHECK(add_token(rig.file(), name, Role::admin, 0, rig.now, rig.entropy).error().code == Errc::bad_input);
  CHECK(add_token(rig.file(), std::string(65, 'a'), Role::admin, 0, rig.now, rig.entropy).error().code == Errc::bad_input);
  CHECK(add_token(rig.file(), "x", Role::admin, kTokenDaysMax + 1, rig.now, rig.entropy).error().code == Errc::bad_input);
  ::chmod(rig.file().c_str(), 0640);
  CHECK(rig.get("/api/facilities", Role::viewer).status == 401);
  CHECK(read_tokens(rig.file()).error().text.find("chmod 600") != std::string::npos);
  ::chmod(rig.file().c_str(), 0600);
  CHECK(rig.get("/api/facilities", Role::viewer).status == 200);
  for (const std::string& line : {std::string("viewer2 viewer 00 0 0"), "viewer2 king " + std::string(64, 'a') + " 0 0", "viewer2 viewer " + std::string(64, 'a') + " 0", "viewer2 viewer " + std::string(64, 'a') + " 0 0 x", std::string()}) {
    std::ofstream(rig.file()) << text.str() << line << "\n";
    INFO(line);
    CHECK(rig.get("/api/facilities", Role::viewer).status == 401);
    CHECK(read_tokens(rig.file()).error().text.find("tokens:6: ") != std::string::npos);
  }
  std::ofstream(rig.file()) << std::string(kTokenFileBytesMax + 1, 'a');
  CHECK(read_tokens(rig.file()).error().code == Errc::config);
}

TEST_CASE("a query is taken apart or refused with what is known", "[api]") {
  const auto fine = query_of("a=1%202&b=x+y", {"a", "b", "c"});
  REQUIRE(fine.has_value());
  CHECK(*fine == Query{{"a", "1 2"}, {"b", "x y"}});
  for (const char* bad : {"d=1", "a", "a=1&a=2", "a=%4", "a=%zz", "=1", "&", "a=1&&b=2"}) {
    INFO(bad);
    CHECK(query_of(bad, {"a", "b"}).error().code == Errc::bad_input);
  }
  CHECK(number_in({{"n", "7"}}, "n", 1, 0, 9).value() == 7);
  CHECK(number_in({}, "n", 1, 0, 9).value() == 1);
  for (const char* bad : {"", "10", "-1", "7x", " 7", "99999999999999999999999"}) CHECK(number_in({{"n", bad}}, "n", 1, 0, 9).error().code == Errc::bad_input);
}

TEST_CASE("the reference names every endpoint, with whom it is for", "[api]") {
  std::stringstream reference;
  reference << std::ifstream(std::string(EGRET_SOURCE_DIR) + "/cloud/api/README.md").rdbuf();
  ApiRig rig;
  for (const Endpoint& e : rig.door->endpoints().all()) {
    INFO(e.method << " " << e.path << ": its row in cloud/api/README.md");
    CHECK(reference.str().find("| `" + e.method + " " + e.path + "` | " + e.who.text() + " |") != std::string::npos);
  }
}
