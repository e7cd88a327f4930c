// The session's waits (es1 sections 6 and 9).
#include "edge/timers.h"

#include <catch2/catch.hpp>

#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::edge;

TEST_CASE(
    "reconnects spread over the herd window first, then over a doubling one up to five minutes",
    "[timers]") {
  SeededEntropy entropy(1);
  Backoff backoff;
  CHECK(backoff.next(entropy, 60'000) < 60'000);
  int64_t ceiling = kBackoffFirstMs;
  for (int i = 0; i < 20; i++) {
    ceiling = std::min(ceiling * 2, kBackoffMaxMs);
    CHECK(backoff.next(entropy, 0) < ceiling);
  }
}

TEST_CASE("a retry is spread over the herd window like the first try", "[timers]") {
  SeededEntropy entropy(1);
  int64_t longest = 0;
  for (int i = 0; i < 200; i++) {
    Backoff backoff;
    backoff.next(entropy, 60'000);
    longest = std::max(longest, backoff.next(entropy, 60'000));
  }
  CHECK(longest < 60'000);
  CHECK(longest > 50'000);
}

TEST_CASE("a site with a shorter longest wait never waits longer between two tries", "[timers]") {
  SeededEntropy entropy(1);
  Backoff backoff(3'000);
  backoff.next(entropy, 0);
  int64_t longest = 0;
  for (int i = 0; i < 200; i++) longest = std::max(longest, backoff.next(entropy, 60'000));
  CHECK(longest < 3'000);
  CHECK(longest > 2'000);
}

TEST_CASE("only a link that was stable for five minutes resets the backoff", "[timers]") {
  SeededEntropy entropy(1);
  Backoff backoff;
  for (int i = 0; i < 12; i++) backoff.next(entropy, 0);
  backoff.link_was_up(kBackoffStableMs - 1);
  int64_t longest = 0;
  for (int i = 0; i < 50; i++) longest = std::max(longest, backoff.next(entropy, 0));
  CHECK(longest > 10 * kBackoffFirstMs);
  backoff.link_was_up(kBackoffStableMs);
  CHECK(backoff.next(entropy, 0) < kBackoffFirstMs);
}

TEST_CASE("a retransmission waits between its floor and a quarter more, and doubles to its ceiling",
          "[timers]") {
  SeededEntropy entropy(1);
  Doubling wait(1000, 8000);
  for (int64_t floor : {1000, 2000, 4000, 8000, 8000}) {
    int64_t w = wait.next(entropy);
    CHECK(w >= floor);
    CHECK(w <= floor + floor / 4);
  }
}

TEST_CASE("the retransmission timeout is four smoothed ack times within its bounds", "[timers]") {
  AckTime time;
  CHECK(time.rto_ms() == kRtoMinMs);
  for (int i = 0; i < 100; i++) time.measured(10'000);
  CHECK(time.rto_ms() == 40'000);
  for (int i = 0; i < 100; i++) time.measured(1'000'000);
  CHECK(time.rto_ms() == kRtoMaxMs);
}
