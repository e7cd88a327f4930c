#include "schemas/topics.h"

#include <charconv>

namespace egret {
namespace {

constexpr std::string_view kRoot = "es1/";

std::string_view suffix_of(TopicKind kind) {
  switch (kind) {
    case TopicKind::up_control: return "/u/c";
    case TopicKind::up_bulk: return "/u/b";
    case TopicKind::down: return "/d";
    case TopicKind::presence: return "/p";
  }
  return "";
}

}  // namespace

std::string topic_of(TopicKind kind, const Facility& fac) {
  std::string topic(kRoot);
  topic += shard_of(fac);
  topic += '/';
  topic += fac;
  topic += suffix_of(kind);
  return topic;
}

std::optional<ParsedTopic> parse_topic(std::string_view topic) {
  if (topic.substr(0, kRoot.size()) != kRoot) return std::nullopt;
  size_t shard_end = topic.find('/', kRoot.size());
  if (shard_end == std::string_view::npos) return std::nullopt;
  size_t fac_end = topic.find('/', shard_end + 1);
  if (fac_end == std::string_view::npos) return std::nullopt;
  Facility fac(topic.substr(shard_end + 1, fac_end - shard_end - 1));
  const std::string_view shard = topic.substr(kRoot.size(), shard_end - kRoot.size());
  if (!valid_facility(fac) || shard != shard_of(fac)) return std::nullopt;
  uint8_t number = 0;
  std::from_chars(shard.data(), shard.data() + shard.size(), number, 16);
  for (TopicKind kind : {TopicKind::up_control, TopicKind::up_bulk, TopicKind::down, TopicKind::presence}) {
    if (topic.substr(fac_end) == suffix_of(kind)) return ParsedTopic{kind, std::move(fac), number};
  }
  return std::nullopt;
}

std::string up_filter(TopicKind kind, bool shared) {
  std::string filter = shared ? "$share/es1/" : "";
  filter += "es1/+/+";
  filter += suffix_of(kind);
  return filter;
}

}  // namespace egret
