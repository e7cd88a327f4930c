// Many hands give what one pair gives.
#include "cloud/crew.h"

#include <catch2/catch.hpp>

#include "tests/unit/cloud/reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;

TEST_CASE("each piece is done once, by any number of hands, round after round") {
  const size_t helpers = GENERATE(0, 1, 3);
  Crew crew(helpers);
  for (size_t n = 0; n < 200; ++n) {
    std::vector<int> done(n);
    crew.each(n, [&](size_t i) { ++done[i]; });
    REQUIRE(done == std::vector<int>(n, 1));
  }
}

TEST_CASE("a helper works beside its caller") {
  Crew crew(1);
  std::atomic<int> here{0};
  // Neither piece ends before both have begun.
  crew.each(2, [&](size_t) {
    ++here;
    while (here < 2) std::this_thread::yield();
  });
  CHECK(here == 2);
}

TEST_CASE("a region that judges on a crew writes what one alone writes, byte for byte") {
  Crew crew(2);
  CloudRig alone, crewed;
  crewed.config.each = [&](size_t n, const std::function<void(size_t)>& piece) { crew.each(n, piece); };
  crewed.reconciler = std::make_unique<Reconciler>(crewed.config, crewed.keys, crewed.entropy);
  crewed.store->work_with(crewed.config.each);
  Writer w{key_of(5, StreamId::telemetry)};
  for (uint64_t block = 0; block < 40; ++block) {
    const uint64_t n = block * 10 + 1;
    // Each block repeats a record of the one before it and holds one that cannot be read.
    w.data({record_of(n), record_of(n + 1), record_of(n > 10 ? n - 9 : n), Bytes("\7\0\0\0nonsense", 12)});
    if (block % 7 == 3) w.gap(3, GapKind::shed);
  }
  for (CloudRig* rig : {&alone, &crewed}) {
    rig->hello({CloudRig::listing(w)});
    rig->push_all(w, 0, 20);
    rig->push_all(w, 10, w.blocks.size());  // half of it overlaps
    CHECK(rig->row(w.key).w == w.head());
    CHECK(rig->facility().duplicates > 39);
    CHECK(rig->facility().quarantined == 40);
  }
  const auto one = alone.kv.snapshot().tables, two = crewed.kv.snapshot().tables;
  REQUIRE(one.size() == two.size());
  for (size_t space = 0; space < one.size(); ++space) {
    REQUIRE(one[space].size() == two[space].size());
    for (auto a = one[space].begin(), b = two[space].begin(); a != one[space].end(); ++a, ++b) {
      REQUIRE(a->first == b->first);
      REQUIRE(*a->second == *b->second);
    }
  }
}
