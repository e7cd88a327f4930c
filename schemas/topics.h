// Topics: the four MQTT topics of a facility, made and parsed in one place (es1 section 3).
// Promises: no patient data, only a shard and a facility's name; a topic that parses names a valid facility.
// Leaves to others: quality of service and sessions (edge/link, cloud/broker).
#pragma once

#include <optional>
#include <string>

#include "schemas/types.h"

namespace egret {

// up_control: HELLO and stream 0. up_bulk: streams 1-3. down: WELCOME and ACK. presence: the will, a hint.
enum class TopicKind : uint8_t { up_control, up_bulk, down, presence };

std::string topic_of(TopicKind kind, const Facility& fac);

struct ParsedTopic {
  TopicKind kind;
  Facility fac;
  uint8_t shard;
};
// nullopt: not one of ours, an invalid facility, or a shard that is not the facility's.
std::optional<ParsedTopic> parse_topic(std::string_view topic);

// What a reconciler subscribes to; with `shared` as one member of the group es1.
std::string up_filter(TopicKind kind, bool shared);

}  // namespace egret
