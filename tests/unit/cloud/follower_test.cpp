// Views follow what is committed: the same whatever the steps, the order and the interruptions.
#include "cloud/follower.h"

#include <catch2/catch.hpp>

#include "records.h"

using namespace egret;
using namespace egret::cloud;

TEST_CASE("a result is what its statements say, and each says where its bytes are", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1), record_of(5), result(2, 1, v1::AiResult::STATUS_FINAL)});
  rig.commit({result(1, 2, v1::AiResult::STATUS_FINAL)});
  rig.follow();
  const ResultView view = rig.view_of(1);
  CHECK(view.number == 2);
  CHECK(view.status == ResultStatus::final);
  const auto row = rig.row_of(1);
  const PlacedStatement* current = row->find(*view.current);
  REQUIRE(current);
  CHECK(current->place.seq == Seq{4});
  CHECK(current->by == kFac);
  CHECK(rig.view_of(2).status == ResultStatus::final);
  CHECK_FALSE(rig.row_of(3));
}

TEST_CASE("only its own facility versions and retracts a result; any other may review it", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1)});
  rig.commit({result(1, 9, v1::AiResult::STATUS_FINAL, false, "clinic-2"), retraction(1, 2, "clinic-2")}, "clinic-2");
  rig.commit({review(1, 1, v1::Review::VERDICT_AGREED, "hospital", kFac)}, "hospital");
  rig.follow();
  CHECK(rig.view_of(1).number == 1);
  CHECK_FALSE(rig.view_of(1).retracted);
  CHECK(rig.view_of(1).status == ResultStatus::final);  // the hospital agreed
  CHECK(rig.view_of(1, "clinic-2").retracted);
}

TEST_CASE("one alert a result: open, and withdrawn with it", "[views]") {
  ViewRig rig;
  const ResultName name{kFac, id_of(1)};
  rig.commit({result(1, 1, v1::AiResult::STATUS_PRELIMINARY, true), result(1, 1, v1::AiResult::STATUS_PRELIMINARY, true)});
  rig.follow();
  CHECK(rig.kv.get(kViewSpace, alert_key(AlertState::open, name)).value());
  rig.commit({retraction(1, 2)});
  rig.follow();
  CHECK_FALSE(rig.kv.get(kViewSpace, alert_key(AlertState::open, name)).value());
  CHECK(rig.kv.get(kViewSpace, alert_key(AlertState::withdrawn, name)).value());
}

TEST_CASE("what is odd is on the worklist until it has resolved itself", "[views]") {
  ViewRig rig;
  const Bytes key = worklist_key({kFac, id_of(1)});
  rig.commit({result(1, 3)});
  rig.follow();
  CHECK(rig.kv.get(kViewSpace, key).value());
  rig.commit({result(1, 1), result(1, 2)});
  rig.follow();
  CHECK_FALSE(rig.kv.get(kViewSpace, key).value());
}

TEST_CASE("steps of any size, made anew or not, end in the same views", "[views]") {
  const auto feed_in = [](ViewRig& rig) {
    for (uint8_t i = 1; i <= 9; i++) {
      rig.commit({result(i, 2, v1::AiResult::STATUS_FINAL, i % 2 == 0), result(static_cast<uint8_t>(i / 2), 1)});
      if (i % 3 == 0) rig.commit({retraction(i, 3), record_of(i)});
      if (i % 4 == 0) rig.commit({review(i, 2, v1::Review::VERDICT_REJECTED, "hospital", kFac)}, "hospital");
    }
  };
  ViewRig whole, small, again;
  for (ViewRig* rig : {&whole, &small, &again}) feed_in(*rig);
  whole.follow();
  CHECK(small.follow(1) > 10);
  again.follow();
  REQUIRE(Follower::ask_rebuild(again.kv).has_value());
  SECTION("made anew in steps of one block, with more committed meanwhile") {
    Follower follower(again.kv);
    REQUIRE(follower.step(1).value() == 1);
    CHECK_FALSE(Follower::behind(again.kv).value());
    for (ViewRig* rig : {&whole, &small, &again}) rig->commit({result(77, 1), result(3, 5)});
    again.follow(1);
    whole.follow();
    small.follow();
  }
  SECTION("made anew at once") { again.follow(); }
  CHECK(whole.views().size() > 20);
  CHECK(small.views() == whole.views());
  CHECK(again.views() == whole.views());
}

TEST_CASE("a store from before there were views gets them, and a kill in between loses nothing", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1), result(2, 1)});
  rig.commit({result(1, 2)});
  KvBatch forget;  // as an older program left it
  forget.erase_range(kFeedSpace, {}, Bytes(1, char(0xff)));
  forget.erase(kMetaSpace, feed_number_key());
  REQUIRE(rig.kv.write(forget, true).has_value());
  {
    Follower killed(rig.kv);
    REQUIRE(killed.step(1).has_value());
  }
  rig.kv.crash_keeping(0);  // what was not synced is gone
  rig.follow();
  CHECK(rig.view_of(1).number == 2);
  CHECK(rig.row_of(2));
}

TEST_CASE("of a step that failed nothing is left in the next one", "[views]") {
  ViewRig rig, well;
  for (ViewRig* r : {&rig, &well}) r->commit({result(1, 1)});
  rig.follow();
  const auto& views = rig.kv.table(kViewSpace);
  const auto counts = std::ranges::find_if(views, [](const auto& row) { return row.first.starts_with('n'); });
  REQUIRE(counts != views.end());
  const Bytes key = counts->first, value = *counts->second;
  const auto put = [&](const Bytes& bytes) {
    KvBatch batch;
    batch.put(kViewSpace, key, bytes);
    REQUIRE(rig.kv.write(batch, true).has_value());
  };
  for (ViewRig* r : {&rig, &well}) r->commit({result(2, 1), result(3, 1)});
  Follower follower(rig.kv);
  put("?");
  REQUIRE_FALSE(follower.step(8).has_value());
  put(value);
  REQUIRE(follower.step(8).has_value());
  well.follow();
  CHECK(rig.views() == well.views());
}

TEST_CASE("views of another format are made anew", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1)});
  KvBatch old;
  old.put(kViewSpace, views_state_key(), encode(ViewsState{kViewsFormat + 1, 1, {}}));
  old.put(kViewSpace, result_key({kFac, id_of(9)}), "what nobody can read");
  REQUIRE(rig.kv.write(old, true).has_value());
  rig.follow();
  CHECK(rig.row_of(1));
  CHECK_FALSE(rig.row_of(9));
}

TEST_CASE("every use of a model is found by model and time, once a result", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1), result(2, 1), result(2, 2)});
  rig.follow();
  RecallScope scope;
  scope.models.push_back({});
  scope.models[0].fill('m');
  scope.from_us = 1'600'000'000'000'000;
  scope.to_us = 1'800'000'000'000'000;
  size_t uses = 0;
  REQUIRE(each_use(rig.kv, scope, [&](const ResultName&) { return ++uses > 0; }).has_value());
  CHECK(uses == 2);
  const auto counted = count_uses(rig.kv, scope);
  REQUIRE(counted.has_value());
  CHECK(counted->at(kFac).all() == 2);
}
