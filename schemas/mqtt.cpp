#include "schemas/mqtt.h"

#include <MQTTAsync.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "schemas/limits.h"
#include "schemas/mutants.h"

// Threads. Each connection has one worker thread; only it calls into Paho, so that nobody else ever
// waits for Paho's process-wide lock (which is held over name look-ups). Paho's own two threads
// call the functions of Calls with that lock held; these take only State's locks, for moments. The
// worker never holds one of State's locks while it calls Paho.
namespace egret {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTcpProbeMs = 1'000;

// Paho frees its global lists with the last client, while another thread may be making a new one.
// One client that is never freed and never connects keeps them alive.
void keep_paho_alive() {
  static std::once_flag once;
  static MQTTAsync anchor = nullptr;
  std::call_once(once, [] {
    MQTTAsync_create(&anchor, "tcp://127.0.0.1:1", "anchor", MQTTCLIENT_PERSISTENCE_NONE, nullptr);
  });
}

// nullopt: the name resolves.
std::optional<std::string> unresolved(const MqttUrl& url, addrinfo** found) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  int rc = getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, found);
  if (rc == 0) return std::nullopt;
  return fmt::format("cannot find host '{}': {}", url.host, gai_strerror(rc));
}

// Paho does not say why TCP failed; a second look does. nullopt: it can be connected to.
std::optional<std::string> unreachable(const MqttUrl& url) {
  addrinfo* found = nullptr;
  if (auto why = unresolved(url, &found)) return why;
  int error = 0;
  int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    socklen_t size = sizeof(error);
    if (poll(&wait, 1, kTcpProbeMs) == 0) {
      error = ETIMEDOUT;
    } else {
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (fd >= 0) ::close(fd);
  freeaddrinfo(found);
  if (error == 0) return std::nullopt;
  return fmt::format("{}:{}: {}", url.host, url.port, std::strerror(error));
}

// OpenSSL writes thread:error:code:library:function:reason:file:line.
std::string reason_of_tls_error(std::string_view line) {
  for (int field = 0; field < 5; ++field) {
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::string(line);
    line.remove_prefix(colon + 1);
  }
  return std::string(line.substr(0, line.find(':')));
}

// Alerts in which the broker speaks of our certificate. The others tell of bytes that were changed
// on their way, or of versions: a site would wait for minutes because of one bad byte.
bool refuses_certificate(std::string_view tls_error) {
  auto says = [&](std::string_view word) { return tls_error.find(word) != std::string_view::npos; };
  return says("alert") && (says("certificate") || says("unknown ca") || says("access denied"));
}

// CONNACK: reason codes of MQTT 5 begin at 0x80, return codes of 3.1.1 are 1 to 5.
std::string connack_text(int code) {
  switch (code) {
    case 1:
      return "protocol version refused";
    case 2:
      return "client id refused";
    case 3:
      return "broker not available";
    case 4:
      return "bad user name or password";
    case 5:
      return "not authorized";
    default:
      break;
  }
  const char* name = MQTTReasonCode_toString(static_cast<MQTTReasonCodes>(code));
  return fmt::format("{} (0x{:02X})", name ? name : "unknown reason", code);
}
bool refuses_identity(int code) {
  return code == 4 || code == 5 || code == MQTTREASONCODE_BAD_USER_NAME_OR_PASSWORD ||
         code == MQTTREASONCODE_NOT_AUTHORIZED || code == MQTTREASONCODE_BANNED;
}
bool refuses_version(int code) {
  return code == 1 || code == MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION;
}

}  // namespace

struct MqttState {
  MqttState(MqttOptions o, std::shared_ptr<MqttListener> l)
      : options(std::move(o)), listener(std::move(l)) {}

  const MqttOptions options;
  MqttUrl url;

  std::mutex listener_lock;                // held while the listener runs
  std::shared_ptr<MqttListener> listener;  // none: nothing is told any more
  template <class Fn>
  void tell(Fn&& fn) {
    std::lock_guard held(listener_lock);
    if (listener) fn(*listener);
  }

