#include <fcntl.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/url/parse.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "agent/cli/client.h"
#include "agent/cli/config_file.h"
#include "agent/host.h"
#include "agent/keys.h"
#include "edge/link.h"
#include "schemas/entropy.h"
#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

namespace asio = boost::asio;

constexpr int64_t kClockErrorMsMax = 1'000;
constexpr int64_t kCertificateDaysMin = 14;
constexpr int kTcpMs = 5'000;
constexpr int64_t kHelloMs = 15'000;

struct Check {
  const char* name;
  const char* level;  // ok, warn, fail
  std::string message, todo;
};

class Doctor {
 public:
  std::vector<Check> checks;
  void ok(const char* name, std::string message) { checks.push_back({name, "ok", std::move(message), ""}); }
  void warn(const char* name, std::string message, std::string todo) { checks.push_back({name, "warn", std::move(message), std::move(todo)}); }
  void fail(const char* name, std::string message, std::string todo) { checks.push_back({name, "fail", std::move(message), std::move(todo)}); }
  bool failed() const {
    for (const Check& c : checks) {
      if (std::string_view(c.level) == "fail") return true;
    }
    return false;
  }
};

void look_at_files(const Config& config, Doctor& d) {
  struct stat st {};
  if (::stat(config.state_dir.c_str(), &st) != 0) {
    d.fail("state_dir", config.state_dir.string() + ": is not there", "run egret-agent init");
  } else if ((st.st_mode & 0077) != 0) {
    d.warn("state_dir", config.state_dir.string() + ": others may look into it", "chmod 700 " + config.state_dir.string());
  } else {
    d.ok("state_dir", config.state_dir.string());
  }
  std::optional<std::string> open = readable_by_others(config.site_key_file);
  Result<SitePrivateKey> key = read_site_key(config.site_key_file);
  if (!key) {
    d.fail("site_key", key.error().text, "run egret-agent init, or put the key back; chmod 600");
  } else if (open) {
    d.fail("site_key", *open, "chmod 600 " + config.site_key_file.string());
  } else {
    d.ok("site_key", "public key " + hex(view(key->public_key().point)));
  }
  std::error_code failed;
  std::filesystem::space_info space = std::filesystem::space(config.state_dir, failed);
  uint64_t budget = static_cast<uint64_t>(config.buffer.budget_mb) * kMiB;
  if (failed) {
    d.fail("disk", "free space of the state folder is not known", "check that the folder is there");
  } else if (space.available < kReserveBytes) {
    d.fail("disk", fmt::format("{} MiB free", space.available / kMiB), "make room on this file system");
  } else if (space.available < budget) {
    d.warn("disk", fmt::format("{} MiB free, the budget is {} MiB", space.available / kMiB, config.buffer.budget_mb), "make room, or lower buffer.budget_mb");
  } else {
    d.ok("disk", fmt::format("{} MiB free, the budget is {} MiB", space.available / kMiB, config.buffer.budget_mb));
  }
  ClockTrust clock = clock_trust();
  if (clock.synced && clock.error_ms <= kClockErrorMsMax) {
    d.ok("clock", fmt::format("synchronised, off by at most {} ms", clock.error_ms));
  } else {
    d.warn("clock", "not synchronised", "enable systemd-timesyncd or chrony; times are repaired later, nothing is lost");
  }
}

// Whole days until a PEM certificate ends; nullopt: it cannot be read.
std::optional<int64_t> days_left(const std::filesystem::path& file) {
  std::FILE* in = std::fopen(file.c_str(), "r");
  if (in == nullptr) return std::nullopt;
  X509* certificate = PEM_read_X509(in, nullptr, nullptr, nullptr);
  std::fclose(in);
  if (certificate == nullptr) return std::nullopt;
  int days = 0, seconds = 0;
  bool known = ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate)) == 1;
  X509_free(certificate);
  return known ? std::optional<int64_t>(days) : std::nullopt;
}

void look_at_certificates(const Config& config, Doctor& d) {
  for (const auto& [name, file] : {std::pair{"broker.ca_file", config.broker.ca_file}, std::pair{"broker.cert_file", config.broker.cert_file}}) {
    if (file.empty()) continue;
    std::optional<int64_t> days = days_left(file);
    if (!days) {
      d.fail("tls", fmt::format("{}: no certificate can be read there", name), "put the PEM file there");
    } else if (*days < kCertificateDaysMin) {
      d.warn("tls", fmt::format("{}: ends in {} days", name, *days), "renew it");
    } else {
      d.ok("tls", fmt::format("{}: good for {} days", name, *days));
    }
  }
}

// Name and port. False: the rest makes no sense.
bool reach_broker(const Config& config, Doctor& d) {
  auto url = boost::urls::parse_uri(config.broker.uri);
  std::string host(url->host()), port = url->has_port() ? std::string(url->port()) : url->scheme() == "mqtts" ? "8883" : "1883";
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (int rc = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); rc != 0) {
    d.fail("dns", fmt::format("{}: {}", host, gai_strerror(rc)), "check broker.uri and the server's name service");
    return false;
  }
  d.ok("dns", host);
  int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    error = ::poll(&wait, 1, kTcpMs) == 1 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : ETIMEDOUT;
  }
  ::close(fd);
  freeaddrinfo(found);
  if (error != 0) {
    d.fail("tcp", fmt::format("{}:{}: {}", host, port, std::strerror(error)), "check firewall, cable, and that the broker runs");
    return false;
  }
  d.ok("tcp", fmt::format("{}:{}", host, port));
  return true;
}

