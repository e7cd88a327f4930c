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

int main(int argc, char** argv) {
  log_to_stderr();
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
    spdlog::error("{}", e.what());
    return kIo;
  }
}

}  // namespace egret::agent::cli