  struct Job {
    enum class What : uint8_t { publish, refuse, subscribe, unsubscribe } what;
    uint64_t token = 0;
    std::string topic;
    Bytes payload;
  };
  struct InFlight {
    MqttState* state;
    uint64_t serial;
    uint64_t token;
  };
  // How far the present attempt is; written by Paho's threads, awaited by the worker.
  struct Progress {
    bool connected = false;
    size_t acknowledged_filters = 0;
    size_t packet_bytes_max = 0;
    std::optional<MqttEnd> end;
    bool version_refused = false;
  };

  std::mutex lock;  // guards all below
  std::condition_variable changed;
  Progress progress;
  std::deque<Job> jobs;
  std::map<uint64_t, InFlight>
      in_flight;  // nodes are the contexts of Paho's calls: they never move
  uint64_t serials = 0;
  std::string tls_error;
  bool closing = false;
  bool done = false;

  template <class Fn>
  void note(Fn&& fn) {
    std::lock_guard held(lock);
    fn(progress);
    changed.notify_all();
  }
  // The first reason is the true one: what follows is its echo. An older version is tried for a CONNECT alone.
  void note_end(std::string why, int code = 0, bool at_connect = false) {
    note([&](Progress& p) {
      if (p.end) return;
      p.end = MqttEnd{false, refuses_identity(code), std::move(why)};
      p.version_refused = at_connect && refuses_version(code);
    });
  }
  std::optional<uint64_t> landed(const InFlight* sent) {
    std::lock_guard held(lock);
    auto found = in_flight.find(sent->serial);
    if (found == in_flight.end()) return std::nullopt;
    uint64_t token = found->second.token;
    in_flight.erase(found);
    return token;
  }
};

namespace {

using State = MqttState;
using Job = State::Job;

// What Paho calls, with a State* or an InFlight* as context.
struct Calls {
  static State& at(void* context) { return *static_cast<State*>(context); }

  static void connected5(void* context, MQTTAsync_successData5* data) {
    uint32_t limit = 0;
    if (MQTTProperties_hasProperty(&data->properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE))
      limit = static_cast<uint32_t>(
          MQTTProperties_getNumericValue(&data->properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE));
    at(context).note([&](State::Progress& p) {
      p.connected = true;
      p.packet_bytes_max = limit;
    });
  }
  static void connected(void* context, MQTTAsync_successData*) {
    at(context).note([](State::Progress& p) { p.connected = true; });
  }
  static void refused5(void* context, MQTTAsync_failureData5* data) {
    refused_with(context, data->code > 0 ? data->code : data->reasonCode);
  }
  static void refused(void* context, MQTTAsync_failureData* data) {
    refused_with(context, data->code);
  }
  // Without a code of the broker the text stays empty: the worker takes a second look.
  static void refused_with(void* context, int code) {
    at(context).note_end(code > 0 ? connack_text(code) : "", code, true);
  }

  static void subscribed5(void* context, MQTTAsync_successData5*) { acknowledged(context); }
  static void subscribed(void* context, MQTTAsync_successData*) { acknowledged(context); }
  static void acknowledged(void* context) {
    at(context).note([](State::Progress& p) { ++p.acknowledged_filters; });
  }
  static void not_subscribed5(void* context, MQTTAsync_failureData5* data) {
    if (data->code == MQTTASYNC_OPERATION_INCOMPLETE) return;  // told as the connection's end
    int code = data->reasonCode > 0 ? data->reasonCode : data->code;
    at(context).note_end("subscription refused: " + connack_text(code), code);
  }
  static void not_subscribed(void* context, MQTTAsync_failureData* data) {
    if (data->code == MQTTASYNC_OPERATION_INCOMPLETE) return;
    at(context).note_end("subscription refused");
  }

