// ApiRig: the region's API on the bench: the real table and door over a store in memory, answers at once.
// Promises: a token of each role; what is asked is asked as from another machine, unless the test says otherwise.
// Leaves to others: sockets (http_test), the whole program (tests/e2e).
#pragma once

#include <catch2/catch.hpp>

#include "blocks.h"
#include "cloud/alerts.h"
#include "cloud/api/door.h"
#include "cloud/api/query.h"
#include "cloud/api/live.h"
#include "cloud/api/region.h"
#include "cloud/fhir/exports.h"
#include "cloud/follower.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/mosquitto.h"

namespace egret::cloud {

struct ApiRig {
  explicit ApiRig(bool local_viewer = true) {
    opened.kv = std::make_unique<KvMemory>(kCloudSpaces);
    memory = static_cast<KvMemory*>(opened.kv.get());
    opened.store = open_store(*opened.kv, entropy).value();
    region.on_store = [this](StoreThread::Job job) { job(down ? nullptr : &opened); };
    region.beside_store = [this](ReadJob job) { job(down ? nullptr : &opened, nullptr); };
    region.read_here = [this](ReadJob job) { job(down ? nullptr : &opened, nullptr); };
    region.rates = [this] { return &rates; };
    region.now = [this] { return now; };
    region.metrics = [] { return HttpResponse{200, "text/plain", "egret_cloud_up 1\n", {}}; };
    region.health = [] { return json_answer(200, "{}"); };
    region.mono = [this] { return mono; };
    region.waiting = std::make_shared<Waiting>();
    region.live = std::make_shared<Live>("rig", [this] { return mono; });
    // Its thread has a clock of its own, which stands.
    region.exports = std::make_shared<fhir::Exports>(
        folder.path() / "exports", [at = now] { return at; }, export_limits());
    region.freeze = [this](const OpenedStore& store) {
      OpenedStore out;
      out.kv = std::make_unique<KvMemory>(static_cast<const KvMemory&>(*store.kv));
      out.store = open_store(*out.kv, entropy).value();
      return Result<OpenedStore>(std::move(out));
    };
    region.statement_key = [] { return Result<SitePrivateKey>(SitePrivateKey{{7}}); };
    region.audit = std::make_shared<AuditDesk>(region.on_store, region.mono);
    for (Role role : kAllRoles) tokens.push_back(add_token(file(), name_of(role), role, 0, now, entropy).value());
    door = std::make_unique<Door>(api_endpoints(region), file(), local_viewer, [this] { return now; }, region.audit);
  }
  static fhir::ExportLimits export_limits() {
    fhir::ExportLimits out;
    out.free_bytes = 0;
    return out;
  }
  std::filesystem::path file() const { return token_file(folder.path()); }
  const std::string& token(Role role) const { return tokens[static_cast<size_t>(role)]; }

  HttpResponse ask(HttpRequest request) {
    std::optional<HttpResponse> out;
    door->answer(request, [&](HttpResponse response) { out = std::move(response); });
    REQUIRE(out.has_value());
    return *out;
  }
  static HttpRequest request(const std::string& method, const std::string& target, const std::string& token = "", std::string body = "") {
    HttpRequest out;
    out.method = method;
    const size_t mark = std::min(target.find('?'), target.size());
    out.path = target.substr(0, mark);
    out.query = target.substr(std::min(mark + 1, target.size()));
    out.body = std::move(body);
    if (!token.empty()) out.headers["authorization"] = "Bearer " + token;
    return out;
  }
  HttpResponse get(const std::string& target, Role role) { return ask(request("GET", target, token(role))); }

  // As a site has sent them; views and alerts have followed.
  void commit(const std::vector<Bytes>& records) {
    std::vector<JudgedRecord> all;
    for (const Bytes& record : records) all.push_back(judged(record));
    commit_counted(*opened.store, all, now);
    follow();
    while (keep_alerts(*opened.kv, now).value() > 0) continue;
  }
  void follow() {
    Follower follower(*opened.kv);
    while (follower.step(8).value() > 0) continue;
  }

  egret::test::TempDir folder;
  SeededEntropy entropy{1};
  OpenedStore opened;
  KvMemory* memory = nullptr;  // of it, for faults
  bool down = false;
  MonoTime mono{1'000};
  WallTime now{1'800'000'000'000'000};
  std::map<Facility, double> rates;
  Region region;
  std::vector<std::string> tokens;
  std::unique_ptr<Door> door;
};

}  // namespace egret::cloud
