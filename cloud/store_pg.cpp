#include "cloud/store_pg.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/kv_pg.h"
#include "cloud/pg_settings.h"

namespace egret::cloud {
namespace {

constexpr const char* kMigrate = "run egret-cloud migrate";

Result<std::unique_ptr<PgLink>> connect(const PgOptions& options) {
  auto link = PgLink::connect(options);
  if (!link) return link;
  if (auto fine = check_settings(**link); !fine) return std::move(fine).error();
  return link;
}

Result<bool> founded(PgLink& link) {
  const auto rows = link.ask("SELECT count(*)::text FROM egret.meta WHERE k = $1", std::move(PgParams().bytes(meta_key())));
  if (!rows) return rows.error();
  return rows->size() == 1 && rows->at(0, 0) == "1";
}

}  // namespace

Result<OpenedStore> open_postgres(const PgOptions& options, Entropy& entropy) {
  auto link = connect(options);
  if (!link) return std::move(link).error();
  const auto version = schema_version(**link);
  if (!version) return version.error();
  const int known = schema_steps().back().number;
  if (*version == 0) return Error{Errc::not_found, fmt::format("postgres: no schema egret there; {}", kMigrate)};
  if (*version < known) return Error{Errc::config, fmt::format("postgres: the schema is at step {}, this program needs {}; {}", *version, known, kMigrate)};
  const auto there = founded(**link);
  if (!there) return there.error();
  if (!*there) return Error{Errc::not_found, fmt::format("postgres: no store in schema egret; restore it, or {} for a new region", kMigrate)};
  OpenedStore out;
  out.kv = std::make_unique<PgKv>(std::move(*link));
  auto store = open_store(*out.kv, entropy);
  if (!store) return std::move(store).error();
  out.store = std::move(*store);
  return out;
}

Result<Migration> migrate_postgres(const PgOptions& options, Entropy& entropy, bool dry) {
  auto link = connect(options);
  if (!link) return std::move(link).error();
  Migration out;
  const auto engine = engine_of(**link);
  const auto version = schema_version(**link);
  if (!engine || !version) return engine ? version.error() : engine.error();
  out.engine = *engine;
  out.from = out.to = *version;
  for (const SchemaStep& step : schema_steps()) {
    if (step.number <= *version) continue;
    if (!dry) {
      if (auto done = apply(**link, step, *engine); !done) return std::move(done).error();
    }
    out.steps.push_back(step.name);
    out.to = step.number;
  }
  if (dry && *version == 0) {
    out.founds = true;
    return out;
  }
  const auto there = founded(**link);
  if (!there) return there.error();
  out.founds = !*there;
  if (dry || *there) return out;
  PgKv kv(std::move(*link));
  if (auto store = open_store(kv, entropy); !store) return std::move(store).error();
  return out;
}

}  // namespace egret::cloud
