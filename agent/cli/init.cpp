#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "agent/cli/config_file.h"
#include "agent/host.h"
#include "agent/keys.h"
#include "schemas/durable_file.h"
#include "schemas/entropy.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

struct Options {
  std::string facility, region_key, broker, state_dir, config = kConfigDefault;
  std::vector<std::string> set;
  bool json = false;
};

// The file as it shall be; nullopt: a --set that is no setting.
std::optional<std::string> config_text(const Options& o) {
  std::vector<std::pair<std::string, std::string>> values;
  auto add = [&](const std::string& key, const std::string& text) {
    std::optional<std::string> literal = literal_for(key, text);
    if (literal) values.emplace_back(key, *literal);
    return literal.has_value();
  };
  bool ok = add("facility", o.facility) && add("region_key", o.region_key) && add("broker.uri", o.broker);
  if (!o.state_dir.empty()) ok = ok && add("state_dir", o.state_dir);
  for (const std::string& pair : o.set) {
    size_t equals = pair.find('=');
    if (equals != std::string::npos && add(pair.substr(0, equals), pair.substr(equals + 1))) continue;
    std::fprintf(stderr, "--set %s: KEY=VALUE with a key of agent.toml is allowed\n", pair.c_str());
    return std::nullopt;
  }
  if (!ok) return std::nullopt;
  return example_config(values);
}

Result<void> make_config(const std::filesystem::path& file, const std::string& text) {
  if (Result<void> made = make_folder(std::filesystem::absolute(file).parent_path(), 0755); !made) return made;
  return make_file(file, text, 0644);  // holds no secret, and the service's user must read it
}

int init(const Options& o) {
  std::optional<std::string> text = config_text(o);
  if (!text) return kUsage;
  std::filesystem::path file(o.config);
  bool fresh = !std::filesystem::exists(file);
  CheckedConfig checked = fresh ? parse_config(*text, file) : read_config(file);
  for (const Mistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
  if (!checked.mistakes.empty()) return fresh ? kUsage : kBadConfig;
  const Config& config = checked.config;
  if (config.facility != o.facility) {
    std::fprintf(stderr, "%s: is there already and names facility %s\n", o.config.c_str(), config.facility.c_str());
    return kFoundProblem;
  }
  Result<void> made = make_folder(config.state_dir, 0700);
  if (made && fresh) made = make_config(file, *text);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().text.c_str());
    return kIo;
  }
  if (!std::filesystem::exists(config.site_key_file)) {
    OsEntropy entropy;
    if (Result<void> written = write_site_key(config.site_key_file, make_site_key(entropy)); !written) {
      std::fprintf(stderr, "%s\n", written.error().text.c_str());
      return kIo;
    }
  }
  Result<SitePrivateKey> key = read_site_key(config.site_key_file);
  if (!key) {
    std::fprintf(stderr, "%s\n", key.error().text.c_str());
    return kBadConfig;
  }
  std::string site_public = hex(view(key->public_key().point));
  std::string command = fmt::format("egret-cloud facility add {} --key {}", o.facility, site_public);
  if (o.json) {
    std::string out;
    for (const auto& [name, value] : {std::pair{"facility", o.facility}, {"config", o.config}, {"state_dir", config.state_dir.string()}, {"site_public_key", site_public}, {"cloud_command", command}}) {
      out += fmt::format("{}\"{}\":", out.empty() ? "{" : ",", name);
      append_json_string(out, value);
    }
    std::printf("%s}\n", out.c_str());
    return kOk;
  }
  std::printf("configuration: %s\nstate: %s\nNow register this site in the cloud, and start the agent:\n", o.config.c_str(), config.state_dir.c_str());
  std::printf("site public key: %s\n%s\n", site_public.c_str(), command.c_str());
  return kOk;
}

}  // namespace

void add_init(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("init", "Makes the site's key, its state folder and a commented configuration; keeps what is there.\n"
                                         "Example: egret-agent init --facility clinic-7 --region-key HEX --broker mqtts://broker:8883");
  auto o = std::make_shared<Options>();
  sub->add_option("--facility", o->facility, "1-32 of [a-z0-9-]")->required();
  sub->add_option("--region-key", o->region_key, "64 hex digits, as egret-cloud init prints them")->required();
  sub->add_option("--broker", o->broker, "mqtt://host[:port] or mqtts://host[:port]")->required();
  sub->add_option("--state-dir", o->state_dir, "where the buffer lives");
  sub->add_option("--config", o->config, "configuration file")->capture_default_str();
  sub->add_option("--set", o->set, "KEY=VALUE for any other setting")->allow_extra_args(false);
  sub->add_flag("--json", o->json, "what was made, as JSON");
  sub->callback([&chosen, o] { chosen = [o] { return init(*o); }; });
}

}  // namespace egret::agent::cli
