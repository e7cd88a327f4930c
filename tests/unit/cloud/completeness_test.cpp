// How far a region is complete, in numbers and signed; and how many records a day brought.
#include "cloud/completeness.h"

#include <catch2/catch.hpp>

#include "cloud/merge/moment.h"
#include "cloud/verify_views.h"
#include "records.h"

using namespace egret;
using namespace egret::cloud;

namespace {

constexpr uint32_t kDay = 19'675;  // a Tuesday

// A record that came in as `day` began, by a clock that was `ahead_ms` ahead.
Bytes on_day(uint32_t day, uint64_t n, int32_t ahead_ms = 0, const Facility& fac = kFac) {
  const Bytes record = record_of(n, fac);
  const auto parts = split_record(record);
  v1::Arrival arrival;
  arrival.set_wall_us(int64_t{day} * kDayUs);
  if (ahead_ms != 0) arrival.set_clock_off_ms(ahead_ms);
  return join_record(parts->body, encode_arrival(arrival).value()).value();
}

WallTime noon_of(uint32_t day) { return {int64_t{day} * kDayUs + kDayUs / 2}; }

std::map<uint32_t, uint64_t> received(const Kv& kv, uint32_t today = kDay, uint32_t days = 14) {
  std::map<uint32_t, uint64_t> out;
  for (const DayVolume& v : volumes(kv, kFac, noon_of(today), days).value()) {
    if (v.all() > 0) out[v.day] = v.all();
  }
  return out;
}

Completeness of(CloudRig& rig) {
  FacilitiesQuery query;
  query.now = rig.now.wall;
  return completeness(*rig.store, rig.kv, kFac, query).value();
}

}  // namespace

TEST_CASE("a record counts once, on the day the site took it in by its corrected clock", "[completeness]") {
  ViewRig rig;
  rig.commit({on_day(kDay, 1), on_day(kDay, 2), on_day(kDay - 3, 3)});
  // A day's beginning by a clock that is an hour ahead is the day before; a repeat, whenever it came in, is nothing new.
  rig.commit({on_day(kDay, 4, 3'600'000), on_day(kDay - 1, 1)});
  rig.follow(1);
  const std::map<uint32_t, uint64_t> wanted{{kDay - 3, 1}, {kDay - 1, 1}, {kDay, 2}};
  CHECK(received(rig.kv) == wanted);
  CHECK(verify_views(rig.kv).value().wrong.empty());
  // Made anew, and one block after the other or all at once: the same.
  REQUIRE(Follower::ask_rebuild(rig.kv).has_value());
  rig.follow();
  CHECK(received(rig.kv) == wanted);
  CHECK(received(rig.kv, kDay, 3) == std::map<uint32_t, uint64_t>{{kDay - 1, 1}, {kDay, 2}});
  CHECK(received(rig.kv, kDay - 1) == std::map<uint32_t, uint64_t>{{kDay - 3, 1}, {kDay - 1, 1}});
  // Another site's is not this one's.
  rig.commit({on_day(kDay, 9, 0, "clinic-10")}, "clinic-10");
  rig.follow();
  CHECK(received(rig.kv) == wanted);
}

