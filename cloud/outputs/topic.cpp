#include "cloud/outputs/topic.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "schemas/mqtt.h"

namespace egret::cloud {
namespace {

constexpr int64_t kPatienceMs = 10'000;

// What the connection has said; both sides of the two threads.
struct Said {
  std::mutex lock;
  std::condition_variable changed;
  bool up = false, down = false;
  uint64_t published = 0, failed = 0;
  std::string why;
};

class Listener final : public MqttListener {
 public:
  explicit Listener(std::shared_ptr<Said> said) : said_(std::move(said)) {}
  void up(size_t) override { note([](Said& s) { s.up = true; }); }
  void down(MqttEnd end) override {
    note([&](Said& s) {
      s.down = true;
      s.why = end.why;
    });
  }
  void published(uint64_t token) override { note([&](Said& s) { s.published = token; }); }
  void publish_failed(uint64_t token, bool, std::string why) override {
    note([&](Said& s) {
      s.failed = token;
      s.why = why;
    });
  }
  void message(std::string, Bytes) override {}

 private:
  template <class Change>
  void note(Change change) {
    {
      std::lock_guard held(said_->lock);
      change(*said_);
    }
    said_->changed.notify_all();
  }
  const std::shared_ptr<Said> said_;
};

class Topic final : public AlertOutput {
 public:
  Topic(const BrokerConfig& broker, Entropy& entropy) : options_(mqtt_options_of(broker)) {
    options_.client_id = "egret-alerts-" + std::to_string(entropy.next());
    options_.subscribed = false;
  }
  std::string name() const override { return kTopicOutput; }

  Result<void> tell(const AlertEvent& event, uint64_t gen) override {
    if (connection_ == nullptr) {
      said_ = std::make_shared<Said>();
      connection_ = std::make_unique<MqttConnection>(options_, std::make_shared<Listener>(said_));
    }
    if (!wait([](const Said& s) { return s.up; })) return ended();
    const uint64_t token = ++token_;
    connection_->publish(token, "egret/alerts/" + event.about.fac, to_json(event, gen));
    if (!wait([&](const Said& s) { return s.published == token || s.failed == token; })) return ended();
    std::unique_lock held(said_->lock);
    if (said_->failed != token) return {};
    held.unlock();
    return ended();
  }

 private:
  template <class Until>
  bool wait(Until until) {
    std::unique_lock held(said_->lock);
    said_->changed.wait_for(held, std::chrono::milliseconds(kPatienceMs), [&] { return said_->down || until(*said_); });
    return until(*said_) && !said_->down;
  }
  // The next event begins with a new connection.
  Error ended() {
    connection_.reset();
    std::lock_guard held(said_->lock);
    return {Errc::link, "the broker: " + (said_->why.empty() ? std::string("no answer in time") : said_->why)};
  }

  MqttOptions options_;
  std::shared_ptr<Said> said_;
  std::unique_ptr<MqttConnection> connection_;
  uint64_t token_ = 0;
};

}  // namespace

std::unique_ptr<AlertOutput> make_topic(const BrokerConfig& broker, Entropy& entropy) { return std::make_unique<Topic>(broker, entropy); }

}  // namespace egret::cloud
