// Broker: how this site reaches its broker, out of its configuration.
// Promises: daemon and doctor knock in the same way.
// Leaves to others: the link (edge/link), where the password is (keys.h).
#pragma once

#include "agent/config.h"
#include "edge/link.h"

namespace egret::agent {

inline edge::LinkConfig link_config(const Config& config, std::string password) {
  edge::LinkConfig link;
  link.url = config.broker.uri;
  link.facility = config.facility;
  link.password = std::move(password);
  link.ca_file = config.broker.ca_file;
  link.certificate_file = config.broker.cert_file;
  link.key_file = config.broker.key_file;
  link.agent_version = EGRET_VERSION;
  return link;
}

}  // namespace egret::agent
