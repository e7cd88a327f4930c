// Broker: the cloud's two MQTT connections (es1 section 3): frames in through a bounded queue,
// replies out. Promises: control frames (HELLO, stream 0) never wait behind bulk; a full queue
// drops in silence and counts; no callback blocks; both lines come back by themselves (full
// jitter); memory is bounded. Leaves to others: what frames say (Reconciler), which thread takes
// them (server).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cloud/reconciler.h"
#include "cloud/shards.h"

namespace egret {
struct MqttOptions;
}  // namespace egret

namespace egret::cloud {

struct BrokerConfig {
  std::string url;  // mqtt:// or mqtts://
  std::string user, password;
  std::filesystem::path ca_file, certificate_file, key_file;
  int mqtt_version = 0;
  // Half a line that a firewall forgot is noticed by the broker after 1.5, by Paho after 2.5 of these;
  // until then the whole region hears nothing.
  int keep_alive_s = 20;
  // False: the broker has no $share; this reconciler is the only one, or keeps what its shards say (hear).
  bool shared_subscription = true;
  size_t queue_messages = 4'096;   // of each line; room for a region of hundreds of sites
  size_t queue_bytes = 64 * kMiB;  // of each line
  size_t frame_bytes_max = kFrameBytesAgreedMax;
  int64_t backoff_max_ms = 2'000;  // a region has few of these: no herd to spread
};
// Errors: config.
Result<void> check(const BrokerConfig& config);
// Where and as whom to connect; the caller adds its own name, and what it wants to hear.
MqttOptions mqtt_options_of(const BrokerConfig& config);

struct LineStatus {
  bool connected = false;
  std::string why;  // why not, for a person
  size_t queued_messages = 0, queued_bytes = 0;
  uint64_t received = 0;  // frames, all
  uint64_t dropped = 0;   // because the queue was full, or the store down
  uint64_t connects = 0;
};
struct BrokerStatus {
  LineStatus control, bulk;
  bool accepting = true;
  size_t shards = 0;          // that are heard
  uint64_t of_other_shards = 0;
  uint64_t stray_topics = 0;  // topics that are not ours, or whose shard is not the facility's
  uint64_t replies_published = 0, replies_failed = 0, replies_unsent = 0;
};

struct BrokerImpl;

class Broker {
 public:
  // Connects at once, in the background. `entropy` outlives it and is its alone.
  Broker(BrokerConfig config, Entropy& entropy);
  // Waits at most a second for both goodbyes.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // What has queued, control first, at most this much (one frame always); waits for the first.
  // Empty: nothing came in time, or woken.
  std::vector<Inbound> take(size_t frames_max, size_t bytes_max, int64_t wait_ms);
  // Ends a take() that waits.
  void wake();
  // To the facility's down topic, QoS 1. Without a connection it is counted and forgotten.
  void reply(Reply reply);
  // Without $share everything comes to everybody: frames of other shards are put down where they come in, from now on. A
  // filter a shard would spare the line, but is a replicated consumer of its own in a broker such as NATS.
  void hear(const Shards& shards);
  // False while the store is down: unsubscribes and forgets what has queued.
  void accept(bool on);
  BrokerStatus status() const;

 private:
  std::unique_ptr<BrokerImpl> impl_;
};

}  // namespace egret::cloud
