// Committer, reconciler and views over PostgreSQL: what they say and leave is what they say and leave on any other store,
// with rivals at work, with refusals that are forced, and with a server that dies.
#include <spdlog/fmt/fmt.h>

#include <atomic>
#include <thread>

#include "cloud/feed.h"
#include "cloud/freeze.h"
#include "cloud/holds.h"
#include "cloud/retention.h"
#include "cloud/rollup.h"
#include "cloud/verify.h"
#include "cloud/verify_views.h"
#include "records.h"
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

// The bench of reconciler_rig.h, its store in the database of `bed`.
struct PgRig : CloudRig {
  explicit PgRig(PostgresBed& bed) { move_into(bed.store().kv()); }
  void move_into(Kv& to) {
    reconciler = std::make_unique<Reconciler>(config, keys, entropy);
    store = open_store(to, entropy).value();
    register_facility(kFac);
  }
};

// A process more on the same database.
struct Rival : CloudRig {
  Rival() {
    OsEntropy founding;
    opened = open_postgres(PostgresBed::options(), founding).value();
    store = open_store(*opened.kv, entropy).value();
  }
  ~Rival() { store.reset(); }
  OpenedStore opened;
};

std::map<Bytes, Bytes> rows_of(const Kv& kv, Space space) {
  std::map<Bytes, Bytes> out;
  REQUIRE(kv.scan(space, {}, end_of_space(), [&](ByteView key, ByteView value) { return out[Bytes(key)] = Bytes(value), true; }).has_value());
  return out;
}

// A site's day: data, a gap, a batch that comes twice, one out of turn, a second epoch, a fork.
template <class Rig>
std::vector<std::string> play(Rig& rig) {
  std::vector<std::string> said;
  const auto note = [&](const es1::Ack& ack) {
    INFO("answer " << said.size() << ", store: " << rig.store->last_error().text << ", dropped: " << name_of(rig.drop()));
    CHECK(rig.report.failed == 0);
    CHECK(rig.report.replies.size() == 1);
    said.push_back(ack.ShortDebugString());
  };
  Writer w{key_of(5, StreamId::telemetry)};
  w.data({record_of(1), record_of(2)});
  w.data({record_of(3), record_of(4)});
  w.gap(3, GapKind::shed);
  w.data({record_of(8)});
  rig.hello({CloudRig::listing(w)});
  note(rig.push(w.batch(0, 2)));
  note(rig.push(w.batch(2, 4)));
  for (uint64_t n = 9; n < 60; n += 3) w.data({record_of(n), record_of(n + 1), record_of(3)});
  note(rig.push(w.batch(5, 6)));
  note(rig.push(w.batch(4, 5)));
  note(rig.push(w.batch(4, 5)));
  note(rig.push_all(w, 5, w.blocks.size()));
  Writer next{key_of(6)};
  next.data({record_of(1000)});
  rig.hello({CloudRig::listing(w), CloudRig::listing(next)});
  note(rig.push(next.batch(0, 1)));
  Writer other{key_of(6)};
  other.data({record_of(2000)});
  note(rig.push(other.batch(0, 1)));
  return said;
}

// The statement is refused that often with this SQLSTATE, then no more. A sequence counts: it is not rolled back.
class Refusals {
 public:
  Refusals(const char* table, const char* state, int times) : table_(table) {
    run(fmt::format("DROP SEQUENCE IF EXISTS refusals CASCADE; CREATE SEQUENCE refusals;"
                    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                    "IF nextval('refusals') <= {} THEN RAISE EXCEPTION 'forced' USING ERRCODE = '{}'; END IF; RETURN NULL; END $$;"
                    "CREATE TRIGGER refuse AFTER INSERT ON {} FOR EACH STATEMENT EXECUTE FUNCTION refuse();",
                    times, state, table));
  }
  ~Refusals() { run(fmt::format("DROP TRIGGER refuse ON {}; DROP SEQUENCE refusals", table_)); }
  // How often the statement was tried.
  int tries() {
    auto link = PgLink::connect(PostgresBed::options()).value();
    return std::stoi(std::string(link->ask("SELECT last_value::text FROM refusals").value().at(0, 0)));
  }

 private:
  static void run(const std::string& sql) {
    auto link = PgLink::connect(PostgresBed::options()).value();
    const auto done = link->script(sql);
    if (!done) throw std::runtime_error(done.error().text);
  }
  const char* table_;
};

