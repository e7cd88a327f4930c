// PgTables: which table of cloud/schema holds a key of cloud/tables.h, and where in it.
// Promises: two keys of a space compare as their tables, facilities and rests do, in this order; name() is the way back.
// Leaves to others: SQL (kv_pg), what keys mean (tables.h).
#pragma once

#include <span>

#include "schemas/kv.h"

namespace egret::cloud {

struct PgTable {
  const char* name;
  Space space;
  char first, last;    // the letters of space 0 that it holds; 0: every key of the space
  bool lettered;       // the letter is not part of the row's key
  bool by_facility;    // the facility's name has a column of its own

  bool operator==(const PgTable& o) const { return name == o.name; }
};

// In the order of their keys.
std::span<const PgTable> pg_tables();
const PgTable& pg_table(Space space, ByteView key);

// A row's place, or where a range begins or ends: views into the key.
struct PgPlace {
  ByteView fac, k;
};
PgPlace place_in(const PgTable& table, ByteView key);
Bytes name(const PgTable& table, ByteView fac, ByteView k);

// The part of [first, end) that is in a table; nullopt: none of it. Without `end` it goes to the table's end.
struct PgRange {
  PgPlace first;
  std::optional<PgPlace> end;
};
std::optional<PgRange> range_in(const PgTable& table, ByteView first, ByteView end);

}  // namespace egret::cloud
