// The reconciler's small values: claims, S, credit (es1 sections 8 and 9).
#include <catch2/catch.hpp>

#include "cloud/claims.h"
#include "cloud/credit.h"
#include "cloud/safe.h"
#include "schemas/limits.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Claim claim(uint64_t n, uint8_t c = 0) {
  Claim out{{n}, {}};
  out.c.fill(c);
  return out;
}

}  // namespace

TEST_CASE("a row keeps at most eight claims and never forgets the highest", "[claims]") {
  LedgerRow row;
  for (uint64_t n = 1; n <= 100; n++) add_claim(row, claim(n));
  CHECK(row.claims.size() == kClaimsPerRowMax);
  CHECK(row.claims.back().n == Seq{100});
  CHECK(row.claimed == Seq{100});
  add_claim(row, claim(50, 9));  // another history's, after a rollback: the highest stays
  CHECK(row.claims.back().n == Seq{100});
}

TEST_CASE("a claim holds when c is the same at its border, and only then", "[claims]") {
  LedgerRow row;
  add_claim(row, claim(3, 1));
  add_claim(row, claim(5, 2));
  add_claim(row, claim(9, 3));
  row.w = {5};
  std::vector<Claim> broken = settle_claims(row, [](Seq n) -> std::optional<Hash> {
    if (n != Seq{3}) return std::nullopt;  // 5 is no border
    Hash h{};
    h.fill(1);
    return h;
  });
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].n == Seq{5});
  CHECK(row.claims.size() == 1);
}

TEST_CASE("S by age is what was committed that long ago, and never above W", "[safe]") {
  LedgerRow row;
  const int64_t age = 72 * 3'600'000LL;
  WallTime now{1'700'000'000'000'000};
  for (uint64_t w = 1; w <= 10'000; w++) {  // one commit a minute
    row.w = {w};
    mark_w(row, age, now);
    now.us += 60'000'000;
  }
  CHECK(row.marks.size() <= kMarksPerRow);
  Seq safe = safe_of(row, SafePolicy::age, age, false, now);
  CHECK(safe <= Seq{10'000 - 72 * 60});
  CHECK(safe >= Seq{10'000 - 72 * 60 - 2 * 72 * 60 / 62 - 2});
  row.w = {5};
  CHECK(safe_of(row, SafePolicy::age, age, false, now) == Seq{5});
}

TEST_CASE("the default policy is age until a backup is confirmed, then the backup's W", "[safe]") {
  LedgerRow row;
  row.w = {9};
  row.safe = {4};
  row.marks = {{{0}, {9}}};
  WallTime now{100LL * 24 * 3600 * 1'000'000};
  CHECK(safe_of(row, SafePolicy::by_default, 1000, false, now) == Seq{9});
  CHECK(safe_of(row, SafePolicy::by_default, 1000, true, now) == Seq{4});
}

TEST_CASE("granted credit stays under half of the smaller queue; the rest come back spread out",
          "[credit]") {
  SeededEntropy entropy(1);
  Credit credit({200, 1000});
  int granted = 0, retried = 0;
  for (int i = 0; i < 547; i++) {
    Grant g = credit.grant("site-" + std::to_string(i), true, kLeaseMs, {0}, entropy);
    granted += !g.retry;
    retried += g.retry && g.retry_after_ms >= kHelloTimeoutMs;
    CHECK(credit.granted() <= 100);
  }
  CHECK(granted >= 25);
  CHECK(granted + retried == 547);
}

TEST_CASE("a lease that has ended gives its credit back", "[credit]") {
  SeededEntropy entropy(1);
  Credit credit({8, 8});
  CHECK_FALSE(credit.grant("a", true, kLeaseMs, {0}, entropy).retry);
  CHECK(credit.grant("b", true, kLeaseMs, {0}, entropy).retry);
  CHECK_FALSE(credit.grant("b", true, kLeaseMs, {kLeaseMs + kHelloSpacingMs}, entropy).retry);
  CHECK(credit.current("a") == 0);
}

TEST_CASE("sites without a backlog take no room from those that have one", "[credit]") {
  SeededEntropy entropy(1);
  Credit credit({100, 100});
  for (int i = 0; i < 1000; i++) {
    Grant g = credit.grant("idle-" + std::to_string(i), false, kLeaseMs, {0}, entropy);
    REQUIRE(g.credit == 1);
  }
  CHECK(credit.current("idle-7") == 1);
  CHECK(credit.granted() == 0);
  CHECK(credit.grant("busy", true, kLeaseMs, {0}, entropy).credit == kCreditMax);
  credit.grant("busy", false, kLeaseMs, {0}, entropy);
  CHECK(credit.granted() == 0);
}

TEST_CASE("547 sites that come back at once with a backlog are all let in", "[credit]") {
  SeededEntropy entropy(1);
  Credit credit({});
  for (int i = 0; i < 547; i++)
    REQUIRE_FALSE(credit.grant("site-" + std::to_string(i), true, kLeaseMs, {0}, entropy).retry);
}

TEST_CASE("asking again renews a lease and takes no more", "[credit]") {
  SeededEntropy entropy(1);
  Credit credit({1000, 1000});
  for (int i = 0; i < 100; i++) credit.grant("a", true, kLeaseMs, {i}, entropy);
  CHECK(credit.granted() == kCreditMax + 1);
}
