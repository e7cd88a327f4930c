// StorePg: the cloud's store in PostgreSQL: the KvStore over a PgKv, so that every rule and every byte is RocksDB's.
// Promises: nothing is opened on weak settings, on a schema this program does not know, or where no store was founded
// (an empty one in its place would forget every site); any number of processes may have it open.
// Leaves to others: the schema's steps (pg_schema), reconnecting (StoreThread opens anew).
#pragma once

#include "cloud/pg_link.h"
#include "cloud/pg_schema.h"
#include "cloud/store_thread.h"

namespace egret::cloud {

// Errors: config (address, password, weak settings), not_found (no schema, or no store in it), newer_format, corrupt,
// store_failed.
Result<OpenedStore> open_postgres(const PgOptions& options, Entropy& entropy);

// What migrate() would do, or did.
struct Migration {
  PgEngine engine = PgEngine::postgresql;
  int from = 0, to = 0;             // steps of the schema
  std::vector<std::string> steps;   // that were missing
  bool founds = false;              // there was no store in the schema
};
// Brings the schema to what this program knows and founds the store where there is none; with `dry` only says so.
// Errors: as open_postgres; conflict (another one is at it).
Result<Migration> migrate_postgres(const PgOptions& options, Entropy& entropy, bool dry);

}  // namespace egret::cloud
