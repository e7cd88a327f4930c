#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <cstring>

#include "agent/cli/doctor.h"
#include "agent/broker.h"
#include "agent/host.h"
#include "agent/keys.h"
#include "edge/link.h"
#include "schemas/entropy.h"
#include "schemas/limits.h"
#include "schemas/mqtt.h"

namespace egret::agent::cli {
namespace {

namespace asio = boost::asio;

constexpr int kTcpMs = 5'000;

// A connected socket, or the error of the last address tried.
class Dialled {
 public:
  explicit Dialled(const MqttUrl& broker) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    dns_ = getaddrinfo(broker.host.c_str(), std::to_string(broker.port).c_str(), &hints, &found);
    if (dns_ != 0) return;
    for (addrinfo* at = found; at != nullptr && fd_ < 0; at = at->ai_next) dial(*at);
    freeaddrinfo(found);
  }
  ~Dialled() {
    if (fd_ >= 0) ::close(fd_);
  }
  Dialled(const Dialled&) = delete;
  Dialled& operator=(const Dialled&) = delete;
  int fd() const { return fd_; }
  std::string unknown() const { return dns_ == 0 ? "" : gai_strerror(dns_); }
  std::string unreachable() const { return fd_ >= 0 ? "" : std::strerror(error_); }

 private:
  void dial(const addrinfo& at) {
    int fd = ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    error_ = fd < 0 ? errno : ::connect(fd, at.ai_addr, at.ai_addrlen) == 0 ? 0 : errno;
    if (error_ == EINPROGRESS) {
      pollfd wait{fd, POLLOUT, 0};
      socklen_t size = sizeof error_;
      bool told = ::poll(&wait, 1, kTcpMs) == 1 &&
                  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_, &size) == 0;
      if (!told) error_ = ETIMEDOUT;
    }
    if (error_ == 0) {
      fd_ = fd;
    } else if (fd >= 0) {
      ::close(fd);
    }
  }
  int dns_ = 0, fd_ = -1, error_ = 0;
};

std::string openssl_error() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : "the broker closed the connection";
}

// Names in the broker's certificate, for whoever wrote another one into broker.uri.
std::string names_in(X509* certificate) {
  std::string out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); i++) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    const ASN1_STRING* text = name->d.ia5;
    if (name->type == GEN_DNS)
      out += (out.empty() ? "" : ", ") +
             std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                         ASN1_STRING_length(text));
  }
  GENERAL_NAMES_free(names);
  return out.empty() ? "no host name" : out;
}

// One TLS handshake, judged as the link judges it.
class Handshake {
 public:
  Handshake(const Config& config, const MqttUrl& broker)
      : config_(config),
        broker_(broker),
        context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
        ssl_(nullptr, SSL_free) {}

  void shake(int fd, Findings& f) {
    if (!load_files(f)) return;
    // Blocking from here, for at most the time given.
    timeval time{kTcpMs / 1000, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    ::fcntl(fd, F_SETFL, 0);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE,
                       nullptr);  // judged below, when the certificate is here
    ssl_.reset(SSL_new(context_.get()));
    boost::system::error_code no_address;
    asio::ip::make_address(broker_.host, no_address);
    if (no_address) {
      SSL_set_tlsext_host_name(ssl_.get(), broker_.host.c_str());
      SSL_set1_host(ssl_.get(), broker_.host.c_str());
    } else {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), broker_.host.c_str());
    }
    SSL_set_fd(ssl_.get(), fd);
    ERR_clear_error();
    if (SSL_connect(ssl_.get()) != 1) {
      return f.add("tls_no_handshake", fmt::format("{}:{}", broker_.host, broker_.port), openssl_error());
    }
    judge(SSL_get_verify_result(ssl_.get()), f);
  }

 private:
  bool load_files(Findings& f) {
    const BrokerConfig& b = config_.broker;
    bool trusts = b.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
                                    : SSL_CTX_load_verify_locations(
                                          context_.get(), b.ca_file.c_str(), nullptr) == 1;
    if (!trusts) return f.add("tls_ca_unusable", openssl_error()), false;
    if (b.cert_file.empty()) return true;
    bool pair =
        SSL_CTX_use_certificate_chain_file(context_.get(), b.cert_file.c_str()) == 1 &&
        SSL_CTX_use_PrivateKey_file(context_.get(), b.key_file.c_str(), SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context_.get()) == 1;
    if (!pair) f.add("tls_pair_unusable", openssl_error());
    return pair;
  }

  void judge(long verdict, Findings& f) {
    if (verdict == X509_V_OK) return f.add("tls_ok", SSL_get_version(ssl_.get()));
    const char* why = X509_verify_cert_error_string(verdict);
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) return f.add("tls_other_name", why, names_in(SSL_get0_peer_certificate(ssl_.get())));
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID) return f.add("tls_out_of_time", why);
    f.add("tls_not_trusted", why);
  }

  const Config& config_;
  const MqttUrl& broker_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

