#include <spdlog/spdlog.h>

#include "agent/cli/config_file.h"
#include "agent/daemon.h"
#include "schemas/heap.h"
#include "schemas/limits.h"

namespace egret::agent::cli {

void add_run(CLI::App& app, Chosen& chosen) {
  auto* run = app.add_subcommand("run", "Runs the agent until SIGTERM.\nExample: egret-agent run --config /etc/egret/agent.toml");
  auto file = std::make_shared<std::string>(kConfigDefault);
  run->add_option("--config", *file, "configuration file")->capture_default_str();
  run->callback([&chosen, file] {
    chosen = [file] {
      std::optional<Config> config = config_or_complain(*file);
      if (!config) return kBadConfig;
      spdlog::set_level(spdlog::level::from_str(config->log_level == "warn" ? "warning" : config->log_level));
      keep_freed_memory(kHeapKeptBytes);
      return run_daemon(*config);
    };
  });
}

}  // namespace egret::agent::cli
