// Notices: what the session tells, as events of the agent's table.
// Promises: one event a kind. Leaves to others: keeping and showing them (daemon, status).
#pragma once

#include "agent/log.h"
#include "edge/session.h"

namespace egret::agent {

Message message_of(const edge::Notice& notice);

}  // namespace egret::agent
