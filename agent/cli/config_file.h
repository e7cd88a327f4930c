// ConfigFile: what several commands do with agent.toml: read it, or say every mistake on stderr.
// Promises: all mistakes, one a line, then exit code 78.
// Leaves to others: what a setting means (config).
#pragma once

#include <optional>

#include "agent/cli/cli.h"
#include "agent/config.h"
#include "agent/log.h"

namespace egret::agent::cli {

inline std::optional<Config> config_or_complain(const std::string& file) {
  CheckedConfig checked = read_config(file);
  for (const Mistake& mistake : checked.mistakes) {
    log_goes_to_journal() ? log("config_mistake", Error{Errc::config, text_of(mistake)}) : void(std::fprintf(stderr, "%s\n", text_of(mistake).c_str()));
  }
  if (!checked.mistakes.empty()) return std::nullopt;
  return std::move(checked.config);
}

}  // namespace egret::agent::cli
