// What only the store in PostgreSQL has: rivals, a server that is killed, weak settings, a schema in steps.
#include <atomic>
#include <thread>

#include "cloud/kv_pg.h"
#include "cloud/verify.h"
#include "store_beds.h"

using namespace egret;
using namespace egret::cloud;

namespace {

OpenedStore another(const PgOptions& options = PostgresBed::options()) {
  OsEntropy entropy;
  auto opened = open_postgres(options, entropy);
  if (!opened) FAIL(opened.error().text);
  return std::move(*opened);
}

// One block of `records` behind W of a facility; what became of it.
CommitResult add_block(KvStore& store, const Facility& fac, const std::vector<Bytes>& records, bool turn_first = true, bool suppose_new = false) {
  auto txn = turn_first ? store.begin({&fac, 1}) : store.begin();
  if (suppose_new) txn->suppose_new();
  auto row = txn->row(fac, kStream);
  if (!row) return CommitResult::failed;
  LedgerRow at = row->value_or(row_at({}, chain_start(fac, kStream)));
  const Seq w = at.w;
  const Hash c = at.c;
  std::vector<JudgedRecord> all;
  std::vector<Hash> leaves;
  for (const Bytes& r : records) {
    all.push_back(judged(r));
    leaves.push_back(leaf_of(r));
  }
  at.c = chain_extend(c, w.next(), uint32_t(records.size()), leaves);
  at.w = w + records.size();
  auto added = txn->add_blocks(fac, kStream, std::array{JudgedBlock{w.next(), all, leaves, at.c}}, kAt);
  if (!added || !txn->advance(fac, kStream, w, c, at).value()) return CommitResult::failed;
  FacilityRow counted = txn->facility(fac).value().value_or(FacilityRow{});
  for (const Disposition d : *added) ++(d == Disposition::applied ? counted.records : counted.duplicates);
  txn->put(fac, counted);
  return store.commit(std::move(txn));
}

uint64_t w_of(KvStore& store, const Facility& fac) {
  const auto row = store.begin()->row(fac, kStream).value();
  return row ? row->w.value : 0;
}

// What the store says to a database of which something was made weak.
std::string refusal(const std::string& name) {
  OsEntropy entropy;
  const auto opened = open_postgres(test::Postgres::shared().options(name), entropy);
  REQUIRE(opened.has_error());
  CHECK(opened.error().code == Errc::config);
  // migrate would found a store there: it refuses, too.
  CHECK(migrate_postgres(test::Postgres::shared().options(name), entropy, false).error().code == Errc::config);
  return opened.error().text;
}

std::string migrated(const std::string& more = "") {
  test::Postgres& pg = test::Postgres::shared();
  const std::string name = pg.database(more);
  OsEntropy entropy;
  REQUIRE(migrate_postgres(pg.options(name), entropy, false).has_value());
  return name;
}

struct WeakSetting {
  const char* setting;
  const char* value;
  const char* advice;  // what the refusal says to do
};

}  // namespace

TEST_CASE("of two reconcilers that write about one facility at once the second loses, and nothing of it is written", "[store][pg]") {
  PostgresBed bed;
  OpenedStore rival = another();
  auto txn = bed.store().begin();
  append(*txn, {judged(record_of(1))});  // reads, and so sees the store as it is now
  REQUIRE(add_block(*rival.store, kFac, {record_of(2)}) == CommitResult::committed);
  CHECK(bed.store().commit(std::move(txn)) == CommitResult::conflict);
  CHECK(w_of(bed.store(), kFac) == 1);
  CHECK(record_at(bed.store(), {1}) == record_of(2));
}

TEST_CASE("reconcilers that write about different facilities do not hinder each other", "[store][pg]") {
  PostgresBed bed;
  OpenedStore rival = another();
  auto txn = bed.store().begin();
  append(*txn, {judged(record_of(1))});
  CHECK(add_block(*rival.store, "clinic-2", {record_of(2)}) == CommitResult::committed);
  CHECK(bed.store().commit(std::move(txn)) == CommitResult::committed);
}

