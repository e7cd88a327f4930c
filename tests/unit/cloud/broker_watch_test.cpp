// What a real Mosquitto holds for others, and a broker that tells nothing.
#include "cloud/broker_watch.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "schemas/entropy.h"
#include "tests/unit/support/mosquitto.h"

using namespace egret;
using namespace egret::cloud;
using namespace std::chrono_literals;

namespace {

bool comes(const std::function<bool()>& test) {
  for (const auto until = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(10ms)) {
    if (test()) return true;
  }
  return false;
}

BrokerConfig at(const test::Mosquitto& broker) {
  BrokerConfig config;
  config.url = "mqtt://127.0.0.1:" + std::to_string(broker.port());
  return config;
}

void client(const test::Mosquitto& broker, const std::string& command) {
  test::run_quietly(command + " -V 5 -p " + std::to_string(broker.port()));
}

}  // namespace

TEST_CASE("what the broker holds for a subscriber who has gone is told, and told again when that is over", "[broker]") {
  test::Mosquitto broker("allow_anonymous true\nsys_interval 1\nretain_available false\n");
  OsEntropy entropy;
  BrokerWatch watch(at(broker), entropy);
  CHECK_FALSE(watch.figures().held);
  watch.tick({1'000'000});
  client(broker, "mosquitto_sub -c -x 1000 -i gone -q 1 -t a/b -E");
  for (int i = 0; i < 3; i++) client(broker, "mosquitto_pub -q 1 -t a/b -m x");
  CHECK(comes([&] { return watch.figures().held == 3; }));
  client(broker, "mosquitto_sub -i gone -t x -E");  // a clean start ends what was kept for it
  CHECK(comes([&] { return watch.figures().held == 0; }));
}

TEST_CASE("a broker that has gone tells nothing, and is asked again a minute later", "[broker]") {
  test::Mosquitto broker("allow_anonymous true\nsys_interval 1\nretain_available false\n");
  OsEntropy entropy;
  BrokerWatch watch(at(broker), entropy);
  MonoTime now{1'000'000};
  const auto hold_one = [&] {
    client(broker, "mosquitto_sub -c -x 1000 -i gone -q 1 -t a/b -E");
    client(broker, "mosquitto_pub -q 1 -t a/b -m x");
  };
  watch.tick(now);
  hold_one();
  REQUIRE(comes([&] { return watch.figures().held == 1; }));
  broker.kill();
  REQUIRE(comes([&] { return !watch.figures().held; }));
  broker.start();
  watch.tick(now + (kBrokerWatchMs - 1));
  watch.tick(now + kBrokerWatchMs);
  hold_one();
  CHECK(comes([&] { return watch.figures().held == 1; }));
}
