// Fuzz entry: a broker that breaks MQTT, against the real edge link with Paho inside: no crash,
// each connection ends with one word, and nothing larger than what was agreed comes in.
#include "tests/fuzz/hostile_broker.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "edge/link.h"
#include "schemas/topics.h"

using namespace egret;
using fuzz::Move;
using fuzz::require;

namespace {

using namespace std::chrono_literals;

constexpr int kConnectMs = 10'000;
constexpr size_t kMovesMax = 64;
constexpr size_t kInboundBytesMax = 64 * kKiB;

// The owning thread of one link.
class Client {
 public:
  explicit Client(uint16_t port)
      : link_(
            config(port),
            [this](std::function<void()> job) {
              std::lock_guard held(lock_);
              jobs_.push_back(std::move(job));
              arrived_.notify_all();
            },
            [this](edge::Event event) { take(event); }) {
    link_.carry_out(edge::Connect{"clinic-7-0011223344556677"});
  }
  // Carries out what has come in; waits for it at most so long.
  void work(std::chrono::milliseconds patience) {
    std::unique_lock held(lock_);
    arrived_.wait_for(held, patience, [&] { return !jobs_.empty(); });
    while (!jobs_.empty()) {
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      held.unlock();
      job();
      held.lock();
    }
  }
  bool ended() const { return ends_ > 0; }
  void close() { link_.carry_out(edge::Disconnect{}); }

 private:
  static edge::LinkConfig config(uint16_t port) {
    edge::LinkConfig c;
    c.url = "mqtt://127.0.0.1:" + std::to_string(port);
    c.facility = "clinic-7";
    c.agent_version = "fuzz";
    c.connect_timeout_ms = kConnectMs;
    c.inbound_bytes_max = kInboundBytesMax;
    return c;
  }
  void take(const edge::Event& event) {
    require(ends_ == 0, "nothing is told after the end");
    if (std::holds_alternative<edge::Connected>(event)) {
      require(!std::exchange(up_, true), "a connection comes up once");
      for (uint64_t token = 1; token <= 3; token++)
        link_.carry_out(edge::Publish{TopicKind::up_bulk, token, Bytes(token * 100, 'f')});
    }
    if (const auto* frame = std::get_if<edge::FrameArrived>(&event))
      require(frame->frame.size() <= kInboundBytesMax, "what comes in keeps the limit");
    if (const auto* lost = std::get_if<edge::Disconnected>(&event))
      require(up_ && !lost->why.empty(), "a connection that was up is lost, with a reason"),
          ends_++;
    if (const auto* failed = std::get_if<edge::ConnectFailed>(&event))
      require(!up_ && !failed->why.empty(), "a connection fails with a reason"), ends_++;
  }

