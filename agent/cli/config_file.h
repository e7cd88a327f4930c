// ConfigFile: what several commands do with agent.toml: read it, or say every mistake on stderr.
// Promises: all mistakes, one a line, then exit code 78.
// Leaves to others: what a setting means (config).
#pragma once

#include <optional>

#include "agent/cli/cli.h"
#include "agent/config.h"
#include "schemas/log.h"

namespace egret::agent::cli {

inline std::optional<Config> config_or_complain(const std::string& file) {
  CheckedConfig checked = read_config(file);
  for (const Mistake& mistake : checked.mistakes) complain_on_stderr(text_of(mistake));
  if (!checked.mistakes.empty()) return std::nullopt;
  return std::move(checked.config);
}

}  // namespace egret::agent::cli
