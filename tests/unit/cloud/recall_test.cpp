// Recall over the views: what is counted is what is there; what verify says of the views; records looked at again.
#include <catch2/catch.hpp>
#include <random>

#include "blocks.h"
#include "cloud/quarantine.h"
#include "cloud/recall_report.h"
#include "cloud/verify.h"
#include "cloud/verify_views.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr int64_t kT = 1'700'000'000'000'000, kHourUs = 3'600'000'000;

Hash model_of(uint8_t n) {
  Hash h{};
  h.fill(n);
  return h;
}

Bytes made_by(uint8_t id, uint32_t version, uint8_t model, int64_t t_us, const Facility& fac) {
  v1::Body body;
  v1::AiResult* r = body.mutable_ai_result();
  r->set_logical_id(bytes_of(id_of(id)));
  r->set_version(version);
  r->set_status(version % 2 == 0 ? v1::AiResult::STATUS_FINAL : v1::AiResult::STATUS_PRELIMINARY);
  r->set_run_id(Bytes(16, 'r'));
  fill(r->mutable_scenario(), "dr");
  fill(r->add_code(), "71490-7");
  r->mutable_value()->set_text("grade");
  r->set_critical(false);
  r->set_gradable(true);
  r->set_model_ref(Bytes(view(model_of(model))));
  r->mutable_t_effective()->set_us(t_us);
  r->mutable_t_issued()->set_us(t_us);
  r->mutable_phi()->mutable_subject()->set_system("urn:site");
  r->mutable_phi()->mutable_subject()->set_value("P-1");
  return record_from(body, fac);
}

RecallScope scope_of(std::vector<Hash> models, int64_t from_us, int64_t to_us, const Facility& fac = "") {
  std::ranges::sort(models);
  return {std::move(models), from_us, to_us, fac};
}

uint64_t counted(const Kv& kv, const RecallScope& scope) {
  uint64_t all = 0;
  const auto by_site = count_uses(kv, scope);
  REQUIRE(by_site.has_value());
  for (const auto& [fac, touched] : *by_site) all += touched.all();
  return all;
}

}  // namespace

TEST_CASE("a recall counts each result once, whatever its versions, models and days, as walking over all of them does", "[recall]") {
  std::mt19937 random(5);
  ViewRig rig;
  for (int block = 0; block < 60; block++) {
    std::vector<Bytes> records;
    const Facility fac = "clinic-" + std::to_string(random() % 3);
    for (int i = 0; i < 6; i++) {
      const auto hours = static_cast<int64_t>(random() % 200);
      records.push_back(made_by(static_cast<uint8_t>(random() % 60), 1 + random() % 4, static_cast<uint8_t>(1 + random() % 3), kT + hours * kHourUs, fac));
    }
    if (random() % 4 == 0) records.push_back(retraction(static_cast<uint8_t>(random() % 60), 3, fac));
    rig.commit(records, fac);
    if (block % 7 == 0) rig.follow(3);
  }
  rig.follow();
  for (int i = 0; i < 300; i++) {
    const auto from = static_cast<int64_t>(random() % 200), hours = static_cast<int64_t>(1 + random() % 120);
    std::vector<Hash> models{model_of(1)};
    if (i % 3 > 0) models.push_back(model_of(2));
    if (i % 3 > 1) models.push_back(model_of(3));
    const RecallScope scope = scope_of(models, kT + from * kHourUs, kT + (from + hours) * kHourUs, i % 4 == 0 ? "clinic-1" : "");
    std::map<Facility, Touched> walked;
    REQUIRE(rig.kv.scan(kViewSpace, "r", "s", [&](ByteView key, ByteView value) {
      const ResultName name = *result_of('r', key);
      const ResultRow row = decode_result(value).value();
      if (!recalls_of(name.fac, row.all(), std::vector<Recall>{{1, scope, false}}).empty()) ++walked[name.fac].by_facets[facets_of(row.view())];
      return true;
    }).has_value());
    auto counts = count_uses(rig.kv, scope).value();
    for (auto& [fac, touched] : counts) std::erase_if(touched.by_facets, [](const auto& n) { return n.second == 0; });
    std::erase_if(counts, [](const auto& site) { return site.second.by_facets.empty(); });
    REQUIRE(counts.size() == walked.size());
    for (const auto& [fac, touched] : walked) REQUIRE(counts[fac].by_facets == touched.by_facets);
    uint64_t listed = 0;
    REQUIRE(each_use(rig.kv, scope, [&](const ResultName&) { return ++listed > 0; }).has_value());
    REQUIRE(listed == counted(rig.kv, scope));
  }
}