// Logs in beside the agent under a name of its own, says HELLO with an empty listing, and waits for
// the WELCOME.
class Caller {
 public:
  Caller(const Config& config, SitePrivateKey site, std::string password, Findings& f)
      : config_(config), site_(std::move(site)), findings_(f), link_(link_config(config, std::move(password))) {}
  void call() {
    channel_ = open_edge_channel(config_.facility, config_.region_key, site_, entropy_);
    edge::Link link(
        link_, [this](std::function<void()> job) { asio::post(io_, std::move(job)); },
        [this](const edge::Event& event) { heard(event); });
    sender_ = &link;
    auto guard = asio::make_work_guard(io_);
    link.carry_out(edge::Connect{fmt::format("{}-doctor-{}", config_.facility, ::getpid())});
    end_ = now().mono + kConnectTimeoutMs;
    while (!over_ && now().mono < end_) io_.run_one_for(std::chrono::milliseconds(200));
    if (!over_ && !logged_in_) findings_.add("login_silent");
    if (!over_ && logged_in_) findings_.add("hello_silent", kHelloTimeoutMs / 1000, config_.facility, hex(view(site_.public_key().point)));
    link.carry_out(edge::Disconnect{});
  }

 private:
  void heard(const edge::Event& event) {
    if (const auto* failed = std::get_if<edge::ConnectFailed>(&event)) {
      over_ = true;
      if (failed->identity_refused) return findings_.add("login_refused", failed->why);
      link_.url.starts_with("mqtt://") ? findings_.add("login_failed_plain", failed->why) : findings_.add("login_failed", failed->why);
    } else if (const auto* lost = std::get_if<edge::Disconnected>(&event)) {
      over_ = true;
      findings_.add("hello_closed", lost->why);
    } else if (const auto* refused = std::get_if<edge::PublishFailed>(&event)) {
      over_ = true;
      findings_.add("hello_not_allowed", refused->why);
    } else if (std::holds_alternative<edge::Connected>(event)) {
      logged_in_ = true;
      findings_.add("login_ok");
      say_hello();
    } else if (const auto* frame = std::get_if<edge::FrameArrived>(&event)) {
      take_welcome(frame->frame);
    }
  }
  void take_welcome(const Bytes& frame) {
    Result<Opened> opened = channel_->open(frame);
    es1::Welcome welcome;
    if (!opened || opened->prefix.type != FrameType::welcome ||
        !welcome.ParseFromString(opened->body))
      return;
    over_ = true;
    int64_t ms = now().mono - asked_;
    if (welcome.status() == es1::WELCOME_OK || welcome.status() == es1::WELCOME_RETRY)
      return findings_.add("hello_ok", ms);
    findings_.add("hello_held");
  }
  void say_hello() {
    es1::Hello hello;
    hello.set_hello_nonce("doctor  ");
    hello.set_hello_no(1);
    hello.set_proto_min(kProtocolVersion);
    hello.set_proto_max(kProtocolVersion);
    hello.set_agent_version(EGRET_VERSION);
    hello.mutable_finished()->set_count(1);  // says nothing about the list: neither empty nor sent
    hello.mutable_finished()->set_offset(1);
    Bytes body;
    hello.SerializeToString(&body);
    asked_ = now().mono;
    end_ = asked_ + kHelloTimeoutMs;
    sender_->carry_out(
        edge::Publish{TopicKind::up_control, 1, channel_->seal(FrameType::hello, body).frame});
  }
  const Config& config_;
  const SitePrivateKey site_;
  Findings& findings_;
  const edge::LinkConfig link_;
  OsEntropy entropy_;
  asio::io_context io_;
  std::unique_ptr<Channel> channel_;
  edge::Link* sender_ = nullptr;
  MonoTime asked_, end_;
  bool logged_in_ = false, over_ = false;
};

}  // namespace

bool reach_broker(const Config& config, Findings& f) {
  Result<MqttUrl> broker = parse_mqtt_url(config.broker.uri);
  if (!broker) return f.add("broker_uri_wrong", broker.error().text), false;
  Dialled dialled(*broker);
  if (!dialled.unknown().empty()) return f.add("dns_unknown", broker->host, dialled.unknown()), false;
  f.add("dns_ok", broker->host);
  std::string at = fmt::format("{}:{}", broker->host, broker->port);
  if (!dialled.unreachable().empty()) return f.add("tcp_unreachable", at, dialled.unreachable()), false;
  f.add("tcp_ok", at);
  return true;
}

bool agree_on_tls(const Config& config, Findings& f) {
  Result<MqttUrl> broker = parse_mqtt_url(config.broker.uri);
  if (!broker || !broker->tls) return broker.has_value();
  Dialled dialled(*broker);
  Findings own;
  if (dialled.fd() >= 0) Handshake(config, *broker).shake(dialled.fd(), own);
  f.add(own);
  return !own.failed();
}

void call_the_cloud(const Config& config, Findings& f) {
  Result<SitePrivateKey> site = read_site_key(config.site_key_file);
  Result<std::string> password = config.broker.password_file.empty()
                                     ? Result<std::string>(std::string())
                                     : read_password(config.broker.password_file);
  if (!password) f.add("login_no_password", password.error().text);
  if (!site || !password) return;
  Caller(config, std::move(*site), std::move(*password), f).call();
}

}  // namespace egret::agent::cli
