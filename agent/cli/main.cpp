#include "agent/cli/cli.h"
#include "schemas/log.h"

namespace egret::agent::cli {
namespace {

bool is_command(const CLI::App& app, const std::string& word) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == word) return true;
  }
  return false;
}

}  // namespace

std::shared_ptr<std::string> add_language(CLI::App* sub) {
  auto lang = std::make_shared<std::string>();
  sub->add_option("--lang", *lang, "en or zh; by default as the environment says (LC_ALL, LANG)")->check(CLI::IsMember({"en", "zh"}));
  return lang;
}

int main(int argc, char** argv) {
  begin_log("egret-agent");
  CLI::App app{"egret-agent: takes results and telemetry of a site in, keeps them, and brings them to the region.\n"
               "Exit: 0 ok, 1 found a problem, 2 wrong usage, 69 no agent answers, 74 I/O, 75 try later, 78 configuration."};
  app.set_version_flag("--version", std::string("egret-agent ") + EGRET_VERSION);
  app.require_subcommand(1);
  Chosen chosen;
  add_run(app, chosen);
  add_init(app, chosen);
  add_status(app, chosen);
  add_put(app, chosen);
  add_check_config(app, chosen);
  add_doctor(app, chosen);
  add_queue(app, chosen);
  add_support(app, chosen);
  add_logs(app, chosen);
  add_verify_statement(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (argc > 1 && argv[1][0] != '-' && !is_command(app, argv[1])) {
      std::fprintf(stderr, "%s: no such command; egret-agent --help lists them\n", argv[1]);
      return kUsage;
    }
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  try {
    return chosen();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return kIo;
  }
}

}  // namespace egret::agent::cli
