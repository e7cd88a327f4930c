#include "schemas/mqtt.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace egret;

namespace {

// A broker that hears one packet and answers nothing.
class Ear {
 public:
  Ear() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&any), size) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size) == 0);
    port_ = ntohs(any.sin_port);
  }
  ~Ear() { ::close(fd_); }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }
  Bytes packet() {
    const int peer = ::accept(fd_, nullptr, nullptr);
    char bytes[512];
    const ssize_t n = ::recv(peer, bytes, sizeof bytes, 0);
    ::close(peer);
    return Bytes(bytes, n > 0 ? static_cast<size_t>(n) : 0);
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

struct Deaf final : MqttListener {
  void up(size_t) override {}
  void down(MqttEnd) override {}
  void published(uint64_t) override {}
  void publish_failed(uint64_t, bool, std::string) override {}
  void message(std::string, Bytes) override {}
};

// CONNECT, section 3.1 of MQTT: type, remaining length (one byte here), "MQTT", version, flags, keep alive.
constexpr size_t kVersionAt = 8, kFlagsAt = 9, kPropertiesAt = 12;
constexpr char kCleanStart = 0x02, kSessionExpiry = 0x11;

Bytes connect_of(int version) {
  Ear ear;
  MqttOptions options;
  options.url = ear.url();
  options.client_id = "one";
  options.version = version;
  options.receive_max = 32;
  MqttConnection connection(options, std::make_shared<Deaf>());
  Bytes packet = ear.packet();
  REQUIRE(packet.size() > kPropertiesAt);
  REQUIRE(packet[0] == 0x10);
  REQUIRE(packet[kVersionAt] == version);
  return packet;
}

}  // namespace

TEST_CASE("no broker is asked to keep a session: clean start, no expiry", "[es1 section 3]") {
  const Bytes v5 = connect_of(5);
  CHECK((v5[kFlagsAt] & kCleanStart) != 0);
  const ByteView properties = ByteView(v5).substr(kPropertiesAt + 1, static_cast<size_t>(v5[kPropertiesAt]));
  CHECK(properties.size() == 3);  // Receive Maximum and nothing else
  CHECK(properties.find(kSessionExpiry) == ByteView::npos);
  CHECK((connect_of(4)[kFlagsAt] & kCleanStart) != 0);
}
