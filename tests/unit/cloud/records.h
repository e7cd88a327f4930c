// Records: valid records about results, and a store that commits them, for tests of what becomes of them.
// Promises: two calls with the same words give the same body. Leaves to others: what must become of them.
#pragma once

#include <catch2/catch.hpp>
#include <map>

#include "cloud/follower.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"
#include "tests/unit/cloud/reconciler_rig.h"

namespace egret::cloud {

inline Uuid id_of(uint8_t n) {
  Uuid id{};
  id[0] = n;
  return id;
}
inline Bytes bytes_of(const Uuid& id) {
  return Bytes(egret::view(id));
}

inline Bytes record_from(v1::Body& body, const Facility& fac) {
  body.set_sens(4);
  body.add_purpose(v1::PURPOSE_CARE);
  const auto made = make_body(body, fac);
  if (!made) throw std::runtime_error(made.error().text);
  v1::Arrival arrival;
  arrival.set_wall_us(1'700'000'000'000'000);
  return join_record(made->bytes, encode_arrival(arrival).value()).value();
}

inline void fill(v1::Coding* coding, const std::string& code) {
  coding->set_system("urn:test");
  coding->set_code(code);
}

inline Bytes result(uint8_t id, uint32_t version, v1::AiResult::Status status = v1::AiResult::STATUS_PRELIMINARY, bool critical = false,
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

inline Bytes review(uint8_t id, uint32_t seen, v1::Review::Verdict verdict, const Facility& by, const Facility& owner) {
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

inline Bytes retraction(uint8_t id, uint32_t version, const Facility& by = kFac) {
  v1::Body body;
  v1::Retraction* r = body.mutable_retraction();
  r->set_logical_id(bytes_of(id_of(id)));
  r->set_version(version);
  r->set_reason(v1::Retraction::REASON_WRONG_PATIENT);
  r->mutable_t()->set_us(1'700'000'000'000'000);
  return record_from(body, by);
}

struct Point {
  uint64_t t_ns;
  double value;
};

inline Bytes telemetry(const std::string& series, std::vector<Point> points, const Facility& fac = kFac) {
  v1::Body body;
  v1::TelemetryBatch* batch = body.mutable_telemetry_batch();
  batch->mutable_resource()->set_host("gpu-1");
  v1::Series* s = batch->add_series();
  s->set_name(series);
  s->set_unit("Cel");
  s->set_kind(v1::Series::SERIES_KIND_GAUGE);
  std::ranges::sort(points, {}, &Point::t_ns);
  uint64_t before = 0;
  for (const Point& p : points) {
    s->add_t_ns(p.t_ns - before);
    s->add_f64(p.value);
    before = p.t_ns;
  }
  return record_from(body, fac);
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
    Follower follower(store->kv());
    size_t steps = 0;
    for (;;) {
      const auto took = follower.step(blocks);
      REQUIRE(took.has_value());
      if (*took == 0) break;
      ++steps;
    }
    CHECK(follower.unreadable_blocks() == 0);
    CHECK(Follower::behind(store->kv()).value() == std::optional<uint64_t>(0));
    return steps;
  }
  std::optional<ResultRow> row_of(uint8_t id, const Facility& fac = kFac) {
    const auto stored = store->kv().get(kViewSpace, result_key({fac, id_of(id)}));
    if (!stored.value()) return std::nullopt;
    return decode_result(**stored).value();
  }
  ResultView view_of(uint8_t id, const Facility& fac = kFac) { return row_of(id, fac).value().view(); }
  // All of space 5 but for how far it is, and when a result changed: that depends on the steps; and volumes: on the blocks.
  std::map<Bytes, Bytes> views() {
    std::map<Bytes, Bytes> out;
    REQUIRE(store->kv()
                .scan(kViewSpace, {}, Bytes(1, char(0xff)),
                      [&](ByteView key, ByteView value) {
                        if (key[0] == 'r') {
                          ResultRow row = decode_result(value).value();
                          row.changed = 0;
                          std::sort(row.statements.begin(), row.statements.end(),
                                    [](const auto& a, const auto& b) { return a.place < b.place; });
                          out[Bytes(key)] = encode(row);
                        } else if (key[0] != 'c' && key[0] != 'V' && key[0] != 'v' &&
                                   key[0] != 'A') {
                          out[Bytes(key)] = key[0] == 'a' ? Bytes() : Bytes(value);
                        }
                        return true;
                      })
                .has_value());
    return out;
  }
};

}  // namespace egret::cloud