constexpr int kEver = 1'000'000;

}  // namespace

TEST_CASE("a site is answered the same from PostgreSQL, and the same rows are left", "[pg][es1 section 6]") {
  PostgresBed bed;
  CloudRig memory;
  PgRig postgres(bed);
  const auto said = play(postgres);
  CHECK(said == play(memory));
  for (Space space : {kBlockSpace, kLeafSpace, kNaturalSpace}) CHECK(rows_of(bed.store().kv(), space) == rows_of(memory.kv, space));
  const StreamKey key = key_of(5, StreamId::telemetry);
  CHECK(postgres.row(key).w == memory.row(key).w);
  CHECK(postgres.incidents().size() == memory.incidents().size());
  CHECK(verify(bed.store().kv(), nullptr)->wrong == 0);
}

TEST_CASE("a session that one reconciler greeted goes on with another, batch by batch", "[pg][es1 section 6]") {
  PostgresBed bed;
  PgRig first(bed);
  Rival second;
  Writer w{key_of(5)};
  for (uint64_t n = 1; n < 40; n += 2) w.data({record_of(n), record_of(n + 1)});
  first.hello({CloudRig::listing(w)});
  for (size_t i = 0; i < w.blocks.size(); i++) {
    CloudRig& rig = i % 2 == 0 ? static_cast<CloudRig&>(first) : second;
    CHECK(rig.push(w.batch(i, i + 1)).status() == es1::ACK_OK);
  }
  CHECK(first.row(w.key).w == w.head());
}

