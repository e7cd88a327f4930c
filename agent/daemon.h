// Daemon: wires buffer, session, link and doors of one facility and runs them until it is told to stop.
// Promises: one thread runs doors, session and timers, one writes; a clean stop takes under two seconds; a failed write
// closes the store, opens it again and begins a new epoch (es1 5.7); systemd hears READY, WATCHDOG and STOPPING.
// Leaves to others: every rule (edge), what is answered (doors), the command line (cli).
#pragma once

#include "agent/config.h"

namespace egret::agent {

// Runs until SIGTERM or SIGINT. Returns the exit code: 0, or sysexits (cli.h) after one clear line on stderr.
int run_daemon(const Config& config);

}  // namespace egret::agent
