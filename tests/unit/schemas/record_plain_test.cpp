#include "schemas/record_plain.h"

#include <catch2/catch.hpp>
#include <random>

#include "schemas/record.pb.h"
#include "tests/unit/schemas/record_samples.h"

using namespace egret;
using namespace egret::samples;

namespace {

Bytes arrival() {
  v1::Arrival a;
  a.set_wall_us(1'772'325'000'000'000);
  a.set_mono_ns(90'000'000'000);
  a.set_boot_id(std::string(16, 'b'));
  a.set_clock_state(v1::Arrival::CLOCK_STATE_SYNCED);
  a.set_clock_off_ms(-17);
  a.set_door(v1::Arrival::DOOR_HTTP);
  a.set_edge_id("e");
  return encode_arrival(a).value();
}

// One small damage, of those that bytes of a protobuf message can have and still be one.
Bytes damaged(Bytes bytes, std::mt19937& chance) {
  const auto at = [&] { return chance() % bytes.size(); };
  const size_t here = at(), count = 1 + chance() % 12;
  switch (chance() % 6) {
    case 0:
      bytes[here] = static_cast<char>(chance());
      break;
    case 1:
      bytes[here] = static_cast<char>(bytes[here] ^ (1 << chance() % 8));
      break;
    case 2:
      bytes.erase(here, count);
      break;
    case 3:
      bytes.insert(at(), bytes.substr(here, count));
      break;
    case 4:
      bytes[here] = static_cast<char>(bytes[here] + (chance() % 2 == 0 ? 1 : -1));
      break;
    default:
      bytes += bytes.substr(here, count);
  }
  return bytes.empty() ? Bytes(1, '\0') : bytes;
}

}  // namespace

TEST_CASE("ordinary results take the short way, with the answer of the long one", "[record]") {
  for (const auto& json :
       {minimal_result(), minimal_result("", R"({"text":"grade \u4e8c"})"),
        with(
            minimal_result(), R"("critical":false)",
            R"("critical":true,"critical_code":{"system":"s","code":"c"},"ack_deadline_s":600)")}) {
    const Bytes body = body_of(json);
    const auto plain = plain_body(body, kFac);
    const auto checked = check_body_by_message(body, kFac);
    REQUIRE(plain.has_value());
    REQUIRE(checked.has_value());
    CHECK(plain->kind == checked->key.kind);
    CHECK(plain->lane == checked->lane);
    CHECK(check_body(body, kFac)->key == checked->key);
    CHECK_FALSE(plain_body(body, "clinic-8").has_value());
  }
  CHECK(plain_arrival(arrival()));
  CHECK(plain_arrival(""));
}

TEST_CASE("what is compared with another field takes the long way", "[record]") {
  CHECK_FALSE(plain_body(body_of(full_result()), kFac).has_value());
  for (const auto& json : all_kinds()) {
    const Bytes body = body_of(json);
    const auto checked = check_body_by_message(body, kFac);
    const bool compared = checked->key.kind == Kind::telemetry_batch ||
                          checked->key.kind == Kind::source_document ||
                          checked->key.kind == Kind::document_part;
    if (compared) CHECK_FALSE(plain_body(body, kFac).has_value());
  }
}

TEST_CASE("the short way says yes to no damaged body that the long way refuses", "[record]") {
  std::mt19937 chance(20260301);
  size_t yes = 0, no = 0;
  for (const auto& json : all_kinds()) {
    const Bytes whole = body_of(json);
    for (int i = 0; i < 20'000; ++i) {
      Bytes body = damaged(whole, chance);
      if (chance() % 4 == 0) body = damaged(body, chance);
      const auto plain = plain_body(body, kFac);
      (plain ? yes : no)++;
      if (!plain) continue;
      const auto checked = check_body_by_message(body, kFac);
      INFO(hex(body) << ": " << (checked ? "" : checked.error().text));
      REQUIRE(checked.has_value());
      REQUIRE(checked->key.kind == plain->kind);
      REQUIRE(checked->lane == plain->lane);
      REQUIRE(checked->schema == kRecordSchema);
    }
  }
  CHECK(yes > 10'000);
  CHECK(no > 10'000);
}

TEST_CASE("the short way says yes to no damaged arrival that the long way refuses", "[record]") {
  std::mt19937 chance(7);
  size_t yes = 0, no = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Bytes bytes = damaged(arrival(), chance);
    const bool plain = plain_arrival(bytes);
    (plain ? yes : no)++;
    INFO(hex(bytes));
    if (plain) REQUIRE(check_arrival_by_message(bytes).has_value());
  }
  CHECK(yes > 10'000);
  CHECK(no > 10'000);
}
