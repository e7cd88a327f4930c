// Log: how the agent tells of an event: log("store_failed", error).
// Promises: an id that is not in the table, or another number of values than it has fields, does not compile.
// Leaves to others: the table (events.h), writing and how often (schemas/log.h).
#pragma once

#include "agent/events.h"
#include "agent/phrases.h"
#include "schemas/log.h"

namespace egret::agent {

// To be said later, too: a notice.
template <class... Args>
Message message(EventNamed<kEvents, std::type_identity_t<Args>...> what, const Args&... args) {
  return {what.event, {LogValue(args)...}};
}
template <class... Args>
void log(EventNamed<kEvents, std::type_identity_t<Args>...> what, const Args&... args) {
  write_log(message<Args...>(what, args...));
}

std::string said(const Message& message, Language in);

}  // namespace egret::agent
