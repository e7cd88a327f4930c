// Reconcilers that divide the shards by their rows in PostgreSQL, each with a connection of its own.
#include "cloud/member_keeper.h"

#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

struct Reconciling {
  explicit Reconciling(uint64_t seed, OutputNames outputs = {}) : entropy(seed), keeper(entropy, std::move(outputs)) {
    OsEntropy os;
    auto store = open_postgres(PostgresBed::options(), os);
    REQUIRE(store.has_value());
    opened = std::move(*store);
  }
  SharedKv& kv() { return *dynamic_cast<SharedKv*>(opened.kv.get()); }
  void round(int64_t ms) {
    const auto done = keeper.round(kv(), MonoTime{ms});
    INFO((done ? std::string() : done.error().text));
    REQUIRE(done.has_value());
    if (*done) mine = **done;
  }
  SeededEntropy entropy;
  MemberKeeper keeper;
  OpenedStore opened;
  Shards mine = Shards().set();
};

size_t rows(SharedKv& kv) {
  size_t n = 0;
  REQUIRE(kv.scan(kMetaSpace, table_prefix('w'), after_prefix(table_prefix('w')), [&](ByteView, ByteView) { return ++n > 0; }).has_value());
  return n;
}

}  // namespace

TEST_CASE("three reconcilers divide the shards, and those of one that is killed go to the others", "[pg][shards]") {
  PostgresBed bed;
  Reconciling a(1), b(2), c(3);
  int64_t now = 0;
  const auto beat = [&](std::initializer_list<Reconciling*> living) {
    now += kMemberBeatMs;
    for (Reconciling* r : living) r->round(now);
  };
  for (int i = 0; i < 3; i++) beat({&a, &b, &c});
  CHECK((a.mine | b.mine | c.mine).all());
  CHECK(a.mine.count() + b.mine.count() + c.mine.count() == 256);
  for (int i = 0; i < 6; i++) beat({&a, &b});  // c is killed
  CHECK((a.mine | b.mine).all());
  CHECK((a.mine & b.mine).none());
  REQUIRE(b.keeper.leave(b.kv()).has_value());
  b.round(now + kMemberBeatMs);  // says nothing any more
  beat({&a});
  CHECK(a.mine.all());
  CHECK(rows(a.kv()) == 2);  // c's is still there
  now += kMemberForgottenMs;
  beat({&a});
  CHECK(rows(a.kv()) == 1);
  c.round(now + 10);  // it was only asleep
  beat({&a, &c});
  beat({&a, &c});
  CHECK((a.mine | c.mine).all());
  CHECK((a.mine & c.mine).none());
}

TEST_CASE("of three reconcilers one of the two that have an output tells it, and the other when that one is killed", "[pg][shards]") {
  PostgresBed bed;
  Reconciling a(1, {"webhook"}), b(2, {"webhook", "syslog"}), c(3);
  int64_t now = 0;
  const auto beat = [&](std::initializer_list<Reconciling*> living) {
    now += kMemberBeatMs;
    for (Reconciling* r : living) r->round(now);
  };
  const auto telling = [&](const char* output) { return a.keeper.tells(output) + b.keeper.tells(output) + c.keeper.tells(output); };
  CHECK(telling("webhook") == 0);  // nobody has looked yet
  for (int i = 0; i < 3; i++) beat({&a, &b, &c});
  CHECK(telling("webhook") == 1);
  CHECK(b.keeper.tells("syslog"));
  CHECK(telling("syslog") == 1);
  CHECK(telling("mqtt") == 0);
  Reconciling &killed = a.keeper.tells("webhook") ? a : b, &left = &killed == &a ? b : a;
  for (int i = 0; i < 6; i++) beat({&left, &c});
  CHECK(left.keeper.tells("webhook"));
  REQUIRE(left.keeper.leave(left.kv()).has_value());
  CHECK_FALSE(left.keeper.tells("webhook"));
}

TEST_CASE("between two beats nothing is written or read", "[pg][shards]") {
  PostgresBed bed;
  Reconciling a(1);
  CHECK(a.keeper.round(a.kv(), MonoTime{0})->has_value());
  CHECK_FALSE(a.keeper.round(a.kv(), MonoTime{kMemberBeatMs - 1})->has_value());
}

TEST_CASE("a store that does not answer changes nothing of what is heard", "[pg][shards]") {
  PostgresBed bed;
  Reconciling a(1);
  test::Postgres::shared().kill();
  CHECK(a.keeper.round(a.kv(), MonoTime{0}).has_error());
  test::Postgres::shared().start();
}
