#include "cloud/broker.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "schemas/entropy.h"
#include "tests/unit/support/mosquitto.h"

using namespace egret;
using namespace egret::cloud;
using namespace std::chrono_literals;

namespace {

// Sends the first one who connects away at once; the others are kept waiting.
class Unfriendly {
 public:
  Unfriendly() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at = test::loopback(0);
    socklen_t size = sizeof(at);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] {
      for (int peer = ::accept(fd_, nullptr, nullptr); peer >= 0; peer = ::accept(fd_, nullptr, nullptr)) {
        if (connections_++ == 0) {
          ::close(peer);
        } else {
          kept_.push_back(peer);
        }
      }
    });
  }
  ~Unfriendly() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (int peer : kept_) ::close(peer);
    ::close(fd_);
  }
  Unfriendly(const Unfriendly&) = delete;
  Unfriendly& operator=(const Unfriendly&) = delete;

  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }
  bool sees(size_t connections) const {
    for (const auto until = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(1ms)) {
      if (connections_ >= connections) return true;
    }
    return false;
  }

 private:
  const int fd_;
  uint16_t port_ = 0;
  std::atomic<size_t> connections_{0};
  std::vector<int> kept_;
  std::thread thread_;
};

// Holds the broker up where it draws a name for a line: the other one has ended when it goes on, and waits to say so.
class Slow final : public Entropy {
 public:
  uint64_t next() override {
    std::this_thread::sleep_for(150ms);
    return entropy_.next();
  }

 private:
  OsEntropy entropy_;
};

}  // namespace

TEST_CASE("broker: a line that ends while the other one is being made comes back") {
  for (int i = 0; i < 8; ++i) {
    Unfriendly server;
    BrokerConfig config;
    config.url = server.url();
    config.backoff_max_ms = 1;
    Slow entropy;
    Broker broker(config, entropy);
    INFO("round " << i);
    REQUIRE(server.sees(4));  // both, the look at why the first one ended, and the line again
  }
}
