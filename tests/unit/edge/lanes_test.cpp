// Which lane goes next (es1 section 9).
#include "edge/lanes.h"

#include <catch2/catch.hpp>

#include "schemas/limits.h"

using namespace egret;
using namespace egret::edge;

namespace {

// All of `busy` always have something; batches of `bytes`, one each 50 ms.
std::array<uint64_t, kStreamCount> share(std::array<bool, kStreamCount> busy, size_t bytes,
                                         int batches) {
  Lanes lanes;
  std::array<uint64_t, kStreamCount> sent{};
  MonoTime now{1000};
  for (int i = 0; i < batches; i++, now = now + 50) {
    std::optional<StreamId> lane = lanes.pick(busy, busy, now);
    REQUIRE(lane);
    lanes.sent(*lane, bytes, now);
    sent[static_cast<size_t>(*lane)] += bytes;
  }
  return sent;
}

}  // namespace

TEST_CASE("critical goes before everything else", "[lanes]") {
  Lanes lanes;
  CHECK(lanes.pick({true, true, true, true}, {true, true, true, true}, {1}) == StreamId::critical);
}

TEST_CASE("a flood of critical data leaves a fifth of the link to the others", "[lanes]") {
  auto sent = share({true, true, true, true}, 20'000, 4000);
  uint64_t all = sent[0] + sent[1] + sent[2] + sent[3];
  CHECK(sent[0] * 100 <= all * (kCriticalSharePercentMax + 2));
  CHECK(sent[0] * 100 >= all * (kCriticalSharePercentMax - 5));
}

TEST_CASE("results, telemetry and bulk share by weight, and each gets its floor", "[lanes]") {
  auto sent = share({false, true, true, true}, 64'000, 4000);
  uint64_t all = sent[1] + sent[2] + sent[3];
  CHECK(sent[1] * 100 / all >= 65);
  CHECK(sent[1] * 100 / all <= 80);
  CHECK(sent[2] > sent[3]);
  CHECK(sent[3] * 100 / all >= kLaneSharePercentMin);
}

TEST_CASE("every waiting lane gets at least five per cent under a flood of critical data",
          "[lanes]") {
  auto sent = share({true, true, true, true}, 20'000, 8000);
  uint64_t all = sent[0] + sent[1] + sent[2] + sent[3];
  for (size_t i = 1; i < kStreamCount; i++)
    CHECK(sent[i] * 100 >= all * (kLaneSharePercentMin - 1));
}

TEST_CASE("critical is not held back while the others wait for credit", "[lanes]") {
  Lanes lanes;
  MonoTime now{1000};
  for (int i = 0; i < 50; i++, now = now + 50) {
    CHECK(lanes.pick({true, false, false, false}, {true, true, true, true}, now) ==
          StreamId::critical);
    lanes.sent(StreamId::critical, 10'000, now);
  }
}

TEST_CASE("what was sent before the last window has no say", "[lanes]") {
  Lanes lanes;
  const std::array<bool, kStreamCount> all{true, true, true, true};
  const MonoTime at{kLaneWindowMs * 10};
  REQUIRE(lanes.pick(all, all, at) == StreamId::critical);
  lanes.sent(StreamId::critical, 1'000'000, at);
  CHECK(lanes.pick(all, all, at + 1) != StreamId::critical);
  CHECK(lanes.pick(all, all, at + kLaneWindowMs * 5 / 4) == StreamId::critical);
}

TEST_CASE("nothing to send is nobody's turn", "[lanes]") {
  Lanes lanes;
  CHECK_FALSE(lanes.pick({}, {}, {1}));
}
