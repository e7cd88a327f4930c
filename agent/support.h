// Support: the file that a clinic sends to whoever helps: one JSON text that a person can read before sending it.
// Promises: versions, what doctor found, the configuration with secrets removed, the machine and its disk, and of a running
// agent status, counters, why records were refused, and the latest lines of its log. No record, no key, no password: it is put
// together of what cannot hold them (log events, reasons of refusals, settings that are as they should be).
// Leaves to others: who asks (doors, cli/support), looking (cli/doctor).
#pragma once

#include <string>

#include "agent/config.h"
#include "agent/status.h"

namespace egret::agent {

// As it stands now, without what stands where a mistake is.
CheckedConfig config_for_support(const std::filesystem::path& file);
// What only a running agent knows: {"status":…,"log":[…]}.
std::string support_of_agent(const StatusFacts& facts);
// The whole file; `findings` and `agent` are JSON.
std::string support_file(const CheckedConfig& checked, ByteView findings, ByteView agent, WallTime made);

}  // namespace egret::agent