  std::mutex lock_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> jobs_;
  bool up_ = false;
  int ends_ = 0;
  edge::Link link_;
};

void run(ByteView input) {
  static fuzz::HostileBroker* broker = new fuzz::HostileBroker;
  fuzz::Script script(input);
  const bool reset = script.u8() % 2 == 1;
  auto client = std::make_unique<Client>(broker->port());
  // Beside a dozen other programs one has not come for ten seconds: it says so itself, then, and the next one comes.
  static int missed = 0;
  if (!broker->accept(kConnectMs)) {
    for (int n = 0; n < 1000 && !client->ended(); n++) client->work(10ms);
    require(client->ended(), "a client that could not connect says so");
    require(++missed < 2, "the client connects");
    return;
  }
  missed = 0;
  for (size_t n = 0; n < kMovesMax && !script.over(); n++) {
    broker->make(Move(script.u8() % uint8_t(Move::count_)), script);
    client->work(0ms);
  }
  broker->hang_up(reset);
  // A second look at an address, or an older version of the protocol: further connections, which
  // end at once.
  for (int n = 0; n < 1000 && !client->ended(); n++) {
    client->work(10ms);
    if (broker->accept(0)) broker->hang_up(reset);
  }
  require(client->ended(), "a connection that was cut is told as ended within seconds");
  client->close();
}

// Moves as bytes; `m(move, choices...)`.
Bytes m(Move move, const Bytes& choices = {}) {
  return Bytes(1, char(move)) + choices;
}
Bytes raw(const Bytes& bytes) {
  return m(Move::raw, Bytes(1, char(bytes.size())) + bytes);
}

std::vector<Bytes> seeds() {
  const Bytes up = m(Move::connack, Bytes(3, '\0')) + m(Move::wait) +
                   m(Move::suback, Bytes(3, '\0')) + m(Move::wait);
  const Bytes topic = topic_of(TopicKind::down, "clinic-7");
  const Bytes good =
      fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5) + Bytes(1, '\0') + "frame");
  std::vector<Bytes> out{
      up + raw(good) + m(Move::puback, Bytes(2, '\0')) + m(Move::pingresp, Bytes(1, '\0')),
      up + m(Move::disconnect, Bytes("\0\x8b\0", 3))};
  for (const Bytes& bad : std::vector<Bytes>{
           fuzz::packet(0x32, fuzz::u16(0xffff) + "x"),  // a topic longer than its packet
           fuzz::packet(0x32, fuzz::text16(topic)),      // no packet id
           fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5)),  // no properties
           fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5) +
                                  "\x7f"),  // properties longer than the packet
           fuzz::packet(
               0x32, fuzz::text16(topic) + fuzz::u16(5) + "\xff\xff\xff\x7f"),  // the same, by far
           fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5) +
                                  "\xff\xff\xff\xff\xff"),  // a length that never ends
           fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5) +
                                  Bytes("\x03\x26\x00\x09", 4)),  // a user property cut short
           fuzz::packet(0x32, fuzz::text16(topic) + fuzz::u16(5) + "\x01\x99"),  // no such property
           fuzz::packet(0x36, fuzz::text16(topic) + fuzz::u16(5) + Bytes(1, '\0')),        // QoS 3
           fuzz::packet(0x34, fuzz::text16(topic) + fuzz::u16(5) + Bytes(1, '\0') + "f"),  // QoS 2
           fuzz::packet(0x32,
                        fuzz::text16("") + fuzz::u16(0) + Bytes(1, '\0')),  // no topic, packet id 0
           fuzz::packet(0x20, {}),
           fuzz::packet(0x20, Bytes(3, '\0')),
           fuzz::packet(0x40, {}),
           fuzz::packet(0x40, "\x01"),
           fuzz::packet(0x50, fuzz::u16(7)),
           fuzz::packet(0x62, fuzz::u16(7)),
           fuzz::packet(0x70, fuzz::u16(7)),
           fuzz::packet(0x90, {}),
           fuzz::packet(0x90, fuzz::u16(1)),
           fuzz::packet(0xb0, fuzz::u16(1)),
           fuzz::packet(0x10, "MQTT"),
           fuzz::packet(0x82, fuzz::u16(1)),
           fuzz::packet(0xc0, {}),
           fuzz::packet(0xf0, "\x18"),
           fuzz::packet(0x00, "abc"),
           fuzz::packet(0xe0, "\x8b\x7f"),
           Bytes("\x30\xff\xff\xff\xff\x01", 6),
           Bytes("\x30\xff\xff\xff\x7f", 5)}) {
    out.push_back(up + raw(bad) + m(Move::wait) + raw(good));
    out.push_back(raw(bad) + m(Move::wait));
  }
  for (const Bytes& code : {Bytes(1, '\x84'), Bytes(1, '\x01'), Bytes(1, '\x86'), Bytes(1, '\x97')})
    out.push_back(m(Move::connack, Bytes(1, '\0') + '\1' + code + '\0'));
  for (Bytes& seed : out) seed.insert(seed.begin(), '\0');
  return out;
}

const fuzz::Registered registered({"hostile_broker", run, seeds});

}  // namespace
