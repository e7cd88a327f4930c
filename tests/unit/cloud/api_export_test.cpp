// Bulk exports as a client of the region's API meets them.
#include <fstream>
#include <thread>

#include "api_rig.h"
#include "cloud/fhir/json.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct ExportApi : ApiRig {
  ExportApi() {
    for (const char* id : {"a", "b", "c"}) {
      HttpRequest put = request("PUT", std::string("/fhir/Patient/") + id, token(Role::fhir),
                                std::string(R"({"resourceType":"Patient","id":")") + id + "\"}");
      put.headers["content-type"] = "application/fhir+json";
      REQUIRE(ask(put).status == 201);
      now.us += 1'000'000;
    }
  }
  HttpResponse kick(const std::string& target, const std::string& prefer = "respond-async") {
    HttpRequest out = request("GET", target, token(Role::fhir));
    out.headers["host"] = "region.example";
    if (!prefer.empty()) out.headers["prefer"] = prefer;
    return ask(out);
  }
  static std::string header(const HttpResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
  static std::string local(const std::string& url) {
    constexpr std::string_view kHost = "http://region.example";
    REQUIRE(url.starts_with(kHost));
    return url.substr(kHost.size());
  }
  HttpResponse ended(const std::string& at) {
    for (int i = 0; i < 5'000; i++) {
      HttpResponse seen = get(at, Role::fhir);
      if (seen.status != 202) return seen;
      CHECK(!header(seen, "X-Progress").empty());
      CHECK(header(seen, "Retry-After") == "2");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    FAIL("the export does not end");
    return {};
  }
  static std::string issue(const HttpResponse& response) {
    const auto json = fhir::parse_json(response.body);
    REQUIRE(json.has_value());
    CHECK(json->text_at("resourceType") == "OperationOutcome");
    const fhir::Json* issues = json->find("issue");
    return issues == nullptr ? "" : issues->items()[0].text_at("code");
  }
  static std::string text_of_file(const HttpResponse& response) {
    std::ifstream in(response.file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

}  // namespace

TEST_CASE_METHOD(ExportApi, "an export is asked for, followed, fetched and deleted") {
  const HttpResponse begun = kick("/fhir/$export?_type=Patient,Observation&_outputFormat=ndjson");
  REQUIRE(begun.status == 202);
  CHECK(issue(begun) == "informational");
  const std::string at = local(header(begun, "Content-Location"));
  const HttpResponse done = ended(at);
  REQUIRE(done.status == 200);
  CHECK(done.content_type == "application/json");
  CHECK(header(done, "Expires").ends_with("GMT"));
  const fhir::Json manifest = fhir::parse_json(done.body).value();
  CHECK(manifest.text_at("request") ==
        "http://region.example/fhir/$export?_type=Patient,Observation&_outputFormat=ndjson");
  CHECK(manifest.text_at("transactionTime") == fhir::instant(now));
  CHECK(done.body.find(R"("error":[])") != std::string::npos);
  REQUIRE(manifest.find("output")->items().size() == 1);
  const fhir::Json& output = manifest.find("output")->items()[0];
  CHECK(output.text_at("type") == "Patient");
  CHECK(output.find("count")->text() == "3");
  const HttpResponse file = get(local(output.text_at("url")), Role::fhir);
  CHECK(file.status == 200);
  CHECK(file.content_type == "application/fhir+ndjson");
  const std::string text = text_of_file(file);
  CHECK(std::ranges::count(text, '\n') == 3);
  CHECK(text.find(R"("id":"b")") != std::string::npos);
  CHECK(get(at + "/job", Role::fhir).status == 404);
  CHECK(get(at + "/..%2fjob", Role::fhir).status == 404);
  CHECK(ask(request("DELETE", at, token(Role::fhir))).status == 202);
  const HttpResponse gone = get(at, Role::fhir);
  CHECK(gone.status == 404);
  CHECK(issue(gone) == "not-found");
  CHECK(get(local(output.text_at("url")), Role::fhir).status == 404);
  CHECK(ask(request("DELETE", at, token(Role::fhir))).status == 404);
}

TEST_CASE_METHOD(
    ExportApi,
    "the next export has what came since the time that the manifest of the last one says") {
  const auto since = [&](const std::string& time) {
    const HttpResponse done = ended(local(
        header(kick("/fhir/Patient/$export?_type=Patient&_since=" + time), "Content-Location")));
    REQUIRE(done.status == 200);
    const fhir::Json manifest = fhir::parse_json(done.body).value();
    std::string all;
    for (const fhir::Json& one : manifest.find("output")->items())
      all += text_of_file(get(local(one.text_at("url")), Role::fhir));
    return std::pair(manifest.text_at("transactionTime"), std::ranges::count(all, '\n'));
  };
  const auto [first, all] = since("2000-01-01T00:00:00Z");
  CHECK(all == 3);
  now.us += 1'000;
  HttpRequest put = request("PUT", "/fhir/Patient/b", token(Role::fhir),
                            R"({"resourceType":"Patient","id":"b","active":true})");
  put.headers["content-type"] = "application/fhir+json";
  REQUIRE(ask(put).status == 200);
  const auto [second, some] = since(first);
  CHECK(some == 1);
  CHECK(second > first);
  now.us += 1'000;
  CHECK(since(fhir::instant(now)).second == 0);
}

TEST_CASE_METHOD(
    ExportApi, "an export that cannot be given is refused with an OperationOutcome that says why") {
  const auto refused = [&](const HttpResponse& answer, unsigned status, const std::string& code) {
    INFO(answer.body);
    CHECK(answer.status == status);
    CHECK(issue(answer) == code);
    CHECK(answer.body.find("4711") == std::string::npos);
  };
  refused(kick("/fhir/$export", ""), 400, "required");
  refused(kick("/fhir/$export", "return=minimal"), 400, "required");
  refused(kick("/fhir/$export?_outputFormat=text/csv"), 400, "invalid");
  refused(kick("/fhir/$export?_type=Encounter4711"), 400, "not-supported");
  refused(kick("/fhir/$export?_since=4711"), 400, "invalid");
  refused(kick("/fhir/$export?x=%zz"), 400, "invalid");
  refused(kick("/fhir/$export?patient=Patient/4711"), 400, "not-supported");
  refused(kick("/fhir/Group/1/$export"), 404, "not-supported");
  CHECK(ask(request("POST", "/fhir/Patient/$export", token(Role::fhir))).status == 405);
  HttpRequest head = request("HEAD", "/fhir/$export", token(Role::fhir));
  head.headers["prefer"] = "respond-async";
  CHECK(ask(head).status == 405);
  CHECK(kick("/fhir/$export?_type=Patient,Encounter", "respond-async, handling=lenient").status ==
        202);
  down = true;
  CHECK(kick("/fhir/$export").status == 503);
}

TEST_CASE_METHOD(
    ExportApi,
    "a store that cannot be frozen, one that is always behind, and more exports than may be at once, are refused") {
  const auto freeze = region.freeze;
  region.freeze = [](const OpenedStore&) {
    return Result<OpenedStore>(Error{Errc::store_failed, "4711"});
  };
  door = std::make_unique<Door>(api_endpoints(region), file(), true, [this] { return now; });
  const HttpResponse failed = kick("/fhir/$export");
  CHECK(failed.status == 500);
  CHECK(failed.body.find("4711") == std::string::npos);
  // Another process is always ahead: the views of what was frozen are never whole.
  region.freeze = [freeze](const OpenedStore& store) {
    auto out = freeze(store);
    KvBatch batch;
    batch.put(kMetaSpace, feed_number_key(), Bytes(8, '\x7f'));
    REQUIRE(out->kv->write(batch, true).has_value());
    return out;
  };
  door = std::make_unique<Door>(api_endpoints(region), file(), true, [this] { return now; });
  const HttpResponse behind = kick("/fhir/$export");
  CHECK(behind.status == 503);
  CHECK(header(behind, "Retry-After") == "1");

  fhir::ExportLimits none = export_limits();
  none.at_once = 0;
  region.freeze = freeze;
  region.exports =
      std::make_shared<fhir::Exports>(folder.path() / "other", [at = now] { return at; }, none);
  door = std::make_unique<Door>(api_endpoints(region), file(), true, [this] { return now; });
  const HttpResponse many = kick("/fhir/$export");
  CHECK(many.status == 429);
  CHECK(issue(many) == "transient");
  CHECK(header(many, "Retry-After") == "60");
}