TEST_CASE("every list of sites says when a disk is full, a certificate ends and how far a clock is off", "[completeness]") {
  CloudRig rig;
  es1::Hello hello = rig.hello_of({});
  rig.hello({});
  const auto lists = [&] {
    FacilitiesQuery query;
    query.now = rig.now.wall;
    const auto views = facilities(*rig.store, query).value();
    return std::vector{to_json(views, query.now), summary_json(views, query.now), to_json(of(rig), query.now)};
  };
  const auto has = [](const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; };
  for (const std::string& list : lists()) {
    INFO(list);
    CHECK(has(list, R"("disk_days_left":null,"certificate_ends":null,)"));
  }
  hello = rig.hello_of({});
  hello.set_disk_hours_left(61);
  hello.set_certificate_ends_s(1'800'000'000);
  hello.set_wall_us(rig.now.wall.us + 90'000'000);
  rig.run({rig.frame(FrameType::hello, hello)});
  for (const std::string& list : lists()) {
    INFO(list);
    CHECK(has(list, R"("disk_days_left":2.5,"certificate_ends":"2027-01-15T08:00:00.000Z",)"));
    CHECK(has(list, R"("clock_offset_ms":90000)"));
  }
}

TEST_CASE("days are proved, and an erased record leaves its day", "[completeness]") {
  ViewRig rig;
  const Bytes first = result(1, 1);
  rig.commit({first, result(2, 1)});
  rig.follow();
  const uint32_t day = static_cast<uint32_t>(1'700'000'000'000'000 / kDayUs);
  CHECK(received(rig.kv, day) == std::map<uint32_t, uint64_t>{{day, 2}});
  KvBatch batch;
  Bytes key = Bytes("v") + kFac + Bytes(1, '\0');
  put_u32(key, day);
  key += char(StreamId::result);
  Bytes three;
  put_u64(three, 3);
  batch.put(kViewSpace, key, three);
  REQUIRE(rig.kv.write(batch, true).has_value());
  CHECK(verify_views(rig.kv).value().wrong.size() == 1);
  REQUIRE(Follower::ask_rebuild(rig.kv).has_value());
  rig.follow();
  auto txn = rig.store->begin();
  REQUIRE(txn->erase(kFac, check_body(split_record(first)->body, kFac)->key, "order").has_value());
  REQUIRE(rig.store->commit(std::move(txn)) == CommitResult::committed);
  KvBatch again;
  again.put(kViewSpace, look_again_key({kFac, id_of(1)}), {});
  REQUIRE(rig.kv.write(again, true).has_value());
  rig.follow();
  CHECK(received(rig.kv, day) == std::map<uint32_t, uint64_t>{{day, 1}});
  CHECK(verify_views(rig.kv).value().wrong.empty());
}

TEST_CASE("what is expected is the same weekday's median, else the last days', else unknown", "[completeness]") {
  ViewRig rig;
  uint64_t n = 0;
  const auto fill = [&](uint32_t day, size_t records) {
    std::vector<Bytes> out;
    for (size_t i = 0; i < records; i++) out.push_back(on_day(day, ++n));
    rig.commit(out);
  };
  const auto expected = [&](uint32_t day) {
    rig.follow();
    return volumes(rig.kv, kFac, noon_of(day), 1).value().at(0).expected;
  };
  CHECK_FALSE(expected(kDay).has_value());
  fill(kDay - 1, 4);
  fill(kDay - 2, 4);
  CHECK_FALSE(expected(kDay).has_value());
  fill(kDay - 3, 7);
  CHECK(expected(kDay) == 4);
  fill(kDay - 7, 10);
  fill(kDay - 14, 20);
  CHECK(expected(kDay) == 7);  // 4 4 7 10 20
  fill(kDay - 21, 90);
  CHECK(expected(kDay) == 20);  // Tuesdays alone
  fill(kDay - 63, 1);           // nine weeks ago
  CHECK(expected(kDay) == 20);
  fill(kDay, 500);  // its own day says nothing
  CHECK(expected(kDay) == 20);
}

TEST_CASE("streams, gaps and what is missing are as the ledger has them", "[completeness]") {
  CloudRig rig;
  Writer w{key_of(5, StreamId::telemetry)};
  commit_eight(rig, w);
  w.data({record_of(9), record_of(10)});
  rig.hello({CloudRig::listing(w, false, {4})});
  const Completeness now = of(rig);
  CHECK_FALSE(now.site.complete());
  REQUIRE(now.streams.size() == 1);
  const StreamCompleteness& s = now.streams[0];
  CHECK(s.complete_to == Seq{8});
  CHECK(s.claimed_to == Seq{10});
  CHECK(s.missing == 2);
  REQUIRE(s.gaps.size() == 1);
  CHECK((s.gaps[0].first == Seq{5} && s.gaps[0].last == Seq{7} && s.gaps[0].kind == GapKind::shed));
  const std::string json = to_json(now, rig.now.wall);
  CHECK(json.find(R"("complete_to":8,"claimed_to":10,"purged_to":4,"missing":2)") != std::string::npos);
  CHECK(json.find(R"("first":5,"last":7,"kind":"shed","reason":)") != std::string::npos);
  FacilitiesQuery query;
  query.now = rig.now.wall;
  CHECK(completeness(*rig.store, rig.kv, "nobody", query).error().code == Errc::not_found);

  SitePrivateKey key{{7}};
  const auto opened = open_statement(signed_statement(now, rig.store->meta().value(), rig.now.wall, key).value(), key.public_key());
  REQUIRE(opened.has_value());
  const StatedRow& row = opened->statement.rows.at(0);
  CHECK(row.c == w.blocks[3].after);
  CHECK(row.complete_to == Seq{8});
  CHECK(row.gaps.size() == 1);
  CHECK(opened->statement.gap_records == 3);
  CHECK(opened->statement.gen == rig.store->meta().value().gen);
}