  static void lost(void* context, char*) { at(context).note_end("connection lost"); }
  static void ended(void* context, MQTTProperties*, MQTTReasonCodes code) {
    at(context).note_end("the broker ended it: " + connack_text(code), code);
  }

  static int message(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) {
    State& s = at(context);
    size_t size = static_cast<size_t>(message->payloadlen);
    if (s.options.payload_bytes_max == 0 || size <= s.options.payload_bytes_max) {
      std::string name = topic_bytes > 0 ? std::string(topic, static_cast<size_t>(topic_bytes))
                                         : std::string(topic);
      Bytes payload(static_cast<const char*>(message->payload), size);
      s.tell([&](MqttListener& l) { l.message(std::move(name), std::move(payload)); });
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
  }

  static void published5(void* context, MQTTAsync_successData5*) { acknowledge(context); }
  static void published(void* context, MQTTAsync_successData*) { acknowledge(context); }
  static void acknowledge(void* context) {
    auto* sent = static_cast<State::InFlight*>(context);
    State& s = *sent->state;
    if (auto token = s.landed(sent)) s.tell([&](MqttListener& l) { l.published(*token); });
  }
  static void failed5(void* context, MQTTAsync_failureData5* data) {
    fail(context, data->reasonCode);
  }
  static void failed(void* context, MQTTAsync_failureData*) { fail(context, 0); }
  static void fail(void* context, int reason) {
    auto* sent = static_cast<State::InFlight*>(context);
    State& s = *sent->state;
    auto token = s.landed(sent);
    // Without a reason of the broker the connection has ended, and tells so itself.
    if (!token || reason == 0) return;
    bool too_large = reason == MQTTREASONCODE_PACKET_TOO_LARGE;
    s.tell([&](MqttListener& l) { l.publish_failed(*token, too_large, connack_text(reason)); });
  }

  static int tls_error(const char* line, size_t size, void* context) {
    State& s = at(context);
    std::lock_guard held(s.lock);
    s.tls_error = reason_of_tls_error({line, size});
    return 1;
  }
};

// The options of one CONNECT, with the memory that they point to.
class ConnectOptions {
 public:
  ConnectOptions(State& s, int version)
      : ca_(s.options.ca_file), certificate_(s.options.certificate_file), key_(s.options.key_file) {
    bool v5 = version == MQTTVERSION_5;
    if (v5) options = MQTTAsync_connectOptions_initializer5;
    if (mutant(Mutant::persistent_session)) options.cleanstart = options.cleansession = 0;
    options.MQTTVersion = version;
    options.keepAliveInterval = s.options.keep_alive_s;
    options.maxInflight = s.options.inflight_max;
    // The worker's own deadline is the one that counts.
    options.connectTimeout = static_cast<int>(s.options.connect_timeout_ms / 1000) + 10;
    options.context = &s;
    if (v5) {
      options.onSuccess5 = &Calls::connected5;
      options.onFailure5 = &Calls::refused5;
      add_properties(s.options);
      options.connectProperties = &properties_;
    } else {
      options.onSuccess = &Calls::connected;
      options.onFailure = &Calls::refused;
    }
    add_identity(s.options);
    add_will(s.options);
    if (s.url.tls) add_tls(s);
  }
  ~ConnectOptions() { MQTTProperties_free(&properties_); }
  ConnectOptions(const ConnectOptions&) = delete;
  ConnectOptions& operator=(const ConnectOptions&) = delete;

  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;

