// Retention: exactly what is due goes, what a hold covers stays, and what is left proves itself.
#include "cloud/retention.h"

#include <random>

#include "cloud/audit.h"
#include "cloud/holds.h"
#include "cloud/merge/moment.h"
#include "cloud/restrictions.h"
#include "cloud/rollup.h"
#include "cloud/verify.h"
#include "cloud/verify_views.h"
#include "records.h"
#include "schemas/chain.h"
#include "tests/unit/support/failing_kv.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr uint64_t kHourNs = 3600ULL * 1'000'000'000, kMinuteNs = kHourNs / 60;

Bytes event(uint64_t counter) {
  v1::Body body;
  v1::AgentEvent* e = body.mutable_agent_event();
  e->set_boot_id(Bytes(16, 'b'));
  e->set_counter(counter);
  e->set_name("agent.started");
  e->set_severity(v1::AgentEvent::SEVERITY_INFO);
  e->mutable_t()->set_us(1'700'000'000'000'000);
  return record_from(body, kFac);
}

// The rig's store, as the service has it.
struct RetentionRig : ViewRig {
  OpenedStore opened{std::make_unique<FailingKv>(kv), nullptr};  // it owns its Kv, and the rig keeps this one
  RetentionPolicy policy{{90, 180, 365, 1'000}};

  Writer writer{key_of(7, StreamId::telemetry)};
  size_t blocks = 0;

  RetentionRig() { reopen(); }
  // As a site sends them: with chain and ledger, so that `verify` has something to prove.
  void commit(const std::vector<Bytes>& records) {
    writer.data(records);
    hello({listing(writer)});
    push_all(writer, blocks, blocks + 1);
    ++blocks;
    REQUIRE(row(writer.key).w == writer.head());
  }
  void reopen() { opened.store = open_store(*opened.kv, entropy).value(); }
  void days(int64_t n) {
    for (int64_t i = 0; i < n; i++) {
      wait(kDayUs / 1000);
      const auto looked = retain(opened, policy, now.wall, 0);  // takes down how far it is, and deletes nothing
      INFO((looked ? std::string() : looked.error().text));
      REQUIRE(looked.has_value());
    }
  }
  Retained all(bool clock_is_right = false) {
    Retained sum;
    for (;;) {
      const auto done = retain(opened, policy, now.wall, 3, clock_is_right);
      INFO((done ? std::string() : done.error().text));
      REQUIRE(done.has_value());
      for (size_t c = 0; c < kRetentionClasses; c++) sum.expired[c] += done->expired[c];
      sum.held += done->held;
      sum.audit += done->audit;
      if (!done->more) return sum;
    }
  }
  void prove() {
    const Verdict verdict = verify(kv, {}).value();
    for (const Finding& f : verdict.findings) UNSCOPED_INFO(text_of(f));
    CHECK(verdict.wrong == 0);
    const auto views = verify_views(kv);
    REQUIRE(views.has_value());
    CHECK(views->wrong == std::vector<std::string>{});
  }
  size_t there(Kind kind) {
    BlockReader reader(kv);
    size_t n = 0;
    REQUIRE(kv.scan(kBlockSpace, Bytes(1, '\0'), end_of_space(), [&](ByteView key, ByteView) {
      const auto name = numbered_of(key);
      for (const StoredEntry& entry : *reader.block(name->fac, name->key, name->seq)) {
        n += entry.kind == EntryKind::applied && kind_in(split_record(entry.record)->body) == kind;
      }
      return true;
    }).has_value());
    return n;
  }
  std::map<int64_t, Bucket> buckets(const std::string& series, Grain grain) {
    std::map<int64_t, Bucket> out;
    for (const RolledSeries& s : rolled_series(kv, kFac).value()) {
      if (s.name != series) continue;
      REQUIRE(each_bucket(kv, s, grain, 0, INT64_MAX, [&](int64_t at, const Bucket& b) { return out.emplace(at, b).second; }).has_value());
    }
    return out;
  }
  uint64_t expired(const Retained& done, RetentionClass what) { return done.expired[size_t(what)]; }
};

}  // namespace

TEST_CASE("what was kept for its days goes, to the day, and the store proves itself as before", "[retention]") {
  RetentionRig rig;
  rig.commit({telemetry("a", {{kHourNs, 1}}), event(1), result(1, 1)});
  rig.days(1);
  rig.commit({telemetry("a", {{2 * kHourNs, 2}})});
  rig.follow();
  const Hash digest = verify(rig.kv, {}).value().digest;
  rig.days(89);
  CHECK(rig.expired(rig.all(), RetentionClass::telemetry) == 0);  // ages count from the first look: 89 days ago
  rig.days(1);
  CHECK(rig.expired(rig.all(), RetentionClass::telemetry) == 1);
  CHECK(rig.there(Kind::telemetry_batch) == 1);
  rig.days(1);
  CHECK(rig.expired(rig.all(), RetentionClass::telemetry) == 1);
  CHECK(rig.there(Kind::telemetry_batch) == 0);
  CHECK(rig.there(Kind::agent_event) == 1);
  CHECK(rig.there(Kind::ai_result) == 1);
  rig.prove();
  CHECK(verify(rig.kv, {}).value().digest == digest);
  rig.days(100);
  CHECK(rig.expired(rig.all(), RetentionClass::events) == 1);
  CHECK(rig.there(Kind::agent_event) == 0);
  rig.prove();
}

TEST_CASE("a late copy of what has expired is a duplicate: it comes to life no more, and is not counted again", "[retention]") {
  RetentionRig rig;
  const Bytes batch = telemetry("a", {{kHourNs, 1}, {kHourNs + 1, 3}});
  rig.commit({batch});
  rig.days(92);
  rig.all();
  const auto before = rig.buckets("a", Grain::hour);
  REQUIRE(before.size() == 1);
  rig.commit({batch});
  rig.days(92);
  CHECK(rig.expired(rig.all(), RetentionClass::telemetry) == 0);
  CHECK(rig.there(Kind::telemetry_batch) == 0);
  CHECK(rig.buckets("a", Grain::hour) == before);
  rig.prove();
}

TEST_CASE("what a hold covers stays until it is released, and then goes", "[retention]") {
  const auto [fac, what, keeps] = GENERATE(table<const char*, const char*, bool>({{"", "", true},
                                                                                  {kFac, "", true},
                                                                                  {kFac, "telemetry", true},
                                                                                  {"clinic-2", "", false},
                                                                                  {"", "documents", false}}));
  RetentionRig rig;
  rig.commit({telemetry("a", {{kHourNs, 1}})});
  const uint64_t id = add_hold(rig.kv, {0, fac, class_named(what), {}, rig.now.wall, "it", "case 1", {}, {}, {}}).value();
  rig.days(200);
  const Retained first = rig.all();
  CHECK(rig.there(Kind::telemetry_batch) == (keeps ? 1 : 0));
  CHECK(first.held == (keeps ? 1 : 0));
  REQUIRE(release_hold(rig.kv, id, rig.now.wall, "it", "closed").has_value());
  CHECK(release_hold(rig.kv, id, rig.now.wall, "it", "closed").error().code == Errc::bad_input);
  rig.all();
  CHECK(rig.there(Kind::telemetry_batch) == 0);
  CHECK(holds(rig.kv).value().at(0).released_reason == "closed");
  rig.prove();
}

TEST_CASE("what must not be used stays, whatever its age, until the restriction is lifted", "[retention][restrict]") {
  RetentionRig rig;
  rig.commit({result(1, 1)});
  rig.follow();
  const auto row = find_result(rig.kv, {kFac, id_of(1)}).value();
  const Hash patient = std::get<Version>(row->statements.at(0).statement).subject;
  const uint64_t order = add_restriction(rig.kv, {0, RestrictionOrder::Kind::restrict, rig.now.wall, "dr-q", "disputed", patient, 0}).value();
  rig.days(1'100);
  CHECK(rig.all().held == 1);
  CHECK(rig.there(Kind::ai_result) == 1);
  REQUIRE(add_restriction(rig.kv, {0, RestrictionOrder::Kind::lift, rig.now.wall, "dr-q", "settled", {}, order}).has_value());
  CHECK(rig.expired(rig.all(), RetentionClass::results) == 1);
  CHECK(rig.there(Kind::ai_result) == 0);
  rig.follow();
  rig.prove();
}

TEST_CASE("the audit log goes with the rest, by its own days, and not when the clock leaps", "[retention][audit]") {
  RetentionRig rig;
  rig.policy.audit_days = 200;
  REQUIRE(append_audit(rig.kv, std::vector{AuditEntry{AuditStep::read, rig.now.wall, "a", "viewer", "GET /x", 200, 1, {}}}).has_value());
  rig.days(199);
  rig.all();
  CHECK(audit_head(rig.kv).value().expired == 0);
  rig.days(2);
  Retained sum = rig.all();
  CHECK(sum.audit == 1);
  CHECK(audit_head(rig.kv).value().expired == 1);
  CHECK(verify_audit(rig.kv).value().wrong.empty());
  rig.wait(kDayUs / 1'000 * 1'000);
  CHECK(retain(rig.opened, rig.policy, rig.now.wall, 10).error().code == Errc::config);
  CHECK(audit_head(rig.kv).value().last == 2);
}

TEST_CASE("a hold says who and why, or is none", "[retention]") {
  RetentionRig rig;
  CHECK(add_hold(rig.kv, {0, "", {}, {}, {}, "", "why", {}, {}, {}}).error().code == Errc::bad_input);
  CHECK(add_hold(rig.kv, {0, "", {}, {}, {}, "it", "", {}, {}, {}}).error().code == Errc::bad_input);
  CHECK(add_hold(rig.kv, {0, "", {}, {}, {}, "it", std::string(kHoldTextBytes + 1, 'x'), {}, {}, {}}).error().code == Errc::bad_input);
  CHECK(release_hold(rig.kv, 7, {}, "it", "why").error().code == Errc::not_found);
}

TEST_CASE("a clock that leaps deletes nothing until a person says that it is right", "[retention]") {
  RetentionRig rig;
  rig.commit({telemetry("a", {{kHourNs, 1}})});
  rig.days(1);
  rig.wait((kRetentionLeapDays + 100) * kDayUs / 1000);
  const auto refused = retain(rig.opened, rig.policy, rig.now.wall, 100);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Errc::config);
  CHECK(refused.error().text.find("--clock-is-right") != std::string::npos);
  CHECK(rig.there(Kind::telemetry_batch) == 1);
  CHECK(rig.expired(rig.all(true), RetentionClass::telemetry) == 1);
  SECTION("and one that goes back keeps what is there") {
    rig.commit({telemetry("a", {{2 * kHourNs, 1}})});
    rig.wait(-50 * kDayUs / 1000);
    CHECK(rig.expired(rig.all(), RetentionClass::telemetry) == 0);
    CHECK(rig.there(Kind::telemetry_batch) == 1);
  }
}

TEST_CASE("a class that is kept for ever is", "[retention]") {
  RetentionRig rig;
  rig.policy = {{0, 0, 0, 0}};
  rig.commit({telemetry("a", {{kHourNs, 1}}), event(1), result(1, 1)});
  rig.days(3'000);
  const Retained done = rig.all();
  CHECK(done.expired == std::array<uint64_t, kRetentionClasses>{});
}

TEST_CASE("a result goes as a whole, its days counted from the last word about it", "[retention]") {
  RetentionRig rig;
  rig.policy = {{0, 0, 0, 100}};
  rig.commit({result(1, 1), result(2, 1), result(3, 1)});
  rig.follow();
  rig.days(60);
  rig.commit({review(1, 1, v1::Review::VERDICT_AGREED, kFac, kFac)});
  rig.follow();
  REQUIRE(add_hold(rig.kv, {0, "", {}, ResultName{kFac, id_of(3)}, rig.now.wall, "it", "case 3", {}, {}, {}}).has_value());
  rig.days(50);
  const Retained first = rig.all();
  CHECK(rig.expired(first, RetentionClass::results) == 1);
  CHECK(first.held == 1);
  rig.follow();
  CHECK(rig.row_of(1));
  CHECK_FALSE(rig.row_of(2));
  CHECK(rig.row_of(3));
  rig.days(60);
  CHECK(rig.expired(rig.all(), RetentionClass::results) == 1);
  rig.follow();
  CHECK_FALSE(rig.row_of(1));
  CHECK(rig.row_of(3));
  rig.prove();
}

TEST_CASE("whatever write fails, a point is there or in its minute and hour, once", "[retention]") {
  const auto how = GENERATE(KvMemory::Failure::lost, KvMemory::Failure::applied);
  RetentionRig rig;
  for (int i = 0; i < 6; i++) rig.commit({telemetry("a", {{kHourNs + uint64_t(i), double(i)}}), event(uint64_t(i) + 1)});
  rig.days(92);
  for (uint64_t n = 1; n < 30; n++) {
    rig.kv.fail_write(n, how);
    bool more = true;
    while (more) {
      const auto done = retain(rig.opened, rig.policy, rig.now.wall, 2);
      more = done.has_value() && done->more;
    }
    rig.kv.heal();
    rig.reopen();
    const auto kept = rig.buckets("a", Grain::minute);
    const size_t rolled = kept.empty() ? 0 : kept.begin()->second.points;
    CHECK(rolled + rig.there(Kind::telemetry_batch) == 6);
  }
  rig.all();
  const auto kept = rig.buckets("a", Grain::minute);
  REQUIRE(kept.size() == 1);
  CHECK(kept.at(3600) == Bucket{6, kHourNs + 5, 5, 0, 5, 15, 0, ""});
  rig.prove();
}

TEST_CASE("minutes and hours are what their points say, however the points are cut and in whatever order they come", "[retention]") {
  std::mt19937 random(7);
  for (int round = 0; round < 20; round++) {
    RetentionRig rig;
    std::map<int64_t, Bucket> minutes, hours;
    std::map<uint64_t, double> points;
    while (points.size() < 200) points[kHourNs * 10 + random() % (26 * 60) * kMinuteNs + random() % 5] = double(random() % 1000) / 8;
    const auto put = [](std::map<int64_t, Bucket>& into, int64_t at, uint64_t t, double v) {
      Bucket& b = into[at];
      b = b.points == 0 ? Bucket{0, 0, 0, v, v, 0, 0, ""} : b;
      b = {b.points + 1, t, v, std::min(b.min, v), std::max(b.max, v), b.sum + v, 0, ""};  // in the order of time
    };
    std::vector<std::vector<Point>> batches(1 + random() % 9);
    for (const auto& [t, v] : points) {
      put(minutes, int64_t(t / kMinuteNs) * 60, t, v);
      put(hours, int64_t(t / kHourNs) * 3600, t, v);
      batches[random() % batches.size()].push_back({t, v});
    }
    for (const auto& batch : batches) {
      if (!batch.empty()) rig.commit({telemetry("a", batch), telemetry("b", batch)});
    }
    rig.days(92);
    rig.all();
    CHECK(rig.buckets("a", Grain::minute) == minutes);
    CHECK(rig.buckets("b", Grain::hour) == hours);
    rig.prove();
  }
}

TEST_CASE("of histograms, states and points that say nothing the buckets say what can be said", "[retention]") {
  RetentionRig rig;
  v1::Body body;
  v1::TelemetryBatch* batch = body.mutable_telemetry_batch();
  const auto series = [&](const char* name, v1::Series::SeriesKind kind) {
    v1::Series* s = batch->add_series();
    s->set_name(name);
    s->set_unit("1");
    s->set_kind(kind);
    s->add_t_ns(kHourNs);
    s->add_t_ns(1);
    s->add_t_ns(1);
    return s;
  };
  for (const auto temporality : {v1::Series::TEMPORALITY_DELTA, v1::Series::TEMPORALITY_CUMULATIVE}) {
    v1::Series* s = series(temporality == v1::Series::TEMPORALITY_DELTA ? "delta" : "whole", v1::Series::SERIES_KIND_HISTOGRAM);
    s->set_temporality(temporality);
    s->set_start_ns(1);
    for (uint64_t n : {2, 3, 4}) {
      v1::Histogram* h = s->add_histogram();
      h->add_bounds(1);
      h->add_counts(n);
      h->add_counts(1);
      h->set_sum(double(n));
      h->set_min(0.5);
      h->set_max(double(n) + 1);
    }
  }
  v1::Series* state = series("state", v1::Series::SERIES_KIND_STATE);
  for (const char* word : {"up", "down", "up"}) state->add_state(word);
  v1::Series* silent = series("silent", v1::Series::SERIES_KIND_GAUGE);
  for (uint32_t flags : {0, 2, 0}) {
    silent->add_f64(flags == 2 ? 0 : 1);
    silent->add_flags(flags);
  }
  rig.commit({record_from(body, kFac)});
  rig.days(92);
  rig.all();
  CHECK(rig.buckets("delta", Grain::hour).at(3600) == Bucket{3, kHourNs + 2, 4, 0.5, 5, 9, 12, ""});
  CHECK(rig.buckets("whole", Grain::hour).at(3600) == Bucket{3, kHourNs + 2, 4, 0.5, 5, 4, 5, ""});
  CHECK(rig.buckets("state", Grain::hour).at(3600).state == "up");
  CHECK(rig.buckets("silent", Grain::hour).at(3600).points == 2);
  CHECK(rig.buckets("silent", Grain::hour).at(3600).max == 1);
}

TEST_CASE("what is not applied cannot expire, and nothing is kept of it", "[retention]") {
  RetentionRig rig;
  const Bytes batch = telemetry("a", {{kHourNs, 1}});
  rig.commit({batch, batch});
  const KeptRow row{table_prefix('u', kFac) + "row", "value"};
  for (size_t record : {1, 2}) {  // a duplicate, and none
    auto txn = rig.store->begin();
    const auto refused = txn->expire(kFac, rig.writer.key, {1}, {&record, 1}, {&row, 1});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::corrupt);
    REQUIRE(rig.store->commit(std::move(txn)) == CommitResult::committed);
    CHECK_FALSE(rig.kv.get(kMetaSpace, row.key).value());
  }
}

TEST_CASE("a damaged row of what is kept stops retention before anything of that block goes", "[retention]") {
  RetentionRig rig;
  rig.commit({telemetry("a", {{kHourNs, 1}})});
  rig.days(92);
  rig.all();
  rig.commit({telemetry("a", {{kHourNs + 5, 2}})});
  Bytes chunk;
  REQUIRE(rig.kv.scan(kMetaSpace, "u", "v", [&](ByteView key, ByteView) {
    if (key.back() != '\0') chunk = Bytes(key);
    return true;
  }).has_value());
  REQUIRE_FALSE(chunk.empty());
  KvBatch batch;
  batch.put(kMetaSpace, chunk, "x");
  REQUIRE(rig.kv.write(batch, true).has_value());
  rig.days(92);
  const auto refused = retain(rig.opened, rig.policy, rig.now.wall, 100);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Errc::corrupt);
  CHECK(rig.there(Kind::telemetry_batch) == 1);
}
