#include "cloud/pg_tables.h"

#include "cloud/tables.h"

namespace egret::cloud {
namespace {

constexpr PgTable kTables[] = {
    {"egret.timeline", kMetaSpace, 'A', 'A', true, false},
    {"egret.alert", kMetaSpace, 'a', 'e', false, false},
    {"egret.facility", kMetaSpace, 'f', 'f', true, true},
    {"egret.gap", kMetaSpace, 'g', 'g', true, true},
    {"egret.hold", kMetaSpace, 'h', 'h', true, false},
    {"egret.incident", kMetaSpace, 'i', 'i', true, true},
    {"egret.retention", kMetaSpace, 'j', 'k', false, false},
    {"egret.ledger", kMetaSpace, 'l', 'l', true, true},
    {"egret.meta", kMetaSpace, 'm', 'o', false, false},
    {"egret.arrived", kMetaSpace, 'p', 'p', true, true},
    {"egret.quarantine", kMetaSpace, 'q', 'q', true, true},
    {"egret.registration", kMetaSpace, 'r', 'r', true, true},
    {"egret.session", kMetaSpace, 's', 's', true, true},
    {"egret.tombstone", kMetaSpace, 't', 't', true, false},
    {"egret.kept", kMetaSpace, 'u', 'u', true, true},
    {"egret.decision", kMetaSpace, 'v', 'v', true, false},
    {"egret.member", kMetaSpace, 'w', 'w', true, false},
    {"egret.audit", kMetaSpace, 'x', 'y', false, false},
    {"egret.restriction", kMetaSpace, 'z', 'z', true, false},
    {"egret.block", kBlockSpace, 0, 0, false, true},
    {"egret.leaf", kLeafSpace, 0, 0, false, true},
    {"egret.natural_key", kNaturalSpace, 0, 0, false, true},
    {"egret.feed", kFeedSpace, 0, 0, false, false},
    {"egret.derived", kViewSpace, 0, 0, false, false},
};

// Facility and rest. A bound that ends inside a facility's name stands before all that it begins.
PgPlace split(const PgTable& table, ByteView rest) {
  if (!table.by_facility) return {{}, rest};
  const size_t zero = rest.find('\0');
  if (zero == rest.npos) return {rest, {}};
  return {rest.substr(0, zero), rest.substr(zero + 1)};
}

}  // namespace

std::span<const PgTable> pg_tables() { return kTables; }

const PgTable& pg_table(Space space, ByteView key) {
  for (const PgTable& t : kTables) {
    if (t.space == space && (t.first == 0 || (!key.empty() && key[0] >= t.first && key[0] <= t.last))) return t;
  }
  EGRET_INVARIANT(false, "a key of the cloud's store is in one of its tables");
  return kTables[0];
}

PgPlace place_in(const PgTable& table, ByteView key) { return split(table, table.lettered ? key.substr(1) : key); }

Bytes name(const PgTable& table, ByteView fac, ByteView k) {
  Bytes out;
  out.reserve(fac.size() + k.size() + 2);
  if (table.lettered) out.push_back(table.first);
  if (table.by_facility) {
    out.append(fac);
    out.push_back('\0');
  }
  out.append(k);
  return out;
}

std::optional<PgRange> range_in(const PgTable& table, ByteView first, ByteView end) {
  if (end <= first) return std::nullopt;
  if (table.first == 0) return PgRange{split(table, first), split(table, end)};
  const Bytes lowest(1, table.first), past(1, char(table.last + 1));
  if (first >= ByteView(past) || end <= ByteView(lowest)) return std::nullopt;
  PgRange out;
  if (first > ByteView(lowest)) out.first = place_in(table, first);
  if (end < ByteView(past)) out.end = place_in(table, end);
  return out;
}

}  // namespace egret::cloud
