// A recall over the API: what is marked is what was shown, or nothing; who, why and that it was done is written down.
#include "api_rig.h"
#include "cloud/orders.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct RecallRig : ApiRig {
  const std::string model = hex(Bytes(32, 'm'));  // of records.h

  std::string preview(const std::string& more = "") {
    const HttpResponse shown = get("/api/recalls/preview?model=" + model + more, Role::operations);
    REQUIRE(shown.status == 200);
    return shown.body;
  }
  static std::string digest_in(const std::string& body) {
    const size_t at = body.find(R"("digest":")") + 10;
    return body.substr(at, 64);
  }
  HttpResponse post(const std::string& path, const std::string& body, Role role = Role::operations) { return ask(request("POST", path, token(role), body)); }
  std::string body_of(const std::string& digest, const std::string& more = "") { return R"({"model":")" + model + R"(","digest":")" + digest + R"(","reason":"drift at night")" + more + "}"; }
  size_t orders_made() { return orders(*opened.kv)->size(); }
};
bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a recall marks what the preview has shown, and says who and why", "[api][recall]") {
  RecallRig rig;
  rig.commit({result(1, 1), result(2, 1, v1::AiResult::STATUS_FINAL, true)});
  const std::string shown = rig.preview();
  CHECK(has(shown, R"("results":2)"));
  const HttpResponse made = rig.post("/api/recalls", rig.body_of(RecallRig::digest_in(shown)));
  REQUIRE(made.status == 200);
  CHECK(has(made.body, R"("id":1,"order":"recall")"));
  CHECK(has(made.body, R"("by":"operator","reason":"drift at night")"));
  CHECK(has(made.body, R"("touches":{"results":2,)"));
  CHECK(has(rig.get("/api/results/clinic-1/01000000-0000-0000-0000-000000000000", Role::viewer).body, R"("recalls":[1])"));
  // The command line sees the same order.
  CHECK(orders(*rig.opened.kv)->at(0).by == "operator");

  const HttpResponse undone = rig.post("/api/recalls/1/undo", R"({"reason":"false alarm"})");
  REQUIRE(undone.status == 200);
  CHECK(has(undone.body, R"("order":"undo")"));
  CHECK(has(rig.get("/api/results/clinic-1/01000000-0000-0000-0000-000000000000", Role::viewer).body, R"("recalls":[])"));
  CHECK(rig.post("/api/recalls/1/undo", R"({"reason":"again"})").status == 400);
  CHECK(rig.post("/api/recalls/7/undo", R"({"reason":"x"})").status == 404);

  std::vector<std::string> log;
  REQUIRE(each_audit(*rig.opened.kv, 0, [&](const AuditRow& row) {
            std::string line = std::string(name_of(row.entry.step)) + " " + row.entry.what;
            for (const AuditSubject& s : row.entry.about) line += " " + text_of(s);
            return log.push_back(line), true;
          }).has_value());
  CHECK(std::ranges::find(log, "asked POST /api/recalls") != log.end());
  CHECK(std::ranges::find(log, "done POST /api/recalls order 1") != log.end());
  CHECK(std::ranges::find(log, "done POST /api/recalls/{id}/undo order 1") != log.end());
}

TEST_CASE("a recall is refused when it would touch something else than was shown", "[api][recall]") {
  RecallRig rig;
  rig.commit({result(1, 1)});
  const std::string digest = RecallRig::digest_in(rig.preview());
  SECTION("a result has come") { rig.commit({result(2, 1)}); }
  SECTION("one is critical now") { rig.commit({result(1, 2, v1::AiResult::STATUS_FINAL, true)}); }
  SECTION("another time is asked for") {
    CHECK(rig.post("/api/recalls", rig.body_of(digest, R"(,"from":"2000-01-01")")).status == 409);
    rig.commit({result(2, 1)});
  }
  SECTION("another site") {
    CHECK(rig.post("/api/recalls", rig.body_of(digest, R"(,"facility":"clinic-2")")).status == 409);
    rig.commit({result(2, 1)});
  }
  const HttpResponse refused = rig.post("/api/recalls", rig.body_of(digest));
  CHECK(refused.status == 409);
  CHECK(has(refused.body, "nothing was marked"));
  CHECK(rig.orders_made() == 0);
  CHECK(rig.post("/api/recalls", rig.body_of(RecallRig::digest_in(rig.preview()))).status == 200);
}

TEST_CASE("a preview is the same for whoever asks, and while nothing that counts has changed", "[api][recall]") {
  RecallRig rig;
  rig.commit({result(1, 1)});
  const std::string digest = RecallRig::digest_in(rig.preview());
  rig.commit({result(1, 2)});  // a version more of the same result
  CHECK(RecallRig::digest_in(rig.preview()) == digest);
  CHECK(RecallRig::digest_in(rig.get("/api/recalls/preview?model=" + rig.model, Role::viewer).body) == digest);
  CHECK(RecallRig::digest_in(rig.preview("&to=2100-01-01")) != digest);
}

TEST_CASE("who asks wrongly for a recall is told what is wanted, and nothing is marked", "[api][recall]") {
  RecallRig rig;
  rig.commit({result(1, 1)});
  const std::string digest = RecallRig::digest_in(rig.preview());
  for (const std::string& body :
       {std::string(), std::string("["), std::string("[]"), std::string("{}"), rig.body_of("12"), rig.body_of(digest, R"(,"colour":"red")"), rig.body_of(digest, R"(,"from":7)"),
        rig.body_of(digest, R"(,"model":"x")"), rig.body_of(digest, R"(,"from":"yesterday")"), R"({"model":")" + rig.model + R"(","digest":")" + digest + R"(","reason":""})",
        R"({"model":")" + rig.model + R"(","digest":")" + digest + R"("})", rig.body_of(digest, R"(,"facility":")" + std::string(kNoteBytesMax + 1, 'x') + R"(")"), rig.body_of(digest, R"(,"facility":"No Site")")}) {
    INFO(body);
    CHECK(rig.post("/api/recalls", body).status == 400);
  }
  CHECK(rig.post("/api/recalls", R"({"model":"nobody","reason":"x","digest":")" + digest + R"("})").status == 404);
  CHECK(rig.post("/api/recalls", R"({"model":")" + rig.model + R"(","digest":")" + digest + R"(","reason":")" + std::string(kOrderTextBytes + 1, 'r') + R"("})").status == 400);
  for (const std::string id : {"x", "-1", "1x", "99999999999999999999999"}) CHECK(rig.post("/api/recalls/" + id + "/undo", R"({"reason":"x"})").status == 400);
  CHECK(rig.post("/api/recalls/1/undo", "{}").status == 400);
  CHECK(rig.post("/api/recalls", rig.body_of(digest), Role::viewer).status == 403);
  CHECK(rig.orders_made() == 0);
}