// Logs in beside the agent under a name of its own, says HELLO with an empty listing, and waits for the WELCOME.
class Caller {
 public:
  Caller(const Config& config, SitePrivateKey site, std::string password, Doctor& d) : config_(config), site_(std::move(site)), doctor_(d) {
    link_.url = config.broker.uri;
    link_.facility = config.facility;
    link_.password = std::move(password);
    link_.ca_file = config.broker.ca_file;
    link_.certificate_file = config.broker.cert_file;
    link_.key_file = config.broker.key_file;
  }
  void call() {
    channel_ = open_edge_channel(config_.facility, config_.region_key, site_, entropy_);
    edge::Link link(link_, [this](std::function<void()> job) { asio::post(io_, std::move(job)); }, [this](edge::Event event) { heard(event); });
    sender_ = &link;
    auto guard = asio::make_work_guard(io_);
    link.carry_out(edge::Connect{config_.facility + "-doctor"});
    MonoTime end = now().mono + kHelloMs + kConnectTimeoutMs;
    while (!over_ && now().mono < end) io_.run_one_for(std::chrono::milliseconds(200));
    if (!over_ && logged_in_) doctor_.fail("hello", "no answer from the cloud", "check that egret-cloud runs, knows this facility, and that the region key is right");
    if (!logged_in_ && !over_) doctor_.fail("login", "the broker did not answer", "check that it is an MQTT broker");
    link.carry_out(edge::Disconnect{});
  }

 private:
  void heard(const edge::Event& event) {
    if (const auto* failed = std::get_if<edge::ConnectFailed>(&event)) {
      doctor_.fail("login", failed->why, failed->identity_refused ? "check broker.password_file, certificate, and the broker's list of users" : "check the broker's log");
      over_ = true;
    } else if (std::holds_alternative<edge::Connected>(event)) {
      logged_in_ = true;
      doctor_.ok("login", "the broker accepts this site");
      say_hello();
    } else if (const auto* frame = std::get_if<edge::FrameArrived>(&event)) {
      Result<Opened> opened = channel_->open(frame->frame);
      es1::Welcome welcome;
      if (!opened || opened->prefix.type != FrameType::welcome || !welcome.ParseFromString(opened->body)) return;
      over_ = true;
      int64_t ms = now().mono - asked_;
      if (welcome.status() == es1::WELCOME_OK || welcome.status() == es1::WELCOME_RETRY) return doctor_.ok("hello", fmt::format("the cloud answered in {} ms", ms));
      doctor_.fail("hello", "the cloud answers, but holds this site back", "ask the cloud's operators (facility blocked, or another protocol version)");
    }
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
    sender_->carry_out(edge::Publish{TopicKind::up_control, 1, channel_->seal(FrameType::hello, body).frame});
  }
  const Config& config_;
  const SitePrivateKey site_;
  Doctor& doctor_;
  edge::LinkConfig link_;
  OsEntropy entropy_;
  asio::io_context io_;
  std::unique_ptr<Channel> channel_;
  edge::Link* sender_ = nullptr;
  MonoTime asked_;
  bool logged_in_ = false, over_ = false;
};

void examine(const Config& config, bool offline, Doctor& d) {
  look_at_files(config, d);
  Where where;
  where.config = config.file.string();
  Result<Answer> agent = ask_agent(where, {.path = "/v1/status"});
  bool linked = agent && agent->body.find("\"linked\":true") != std::string::npos;
  if (!agent) {
    d.warn("agent", "is not running", "systemctl start egret-agent");
  } else {
    d.ok("agent", linked ? "runs and is linked to the cloud" : "runs, and has no link");
  }
  look_at_certificates(config, d);
  if (offline) return;
  bool reached = reach_broker(config, d);
  if (linked) return d.ok("hello", "the running agent has the cloud's answer");
  Result<SitePrivateKey> site = read_site_key(config.site_key_file);
  Result<std::string> password = config.broker.password_file.empty() ? Result<std::string>(std::string()) : read_password(config.broker.password_file);
  if (!password) d.fail("login", password.error().text, "put the password there, chmod 600");
  if (!reached || !site || !password) return;
  Caller(config, std::move(*site), std::move(*password), d).call();
}

int print(const Doctor& d, bool json) {
  auto quoted = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  std::string out = "[";
  for (const Check& c : d.checks) {
    if (!json) {
      std::printf("%-4s  %-10s %s%s%s\n", c.level, c.name, c.message.c_str(), c.todo.empty() ? "" : "\n                 -> ", c.todo.c_str());
    }
    out += fmt::format(R"({}{{"check":"{}","level":"{}","message":{},"todo":{}}})", out.size() > 1 ? "," : "", c.name, c.level, quoted(c.message), quoted(c.todo));
  }
  if (json) std::printf("%s]\n", out.c_str());
  return d.failed() ? kFoundProblem : kOk;
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("doctor", "Looks at everything between this site and the cloud, and says what to do.\nExample: egret-agent doctor --config /etc/egret/agent.toml");
  auto file = std::make_shared<std::string>(kConfigDefault);
  auto json = std::make_shared<bool>(false), offline = std::make_shared<bool>(false);
  sub->add_option("--config", *file, "configuration file")->capture_default_str();
  sub->add_flag("--json", *json, "as a JSON array");
  sub->add_flag("--offline", *offline, "only what can be seen on this server");
  sub->callback([&chosen, file, json, offline] {
    chosen = [file, json, offline] {
      spdlog::set_level(spdlog::level::off);
      Doctor d;
      CheckedConfig checked = read_config(*file);
      for (const Mistake& m : checked.mistakes) d.fail("config", text_of(m), "mend that line");
      if (checked.mistakes.empty()) {
        d.ok("config", *file);
        examine(checked.config, *offline, d);
      }
      return print(d, *json);
    };
  });
}

}  // namespace egret::agent::cli
