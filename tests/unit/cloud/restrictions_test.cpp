// Restrictions: whose they are about, as links are made and undone; what retention does; what is said of a result.
#include "cloud/restrictions.h"

#include "cloud/patients.h"
#include "cloud/results.h"
#include "cloud/retention.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct RestrictRig : ViewRig {
  Hash patient(const std::string& value) {
    v1::Identifier identifier;
    identifier.set_system("urn:site");
    identifier.set_value(value);
    return patient_of(patient_key(kv).value(), identifier);
  }
  Result<uint64_t> restrict(const Hash& who) { return add_restriction(kv, {0, RestrictionOrder::Kind::restrict, now.wall, "dr-q", "disputed", who, 0}); }
  Result<uint64_t> lift(uint64_t id) { return add_restriction(kv, {0, RestrictionOrder::Kind::lift, now.wall, "dr-q", "settled", {}, id}); }
  std::vector<uint64_t> of(uint8_t id) { return Restricted::read(kv).value().orders_of(kv, ResultName{kFac, id_of(id)}).value(); }
};

// A result of another patient than result()'s.
Bytes of_patient(uint8_t id, const std::string& patient) {
  v1::Body body;
  body.ParseFromString(Bytes(split_record(result(id, 1))->body));
  body.mutable_ai_result()->mutable_phi()->mutable_subject()->set_value(patient);
  v1::Body again;
  *again.mutable_ai_result() = body.ai_result();
  return record_from(again, kFac);
}

Bytes link(const std::string& a, const std::string& b, bool same, int64_t t) {
  v1::Body body;
  v1::IdentityLink* l = body.mutable_identity_link();
  l->mutable_phi()->mutable_a()->set_system("urn:site");
  l->mutable_phi()->mutable_a()->set_value(a);
  l->mutable_phi()->mutable_b()->set_system("urn:site");
  l->mutable_phi()->mutable_b()->set_value(b);
  l->set_verdict(same ? v1::IdentityLink::VERDICT_SAME : v1::IdentityLink::VERDICT_NOT_SAME);
  l->set_authority("index");
  l->mutable_t()->set_us(1'700'000'000'000'000 + t);
  return record_from(body, kFac);
}

}  // namespace

TEST_CASE("a restriction is about a patient: what is there, what comes, what is joined; not what is parted again", "[restrict]") {
  RestrictRig rig;
  rig.commit({of_patient(1, "A"), of_patient(2, "B")});
  rig.follow();
  CHECK(rig.of(1).empty());
  CHECK(rig.restrict(rig.patient("A")).value() == 1);
  CHECK(rig.of(1) == std::vector<uint64_t>{1});
  CHECK(rig.of(2).empty());
  rig.commit({of_patient(3, "A")});
  rig.follow();
  CHECK(rig.of(3) == std::vector<uint64_t>{1});
  rig.commit({link("A", "B", true, 1)});
  rig.follow();
  CHECK(rig.of(2) == std::vector<uint64_t>{1});
  rig.commit({link("A", "B", false, 2)});
  rig.follow();
  CHECK(rig.of(2).empty());
  CHECK(rig.of(1) == std::vector<uint64_t>{1});
  CHECK(rig.lift(1).value() == 2);
  CHECK(rig.of(1).empty());
  CHECK(Restricted::read(rig.kv).value().nobody());
  // Once more is a new order; all of them stay on record.
  CHECK(rig.restrict(rig.patient("A")).value() == 3);
  CHECK(restriction_orders(rig.kv).value().size() == 3);
}

TEST_CASE("what is no order is refused with why", "[restrict]") {
  RestrictRig rig;
  CHECK(add_restriction(rig.kv, {0, RestrictionOrder::Kind::restrict, rig.now.wall, "", "why", {}, 0}).error().code == Errc::bad_input);
  CHECK(add_restriction(rig.kv, {0, RestrictionOrder::Kind::restrict, rig.now.wall, "who", "", {}, 0}).error().code == Errc::bad_input);
  CHECK(add_restriction(rig.kv, {0, RestrictionOrder::Kind::restrict, rig.now.wall, "who", std::string(kRestrictionTextBytes + 1, 'x'), {}, 0}).error().code == Errc::bad_input);
  CHECK(rig.lift(1).error().code == Errc::not_found);
  REQUIRE(rig.restrict(Hash{1}).has_value());
  CHECK(rig.restrict(Hash{1}).error().code == Errc::conflict);
  REQUIRE(rig.lift(1).has_value());
  CHECK(rig.lift(1).error().code == Errc::conflict);
  CHECK(rig.lift(2).error().code == Errc::not_found);  // that is a lifting
  KvBatch batch;
  batch.put(kMetaSpace, table_row('z', 9), "x");
  REQUIRE(rig.kv.write(batch, true).has_value());
  CHECK(Restricted::read(rig.kv).error().code == Errc::corrupt);
}

TEST_CASE("a record is restricted by its own word, before the views know of it", "[restrict]") {
  RestrictRig rig;
  REQUIRE(rig.restrict(rig.patient("A")).has_value());
  const auto orders = [&](const Bytes& record) { return Restricted::read(rig.kv).value().orders_of(rig.kv, split_record(record)->body).value(); };
  CHECK(orders(of_patient(1, "A")) == std::vector<uint64_t>{1});
  CHECK(orders(of_patient(1, "B")).empty());
  CHECK(orders(link("A", "C", false, 1)) == std::vector<uint64_t>{1});
  CHECK(orders(review(1, 1, v1::Review::VERDICT_AGREED, kFac, kFac)).empty());
  rig.commit({of_patient(1, "A")});
  rig.follow();
  CHECK(orders(review(1, 1, v1::Review::VERDICT_AGREED, kFac, kFac)) == std::vector<uint64_t>{1});
  CHECK(orders(telemetry("a", {{1, 1.0}})).empty());
}

TEST_CASE("a result that is restricted says so to whoever may read that it is there", "[restrict]") {
  RestrictRig rig;
  rig.commit({of_patient(1, "A")});
  rig.follow();
  REQUIRE(rig.restrict(rig.patient("A")).has_value());
  const ResultName name{kFac, id_of(1)};
  const auto row = find_result(rig.kv, name).value();
  const auto detail = detail_of(rig.kv, name, *row).value();
  CHECK(to_json(name, *row, detail).find("\"restricted\":[1]") != std::string::npos);
  CHECK(to_text(name, *row, detail).find("RESTRICTED: kept and not used, by order 1") != std::string::npos);
}
