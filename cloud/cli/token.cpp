// token: who may ask the region's API.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/api/tokens.h"
#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "schemas/entropy.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  std::string name, role;
  int64_t days = 0;
  bool json = false;
};

int complain_of_token(const Error& error) {
  std::fprintf(stderr, "%s\n", error.text.c_str());
  switch (error.code) {
    case Errc::bad_input: return kUsage;
    case Errc::config: return kBadConfig;
    case Errc::not_found:
    case Errc::conflict:
    case Errc::too_large: return kFoundProblem;
    default: return kIo;
  }
}

int add(const std::filesystem::path& file, const Options& o) {
  const auto role = role_of(o.role);
  if (!role) {
    std::string known;
    for (Role r : kAllRoles) known += (known.empty() ? "" : ", ") + std::string(name_of(r));
    std::fprintf(stderr, "--role: known are %s\n", known.c_str());
    return kUsage;
  }
  OsEntropy entropy;
  const auto token = add_token(file, o.name, *role, o.days, clock_now().wall, entropy);
  if (!token) return complain_of_token(token.error());
  if (o.json) {
    std::printf("{\"name\":%s,\"role\":\"%s\",\"token\":\"%s\"}\n", json_string(o.name).c_str(), name_of(*role), token->c_str());
  } else {
    std::printf("%s\n", token->c_str());
    std::fprintf(stderr, "This is the only time it is shown: Authorization: Bearer TOKEN\n");
  }
  return kOk;
}

int list(const std::filesystem::path& file, const Options& o) {
  const auto rows = read_tokens(file);
  if (!rows) return complain_of_token(rows.error());
  const WallTime now = clock_now().wall;
  std::string out;
  for (const TokenRow& row : *rows) {
    const bool ended = row.ends.us != 0 && row.ends.us <= now.us;
    if (o.json) {
      out += fmt::format(R"({}{{"name":{},"role":"{}","made":{},"ends":{},"ended":{}}})", out.empty() ? "" : ",", json_string(row.name), name_of(row.role), json_time(row.made), json_time(row.ends), ended);
    } else {
      out += fmt::format("{:24} {:9} made {}{}\n", row.name, name_of(row.role), json_time(row.made), row.ends.us == 0 ? "" : (ended ? ", ended " : ", ends ") + json_time(row.ends));
    }
  }
  std::printf("%s", o.json ? ("[" + out + "]\n").c_str() : out.c_str());
  return kOk;
}

int remove(const std::filesystem::path& file, const Options& o) {
  const auto gone = remove_token(file, o.name);
  if (!gone) return complain_of_token(gone.error());
  std::printf("%s\n", o.json ? fmt::format(R"({{"removed":{}}})", json_string(o.name)).c_str() : (o.name + ": its token opens nothing any more").c_str());
  return kOk;
}

}  // namespace

void add_token(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("token", "Who may ask the region's API: add, list, remove. Works at once, whether or not the service runs.")->require_subcommand(1);
  const auto add_one = [&](const char* name, const char* help, auto configure, int (*run)(const std::filesystem::path&, const Options&)) {
    auto* one = sub->add_subcommand(name, help);
    auto where = add_where(one);
    auto o = std::make_shared<Options>();
    configure(one, *o);
    one->add_flag("--json", o->json, "as JSON");
    one->callback([&chosen, where, o, run] {
      chosen = [where, o, run] {
        const auto state = state_dir_of(*where);
        return state ? run(token_file(*state), *o) : kBadConfig;
      };
    });
  };
  add_one("add", "Makes a token and prints it, this once. Roles: viewer, operator, auditor, admin, fhir.\nExample: egret-cloud token add ward-3 --role viewer --days 365",
          [](CLI::App* one, Options& o) {
            one->add_option("name", o.name, "of the person or system, 1-64 of [A-Za-z0-9._@-]")->required();
            one->add_option("--role", o.role, "viewer, operator, auditor, admin or fhir")->required();
            one->add_option("--days", o.days, "until it ends; 0: never")->capture_default_str();
          }, add);
  add_one("list", "Names, roles and ends; the tokens themselves are nowhere.\nExample: egret-cloud token list --json", [](CLI::App*, Options&) {}, list);
  add_one("remove", "From the next request on it opens nothing.\nExample: egret-cloud token remove ward-3", [](CLI::App* one, Options& o) { one->add_option("name", o.name, "as it was added")->required(); }, remove);
}

}  // namespace egret::cloud::cli
