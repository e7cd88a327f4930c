// Mqtt: one MQTT connection, from CONNECT to its end, on Paho's asynchronous C client; what the
// adapters of both sides (edge/link, cloud/broker) have in common.
// Promises: clean start, no persistence, no offline buffer, no reconnect, nothing sent twice; no
// method blocks; the subscription stands before up(); down() comes once and last; after close() no
// listener runs or will run. Leaves to others: when to connect again, what topics and payloads
// mean.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// The C client is used directly because the C++ wrapper of Debian 12 (1.2.0) leaves the TLS library
// with a pointer to an options object that is gone, and so cannot say why a handshake failed.

struct MqttOptions {
  std::string url;  // mqtt://host[:1883] or mqtts://host[:8883]
  std::string client_id;
  std::string user, password;  // empty: not sent
  // For mqtts://, PEM files. Without ca_file the system's trust store judges the broker.
  std::filesystem::path ca_file, certificate_file, key_file;
  int version = 0;        // 5, 4 (3.1.1), or 0: 5, and 3.1.1 where the broker refuses 5
  int keep_alive_s = 60;  // 5 … 3600
  int64_t connect_timeout_ms = 30'000;  // TCP, TLS, CONNACK and SUBACK together; at least 100
  size_t payload_bytes_max = 0;  // told to the broker with room for a topic; larger is refused
  uint16_t receive_max = 32;     // unacknowledged messages that the broker may send
  uint16_t inflight_max = 32;    // the same for what is published here, besides the broker's wish
  size_t waiting_max = 256;      // publishes not yet taken by the client; more fail at once
  std::string will_topic, will_payload;  // QoS 0, not retained; an empty topic: none
  std::vector<std::string> filters;      // subscribed at QoS 1
  bool subscribed = true;                // false: only once subscribe(true) says so
};

struct MqttUrl {
  bool tls = false;
  std::string host;  // without brackets
  uint16_t port = 0;
};
// Errors: config, naming what is wrong with it.
Result<MqttUrl> parse_mqtt_url(const std::string& url);
// Errors: config, naming the setting: url, keep_alive_s, files that cannot be read or have no
// partner.
Result<void> check(const MqttOptions& options);

struct MqttEnd {
  bool was_up = false;            // false: up() never came
  bool identity_refused = false;  // user, password, certificate or client id are not let in
  std::string why;                // for a person
};

// Called from the client's threads: must return at once and never call into the connection.
class MqttListener {
 public:
  virtual ~MqttListener() = default;
  // payload_bytes_max: of the broker's Maximum Packet Size, less headers and a topic of ours; 0: no
  // limit said.
  virtual void up(size_t payload_bytes_max) = 0;
  // What was in flight gets no event of its own.
  virtual void down(MqttEnd end) = 0;
  virtual void published(uint64_t token) = 0;
  virtual void publish_failed(uint64_t token, bool too_large, std::string why) = 0;
  virtual void message(std::string topic, Bytes payload) = 0;
};

struct MqttState;

class MqttConnection {
 public:
  // Starts to connect at once.
  MqttConnection(MqttOptions options, std::shared_ptr<MqttListener> listener);
  // As close(0).
  ~MqttConnection();
  MqttConnection(const MqttConnection&) = delete;
  MqttConnection& operator=(const MqttConnection&) = delete;

  // QoS 1, not retained. Ends in published() or publish_failed(), unless the connection ends first.
  void publish(uint64_t token, std::string topic, Bytes payload);
  // Takes the filters back, or subscribes them again; the connection stays. Refused: it ends.
  void subscribe(bool on);
  // Says goodbye (no will) and ends in silence. Waits at most `wait_ms` for the goodbye to be sent;
  // the client's memory is freed behind the caller's back.
  void close(int64_t wait_ms);

 private:
  std::shared_ptr<MqttState> state_;
};

}  // namespace egret
