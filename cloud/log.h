// Log: how the region's service tells of an event: log("store_lost", Told{why}).
// Promises: an id that is not in the table, or another number of values than it has fields, does not compile.
// Leaves to others: the table (events.h), writing and how often (schemas/log.h).
#pragma once

#include "cloud/events.h"
#include "schemas/log.h"

namespace egret::cloud {

template <class... Args>
void log(EventNamed<kEvents, std::type_identity_t<Args>...> what, const Args&... args) {
  write_log({what.event, {LogValue(args)...}});
}

}  // namespace egret::cloud
