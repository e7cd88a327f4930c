// Views follow what is committed: the same whatever the steps, the order and the interruptions.
#include "cloud/follower.h"

#include <catch2/catch.hpp>

#include "reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Uuid id_of(uint8_t n) {
  Uuid id{};
  id[0] = n;
  return id;
}
Bytes bytes_of(const Uuid& id) {
  return Bytes(egret::view(id));
}

Bytes record_from(v1::Body& body, const Facility& fac) {
  body.set_sens(4);
  body.add_purpose(v1::PURPOSE_CARE);
  const auto made = make_body(body, fac);
  if (!made) throw std::runtime_error(made.error().text);
  v1::Arrival arrival;
  arrival.set_wall_us(1'700'000'000'000'000);
  return join_record(made->bytes, encode_arrival(arrival).value()).value();
}

void fill(v1::Coding* coding, const std::string& code) {
  coding->set_system("urn:test");
  coding->set_code(code);
}

Bytes result(uint8_t id, uint32_t version, v1::AiResult::Status status = v1::AiResult::STATUS_PRELIMINARY, bool critical = false,
             const Facility& fac = kFac) {
  v1::Body body;
  v1::AiResult* r = body.mutable_ai_result();
  r->set_logical_id(bytes_of(id_of(id)));
  r->set_version(version);
  r->set_status(status);
  r->set_run_id(Bytes(16, static_cast<char>(id)));
  fill(r->mutable_scenario(), "dr");
  fill(r->add_code(), "71490-7");
  r->mutable_value()->set_text("grade " + std::to_string(version));
  r->set_critical(critical);
  if (critical) {
    fill(r->mutable_critical_code(), "dr-4");
    r->set_ack_deadline_s(600);
  }
  r->set_gradable(true);
  r->set_model_ref(Bytes(32, 'm'));
  r->mutable_t_effective()->set_us(1'700'000'000'000'000);
  r->mutable_t_issued()->set_us(1'700'000'000'000'000 + version);
  r->mutable_phi()->mutable_subject()->set_system("urn:site");
  r->mutable_phi()->mutable_subject()->set_value("P-1");
  return record_from(body, fac);
}

Bytes review(uint8_t id, uint32_t seen, v1::Review::Verdict verdict, const Facility& by, const Facility& owner) {
  v1::Body body;
  v1::Review* r = body.mutable_review();
  r->set_logical_id(bytes_of(id_of(id)));
  r->set_version_seen(seen);
  if (owner != by) r->set_result_facility(owner);
  r->set_reviewer("r1");
  r->set_role(v1::Review::ROLE_SPECIALIST);
  r->set_verdict(verdict);
  r->set_site(v1::Review::SITE_EDGE);
  r->mutable_t()->set_us(1'700'000'000'000'000);
  return record_from(body, by);
}

Bytes retraction(uint8_t id, uint32_t version, const Facility& by = kFac) {
  v1::Body body;
  v1::Retraction* r = body.mutable_retraction();
  r->set_logical_id(bytes_of(id_of(id)));
  r->set_version(version);
  r->set_reason(v1::Retraction::REASON_WRONG_PATIENT);
  r->mutable_t()->set_us(1'700'000'000'000'000);
  return record_from(body, by);
}

// Commits each list as a block, through the real store.
struct ViewRig : CloudRig {
  std::map<Facility, Seq> heads;

  void commit(const std::vector<Bytes>& records, const Facility& fac = kFac) {
    std::vector<JudgedRecord> judged;
    std::vector<Hash> leaves;
    for (const Bytes& r : records) {
      JudgedRecord j;
      j.record = r;
      j.key = check_body(split_record(r)->body, fac)->key;
      judged.push_back(j);
      leaves.push_back(leaf_of(r));
    }
    auto txn = store->begin();
    const Seq first = heads[fac].next();
    heads[fac] = first + (records.size() - 1);
    const JudgedBlock block{first, judged, leaves, {}};
    REQUIRE(txn->add_blocks(fac, {{7}, StreamId::result}, {&block, 1}, now.wall).has_value());
    REQUIRE(store->commit(std::move(txn)) == CommitResult::committed);
  }
  size_t follow(size_t blocks = 64) {
    Follower follower(kv);
    size_t steps = 0;
    for (;;) {
      const auto took = follower.step(blocks);
      REQUIRE(took.has_value());
      if (*took == 0) break;
      ++steps;
    }
    CHECK(follower.unreadable_blocks() == 0);
    CHECK(Follower::behind(kv).value() == std::optional<uint64_t>(0));
    return steps;
  }
  std::optional<ResultRow> row_of(uint8_t id, const Facility& fac = kFac) {
    const auto stored = kv.get(kViewSpace, result_key({fac, id_of(id)}));
    if (!stored.value()) return std::nullopt;
    return decode_result(**stored).value();
  }
  ResultView view_of(uint8_t id, const Facility& fac = kFac) { return row_of(id, fac).value().view(); }
  // All of space 5 but for how far it is, and when a result changed: that depends on the steps.
  std::map<Bytes, Bytes> views() {
    std::map<Bytes, Bytes> out;
    REQUIRE(kv.scan(kViewSpace, {}, Bytes(1, char(0xff)), [&](ByteView key, ByteView value) {
      if (key[0] == 'r') {
        ResultRow row = decode_result(value).value();
        row.changed = 0;
        std::sort(row.statements.begin(), row.statements.end(),
                  [](const auto& a, const auto& b) { return a.place < b.place; });
        out[Bytes(key)] = encode(row);
      } else if (key[0] != 'c') {
        out[Bytes(key)] = key[0] == 'a' ? Bytes() : Bytes(value);
      }
      return true;
    }).has_value());
    return out;
  }
};

}  // namespace

TEST_CASE("a result is what its statements say, and each says where its bytes are", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1), record_of(5), result(2, 1, v1::AiResult::STATUS_FINAL)});
  rig.commit({result(1, 2, v1::AiResult::STATUS_FINAL)});
  rig.follow();
  const ResultView view = rig.view_of(1);
  CHECK(view.number == 2);
  CHECK(view.status == ResultStatus::final);
  const Place* place = rig.row_of(1)->place_of(*view.current);
  REQUIRE(place);
  CHECK(place->seq == Seq{4});
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

TEST_CASE("every use of a model is found by model and time", "[views]") {
  ViewRig rig;
  rig.commit({result(1, 1), result(2, 1), result(2, 2)});
  rig.follow();
  Hash model{};
  model.fill('m');
  size_t uses = 0;
  const Bytes from = model_use_key(model, 1'600'000'000'000'000, {"", {}}), to = model_use_key(model, 1'800'000'000'000'000, {"", {}});
  REQUIRE(rig.kv.scan(kViewSpace, from, to, [&](ByteView, ByteView) { return ++uses > 0; }).has_value());
  CHECK(uses == 2);
}
