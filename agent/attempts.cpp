#include "agent/attempts.h"

#include <fstream>
#include <string>

#include "agent/log.h"
#include "schemas/durable_file.h"

namespace egret::agent {

bool Attempts::begin() {
  int begun = 0;
  std::ifstream(file_) >> begun;  // not there or not a number: 0
  if (begun >= kAttemptsMax) return false;
  if (Result<void> counted = replace_file(file_, std::to_string(begun + 1) + '\n', 0600); !counted) {
    log("state_not_kept", counted.error());
  }
  return true;
}

void Attempts::ended() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

}  // namespace egret::agent
