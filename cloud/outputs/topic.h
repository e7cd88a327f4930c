// Topic: an alert's event on the region's broker: egret/alerts/FACILITY, QoS 1, not retained.
// Promises: told once the broker has it; the topic names the facility and nothing else. Who was not connected then asks the
// API with its cursor. Leaves to others: order and trying again (Teller), who may read the topic (the broker's rules).
#pragma once

#include "cloud/broker.h"
#include "cloud/outputs/teller.h"

namespace egret::cloud {

inline constexpr const char* kTopicOutput = "mqtt";
// `broker`: where, and as whom; the connection is its own.
std::unique_ptr<AlertOutput> make_topic(const BrokerConfig& broker, Entropy& entropy);

}  // namespace egret::cloud