 private:
  void add_properties(const MqttOptions& o) {
    MQTTProperty property{};
    property.identifier = MQTTPROPERTY_CODE_RECEIVE_MAXIMUM;
    property.value.integer2 = o.receive_max;
    MQTTProperties_add(&properties_, &property);
    if (o.payload_bytes_max == 0) return;
    property.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE;
    property.value.integer4 = static_cast<unsigned>(o.payload_bytes_max + kMqttOverheadBytes);
    MQTTProperties_add(&properties_, &property);
  }
  void add_identity(const MqttOptions& o) {
    if (!o.user.empty()) options.username = o.user.c_str();
    if (o.password.empty()) return;
    options.binarypwd.data = o.password.data();
    options.binarypwd.len = static_cast<int>(o.password.size());
  }
  void add_will(const MqttOptions& o) {
    if (o.will_topic.empty()) return;
    will_.topicName = o.will_topic.c_str();
    will_.payload.data = o.will_payload.data();
    will_.payload.len = static_cast<int>(o.will_payload.size());
    options.will = &will_;
  }
  void add_tls(State& s) {
    if (!ca_.empty()) tls_.trustStore = ca_.c_str();
    if (!certificate_.empty()) tls_.keyStore = certificate_.c_str();
    if (!key_.empty()) tls_.privateKey = key_.c_str();
    tls_.enableServerCertAuth = 1;
    tls_.verify = 1;  // the certificate must be for the host of the url
    tls_.ssl_error_cb = &Calls::tls_error;
    tls_.ssl_error_context = &s;
    options.ssl = &tls_;
  }

