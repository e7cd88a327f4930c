// Restrictions: whose they are about, as links are made and undone; what retention does; what is said of a result.
#include "cloud/restrictions.h"

#include <sstream>

#include "cloud/changes.h"
#include "cloud/patients.h"
#include "cloud/results.h"
#include "cloud/retention.h"
#include "cloud/taken_away.h"
#include "records.h"
#include "schemas/chain.h"
#include "schemas/record_document.h"

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
  CHECK(times_taken_away(rig.kv).value() == 0);
  CHECK(rig.restrict(rig.patient("A")).value() == 1);
  CHECK(times_taken_away(rig.kv).value() == 1);
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
  CHECK(times_taken_away(rig.kv).value() == 1);  // nothing is taken away by giving it back
  CHECK(rig.of(1).empty());
  CHECK(Restricted::read(rig.kv).value().nobody());
  // Once more is a new order; all of them stay on record.
  CHECK(rig.restrict(rig.patient("A")).value() == 3);
  CHECK(restriction_orders(rig.kv).value().size() == 3);
}

TEST_CASE("the document that a restricted patient's result was made from is restricted with it, part by part", "[restrict]") {
  RestrictRig rig;
  const auto documents = [](const std::string& text) {
    std::vector<Bytes> out;
    for (const NewBody& one : split_document(text, {"application/hl7-v2", "m.hl7", 4, {1}}, kFac).value()) out.push_back(join_record(one.bytes, encode_arrival({}).value()).value());
    return out;
  };
  const std::string hers = "MSH|of A" + std::string(40'000, '.'), his = "MSH|of B";
  const auto made_from = [](uint8_t id, const std::string& patient, const std::string& document) {
    v1::Body body, again;
    body.ParseFromString(Bytes(split_record(of_patient(id, patient))->body));
    *again.mutable_ai_result() = body.ai_result();
    again.mutable_source()->set_document(Bytes(view(sha256(document))));
    return record_from(again, kFac);
  };
  const std::vector<Bytes> of_a = documents(hers), of_b = documents(his);
  REQUIRE(of_a.size() == 3);
  rig.commit(of_a);
  rig.commit(of_b);
  rig.commit({made_from(1, "A", hers), made_from(2, "B", his)});
  rig.follow();
  const auto orders = [&](const Bytes& record, const Facility& fac = kFac) { return Restricted::read(rig.kv)->orders_of(rig.kv, fac, split_record(record)->body).value(); };
  const auto lines = [&](bool documents_alone) {
    ChangesAsked asked;
    asked.records = true;
    size_t hidden = 0;
    std::istringstream in(changes(rig.kv, asked)->lines);
    for (std::string line; std::getline(in, line);) {
      const bool is_document = line.find("document") != line.npos;
      hidden += is_document == documents_alone && line.find("\"restricted\":true") != line.npos;
      if (line.find("\"restricted\":true") != line.npos) CHECK(line.find("\"record\"") == line.npos);
    }
    return hidden;
  };
  CHECK(lines(true) == 0);
  REQUIRE(rig.restrict(rig.patient("A")).has_value());
  for (const Bytes& record : of_a) CHECK(orders(record) == std::vector<uint64_t>{1});
  for (const Bytes& record : of_b) CHECK(orders(record).empty());
  CHECK(orders(of_a.front(), "another").empty());  // the same bytes at another site are that site's
  CHECK(lines(true) == 3);
  CHECK(lines(false) == 1);
  REQUIRE(rig.lift(1).has_value());
  CHECK(lines(true) == 0);
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
  const auto orders = [&](const Bytes& record) { return Restricted::read(rig.kv).value().orders_of(rig.kv, kFac, split_record(record)->body).value(); };
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
