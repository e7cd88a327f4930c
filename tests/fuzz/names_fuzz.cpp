// Fuzz entry: what names something on the wire: topics and broker addresses. One that is read is
// written again as the same.
#include <fmt/format.h>

#include "schemas/mqtt.h"
#include "schemas/topics.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using fuzz::require;

namespace {

void read_topic(ByteView text) {
  const auto topic = parse_topic(text);
  if (topic)
    require(topic_of(topic->kind, topic->fac) == text, "a topic is written as it was read");
  const Facility fac(text);
  if (!valid_facility(fac)) return;
  for (const TopicKind kind :
       {TopicKind::up_control, TopicKind::up_bulk, TopicKind::down, TopicKind::presence}) {
    const auto own = parse_topic(topic_of(kind, fac));
    require(own && own->kind == kind && own->fac == fac, "a topic of a valid facility is read");
  }
}

void read_url(ByteView text) {
  const auto url = parse_mqtt_url(Bytes(text));
  if (!url) return require(!url.error().text.empty(), "a refusal says why");
  const bool v6 = text.find('[') != ByteView::npos;
  const std::string again = fmt::format("{}://{}:{}", url->tls ? "mqtts" : "mqtt",
                                        v6 ? '[' + url->host + ']' : url->host, url->port);
  const auto same = parse_mqtt_url(again);
  require(same && same->tls == url->tls && same->host == url->host && same->port == url->port,
          "an address is read again as the same");
}

void run(ByteView input) {
  read_topic(input);
  read_url(input);
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> out{"clinic-7", "mqtt://broker.example", "mqtts://10.0.0.1:8883",
                         "mqtt://[::1]:1883", "es1/+/+/u/c"};
  for (const TopicKind kind :
       {TopicKind::up_control, TopicKind::up_bulk, TopicKind::down, TopicKind::presence})
    out.push_back(topic_of(kind, "clinic-7"));
  return out;
}

const fuzz::Registered registered({"names", run, seeds});

}  // namespace
