// A region's statement held against the site's own chain: what it proves, and what it must not.
#include "agent/statement.h"

#include <catch2/catch.hpp>

#include "edge/look.h"
#include "schemas/chain.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::agent;

namespace {

const Facility kFac = "clinic-7";

struct Site {
  KvMemory kv{edge::kEdgeSpaces};
  SeededEntropy entropy{7};
  std::unique_ptr<edge::Buffer> buffer = edge::Buffer::open(kv, kFac, entropy).value();
  int64_t hour = 0;

  void fill(StreamId stream, int blocks, const std::string& name = "r") {
    for (int b = 0; b < blocks; ++b) {
      edge::Unit unit;
      const std::string one = name + std::to_string(b) + "-1", two = name + std::to_string(b) + "-2";
      unit.records.push_back({stream, one});
      unit.records.push_back({stream, two});
      REQUIRE(buffer->append(std::span(&unit, 1), {++hour}).has_value());
    }
  }
  // What an honest region says when it has everything up to `to`.
  Statement honest(std::map<StreamKey, Seq> upto) const {
    Statement s;
    s.fac = kFac;
    for (const auto& [key, to] : upto) {
      StatedRow row;
      row.key = key;
      row.complete_to = row.claimed_to = to;
      row.c = buffer->c_at(key, to).value();
      s.rows.push_back(row);
    }
    return s;
  }
  StatementCheck check(const Statement& s) const { return check_statement(s, kFac, buffer->view(), *buffer).value(); }
  StreamKey key(StreamId stream) const { return {buffer->view().epochs.at(0).id, stream}; }
};

}  // namespace

TEST_CASE("an honest statement is proven, and says how much it lacks", "[statement]") {
  Site site;
  site.fill(StreamId::result, 3);
  site.fill(StreamId::critical, 1);
  const StreamKey results = site.key(StreamId::result), critical = site.key(StreamId::critical);
  const auto all = site.check(site.honest({{results, {6}}, {critical, {2}}}));
  CHECK(all.holds());
  CHECK(all.lacks == 0);
  const auto some = site.check(site.honest({{results, {4}}}));
  CHECK(some.holds());
  CHECK(some.rows.at(0).verdict == RowVerdict::proven);
  CHECK(some.rows.at(0).lacks == 2);
  CHECK(some.lacks == 4);
}

TEST_CASE("a longer claim, another chain, another epoch and another site are found", "[statement]") {
  Site site;
  site.fill(StreamId::result, 3);
  const StreamKey key = site.key(StreamId::result);
  Statement longer = site.honest({{key, {6}}});
  longer.rows[0].complete_to = {7};
  CHECK(site.check(longer).rows.at(0).verdict == RowVerdict::too_far);
  Statement other = site.honest({{key, {6}}});
  other.rows[0].c[31] ^= 1;
  CHECK(site.check(other).rows.at(0).verdict == RowVerdict::differs);
  Statement shifted = site.honest({{key, {4}}});
  shifted.rows[0].complete_to = {5};  // no border of ours
  CHECK(site.check(shifted).rows.at(0).verdict == RowVerdict::differs);
  Statement strange = site.honest({{key, {6}}});
  strange.rows[0].key.epoch.value ^= 1;
  CHECK(site.check(strange).rows.at(0).verdict == RowVerdict::unknown);
  for (const Statement& s : {longer, other, shifted, strange}) CHECK_FALSE(site.check(s).holds());
  Statement theirs = site.honest({{key, {6}}});
  theirs.fac = "clinic-8";
  CHECK(check_statement(theirs, kFac, site.buffer->view(), *site.buffer).error().code == Errc::wrong_facility);
  // Nothing stated of a stream is the chain's start, and nothing else.
  Statement none = site.honest({{key, {6}}});
  none.rows[0].complete_to = {0};
  CHECK(site.check(none).rows.at(0).verdict == RowVerdict::differs);
  none.rows[0].c = chain_start(kFac, key);
  CHECK(site.check(none).holds());
}

TEST_CASE("what the site has deleted is proven while its border is kept, and called forgotten after", "[statement]") {
  Site site;
  site.fill(StreamId::result, 4);
  const StreamKey key = site.key(StreamId::result);
  const Statement at2 = site.honest({{key, {2}}}), at4 = site.honest({{key, {4}}}), at8 = site.honest({{key, {8}}});
  // Data up to 4 is gone, borders up to 2.
  const edge::PurgeTo purge{key, {4}, {2}};
  REQUIRE(site.buffer->purge(std::span(&purge, 1)).has_value());
  CHECK(site.check(at2).rows.at(0).verdict == RowVerdict::proven);
  CHECK(site.check(at4).rows.at(0).verdict == RowVerdict::proven);
  const edge::PurgeTo more{key, {4}, {4}};
  REQUIRE(site.buffer->purge(std::span(&more, 1)).has_value());
  CHECK(site.check(at2).rows.at(0).verdict == RowVerdict::forgotten);
  CHECK(site.check(at2).holds());
  CHECK(site.check(at4).rows.at(0).verdict == RowVerdict::proven);
  CHECK(site.check(at8).rows.at(0).verdict == RowVerdict::proven);
}

TEST_CASE("a finished epoch is proven from the list of finished ones", "[statement]") {
  Site site;
  site.fill(StreamId::result, 2);
  const StreamKey key = site.key(StreamId::result);
  const Statement at4 = site.honest({{key, {4}}});
  Statement longer = at4;
  longer.rows[0].complete_to = {5};
  // The next run; then everything of the first is deleted.
  site.buffer = edge::Buffer::open(site.kv, kFac, site.entropy).value();
  site.fill(StreamId::result, 1, "later");
  const edge::PurgeTo purge{key, {4}, {4}};
  REQUIRE(site.buffer->purge(std::span(&purge, 1)).has_value());
  REQUIRE(site.buffer->finished_stream(key).has_value());
  CHECK(site.check(at4).rows.at(0).verdict == RowVerdict::proven);
  CHECK(site.check(longer).rows.at(0).verdict == RowVerdict::too_far);
  Statement other = at4;
  other.rows[0].c[0] ^= 1;
  CHECK(site.check(other).rows.at(0).verdict == RowVerdict::differs);
  CHECK(site.check(at4).lacks == 2);
}

TEST_CASE("a look changes nothing and needs no lock", "[statement]") {
  Site site;
  site.fill(StreamId::result, 2);
  const uint64_t before = site.kv.disk_bytes();
  const auto look = edge::look(site.kv, kFac, site.entropy);
  REQUIRE(look.has_value());
  CHECK((*look)->c_at(site.key(StreamId::result), {4}) == site.buffer->c_at(site.key(StreamId::result), {4}));
  CHECK(site.kv.disk_bytes() == before);
  CHECK(edge::look(site.kv, "clinic-8", site.entropy).error().code == Errc::config);
  KvMemory empty(edge::kEdgeSpaces);
  CHECK(edge::look(empty, kFac, site.entropy).error().code == Errc::not_found);
}
