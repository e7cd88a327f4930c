// Syslog: an alert's event as a line of the system's log, or of one across the network (RFC 5424).
// Promises: facility, result and what happened, nothing else; urgency by what happened: alert when opened or escalated.
// Leaves to others: order and trying again (Teller). A datagram that the network loses is lost: for what must arrive there
// is the webhook.
#pragma once

#include "cloud/outputs/teller.h"

namespace egret::cloud {

inline constexpr const char* kSyslogOutput = "syslog";
// A path (a unix socket: /dev/log) or udp://host:port. Errors: config.
Result<void> check_syslog(const std::string& where);
std::string syslog_line(const AlertEvent& event, uint64_t gen);
std::unique_ptr<AlertOutput> make_syslog(std::string where);

}  // namespace egret::cloud