  std::string ca_, certificate_, key_;
  MQTTAsync_willOptions will_ = MQTTAsync_willOptions_initializer;
  MQTTAsync_SSLOptions tls_ = MQTTAsync_SSLOptions_initializer;
  MQTTProperties properties_ = MQTTProperties_initializer;
};

// One Paho client, used for one attempt. Freeing it sends DISCONNECT when it is connected.
class Client {
 public:
  Client(State& s, int version) : s_(s), version_(version) {}
  ~Client() {
    if (handle_) MQTTAsync_destroy(&handle_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connects, subscribes, publishes; returns when it is over.
  MqttEnd run(Clock::time_point deadline) {
    MqttEnd end;
    if (open() && wait([](const State::Progress& p) { return p.connected; }, deadline) &&
        subscribe_all(deadline)) {
      end.was_up = true;
      size_t limit = payload_limit();
      s_.tell([&](MqttListener& l) { l.up(limit); });
      pump();
    }
    std::lock_guard held(s_.lock);
    if (s_.progress.end) {
      end.why = s_.progress.end->why;
      end.identity_refused = s_.progress.end->identity_refused;
    }
    return end;
  }

 private:
  bool open() {
    bool v6 = s_.url.host.find(':') != std::string::npos;
    std::string uri = fmt::format("{}://{}:{}", s_.url.tls ? "mqtts" : "mqtt",
                                  v6 ? '[' + s_.url.host + ']' : s_.url.host, s_.url.port);
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    create.MQTTVersion = version_;
    create.maxBufferedMessages = static_cast<int>(s_.options.waiting_max);
    int rc = MQTTAsync_createWithOptions(&handle_, uri.c_str(), s_.options.client_id.c_str(),
                                         MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
    if (rc == MQTTASYNC_SUCCESS)
      rc = MQTTAsync_setCallbacks(handle_, &s_, &Calls::lost, &Calls::message, nullptr);
    if (rc == MQTTASYNC_SUCCESS) rc = MQTTAsync_setDisconnected(handle_, &s_, &Calls::ended);
    if (rc == MQTTASYNC_SUCCESS) {
      ConnectOptions with(s_, version_);
      rc = MQTTAsync_connect(handle_, &with.options);
    }
    if (rc != MQTTASYNC_SUCCESS) s_.note_end(client_error(rc));
    return rc == MQTTASYNC_SUCCESS;
  }

  static std::string client_error(int rc) {
    const char* text = MQTTAsync_strerror(rc);
    return fmt::format("MQTT client: {} ({})", text ? text : "failed", rc);
  }

  // False: over, closed, or the deadline has passed.
  template <class Ready>
  bool wait(Ready ready, Clock::time_point deadline) {
    std::unique_lock held(s_.lock);
    bool in_time = s_.changed.wait_until(
        held, deadline, [&] { return s_.closing || s_.progress.end || ready(s_.progress); });
    if (!in_time)
      s_.progress.end = MqttEnd{false, false,
                                fmt::format("no answer from {}:{} within {} ms", s_.url.host,
                                            s_.url.port, s_.options.connect_timeout_ms)};
    return !s_.closing && !s_.progress.end;
  }

  MQTTAsync_responseOptions respond(void* context, MQTTAsync_onSuccess* good,
                                    MQTTAsync_onFailure* bad, MQTTAsync_onSuccess5* good5,
                                    MQTTAsync_onFailure5* bad5) const {
    MQTTAsync_responseOptions out = MQTTAsync_responseOptions_initializer;
    out.context = context;
    if (version_ == MQTTVERSION_5) {
      out.onSuccess5 = good5;
      out.onFailure5 = bad5;
    } else {
      out.struct_version = 0;
      out.onSuccess = good;
      out.onFailure = bad;
    }
    return out;
  }

  void subscribe() {
    auto response = respond(&s_, &Calls::subscribed, &Calls::not_subscribed, &Calls::subscribed5,
                            &Calls::not_subscribed5);
    for (const std::string& filter : s_.options.filters) {
      int rc = MQTTAsync_subscribe(handle_, filter.c_str(), 1, &response);
      if (rc != MQTTASYNC_SUCCESS) s_.note_end(client_error(rc));
    }
  }
  bool subscribe_all(Clock::time_point deadline) {
    if (!s_.options.subscribed) return true;
    subscribe();
    size_t all = s_.options.filters.size();
    return wait([all](const State::Progress& p) { return p.acknowledged_filters >= all; },
                deadline);
  }
  void unsubscribe() {
    auto response = respond(nullptr, nullptr, nullptr, nullptr, nullptr);
    for (const std::string& filter : s_.options.filters)
      MQTTAsync_unsubscribe(handle_, filter.c_str(), &response);
  }

  size_t payload_limit() {
    std::lock_guard held(s_.lock);
    size_t packet = s_.progress.packet_bytes_max;
    if (packet == 0) return 0;
    return packet > kMqttOverheadBytes ? packet - kMqttOverheadBytes : 1;
  }

  // Carries out jobs until the connection ends or is closed.
  void pump() {
    size_t limit = payload_limit();
    for (;;) {
      Job job;
      {
        std::unique_lock held(s_.lock);
        s_.changed.wait(held, [&] { return s_.closing || s_.progress.end || !s_.jobs.empty(); });
        if (s_.closing || s_.progress.end) return;
        job = std::move(s_.jobs.front());
        s_.jobs.pop_front();
      }
      switch (job.what) {
        case Job::What::publish:
          publish(job, limit);
          break;
        case Job::What::refuse:
          fail(job, false, "too many frames wait for the broker");
          break;
        case Job::What::subscribe:
          subscribe();
          break;
        case Job::What::unsubscribe:
          unsubscribe();
          break;
      }
    }
  }

  void fail(const Job& job, bool too_large, std::string why) {
    s_.tell([&](MqttListener& l) { l.publish_failed(job.token, too_large, std::move(why)); });
  }

  void publish(const Job& job, size_t limit) {
    if (limit > 0 && job.payload.size() > limit)
      return fail(job, true,
                  fmt::format("{} bytes, the broker takes {}", job.payload.size(), limit));
    State::InFlight* sent;
    {
      std::lock_guard held(s_.lock);
      uint64_t serial = ++s_.serials;
      sent = &s_.in_flight.emplace(serial, State::InFlight{&s_, serial, job.token}).first->second;
    }
    auto response =
        respond(sent, &Calls::published, &Calls::failed, &Calls::published5, &Calls::failed5);
    int rc = MQTTAsync_send(handle_, job.topic.c_str(), static_cast<int>(job.payload.size()),
                            job.payload.data(), 1, 0, &response);
    if (rc == MQTTASYNC_SUCCESS) return;
    s_.landed(sent);
    fail(job, false, client_error(rc));
  }

  State& s_;
  const int version_;
  MQTTAsync handle_ = nullptr;
};

// Fills in what Paho did not say about a connection that never came to be.
void explain(State& s, MqttEnd& end) {
  if (!end.why.empty()) return;
  std::string tls_error;
  {
    std::lock_guard held(s.lock);
    tls_error = s.tls_error;
  }
  if (!tls_error.empty()) {
    end.why = "TLS: " + tls_error;
    end.identity_refused = refuses_certificate(tls_error);
  } else if (auto why = unreachable(s.url)) {
    end.why = std::move(*why);
  } else if (s.url.tls) {
    end.why =
        "TLS: the broker's certificate is not for this host, or the broker closed the connection";
  } else {
    end.why = "the broker closed the connection before it answered";
  }
}

void finish(State& s, MqttEnd end) {
  s.tell([&](MqttListener& l) { l.down(std::move(end)); });
  std::shared_ptr<MqttListener> last;  // freed outside the lock
  std::lock_guard held(s.listener_lock);
  last.swap(s.listener);
}

void work(State& s) {
  auto deadline = Clock::now() + std::chrono::milliseconds(s.options.connect_timeout_ms);
  auto url = parse_mqtt_url(s.options.url);
  if (!url) return finish(s, {false, false, url.error().text});
  s.url = *url;
  addrinfo* found = nullptr;
  if (auto why = unresolved(s.url, &found)) return finish(s, {false, false, std::move(*why)});
  freeaddrinfo(found);

  keep_paho_alive();
  int version = s.options.version == 0 ? MQTTVERSION_5 : s.options.version;
  for (;;) {
    Client client(s, version);
    MqttEnd end = client.run(deadline);
    bool older = false;
    {
      std::lock_guard held(s.lock);
      if (s.closing) return;
      older = s.progress.version_refused && s.options.version == 0 && version == MQTTVERSION_5;
      if (older) s.progress = {};
    }
    if (!older) {
      explain(s, end);
      return finish(s, std::move(end));
    }
    version = MQTTVERSION_3_1_1;
  }
}

}  // namespace

MqttConnection::MqttConnection(MqttOptions options, std::shared_ptr<MqttListener> listener)
    : state_(std::make_shared<MqttState>(std::move(options), std::move(listener))) {
  // Detached: its last step, freeing the client, may wait for Paho, and nobody shall wait for that.
  std::thread([state = state_] {
    work(*state);
    std::lock_guard held(state->lock);
    state->done = true;
    state->changed.notify_all();
  }).detach();
}

MqttConnection::~MqttConnection() {
  close(0);
}

void MqttConnection::publish(uint64_t token, std::string topic, Bytes payload) {
  std::lock_guard held(state_->lock);
  bool full = state_->jobs.size() >= state_->options.waiting_max;
  if (full) {
    state_->jobs.push_back({Job::What::refuse, token, {}, {}});
  } else {
    state_->jobs.push_back({Job::What::publish, token, std::move(topic), std::move(payload)});
  }
  state_->changed.notify_all();
}

void MqttConnection::subscribe(bool on) {
  std::lock_guard held(state_->lock);
  state_->jobs.push_back({on ? Job::What::subscribe : Job::What::unsubscribe, 0, {}, {}});
  state_->changed.notify_all();
}

void MqttConnection::close(int64_t wait_ms) {
  std::shared_ptr<MqttListener> last;
  {
    std::lock_guard held(state_->listener_lock);
    last.swap(state_->listener);
  }
  std::unique_lock held(state_->lock);
  state_->closing = true;
  state_->changed.notify_all();
  state_->changed.wait_for(held, std::chrono::milliseconds(wait_ms),
                           [this] { return state_->done; });
}

}  // namespace egret