TEST_CASE("three reconcilers that take their turns first lose no race, and every block is there once", "[store][pg]") {
  PostgresBed bed;
  constexpr int kBlocks = 12;
  std::atomic<int> lost{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      OpenedStore mine = another();
      for (uint64_t i = 0; i < kBlocks; ++i) {
        if (add_block(*mine.store, kFac, {record_of(1 + 100 * t + i)}) != CommitResult::committed) ++lost;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(lost == 0);
  CHECK(w_of(bed.store(), kFac) == 3 * kBlocks);
}

TEST_CASE("a server that is killed in the middle of commits loses nothing that was acknowledged", "[store][pg]") {
  PostgresBed bed;
  test::Postgres& pg = test::Postgres::shared();
  uint64_t acknowledged = 0, unknown = 0;
  for (int round = 0; round < 2; ++round) {
    OpenedStore mine = another();
    uint64_t before = w_of(*mine.store, kFac);
    CHECK(before >= acknowledged);
    CHECK(before <= acknowledged + unknown);
    acknowledged = before;
    unknown = 0;
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(40 + 70 * round));
      pg.kill();
    });
    for (;;) {
      const CommitResult result = add_block(*mine.store, kFac, {record_of(1 + 1000 * uint64_t(round) + acknowledged)});
      if (result == CommitResult::committed) ++acknowledged;
      if (result == CommitResult::unknown) ++unknown;
      if (result != CommitResult::committed) break;
    }
    killer.join();
    CHECK(mine.kv->write({}, true).error().code == Errc::store_failed);  // it says that it is lost, and stays so
    pg.start();
  }
  bed.reopen();
  CHECK(acknowledged > 0);
  CHECK(verify(bed.store().kv(), nullptr)->wrong == 0);
}

