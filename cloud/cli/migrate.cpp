// migrate: the tables of the PostgreSQL store.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "cloud/store_pg.h"
#include "schemas/entropy.h"

namespace egret::cloud::cli {
namespace {

std::string json_of(const Migration& m, bool dry) {
  std::string steps;
  for (const std::string& step : m.steps) steps += (steps.empty() ? "" : ",") + json_string(step);
  return fmt::format(R"({{"engine":{},"from":{},"to":{},"steps":[{}],"founds":{},"dry_run":{}}})", json_string(name_of(m.engine)), m.from, m.to, steps, m.founds, dry);
}

std::string text_of(const Migration& m, bool dry) {
  std::string out = fmt::format("{}, schema at step {}", name_of(m.engine), m.from);
  if (m.steps.empty() && !m.founds) return out + ": nothing to do";
  for (const std::string& step : m.steps) out += fmt::format("\n{} {}", dry ? "would apply" : "applied", step);
  if (m.founds) out += dry ? "\nwould found a new store" : "\nfounded a new store";
  return out;
}

int migrate(const Where& where, bool dry, bool json) {
  int code = kOk;
  const std::optional<StorePlace> place = store_of(where, code);
  if (!place) return code;
  if (!place->postgres) return complain({Errc::config, "store.kind is rocksdb: its format is kept by the program itself; only postgres is migrated"});
  OsEntropy entropy;
  const Result<Migration> done = migrate_postgres(*place->postgres, entropy, dry);
  if (!done) return complain(done.error());
  std::printf("%s\n", json ? json_of(*done, dry).c_str() : text_of(*done, dry).c_str());
  return kOk;
}

}  // namespace

void add_migrate(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("migrate", "Makes the tables of the PostgreSQL store, or brings them to what this program needs; what is there stays.\n"
                                            "Running it again changes nothing. A schema of a newer program is refused.\n"
                                            "Examples: egret-cloud migrate --dry-run\n          egret-cloud migrate --config /etc/egret/cloud.toml --json");
  auto where = std::make_shared<Where>();
  sub->add_option("--config", where->config, "configuration file; [store] names the database")->capture_default_str();
  auto dry = std::make_shared<bool>(false), json = std::make_shared<bool>(false);
  sub->add_flag("--dry-run", *dry, "only say what would be done");
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, dry, json] { chosen = [where, dry, json] { return migrate(*where, *dry, *json); }; });
}

}  // namespace egret::cloud::cli
