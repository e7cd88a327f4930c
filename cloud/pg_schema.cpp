#include "cloud/pg_schema.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

namespace egret::cloud {
namespace {

constexpr std::string_view kMark = " /*by facility*/", kOnlyPostgres = "/*PostgreSQL*/";
constexpr int kPartitions = 8;  // of a table; a facility is in one

Result<ByteView> cell(const Result<PgRows>& rows) {
  if (!rows) return rows.error();
  if (rows->size() != 1) return Error{Errc::store_failed, "postgres: one row was asked for"};
  return rows->at(0, 0);
}

// The name behind CREATE TABLE of the statement that ends at `end`.
std::string table_before(const std::string& sql, size_t end) {
  constexpr std::string_view kCreate = "CREATE TABLE ";
  const size_t from = sql.rfind(kCreate, end) + kCreate.size();
  return sql.substr(from, sql.find(' ', from) - from);
}

// Lines that begin with the mark say how PostgreSQL is to keep something; other engines keep it their own way.
std::string without_hints(const std::string& sql) {
  std::string out;
  for (size_t at = 0; at < sql.size();) {
    const size_t end = std::min(sql.find('\n', at), sql.size() - 1) + 1;
    const std::string_view line = std::string_view(sql).substr(at, end - at);
    if (!line.starts_with(kOnlyPostgres)) out += line;
    at = end;
  }
  return out;
}

// PostgreSQL itself is told how to split; the others do it by primary key.
std::string split_by_facility(std::string sql) {
  std::string parts;
  for (size_t at = sql.find(kMark); at != sql.npos; at = sql.find(kMark, at)) {
    const std::string table = table_before(sql, at);
    for (int i = 0; i < kPartitions; ++i) {
      parts += fmt::format("CREATE TABLE {}_{} PARTITION OF {} FOR VALUES WITH (MODULUS {}, REMAINDER {});\n", table, i, table, kPartitions, i);
    }
    sql.replace(at, kMark.size(), " PARTITION BY HASH (fac)");
  }
  return sql + parts;
}

}  // namespace

const char* name_of(PgEngine engine) {
  switch (engine) {
    case PgEngine::postgresql:
      return "PostgreSQL";
    case PgEngine::citus:
      return "Citus";
    case PgEngine::yugabyte:
      return "YugabyteDB";
    case PgEngine::cockroach:
      return "CockroachDB";
  }
  return "unknown";
}

Result<PgEngine> engine_of(PgLink& link) {
  const auto version = link.ask("SELECT version()::text");
  const auto text = cell(version);
  if (!text) return text.error();
  if (text->find("CockroachDB") != text->npos) return PgEngine::cockroach;
  if (text->find("-YB-") != text->npos) return PgEngine::yugabyte;
  const auto citus = link.ask("SELECT count(*)::text FROM pg_catalog.pg_extension WHERE extname = 'citus'");
  const auto count = cell(citus);
  if (!count) return count.error();
  return *count == "0" ? PgEngine::postgresql : PgEngine::citus;
}

Result<int> schema_version(PgLink& link) {
  const auto there = link.ask(
      "SELECT count(*)::text FROM information_schema.tables WHERE table_schema = 'egret' AND table_name = 'schema_step'");
  const auto count = cell(there);
  if (!count) return count.error();
  if (*count == "0") return 0;
  const auto last = link.ask("SELECT coalesce(max(number), 0)::text FROM egret.schema_step");
  const auto text = cell(last);
  if (!text) return text.error();
  int number = 0;
  std::from_chars(text->data(), text->data() + text->size(), number);
  const int known = schema_steps().back().number;
  if (number <= known) return number;
  return Error{Errc::newer_format, fmt::format("postgres: the schema is at step {}, this program knows {}: it was migrated by a newer egret-cloud; run that one", number, known)};
}

Result<std::vector<SchemaStep>> missing_steps(PgLink& link) {
  const auto has = schema_version(link);
  if (!has) return has.error();
  std::vector<SchemaStep> out;
  for (const SchemaStep& step : schema_steps()) {
    if (step.number > *has) out.push_back(step);
  }
  return out;
}

Result<void> apply(PgLink& link, const SchemaStep& step, PgEngine engine) {
  const std::string text = engine == PgEngine::postgresql ? split_by_facility(step.sql) : without_hints(step.sql);
  auto done = link.script(fmt::format("BEGIN;\n{}\nINSERT INTO egret.schema_step (number, name) VALUES ({}, '{}');\nCOMMIT;", text, step.number, step.name));
  if (done || link.lost()) return done;
  // One that failed in its middle is still open.
  if (auto undone = link.script("ROLLBACK"); !undone) return undone;
  return Error{done.error().code, fmt::format("schema step {}: {}", step.name, done.error().text)};
}

}  // namespace egret::cloud
