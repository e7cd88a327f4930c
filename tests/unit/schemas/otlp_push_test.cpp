// Metrics on their way to a receiver that takes them, answers badly, or says nothing.
#include "schemas/otlp_push.h"

#include <catch2/catch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <atomic>
#include <chrono>

using namespace egret;
using namespace std::chrono_literals;
namespace http = boost::beast::http;
using Tcp = boost::asio::ip::tcp;

namespace {

// Answers with `status` until it is closed; 0: takes the connection and says nothing.
class Receiver {
 public:
  Receiver() : door_(io_, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)), thread_([this] { serve(); }) {}
  ~Receiver() {
    over_ = true;
    Tcp::socket(io_).connect(door_.local_endpoint());  // ends the accept
    thread_.join();
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(door_.local_endpoint().port()) + "/v1/metrics"; }
  std::vector<std::string> bodies() {
    std::lock_guard held(lock_);
    return bodies_;
  }
  std::atomic<unsigned> status{200};

 private:
  void serve() {
    std::vector<Tcp::socket> silent;
    for (;;) {
      Tcp::socket peer(io_);
      door_.accept(peer);
      if (over_) return;
      if (status == 0) {
        silent.push_back(std::move(peer));
        continue;
      }
      boost::beast::flat_buffer buffer;
      http::request<http::string_body> request;
      boost::system::error_code failed;
      http::read(peer, buffer, request, failed);
      if (failed) continue;
      {
        std::lock_guard held(lock_);
        bodies_.push_back(std::string(request.target()) + " " + std::string(request[http::field::content_type]) + " " + request.body());
      }
      http::response<http::string_body> answer(http::int_to_status(status), 11);
      answer.prepare_payload();
      http::write(peer, answer, failed);
    }
  }
  boost::asio::io_context io_;
  Tcp::acceptor door_;
  std::mutex lock_;
  std::vector<std::string> bodies_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

template <class Test>
bool comes(Test test) {
  for (const auto until = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(1ms)) {
    if (test()) return true;
  }
  return false;
}

struct Log {
  std::mutex lock;
  std::vector<std::string> lines;
  std::function<void(const Result<void>&)> say() {
    return [this](const Result<void>& taken) {
      std::lock_guard held(lock);
      lines.push_back(taken ? "again" : taken.error().text);
    };
  }
  size_t count() {
    std::lock_guard held(lock);
    return lines.size();
  }
};

}  // namespace

TEST_CASE("a set of metrics is posted as JSON to the path that was named, and counted once it is taken", "[metrics]") {
  Receiver receiver;
  Log log;
  OtlpPush push({receiver.url(), {}, 60}, "test/1", log.say());
  push.send("{\"a\":1}");
  REQUIRE(comes([&] { return push.counters().taken == 1; }));
  CHECK(receiver.bodies() == std::vector<std::string>{"/v1/metrics application/json {\"a\":1}"});
  CHECK(log.count() == 0);
}

TEST_CASE("a receiver that refuses costs its sets and one line, and one when it takes them again", "[metrics]") {
  Receiver receiver;
  receiver.status = 503;
  Log log;
  OtlpPush push({receiver.url(), {}, 60}, "test/1", log.say());
  for (uint64_t n = 1; n <= 3; n++) {
    push.send("{}");
    REQUIRE(comes([&] { return push.counters().failed == n; }));
  }
  CHECK(log.count() == 1);
  CHECK(log.lines[0].find("503") != std::string::npos);
  receiver.status = 200;
  push.send("{\"last\":1}");
  REQUIRE(comes([&] { return push.counters().taken == 1; }));
  CHECK(log.count() == 2);
  CHECK(log.lines[1] == "again");
}

TEST_CASE("nobody waits for a receiver that says nothing, not even the end", "[metrics]") {
  Receiver receiver;
  receiver.status = 0;
  Log log;
  const auto begun = std::chrono::steady_clock::now();
  {
    OtlpPush push({receiver.url(), {}, 60}, "test/1", log.say());
    for (int i = 0; i < 1'000; i++) push.send("{}");
    std::this_thread::sleep_for(20ms);  // it is on its way
  }
  CHECK(std::chrono::steady_clock::now() - begun < 2s);
}

TEST_CASE("a set is due at once, and then each time the interval has passed", "[metrics]") {
  Receiver receiver;
  Log log;
  OtlpPush push({receiver.url(), {}, 60}, "test/1", log.say());
  CHECK(push.due({5}));
  CHECK_FALSE(push.due({6}));
  CHECK_FALSE(push.due({60'004}));
  CHECK(push.due({60'005}));
}
