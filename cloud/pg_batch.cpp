#include "cloud/pg_batch.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "cloud/tables.h"

namespace egret::cloud {
namespace {

enum class What : uint8_t { insert, put, erase };

// Rows of one table that one statement can carry: views into the batch.
struct Run {
  const PgTable* table = nullptr;
  What what = What::put;
  std::vector<ByteView> facs, ks, values;
  std::set<std::pair<ByteView, ByteView>> keys;  // of a put: a statement may meet a row but once
  bool empty() const { return ks.empty(); }
};

std::string put_sql(const PgTable& t, bool over) {
  const char* from = t.by_facility ? "(fac, k, v) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])"
                                   : "(k, v) SELECT * FROM unnest($1::bytea[], $2::bytea[])";
  const char* end = !over ? "" : t.by_facility ? " ON CONFLICT (fac, k) DO UPDATE SET v = excluded.v" : " ON CONFLICT (k) DO UPDATE SET v = excluded.v";
  return fmt::format("INSERT INTO {} {}{}", t.name, from, end);
}

std::string erase_sql(const PgTable& t) {
  if (!t.by_facility) return fmt::format("DELETE FROM {} WHERE k = ANY($1::bytea[])", t.name);
  return fmt::format("DELETE FROM {} AS t USING unnest($1::bytea[], $2::bytea[]) AS gone(fac, k) WHERE t.fac = gone.fac AND t.k = gone.k", t.name);
}

void flush(PgLink& link, Run& run) {
  if (!run.empty()) {
    PgParams params;
    if (run.table->by_facility) params.each(run.facs);
    params.each(run.ks);
    if (run.what != What::erase) params.each(run.values);
    const std::string sql = run.what == What::erase ? erase_sql(*run.table) : put_sql(*run.table, run.what == What::put);
    link.add(sql.c_str(), std::move(params));
  }
  run = Run{};
}

void add_erase_range(PgLink& link, const KvOp& op) {
  for (const PgTable& t : pg_tables()) {
    if (t.space != op.space) continue;
    const auto range = range_in(t, op.key, op.value);
    if (!range) continue;
    PgParams params;
    std::string sql = fmt::format("DELETE FROM {} WHERE {}", t.name, t.by_facility ? "(fac, k) >= ($1, $2)" : "k >= $1");
    if (t.by_facility) params.bytes(range->first.fac);
    params.bytes(range->first.k);
    if (range->end) {
      sql += t.by_facility ? " AND (fac, k) < ($3, $4)" : " AND k < $2";
      if (t.by_facility) params.bytes(range->end->fac);
      params.bytes(range->end->k);
    }
    link.add(sql.c_str(), std::move(params));
  }
}

}  // namespace

void add_batch(PgLink& link, const KvBatch& batch, const std::function<bool(Space, ByteView)>& is_new) {
  Run run;
  for (const KvOp& op : batch.ops()) {
    if (op.what == KvOp::What::erase_range) {
      flush(link, run);
      add_erase_range(link, op);
      continue;
    }
    const PgTable& table = pg_table(op.space, op.key);
    const What what = op.what == KvOp::What::erase ? What::erase : is_new(op.space, op.key) ? What::insert : What::put;
    const PgPlace place = place_in(table, op.key);
    const bool again = what == What::put && run.keys.contains({place.fac, place.k});
    if (run.table != &table || run.what != what || again) flush(link, run);
    run.table = &table;
    run.what = what;
    run.facs.push_back(place.fac);
    run.ks.push_back(place.k);
    if (what != What::erase) run.values.emplace_back(op.value);
    if (what == What::put) run.keys.insert({place.fac, place.k});
  }
  flush(link, run);
}

// Blocks that get their number in the feed are no statement about a facility: numbering stands in nobody's way.
std::vector<Bytes> turns_of(const KvBatch& batch) {
  std::set<Bytes> out;
  for (const KvOp& op : batch.ops()) {
    if (op.what == KvOp::What::erase_range) continue;
    const PgTable& table = pg_table(op.space, op.key);
    if (!table.by_facility || (op.what == KvOp::What::erase && table.first == 'p')) continue;
    out.emplace(place_in(table, op.key).fac);
  }
  return {out.begin(), out.end()};
}

}  // namespace egret::cloud
