// Skew: agents and regions of another version: fields that nobody here knows, other protocol numbers, other frames.
// Promises: what it adds is sealed with the rest, as by a program that knows it.
// Leaves to others: which site is one, and when (World); what must be answered (Checker).
#pragma once

#include "schemas/limits.h"
#include "schemas/seal.h"

namespace egret::sim {

// What an agent of another version says.
struct Skew {
  bool unknown_fields = false;
  uint32_t proto_min = kProtocolVersion, proto_max = kProtocolVersion;
  uint8_t frame_version = kProtocolVersion;
  bool is_stranger() const {
    return proto_min > kProtocolVersion || proto_max < kProtocolVersion || frame_version != kProtocolVersion;
  }
  bool is_ours() const { return !unknown_fields && proto_min == kProtocolVersion && proto_max == kProtocolVersion; }
};

std::unique_ptr<Channel> skewed_channel(std::unique_ptr<Channel> channel, const Skew& skew);
// A region's: WELCOME and ACK with unknown fields.
std::shared_ptr<Channel> newer_channel(std::unique_ptr<Channel> channel);

}  // namespace egret::sim
