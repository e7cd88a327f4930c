// HostileBroker: a listener on the loopback that speaks MQTT 5 as badly as a script says, to one
// client at a time. Promises: never blocks for longer than it was told; what the client's packets
// name (packet ids) is known, so that answers can be nearly right. Leaves to others: the client
// (edge/link with Paho inside), what must be true of it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>

#include "schemas/kv.h"
#include "tests/fuzz/fuzz.h"

namespace egret::fuzz {

// What the broker does next; what follows it in a script is read by the move.
enum class Move : uint8_t {
  connack,
  suback,
  publish,
  puback,
  raw,
  claim,
  wait,
  pingresp,
  disconnect,
  slow,
  pub_like,
  count_
};

inline void put_length(Bytes& out, uint32_t n) {
  do {
    const uint8_t low = n % 128;
    n /= 128;
    out.push_back(static_cast<char>(low | (n > 0 ? 0x80 : 0)));
  } while (n > 0);
}
inline Bytes packet(uint8_t first, const Bytes& body) {
  Bytes out(1, static_cast<char>(first));
  put_length(out, static_cast<uint32_t>(body.size()));
  return out + body;
}
inline Bytes u16(size_t n) {
  return {static_cast<char>(n >> 8), static_cast<char>(n)};
}
inline Bytes text16(const Bytes& text) {
  return u16(text.size()) + text;
}

class HostileBroker {
 public:
  HostileBroker() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    require(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0 &&
                ::listen(listener_, 64) == 0,
            "a port to listen on");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
  }
  ~HostileBroker() {
    hang_up(false);
    ::close(listener_);
  }
  HostileBroker(const HostileBroker&) = delete;
  HostileBroker& operator=(const HostileBroker&) = delete;

  uint16_t port() const { return port_; }
  // The next client, once it has said something. False: none came.
  bool accept(int wait_ms) {
    hang_up(false);
    pollfd wait{listener_, POLLIN, 0};
    if (::poll(&wait, 1, wait_ms) != 1) return false;
    client_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client_ < 0) return false;
    const int now = 1;
    ::setsockopt(client_, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
    said_.clear();
    subscribe_id_ = publish_id_ = 0;
    hear(wait_ms);
    return true;
  }
  void hang_up(bool reset) {
    if (client_ < 0) return;
    const linger hard{1, 0};
    if (reset) ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(std::exchange(client_, -1));
  }
  void make(Move move, Script& script) {
    switch (move) {
      case Move::connack:
        return say(packet(0x20, Bytes(1, char(script.once_in(8))) +
                                    char(script.once_in(4) ? script.u8() : 0) +
                                    properties(script)));
      case Move::suback:
        return say(packet(0x90, u16(subscribe_id_ + (script.once_in(8) ? 1 : 0)) +
                                    properties(script) +
                                    char(script.once_in(4) ? script.u8() : 1)));
      case Move::publish:
        return say(publication(script));
      case Move::puback:
        return say(packet(
            0x40,
            u16(script.once_in(4) ? script.u16() : publish_id_) +
                (script.once_in(2) ? Bytes(1, char(script.u8())) + properties(script) : Bytes())));
      case Move::raw:
        return say(script.bytes(script.u8()));
      case Move::claim: {  // more, or less, than what follows
        Bytes out(1, char(script.u8()));
        const uint8_t how = script.u8();
        if (how < 128)
          put_length(out, how);
        else if (how < 192)
          put_length(out, uint32_t(script.u64() % 268'435'456));
        else
          out += Bytes(size_t(how - 192) % 6, '\xff') + char(script.u8());
        return say(out + script.bytes(script.u8()));
      }
      case Move::pingresp:
        return say(packet(0xd0, script.once_in(4) ? script.bytes(4) : Bytes()));
      case Move::disconnect:
        return say(packet(
            0xe0, script.once_in(4) ? Bytes() : Bytes(1, char(script.u8())) + properties(script)));
      case Move::slow: {
        const Bytes out = script.once_in(2) ? publication(script) : script.bytes(script.u8() % 16);
        for (size_t i = 0; i < out.size(); i++) say(out.substr(i, 1)), ::usleep(i < 16 ? 500 : 0);
        return;
      }
      case Move::pub_like:
        return say(packet(uint8_t(0x30 | script.u8() % 16), script.bytes(script.u8())));
      default:
        return hear(20);
    }
  }
  // The client may speak; at most so long.
  void hear(int wait_ms) {
    pollfd wait{client_, POLLIN, 0};
    if (client_ < 0 || ::poll(&wait, 1, wait_ms) != 1) return;
    char bytes[65536];
    ssize_t n = 0;
    while ((n = ::recv(client_, bytes, sizeof bytes, 0)) > 0)
      said_.append(bytes, static_cast<size_t>(n));
    learn();
  }
  void say(const Bytes& bytes) {
    size_t said = 0;
    for (size_t waits = 0; client_ >= 0 && said < bytes.size() && waits < 2000;) {
      const ssize_t n = ::send(client_, bytes.data() + said, bytes.size() - said, MSG_NOSIGNAL);
      if (n > 0)
        said += static_cast<size_t>(n);
      else if (errno != EAGAIN)
        return;
      else
        hear(1), waits++;
    }
  }

 private:
  static Bytes properties(Script& script) {
    if (!script.once_in(3)) return Bytes(1, '\0');
    const Bytes inside = script.bytes(script.u8() % 64);
    Bytes out;
    put_length(out, script.once_in(4) ? uint32_t(script.any_number()) & 0xfffffff
                                      : uint32_t(inside.size()));
    return out + inside;
  }
  static Bytes publication(Script& script) {
    const uint8_t flags = script.u8() % 16;
    const Bytes topic = script.bytes(script.u8() % 32);
    Bytes body = script.once_in(4) ? u16(script.u16()) + topic : text16(topic);
    if (flags & 6) body += u16(script.u16());
    body += properties(script);
    return packet(uint8_t(0x30 | flags), body + script.bytes(script.u8()));
  }
  // Packets of the client: the ids that it waits for.
  void learn() {
    while (said_.size() >= 2) {
      size_t length = 0, at = 1;
      for (int shift = 0; at < said_.size() && shift < 28; shift += 7) {
        const uint8_t b = uint8_t(said_[at++]);
        length |= size_t(b & 0x7f) << shift;
        if (b < 0x80) break;
      }
      if (said_.size() < at + length) return;
      const uint8_t type = uint8_t(said_[0]) >> 4;
      if (type == 8 && length >= 2)
        subscribe_id_ = get_u32(Bytes(2, '\0') + said_.substr(at, 2), 0);
      const size_t topic = length >= 2 ? get_u32(Bytes(2, '\0') + said_.substr(at, 2), 0) : 0;
      if (type == 3 && length >= topic + 4)
        publish_id_ = get_u32(Bytes(2, '\0') + said_.substr(at + 2 + topic, 2), 0);
      said_.erase(0, at + length);
    }
  }
  int listener_, client_ = -1;
  uint16_t port_ = 0;
  Bytes said_;
  size_t subscribe_id_ = 0, publish_id_ = 0;
};

}  // namespace egret::fuzz
