// PgSchema: the tables of the PostgreSQL store, as numbered files (cloud/schema) that are applied once and in order.
// Promises: a step is applied whole or not at all; applying again changes nothing; a schema that is newer than this
// program knows is refused. Leaves to others: the rows (tables.h), founding the store (store_pg).
#pragma once

#include "cloud/pg_link.h"

namespace egret::cloud {

struct SchemaStep {
  int number = 0;
  std::string name;
  std::string sql;
};
// All that this program knows, in order.
const std::vector<SchemaStep>& schema_steps();

// What the database is, for what differs between engines.
enum class PgEngine : uint8_t { postgresql, citus, yugabyte, cockroach };
const char* name_of(PgEngine engine);
Result<PgEngine> engine_of(PgLink& link);

// The number of the last step that was applied; 0: none. Errors: newer_format, store_failed.
Result<int> schema_version(PgLink& link);
// What is still to be applied.
Result<std::vector<SchemaStep>> missing_steps(PgLink& link);
// Errors: conflict (somebody else does the same), config (not allowed to), store_failed.
Result<void> apply(PgLink& link, const SchemaStep& step, PgEngine engine);

}  // namespace egret::cloud