TEST_CASE("frames of one site that two reconcilers handle at the same time take effect once, and each is answered", "[pg][es1 section 6]") {
  PostgresBed bed;
  PgRig first(bed);
  Writer w{key_of(5)};
  for (uint64_t n = 1; n <= 30; n++) w.data({record_of(n)});
  first.hello({CloudRig::listing(w)});
  std::atomic<int> failed{0}, unanswered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      Rival mine;
      for (size_t i = 0; i < w.blocks.size(); i++) {
        mine.push(w.batch(i, i + 1));
        failed += int(mine.report.failed);
        unanswered += mine.report.replies.size() != 1;
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(failed == 0);
  CHECK(unanswered == 0);
  CHECK(first.row(w.key).w == w.head());
  CHECK(first.facility().records == 30);
  CHECK(verify(bed.store().kv(), nullptr)->wrong == 0);
}

TEST_CASE("a commit that is refused as not serializable is tried again, and answered once", "[pg][es1 section 6]") {
  for (const char* state : {"40001", "40P01"}) {
    PostgresBed bed;
    PgRig rig(bed);
    Writer w{key_of(5)};
    w.data({record_of(1), record_of(2)});
    rig.hello({CloudRig::listing(w)});
    Refusals refusals("egret.block", state, 3);
    CHECK(rig.push(w.batch(0, 1)).status() == es1::ACK_OK);
    CHECK(refusals.tries() == 4);
    CHECK(rig.report.failed == 0);
    CHECK(rig.report.replies.size() == 1);
    CHECK(rig.row(w.key).w == Seq{2});
    CHECK(rig.facility().records == 2);
  }
}

TEST_CASE("a commit that is refused for ever is not answered, and comes in once the refusals end", "[pg][es1 section 6]") {
  // Not serializable, disk full, read-only, out of memory: nothing is said, nothing is left.
  for (const char* state : {"40001", "53100", "25006", "53200"}) {
    PostgresBed bed;
    PgRig rig(bed);
    Writer w{key_of(5)};
    w.data({record_of(1), record_of(2)});
    rig.hello({CloudRig::listing(w)});
    {
      Refusals refusals("egret.block", state, kEver);
      rig.push(w.batch(0, 1));
      CHECK(rig.report.replies.empty());
      CHECK(rig.report.failed == 1);
      CHECK(rig.row(w.key).w == Seq{0});
      CHECK(rows_of(bed.store().kv(), kNaturalSpace).empty());
    }
    CHECK(rig.push(w.batch(0, 1)).status() == es1::ACK_OK);
    CHECK(rig.row(w.key).w == Seq{2});
  }
}

TEST_CASE("whoever has the turn of a facility is waited for", "[pg][es1 section 6]") {
  PostgresBed bed;
  PgRig rig(bed);
  Writer w{key_of(5)};
  w.data({record_of(1)});
  rig.hello({CloudRig::listing(w)});
  auto holder = PgLink::connect(PostgresBed::options()).value();
  REQUIRE(holder->script("BEGIN; UPDATE egret.turn SET n = n + 1").has_value());
  std::atomic<bool> answered{false};
  std::thread pusher([&] {
    rig.push(w.batch(0, 1));
    answered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK_FALSE(answered);
  REQUIRE(holder->script("COMMIT").has_value());
  pusher.join();
  CHECK(rig.answer<es1::Ack>().status() == es1::ACK_OK);
  CHECK(rig.report.failed == 0);
}

namespace {

// Statements about a few results, from two sites.
void tell(KvStore& store, std::map<Facility, Seq>& heads, int from, int to) {
  for (int i = from; i < to; i++) {
    const Facility fac = i % 3 == 2 ? "hospital" : kFac;
    const auto id = static_cast<uint8_t>(i % 5);
    const Bytes record = fac == kFac ? result(id, 1 + uint32_t(i) / 5, v1::AiResult::STATUS_PRELIMINARY, i % 4 == 0)
                                     : review(id, 1 + uint32_t(i) / 7, v1::Review::VERDICT_AGREED, fac, kFac);
    JudgedRecord j;
    j.record = record;
    j.key = check_body(split_record(record)->body, fac)->key;
    const Hash leaf = leaf_of(record);
    auto txn = store.begin({&fac, 1});
    const Seq first = heads[fac].next();
    heads[fac] = first;
    const JudgedBlock block{first, {&j, 1}, {&leaf, 1}, {}};
    REQUIRE(txn->add_blocks(fac, kStream, {&block, 1}, kAt).has_value());
    REQUIRE(store.commit(std::move(txn)) == CommitResult::committed);
  }
}

void follow(Kv& kv) {
  Follower follower(kv);
  for (;;) {
    const auto took = follower.step(4);
    REQUIRE(took.has_value());
    if (*took == 0) break;
  }
  CHECK(follower.unreadable_blocks() == 0);
  CHECK(Follower::behind(kv).value() == std::optional<uint64_t>(0));
}

}  // namespace

TEST_CASE("blocks that have no number yet are behind the views, too", "[pg][views]") {
  PostgresBed bed;
  Kv& kv = bed.store().kv();
  std::map<Facility, Seq> heads;
  follow(kv);
  tell(bed.store(), heads, 0, 3);
  CHECK(Follower::behind(kv).value() == std::optional<uint64_t>(3));
  REQUIRE(number_arrived(dynamic_cast<SharedKv&>(kv), 2).value() == 2);
  CHECK(Follower::behind(kv).value() == std::optional<uint64_t>(3));
  CHECK(verify_views(kv)->behind == std::optional<uint64_t>(3));
  follow(kv);
}

TEST_CASE("views in PostgreSQL are those of RocksDB, and as if made anew", "[pg][views]") {
  PostgresBed postgres;
  RocksBed rocks;
  std::map<Facility, Seq> a, b;
  for (int i = 0; i < 30; i += 10) {
    tell(postgres.store(), a, i, i + 10);
    tell(rocks.store(), b, i, i + 10);
    follow(postgres.store().kv());
    follow(rocks.store().kv());
    CHECK(views_digest(postgres.store().kv()).value() == views_digest(rocks.store().kv()).value());
  }
  const Hash before = views_digest(postgres.store().kv()).value();
  CHECK(verify_views(postgres.store().kv())->wrong.empty());
  REQUIRE(Follower::ask_rebuild(postgres.store().kv()).has_value());
  follow(postgres.store().kv());
  CHECK(views_digest(postgres.store().kv()).value() == before);
}

TEST_CASE(
    "a frozen database shows what was there, however much is read of it and written beside it",
    "[pg][views]") {
  PostgresBed bed;
  std::map<Facility, Seq> heads;
  tell(bed.store(), heads, 0, 10);
  follow(bed.store().kv());
  OpenedStore live;
  OsEntropy chance;
  live = open_postgres(PostgresBed::options(), chance).value();
  const auto frozen = freeze(StorePlace{{}, PostgresBed::options()}, live);
  REQUIRE(frozen.has_value());
  CHECK(Follower::behind(*frozen->kv).value() == std::optional<uint64_t>(0));
  const auto before = rows_of(*live.kv, kViewSpace);
  tell(bed.store(), heads, 10, 30);
  follow(bed.store().kv());
  const auto after = rows_of(*live.kv, kViewSpace);
  CHECK(after.size() > before.size());
  for (int again = 0; again < 2; again++) {
    CHECK(rows_of(*frozen->kv, kViewSpace) == before);
    // One by one, those that came later too.
    for (const auto& [key, value] : after) {
      const auto then = before.find(key);
      CHECK(frozen->kv->get(kViewSpace, key).value() ==
            (then == before.end() ? std::nullopt : std::optional(then->second)));
    }
  }
  CHECK(Follower::behind(*frozen->kv).value() == std::optional<uint64_t>(0));
}

TEST_CASE("followers of three processes at once, with commits between, leave each statement in the views once", "[pg][views]") {
  PostgresBed bed;
  std::atomic<bool> told{false};
  std::atomic<int> broken{0}, lost{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      Rival mine;
      Follower follower(*mine.opened.kv);
      while (true) {
        const bool last = told;
        const auto took = follower.step(2);
        if (!took && took.error().code == Errc::conflict) ++lost;
        if (!took && took.error().code != Errc::conflict) ++broken;
        if (!took && broken > 0) break;
        if (took && *took == 0 && last) break;
      }
    });
  }
  std::map<Facility, Seq> heads;
  tell(bed.store(), heads, 0, 40);
  told = true;
  for (auto& t : threads) t.join();
  CHECK(broken == 0);
  INFO("races lost: " << lost);
  Kv& kv = bed.store().kv();
  CHECK(Follower::behind(kv).value() == std::optional<uint64_t>(0));
  CHECK(verify_views(kv)->wrong.empty());
  CHECK(rows_of(kv, kFeedSpace).size() == 40);
}

TEST_CASE("a server that dies between two steps of the views costs nothing but the step", "[pg][views]") {
  PostgresBed bed;
  std::map<Facility, Seq> heads;
  tell(bed.store(), heads, 0, 24);
  {
    Rival mine;
    Follower follower(*mine.opened.kv);
    REQUIRE(follower.step(4).value() > 0);
    test::Postgres::shared().kill();
    CHECK(follower.step(4).has_error());
    test::Postgres::shared().start();
  }
  bed.reopen();
  follow(bed.store().kv());
  CHECK(verify_views(bed.store().kv())->wrong.empty());
}

TEST_CASE("what was kept for its days goes, a hold keeps, and minutes and hours stay, in PostgreSQL", "[pg][retention]") {
  constexpr uint64_t kHourNs = 3600ULL * 1'000'000'000;
  PostgresBed bed;
  PgRig rig(bed);
  Writer w{key_of(7, StreamId::telemetry)};
  w.data({telemetry("a", {{kHourNs, 1}, {kHourNs + 1, 3}})});
  rig.hello({CloudRig::listing(w)});
  rig.push_all(w, 0, 1);
  Rival other;  // has a process of its own
  Follower follower(*other.opened.kv);
  while (follower.step(64).value() > 0) {
  }
  WallTime at = kAt;
  const RetentionPolicy policy{{90, 180, 365, 1'000}};
  const auto look = [&](size_t blocks) {
    const auto done = retain(other.opened, policy, at, blocks);
    INFO((done ? std::string() : done.error().text));
    REQUIRE(done.has_value());
    return *done;
  };
  const uint64_t hold = add_hold(*other.opened.kv, {0, kFac, {}, {}, at, "it", "case 1", {}, {}, {}}).value();
  for (int day = 0; day < 92; day++) {
    look(0);
    at.us += 24LL * 3600 * 1'000'000;
  }
  CHECK(look(10).held == 1);
  REQUIRE(release_hold(*other.opened.kv, hold, at, "it", "closed").has_value());
  CHECK(look(10).expired[0] == 1);
  const auto series = rolled_series(*other.opened.kv, kFac).value();
  REQUIRE(series.size() == 1);
  std::vector<Bucket> hours;
  REQUIRE(each_bucket(*other.opened.kv, series[0], Grain::hour, 0, INT64_MAX, [&](int64_t, const Bucket& b) { return hours.push_back(b), true; }).has_value());
  CHECK(hours == std::vector{Bucket{2, kHourNs + 1, 3, 1, 3, 4, 0, ""}});
  CHECK(verify(*other.opened.kv, {}).value().wrong == 0);
}
