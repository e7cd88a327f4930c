// Server: `egret-cloud serve`: wires broker, store thread, page, metrics and control socket, and runs them.
// Promises: systemd hears READY, WATCHDOG and STOPPING; a clean stop takes under two seconds; weak settings and a
// second process on the same store are refused with one clear line.
// Leaves to others: every rule (Reconciler), the command line (cli).
#pragma once

#include "cloud/config.h"

namespace egret::cloud {

// Runs until SIGTERM or SIGINT. Returns the exit code.
int serve(const CloudConfig& config);

}  // namespace egret::cloud
