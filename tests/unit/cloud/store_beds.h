// StoreBeds: the stores that every promise of cloud/store.h is asked of.
// Promises: each bed is a new, empty store; reopen() is what a new process would see.
// Leaves to others: what is promised (store_conformance_test).
#pragma once

#include <catch2/catch.hpp>

#include "blocks.h"
#include "cloud/access.h"
#include "cloud/block_reader.h"
#include "cloud/pg_tables.h"
#include "cloud/store_pg.h"
#include "schemas/entropy.h"
#include "tests/unit/support/mosquitto.h"
#include "tests/unit/support/postgres.h"

namespace egret::cloud {

class MemoryBed {
 public:
  MemoryBed() {
    opened_.kv = std::make_unique<KvMemory>(kCloudSpaces);
    reopen();
  }
  OpenedStore& opened() { return opened_; }
  KvStore& store() { return *opened_.store; }
  void reopen() { opened_.store = open_store(*opened_.kv, entropy_).value(); }

 private:
  SeededEntropy entropy_{1};
  OpenedStore opened_;
};

class RocksBed {
 public:
  RocksBed() { reopen(); }
  OpenedStore& opened() { return opened_; }
  KvStore& store() { return *opened_.store; }
  void reopen() {
    opened_ = OpenedStore{};
    auto again = found_store(dir_.path() / "store", entropy_);
    if (!again) FAIL(again.error().text);
    opened_ = std::move(*again);
  }

 private:
  test::TempDir dir_;
  OsEntropy entropy_;
  OpenedStore opened_;
};

// All in one database, which is emptied for each: to make one takes a second.
class PostgresBed {
 public:
  PostgresBed() : PostgresBed(options()) {}
  OpenedStore& opened() { return opened_; }
  KvStore& store() { return *opened_.store; }
  void reopen() {
    opened_ = OpenedStore{};
    auto again = open_postgres(at_, entropy_);
    if (!again) FAIL(again.error().text);
    opened_ = std::move(*again);
  }
  static const std::string& database() {
    static const std::string kName = test::Postgres::shared().database();
    return kName;
  }
  static const PgOptions& options() {
    static const PgOptions kOptions = test::Postgres::shared().options(database());
    return kOptions;
  }

 protected:
  explicit PostgresBed(const PgOptions& at) : at_(at) {
    empty(at_);
    const auto made = migrate_postgres(at_, entropy_, false);
    if (!made) FAIL(made.error().text);
    reopen();
  }

 private:
  static void empty(const PgOptions& at) {
    auto link = PgLink::connect(at).value();
    if (schema_version(*link).value() == 0) return;
    std::string sql = "DELETE FROM egret.turn;";
    for (const PgTable& table : pg_tables()) sql += std::string("DELETE FROM ") + table.name + ";";
    REQUIRE(link->script(sql).has_value());
  }
  const PgOptions at_;
  OsEntropy entropy_;
  OpenedStore opened_;
};

// The same through PgBouncer: every transaction may have another connection.
class PooledBed : public PostgresBed {
 public:
  PooledBed() : PostgresBed(test::Postgres::shared().pooled(database())) {}
};

template <class Bed>
CommitResult commit_block(Bed& bed, const std::vector<JudgedRecord>& records) {
  auto txn = bed.store().begin();
  append(*txn, records);
  return bed.store().commit(std::move(txn));
}

inline Bytes record_at(KvStore& store, Seq seq) {
  BlockReader reader(store.kv());
  auto read = reader.at(kFac, {kStream, seq});
  REQUIRE(read.has_value());
  return read->record;
}

}  // namespace egret::cloud
