// The real session and link against a broker that breaks MQTT: tried again, more and more seldom;
// and a packet far over what was agreed does not come in.
#include <catch2/catch.hpp>
#include <fstream>

#include "edge/buffer.h"
#include "edge/link.h"
#include "tests/fleet/jobs.h"
#include "tests/fuzz/hostile_broker.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/clear_channel.h"

using namespace egret;
using namespace egret::edge;
using fuzz::HostileBroker;
using fuzz::packet;

namespace {

LinkConfig config_for(const HostileBroker& broker) {
  LinkConfig config;
  config.url = "mqtt://127.0.0.1:" + std::to_string(broker.port());
  config.facility = "clinic-7";
  config.agent_version = "test";
  config.connect_timeout_ms = 10'000;
  return config;
}

size_t resident_mib() {
  std::ifstream in("/proc/self/statm");
  size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * 4096 / kMiB;
}

// Until an event of one of these kinds has come.
template <class... Kinds>
Event wait_for(Jobs& jobs, std::deque<Event>& events, HostileBroker* others) {
  for (int n = 0; n < 2000; n++) {
    jobs.run(agent::now().mono.ms + 5);
    if (others && others->accept(0)) others->hang_up(false);
    while (!events.empty()) {
      Event event = std::move(events.front());
      events.pop_front();
      if ((std::holds_alternative<Kinds>(event) || ...)) return event;
    }
  }
  FAIL("no such event within seconds");
  return TimerFired{};
}

}  // namespace

TEST_CASE("a broker that breaks MQTT is tried again more and more seldom", "[hostile]") {
  const std::vector<Bytes> bad{packet(0x20, {}),
                               packet(0x20, Bytes("\0\0\x7f", 3)),
                               Bytes("\x30\xff\xff\xff\xff\x01", 6),
                               packet(0x20, Bytes(3, '\0')) + packet(0x32, fuzz::u16(0xffff) + "x"),
                               packet(0xf0, "\x18"),
                               packet(0x00, "abc")};
  HostileBroker broker;
  SeededEntropy entropy(1);
  KvMemory kv(kEdgeSpaces);
  auto buffer = Buffer::open(kv, "clinic-7", entropy).value();
  Now now{{1'000'000}, {1'700'000'000'000'000}};
  SessionConfig config;
  config.facility = "clinic-7";
  Session session(
      config, *buffer, [] { return std::make_unique<ClearChannel>(1); }, entropy, {},
      buffer->view(), now);
  Jobs jobs;
  std::deque<Event> events;
  Link link(config_for(broker), jobs.post(),
            [&](Event event) { events.push_back(std::move(event)); });
  int64_t waited_ms = 0;
  for (int attempt = 1; attempt <= 12; attempt++) {
    now.mono = session.next_deadline();
    for (const Action& action : session.step(TimerFired{}, now))
      link.carry_out(std::get<Connect>(action));
    REQUIRE(broker.accept(10'000));
    broker.say(bad[size_t(attempt) % bad.size()]);
    broker.hear(20);
    broker.hang_up(false);
    const Event end = wait_for<ConnectFailed, Disconnected>(jobs, events, &broker);
    session.step(end, now);
    CHECK(session.status().state == State::down);
    const int64_t wait = session.next_deadline() - now.mono;
    CHECK(wait < std::min(kBackoffMaxMs, kBackoffFirstMs << std::min(attempt, 9)));
    waited_ms += wait;
  }
  CHECK(waited_ms > 5 * 60'000);
}

TEST_CASE("packets far over what was agreed do not come in, and their memory is given back",
          "[hostile]") {
  HostileBroker broker;
  Jobs jobs;
  std::deque<Event> events;
  Link link(config_for(broker), jobs.post(),
            [&](Event event) { events.push_back(std::move(event)); });
  link.carry_out(Connect{"clinic-7-0011223344556677"});
  REQUIRE(broker.accept(10'000));
  fuzz::Script plain(ByteView{});
  broker.make(fuzz::Move::connack, plain);
  broker.hear(2'000);
  broker.make(fuzz::Move::suback, plain);
  wait_for<Connected>(jobs, events, nullptr);
  constexpr size_t kGiantMiB = 32;
  const Bytes topic = fuzz::text16("es1/00/clinic-7/d");
  const Bytes giant =
      packet(0x32, topic + fuzz::u16(1) + Bytes(1, '\0') + Bytes(kGiantMiB * kMiB, 'x'));
  const Bytes small = packet(0x32, topic + fuzz::u16(2) + Bytes(1, '\0') + "small");
  std::vector<size_t> resident;
  for (const size_t giants : {2, 6}) {
    for (size_t n = 0; n < giants; n++) broker.say(giant);
    broker.say(small);
    const Event arrived = wait_for<FrameArrived, Disconnected>(jobs, events, nullptr);
    REQUIRE(std::holds_alternative<FrameArrived>(arrived));
    CHECK(std::get<FrameArrived>(arrived).frame == "small");
    resident.push_back(resident_mib());
  }
  CHECK(resident[1] < resident[0] + kGiantMiB);
}
