// init, serve, check-config, facility: what brings a region up.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "cloud/keys.h"
#include "cloud/log.h"
#include "cloud/server.h"
#include "cloud/site_names.h"
#include "schemas/durable_file.h"
#include "schemas/entropy.h"
#include "schemas/log.h"

namespace egret::cloud::cli {
namespace {

struct InitOptions {
  std::string config = "/etc/egret/cloud.toml", state_dir = "/var/lib/egret-cloud", broker;
  bool json = false;
};

int init(const InitOptions& o) {
  std::filesystem::path file(o.config);
  if (!std::filesystem::exists(file)) {
    std::string text = example_cloud_config(o.state_dir, o.broker);
    CheckedCloudConfig checked = parse_cloud_config(text, file);
    for (const ConfigMistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
    if (!checked.mistakes.empty()) return kUsage;
    Result<void> made = make_folder(std::filesystem::absolute(file).parent_path(), 0755);
    if (made) made = make_file(file, text, 0644);
    if (!made) return complain(made.error());
  }
  std::optional<std::filesystem::path> state = state_dir_of({o.config, ""});
  if (!state) return kBadConfig;
  if (Result<void> made = make_folder(*state, 0700); !made) return complain(made.error());
  OsEntropy entropy;
  if (!read_region_keys(*state)) {
    if (Result<RegionPublicKey> made = make_region_key_file(*state, entropy); !made) return complain(made.error());
  }
  Result<SitePrivateKey> statements = read_statement_key(*state);
  if (!statements && statements.error().code == Errc::not_found) {
    if (Result<SitePublicKey> made = make_statement_key_file(*state, entropy); !made) return complain(made.error());
    statements = read_statement_key(*state);
  }
  if (!statements) return complain(statements.error());
  Result<std::vector<RegionPrivateKey>> keys = read_region_keys(*state);
  if (!keys) return complain(keys.error());
  int code = kOk;
  const std::optional<StorePlace> place = store_of({o.config, ""}, code);
  if (!place) return code;
  if (!place->postgres) {  // in PostgreSQL it is egret-cloud migrate that founds it
    Result<OpenedStore> store = found_store(store_dir(*state), entropy);
    if (!store && store.error().code != Errc::locked) return complain(store.error());
  }
  std::string key = hex(view(keys->back().public_key().point));
  const std::string statement_key = hex(view(statements->public_key().point));
  if (o.json) {
    std::printf("{\"config\":\"%s\",\"state_dir\":\"%s\",\"region_key\":\"%s\",\"statement_key\":\"%s\"}\n", o.config.c_str(), state->c_str(), key.c_str(), statement_key.c_str());
  } else {
    std::printf("configuration: %s\nstate: %s\nKeep a copy of the region-*.key files apart: without them nothing that sites send can be read.\nregion public key: %s\nstatement public key (of what the region signs): %s\n",
                o.config.c_str(), state->c_str(), key.c_str(), statement_key.c_str());
  }
  return kOk;
}

int list_facilities(const Where& where, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  Result<std::vector<Facility>> all = store->store->facilities();
  if (!all) return complain(all.error());
  std::string out = "[";
  for (const Facility& fac : *all) {
    Result<std::optional<Registration>> row = store->store->begin()->registration(fac);
    if (!row) return complain(row.error());
    Registration r = row->value_or(Registration{});
    if (!json) std::printf("%-32s %zu key(s)%s%s%s%s\n", fac.c_str(), r.keys.size(), r.revoked ? ", revoked" : "", r.blocked ? ", blocked" : "", r.name.empty() ? "" : ("  " + r.name).c_str(), r.district.empty() ? "" : (" (" + r.district + ")").c_str());
    out += fmt::format(R"({}{{"facility":"{}","keys":{},"revoked":{},"blocked":{},"district":{},"name":{}}})", out.size() > 1 ? "," : "", fac, r.keys.size(), r.revoked, r.blocked, json_string(r.district), json_string(r.name));
  }
  if (json) std::printf("%s]\n", out.c_str());
  return kOk;
}

}  // namespace

void add_init(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("init", "Makes the region's key, the store and a commented configuration; keeps what is there.\nExample: egret-cloud init --broker mqtts://broker:8883");
  auto o = std::make_shared<InitOptions>();
  sub->add_option("--config", o->config, "configuration file")->capture_default_str();
  sub->add_option("--state-dir", o->state_dir, "store, keys, control socket")->capture_default_str();
  sub->add_option("--broker", o->broker, "mqtt://host[:port] or mqtts://host[:port]")->required();
  sub->add_flag("--json", o->json, "what was made, as JSON");
  sub->callback([&chosen, o] { chosen = [o] { return init(*o); }; });
}

void add_serve(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("serve", "Runs the service until SIGTERM.\nExample: egret-cloud serve --config /etc/egret/cloud.toml");
  auto file = std::make_shared<std::string>("/etc/egret/cloud.toml");
  sub->add_option("--config", *file, "configuration file")->capture_default_str();
  sub->callback([&chosen, file] {
    chosen = [file] {
      CheckedCloudConfig checked = read_cloud_config(*file);
      for (const ConfigMistake& m : checked.mistakes) log_goes_to_journal() ? log("config_mistake", Error{Errc::config, text_of(m)}) : void(std::fprintf(stderr, "%s\n", text_of(m).c_str()));
      if (!checked.mistakes.empty()) return kBadConfig;
      set_log_level(log_level_of(checked.config.log_level));
      try {
        return serve(checked.config);
      } catch (const std::exception& e) {
        log("ended_by_error", e);
        return kIo;
      }
    };
  });
}

void add_check_config(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("check-config", "Says every mistake of a configuration file.\nExample: egret-cloud check-config --config cloud.toml");
  auto file = std::make_shared<std::string>("/etc/egret/cloud.toml");
  sub->add_option("--config", *file, "configuration file")->capture_default_str();
  sub->callback([&chosen, file] {
    chosen = [file] {
      CheckedCloudConfig checked = read_cloud_config(*file);
      for (const ConfigMistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
      if (!checked.mistakes.empty()) return kBadConfig;
      std::printf("%s: ok\n", file->c_str());
      return kOk;
    };
  });
}

void add_facility(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("facility", "Who may speak: add, set, ls, revoke, block, unblock.")->require_subcommand(1);
  struct Options {
    std::string fac, key, district, name;
    bool json = false;
  };
  auto add_one = [&](const std::string& name, const char* help, const char* command, const ControlArgs& more, const char* done) {
    auto* one = sub->add_subcommand(name, help);
    auto where = add_where(one);
    auto o = std::make_shared<Options>();
    one->add_option("facility", o->fac, "1-32 of [a-z0-9-]")->required();
    if (name == "add") one->add_option("--key", o->key, "the site's public key, 64 hex digits")->required();
    const bool named = name == "add" || name == "set";
    const auto* district = named ? one->add_option("--district", o->district, fmt::format("the district that it is in, in any language; at most {} bytes; \"\" takes it away", kDistrictBytesMax)) : nullptr;
    const auto* shown = named ? one->add_option("--name", o->name, fmt::format("what people call it, in any language; at most {} bytes; \"\" takes it away", kSiteNameBytesMax)) : nullptr;
    one->add_flag("--json", o->json, "as JSON");
    one->callback([&chosen, where, o, command, more, done, district, shown] {
      ControlArgs args = more;
      args["fac"] = o->fac;
      if (!o->key.empty()) args["key"] = o->key;
      if (district != nullptr && district->count() > 0) args["district"] = o->district;
      if (shown != nullptr && shown->count() > 0) args["name"] = o->name;
      chosen = [where, o, command, args, done] { return control(*where, command, args, o->json, o->fac + ": " + done); };
    });
  };
  add_one("add", "Registers a site's key; more than one may be good at a time.\nExample: egret-cloud facility add clinic-7 --key HEX --district Haicang --name \"Haicang Health Centre\"", "facility.add", {}, "registered");
  add_one("set", "What people call it, and its district; sites of one district stand together on the page.\nExample: egret-cloud facility set clinic-7 --district Haicang --name \"Haicang Health Centre\"", "facility.set", {}, "set");
  add_one("revoke", "Nothing of it is accepted any more.\nExample: egret-cloud facility revoke clinic-7", "facility.revoke", {}, "revoked");
  add_one("block", "Tells the site to wait; it buffers on.\nExample: egret-cloud facility block clinic-7", "facility.block", {{"on", "1"}}, "blocked");
  add_one("unblock", "Ends a block.\nExample: egret-cloud facility unblock clinic-7", "facility.block", {{"on", "0"}}, "no longer blocked");
  auto* ls = sub->add_subcommand("ls", "Lists the registered facilities.\nExample: egret-cloud facility ls --json");
  auto where = add_where(ls);
  auto json = std::make_shared<bool>(false);
  ls->add_flag("--json", *json, "as JSON");
  ls->callback([&chosen, where, json] { chosen = [where, json] { return list_facilities(*where, *json); }; });
}

}  // namespace egret::cloud::cli
