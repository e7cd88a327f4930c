// BrokerWatch: how many messages the broker itself holds, as Mosquitto tells under $SYS.
// Promises: never in the way of frames: its connection is its own; a broker that tells nothing, or does not let the region
// read it, costs a try every kBrokerWatchMs and leaves the figures empty.
// Leaves to others: what follows from them (metrics, packaging/prometheus), how much may be in flight (credit).
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "cloud/broker.h"
#include "schemas/mqtt.h"

namespace egret::cloud {

inline constexpr int64_t kBrokerWatchMs = 60'000;

struct BrokerFigures {
  std::optional<uint64_t> held;     // messages that wait for any subscriber
  std::optional<uint64_t> dropped;  // that it has dropped since it began, because a queue was full
};

class BrokerWatch {
 public:
  // `broker`: where, and as whom.
  BrokerWatch(const BrokerConfig& broker, Entropy& entropy);
  // To be called now and then: connects when it is time to.
  void tick(MonoTime now);
  BrokerFigures figures() const;

 private:
  struct Told {
    std::mutex lock;
    BrokerFigures figures;
    bool ended = false;
  };
  class Listener;

  MqttOptions options_;
  const std::shared_ptr<Told> told_ = std::make_shared<Told>();
  std::unique_ptr<MqttConnection> connection_;
  MonoTime next_;
};

}  // namespace egret::cloud
