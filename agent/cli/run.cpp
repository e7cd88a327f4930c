#include "agent/cli/config_file.h"
#include "agent/daemon.h"
#include "agent/log.h"
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
      set_log_level(log_level_of(config->log_level));
      keep_freed_memory(kHeapKeptBytes);
      try {
        return run_daemon(*config);
      } catch (const std::exception& e) {
        log("ended_by_error", e);
        return kIo;
      }
    };
  });
}

}  // namespace egret::agent::cli
