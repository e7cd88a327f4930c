// Link: the edge's MQTT connection (es1 section 3): carries out the session's Connect, Disconnect
// and Publish, and turns what the broker does into the session's events. Promises: no method
// blocks; events arrive only in jobs handed to `post`, never inside a call, never of an older
// connection, never after destruction; each Connect is answered once (Connected or ConnectFailed),
// and a lost connection is told once. Nothing is stored, nothing is sent twice. Leaves to others:
// when to connect again (Session's backoff), what the frames say (Session).
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "edge/session.h"

namespace egret::edge {

struct LinkConfig {
  std::string url;       // mqtt://host[:1883] or mqtts://host[:8883]
  Facility facility;     // user name, and the topics
  std::string password;  // empty: none is sent
  // For mqtts://. Without ca_file the system's trust store judges the broker.
  std::filesystem::path ca_file;
  std::filesystem::path certificate_file;  // client certificate (PEM, with its chain), or empty
  std::filesystem::path key_file;          // its private key (PEM)
  int mqtt_version = 0;                    // 5, 4 (3.1.1), or 0: 5, and 3.1.1 where 5 is refused
  int keep_alive_s = 20;                   // 5 … 3600; a half-open line is found after 2.5 times this
  int64_t connect_timeout_ms = kConnectTimeoutMs;  // TCP, TLS, CONNACK and SUBACK together
  size_t inbound_bytes_max = kFrameBytesMax;       // told to the broker, and refused above
  std::string agent_version;                       // for the will, beside the sid
};

// Errors: config, naming the key that is wrong: url, keep_alive_s, a file that cannot be read, a
// client certificate without its key.
Result<void> check(const LinkConfig& config);

class Link {
 public:
  // Hands a job to the thread that owns the link; may be called from any thread, must not run the
  // job at once: boost::asio::post(io, std::move(job)).
  using Post = std::function<void(std::function<void()> job)>;
  // Called by those jobs with Connected, ConnectFailed, Disconnected, Published, PublishFailed and
  // FrameArrived. A frame in flight when the link is lost gets no event of its own.
  using OnEvent = std::function<void(Event event)>;

  Link(LinkConfig config, Post post, OnEvent on_event);
  // Waits at most a second for the goodbye to the broker.
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // All three from the owning thread only.
  // Ends a connection that is still there, in silence, and opens a new one.
  void carry_out(const Connect& connect);
  // After this nothing more of the connection is told.
  void carry_out(const Disconnect& disconnect);
  // Without a connection: PublishFailed.
  void carry_out(Publish publish);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace egret::edge