TEST_CASE("a commit that a pooler or a server left without an answer is unknown, and its copy a duplicate", "[store][pg]") {
  PostgresBed bed;
  OpenedStore mine = another();
  // The commit waits for a row that somebody else holds; then its session is ended.
  auto holder = PgLink::connect(PostgresBed::options()).value();
  REQUIRE(holder->script("BEGIN; LOCK TABLE egret.block IN ACCESS EXCLUSIVE MODE").has_value());
  std::thread ender([&] {
    auto link = PgLink::connect(PostgresBed::options()).value();
    const char* kEnd = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    for (int i = 0; i < 600; ++i) {
      if (link->ask(kEnd).value().at(0, 0) != "0") break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  CHECK(add_block(*mine.store, kFac, {record_of(1)}) == CommitResult::unknown);
  ender.join();
  REQUIRE(holder->script("ROLLBACK").has_value());
  CHECK(w_of(bed.store(), kFac) == 0);
  CHECK(add_block(bed.store(), kFac, {record_of(1)}) == CommitResult::committed);
}

TEST_CASE("a weak setting of a database or a role is refused by name, with what to do", "[store][pg]") {
  const auto weak = GENERATE(WeakSetting{"synchronous_commit", "off", "set it to on"}, WeakSetting{"zero_damaged_pages", "on", "set it to off"},
                             WeakSetting{"default_transaction_read_only", "on", "set it to off"});
  CAPTURE(weak.setting);
  const std::string name = migrated(), assigned = std::string(weak.setting) + " = " + weak.value;
  test::Postgres& pg = test::Postgres::shared();
  SECTION("of the database") { pg.sql("ALTER DATABASE " + name + " SET " + assigned); }
  SECTION("of the role in it") { pg.sql("ALTER ROLE egret IN DATABASE " + name + " SET " + assigned); }
  const std::string said = refusal(name);
  CHECK_THAT(said, Catch::Contains(assigned) && Catch::Contains(weak.advice));
}

TEST_CASE("a weak setting of the server is refused by name, with what to do, and no longer once it is mended", "[store][pg]") {
  const auto weak = GENERATE(WeakSetting{"fsync", "off", "set it to on"}, WeakSetting{"full_page_writes", "off", "set it to on"},
                             WeakSetting{"data_sync_retry", "on", "set it to off"});
  CAPTURE(weak.setting);
  const std::string name = migrated();
  test::Postgres& pg = test::Postgres::shared();
  pg.kill();
  pg.set(weak.setting, weak.value);
  pg.start();
  const std::string said = refusal(name);
  pg.kill();
  pg.set(weak.setting, std::string(weak.value) == "on" ? "off" : "on");
  pg.start();
  CHECK_THAT(said, Catch::Contains(std::string(weak.setting) + " = " + weak.value) && Catch::Contains(weak.advice));
  OsEntropy entropy;
  CHECK(open_postgres(pg.options(name), entropy).has_value());
}

TEST_CASE("commits that only the primary has are refused where standbys were promised", "[store][pg]") {
  const std::string name = migrated();
  test::Postgres& pg = test::Postgres::shared();
  pg.sql("ALTER DATABASE " + name + " SET synchronous_commit = local");
  OsEntropy entropy;
  CHECK(open_postgres(pg.options(name), entropy).has_value());  // without standbys it is as good as on
  pg.kill();
  pg.set("synchronous_standby_names", "elsewhere");
  pg.start();
  const std::string said = refusal(name);
  pg.kill();
  pg.set("synchronous_standby_names", "");
  pg.start();
  CHECK_THAT(said, Catch::Contains("synchronous_commit = local") && Catch::Contains("set it to on"));
}

TEST_CASE("a database of another encoding is refused", "[store][pg]") {
  test::Postgres& pg = test::Postgres::shared();
  CHECK_THAT(refusal(pg.database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")), Catch::Contains("server_encoding = LATIN1") && Catch::Contains("ENCODING 'UTF8'"));
}

TEST_CASE("all that is weak is said at once", "[store][pg]") {
  const std::string name = migrated();
  test::Postgres& pg = test::Postgres::shared();
  pg.sql("ALTER DATABASE " + name + " SET synchronous_commit = off");
  pg.sql("ALTER DATABASE " + name + " SET zero_damaged_pages = on");
  CHECK_THAT(refusal(name), Catch::Contains("synchronous_commit = off") && Catch::Contains("zero_damaged_pages = on"));
}

TEST_CASE("a database that was not migrated is no store, and one that was is migrated once", "[store][pg]") {
  test::Postgres& pg = test::Postgres::shared();
  const PgOptions options = pg.options(pg.database());
  OsEntropy entropy;
  CHECK(open_postgres(options, entropy).error().code == Errc::not_found);
  CHECK(migrate_postgres(options, entropy, true)->founds);
  CHECK(open_postgres(options, entropy).error().code == Errc::not_found);  // a dry run does nothing
  CHECK(migrate_postgres(options, entropy, false)->steps.size() == schema_steps().size());
  const uint64_t gen = another(options).store->meta()->gen;
  const auto again = migrate_postgres(options, entropy, false);
  CHECK((again->steps.empty() && !again->founds));
  CHECK(another(options).store->meta()->gen == gen);
  auto link = PgLink::connect(options).value();
  REQUIRE(link->script("INSERT INTO egret.schema_step (number, name) VALUES (999, 'of the future')").has_value());
  CHECK(open_postgres(options, entropy).error().code == Errc::newer_format);
  CHECK(migrate_postgres(options, entropy, false).error().code == Errc::newer_format);
}

TEST_CASE("a block's look-ups read what they ask for, however much its facility has and whatever the server's statistics say", "[store][pg]") {
  test::Postgres& pg = test::Postgres::shared();
  const PgOptions options = pg.options(migrated());
  OpenedStore store = another(options);
  auto link = PgLink::connect(options).value();
  // Rows that the planner had to read to answer, in tables and indexes.
  const auto rows_read = [&] {
    const auto rows = link->ask("SELECT (sum(seq_tup_read) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname LIKE 'natural_key%'))::text "
                                "FROM pg_stat_user_tables WHERE relname LIKE 'natural_key%'");
    REQUIRE(rows.has_value());
    return std::stoull(std::string(rows->at(0, 0)));
  };
  std::vector<Bytes> first, second;
  for (uint64_t i = 0; i < 2'000; ++i) first.push_back(record_of(1 + i));
  for (uint64_t i = 0; i < 100; ++i) second.push_back(record_of(1 + 1'990 + i));  // ten of them are there
  REQUIRE(add_block(*store.store, kFac, first) == CommitResult::committed);
  store = another(options);  // a session tells the statistics what it did when it ends
  const uint64_t before = rows_read();
  REQUIRE(add_block(*store.store, kFac, second) == CommitResult::committed);
  CHECK(store.store->begin()->facility(kFac).value()->duplicates == 10);
  store = another(options);
  uint64_t after = before;
  for (int tries = 0; tries < 100 && after == before; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    after = rows_read();
  }
  CHECK(after > before);
  CHECK(after - before < 500);
}

TEST_CASE("records that are taken for new without a look are refused when one is not, and looked for when it is tried again", "[store][pg]") {
  test::Postgres& pg = test::Postgres::shared();
  OpenedStore store = another(pg.options(migrated()));
  uint64_t next = 1;
  const auto supposing = [&](const std::vector<Bytes>& records) { return add_block(*store.store, kFac, records, true, true); };
  const auto fresh = [&](size_t n) {
    std::vector<Bytes> out;
    for (size_t i = 0; i < n; ++i) out.push_back(record_of(next++));
    return out;
  };
  const std::vector<Bytes> first = fresh(10);
  CHECK(supposing(first) == CommitResult::committed);
  CHECK(supposing(fresh(10)) == CommitResult::committed);
  std::vector<Bytes> half = fresh(5);
  half.insert(half.end(), first.begin(), first.begin() + 5);
  CHECK(supposing(half) == CommitResult::conflict);
  CHECK(store.store->begin()->facility(kFac).value()->records == 20);
  CHECK(supposing(half) == CommitResult::committed);
  CHECK(store.store->begin()->facility(kFac).value()->records == 25);
  CHECK(store.store->begin()->facility(kFac).value()->duplicates == 5);
  // Twice in one block is no matter of the store's.
  std::vector<Bytes> twice = fresh(3);
  twice.push_back(twice.front());
  CHECK(supposing(twice) == CommitResult::committed);
  // It goes on looking for a while: what was sent twice once is sent twice again.
  CHECK(supposing(first) == CommitResult::committed);
  for (int i = 0; i < 64; ++i) CHECK(supposing(fresh(1)) == CommitResult::committed);
  CHECK(supposing(first) == CommitResult::conflict);
  CHECK(supposing(first) == CommitResult::committed);
  CHECK(store.store->begin()->facility(kFac).value()->duplicates == 26);
}

TEST_CASE("what only PostgreSQL understands is not said to other engines", "[store][pg]") {
  const PgOptions options = test::Postgres::shared().options(test::Postgres::shared().database());
  auto link = PgLink::connect(options).value();
  const SchemaStep step{1, "a step", "CREATE SCHEMA egret;\nCREATE TABLE egret.schema_step (number integer, name text);\n/*PostgreSQL*/ SELECT 1 / 0;\n"};
  CHECK(apply(*link, step, PgEngine::postgresql).has_error());
  CHECK(apply(*link, step, PgEngine::cockroach).has_value());
}

TEST_CASE("the same blocks give the same digest in PostgreSQL as on RocksDB", "[store][pg]") {
  RocksBed rocks;
  PostgresBed postgres;
  SeededEntropy chance(7);
  for (int i = 0; i < 40; ++i) {
    std::vector<Bytes> records;
    for (uint64_t n = 1 + chance.below(20); n > 0; --n) records.push_back(record_of(1 + chance.below(200)));
    const Facility fac = "clinic-" + std::to_string(chance.below(3));
    REQUIRE(add_block(rocks.store(), fac, records) == CommitResult::committed);
    REQUIRE(add_block(postgres.store(), fac, records) == CommitResult::committed);
  }
  const auto digest = [](KvStore& store) {
    Bytes all;
    REQUIRE(store.kv().scan(kNaturalSpace, "", end_of_space(), [&](ByteView key, ByteView) { return all += key, true; }).has_value());
    return sha256(all);
  };
  CHECK(digest(rocks.store()) == digest(postgres.store()));
  // Not the applied records alone: every row but the feed, whose order is each store's own, and the store's own key.
  for (Space space : {kBlockSpace, kLeafSpace, kNaturalSpace}) {
    Bytes a, b;
    REQUIRE(rocks.store().kv().scan(space, "", end_of_space(), [&](ByteView k, ByteView v) { return a.append(k).append(v), true; }).has_value());
    REQUIRE(postgres.store().kv().scan(space, "", end_of_space(), [&](ByteView k, ByteView v) { return b.append(k).append(v), true; }).has_value());
    CHECK(a == b);
  }
}