TEST_CASE("a recall is one order that outlives the views, says who and why, and is undone once", "[recall]") {
  ViewRig rig;
  rig.commit({made_by(1, 1, 7, kT, kFac), made_by(2, 1, 8, kT, kFac)});
  rig.follow();
  Order order;
  order.scope = scope_of({model_of(7)}, kT, kT + 1);
  CHECK(add_order(rig.kv, order).error().code == Errc::bad_input);  // by whom, and why?
  order.by = "dr-q";
  order.reason = "drift";
  REQUIRE(add_order(rig.kv, order).value() == 1);
  const auto marks = [&](uint8_t id) { return recalls_of(kFac, rig.row_of(id)->all(), recalls(rig.kv).value()).size(); };
  REQUIRE(Follower::ask_rebuild(rig.kv).has_value());
  rig.follow();
  CHECK(marks(1) == 1);
  CHECK(marks(2) == 0);
  CHECK(orders(rig.kv).value()[0].by == "dr-q");
  Order undo;
  undo.kind = Order::Kind::undo;
  undo.undoes = 1;
  undo.by = "dr-q";
  undo.reason = "false alarm";
  REQUIRE(add_order(rig.kv, undo).value() == 2);
  CHECK(marks(1) == 0);
  CHECK(add_order(rig.kv, undo).error().code == Errc::bad_input);
  undo.undoes = 2;
  CHECK(add_order(rig.kv, undo).error().code == Errc::not_found);
  order.scope.to_us = order.scope.from_us;
  CHECK(add_order(rig.kv, order).error().code == Errc::bad_input);
  order.scope = scope_of({}, kT, kT + 1);
  CHECK(add_order(rig.kv, order).error().code == Errc::bad_input);
}

TEST_CASE("a row of the views that is not what the records say is found, and views that are behind are not judged", "[views]") {
  ViewRig rig;
  rig.commit({made_by(1, 1, 7, kT, kFac), result(2, 3), result(3, 1, v1::AiResult::STATUS_FINAL, true)});
  CHECK_FALSE(verify_views(rig.kv).value().compared());
  rig.follow();
  const auto fine = verify_views(rig.kv).value();
  CHECK(fine.wrong.empty());
  CHECK(fine.results == 3);
  const auto changed = [&](const std::function<void(KvBatch&)>& change) {
    const auto before = rig.kv.snapshot();
    KvBatch batch;
    change(batch);
    REQUIRE(rig.kv.write(batch, true).has_value());
    const size_t wrong = verify_views(rig.kv).value().wrong.size();
    rig.kv.rollback(before);
    return wrong;
  };
  const ResultName one{kFac, id_of(1)}, two{kFac, id_of(2)}, three{kFac, id_of(3)};
  CHECK(changed([&](KvBatch& b) { b.erase(kViewSpace, result_key(one)); }) > 0);
  CHECK(changed([&](KvBatch& b) { b.erase(kViewSpace, worklist_key(two)); }) == 1);
  CHECK(changed([&](KvBatch& b) { b.erase(kViewSpace, alert_key(AlertState::open, three)); }) == 1);
  CHECK(changed([&](KvBatch& b) { b.put(kViewSpace, worklist_key(one), Bytes(4, '\0')); }) == 1);
  ResultRow row = *rig.row_of(1);
  std::get<Version>(row.statements[0].statement).number = 9;
  CHECK(changed([&](KvBatch& b) { b.put(kViewSpace, result_key(one), encode(row)); }) > 0);
  CHECK(changed([&](KvBatch& b) { b.erase_range(kViewSpace, "n", "o"); }) == 1);
}

TEST_CASE("a record that was kept aside is applied when this program can take it, its copies are duplicates, and verify holds", "[quarantine]") {
  ViewRig rig;
  const Bytes good = result(1, 1), other = result(2, 1);
  const auto aside = [](const Bytes& record) {
    JudgedRecord j;
    j.record = record;
    j.quarantine = QuarantineReason::unknown_kind;
    j.detail = "kind 1 is not known here";
    return j;
  };
  commit_counted(*rig.store, {aside(good), judged(other), aside("garbage")}, rig.now.wall);
  commit_counted(*rig.store, {aside(good)}, rig.now.wall);
  rig.follow();
  CHECK_FALSE(rig.row_of(1));
  REQUIRE(verify(rig.kv, {})->wrong == 0);

  const auto retried = retry_quarantined(rig.kv, kFac, "");
  REQUIRE(retried.has_value());
  CHECK(retried->looked_at == 2);
  CHECK(retried->applied == 1);
  CHECK(retried->duplicates == 1);
  rig.follow();
  REQUIRE(rig.row_of(1));
  CHECK(rig.view_of(1).number == 1);
  const auto proved = verify(rig.kv, {});
  REQUIRE(proved.has_value());
  for (const Finding& f : proved->findings) FAIL(text_of(f));
  CHECK(proved->quarantined == 1);
  CHECK(proved->digest_records == 2);
  CHECK(verify_views(rig.kv).value().wrong.empty());
  CHECK(retry_quarantined(rig.kv, kFac, "")->applied == 0);  // once
}
