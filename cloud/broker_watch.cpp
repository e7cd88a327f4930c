#include "cloud/broker_watch.h"

#include <charconv>

namespace egret::cloud {
namespace {

constexpr const char* kHeld = "$SYS/broker/store/messages/count";
constexpr const char* kDropped = "$SYS/broker/publish/messages/dropped";
constexpr size_t kFigureBytesMax = 20;

std::optional<uint64_t> number_in(ByteView text) {
  uint64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = text.size() <= kFigureBytesMax && failed == std::errc{} && end == text.data() + text.size();
  return whole ? std::optional(out) : std::nullopt;
}

}  // namespace

class BrokerWatch::Listener final : public MqttListener {
 public:
  explicit Listener(std::shared_ptr<Told> told) : told_(std::move(told)) {}
  void up(size_t) override {}
  void down(MqttEnd) override {
    std::lock_guard held(told_->lock);
    told_->ended = true;
    told_->figures = {};
  }
  void published(uint64_t) override {}
  void publish_failed(uint64_t, bool, std::string) override {}
  void message(std::string topic, Bytes payload) override {
    std::lock_guard held(told_->lock);
    if (topic == kHeld) told_->figures.held = number_in(payload);
    if (topic == kDropped) told_->figures.dropped = number_in(payload);
  }

 private:
  const std::shared_ptr<Told> told_;
};

BrokerWatch::BrokerWatch(const BrokerConfig& broker, Entropy& entropy) : options_(mqtt_options_of(broker)) {
  options_.client_id = "egret-watch-" + std::to_string(entropy.next());
  options_.filters = {kHeld, kDropped};
  options_.payload_bytes_max = 1 * kKiB;
}

void BrokerWatch::tick(MonoTime now) {
  if (now < next_) return;
  {
    std::lock_guard held(told_->lock);
    if (connection_ != nullptr && !told_->ended) return;
  }
  next_ = now + kBrokerWatchMs;
  connection_.reset();  // no word of it comes any more
  {
    std::lock_guard held(told_->lock);
    told_->ended = false;
    told_->figures = {};
  }
  connection_ = std::make_unique<MqttConnection>(options_, std::make_shared<Listener>(told_));
}

BrokerFigures BrokerWatch::figures() const {
  std::lock_guard held(told_->lock);
  return told_->figures;
}

}  // namespace egret::cloud
