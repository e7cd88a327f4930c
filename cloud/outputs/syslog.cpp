#include "cloud/outputs/syslog.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/local/datagram_protocol.hpp>

#include "cloud/cursor.h"
#include "cloud/json_text.h"
#include "cloud/results.h"

namespace egret::cloud {
namespace {

namespace asio = boost::asio;
constexpr std::string_view kUdp = "udp://";
constexpr int kLocal4 = 20;  // facility local4 of RFC 5424
constexpr int kAlert = 1, kNotice = 5;

std::optional<std::pair<std::string, std::string>> host_and_port(const std::string& where) {
  const std::string rest = where.substr(kUdp.size());
  const size_t colon = rest.rfind(':');
  if (colon == rest.npos || colon == 0 || colon + 1 == rest.size()) return std::nullopt;
  if (rest.find_first_not_of("0123456789", colon + 1) != rest.npos) return std::nullopt;
  return std::pair(rest.substr(0, colon), rest.substr(colon + 1));
}

class Syslog final : public AlertOutput {
 public:
  explicit Syslog(std::string where) : where_(std::move(where)) {}
  std::string name() const override { return kSyslogOutput; }

  Result<void> tell(const AlertEvent& event, uint64_t gen) override {
    const std::string line = syslog_line(event, gen);
    asio::io_context io;
    boost::system::error_code error;
    if (where_.starts_with(kUdp)) {
      const auto [host, port] = *host_and_port(where_);
      asio::ip::udp::resolver resolver(io);
      const auto places = resolver.resolve(host, port, error);
      if (error) return Error{Errc::link, where_ + ": " + error.message()};
      asio::ip::udp::socket socket(io);
      socket.open(places.begin()->endpoint().protocol(), error);
      if (!error) socket.send_to(asio::buffer(line), *places.begin(), 0, error);
    } else {
      asio::local::datagram_protocol::socket socket(io);
      socket.open({}, error);
      if (!error) socket.send_to(asio::buffer(line), asio::local::datagram_protocol::endpoint(where_), 0, error);
    }
    if (error) return Error{Errc::link, where_ + ": " + error.message()};
    return {};
  }

 private:
  const std::string where_;
};

}  // namespace

Result<void> check_syslog(const std::string& where) {
  if (where.starts_with(kUdp) ? host_and_port(where).has_value() : where.starts_with('/') && where.size() < 100) return {};
  return Error{Errc::config, "a path of a unix socket, or udp://host:port"};
}

std::string syslog_line(const AlertEvent& event, uint64_t gen) {
  const bool urgent = event.kind == AlertEventKind::opened || event.kind == AlertEventKind::opened_again || event.kind == AlertEventKind::escalated;
  std::string at = json_time(event.at);
  at = at.substr(1, at.size() - 2);
  return fmt::format("<{}>1 {} - egret-cloud - alert - critical finding {}: {} event {}", kLocal4 * 8 + (urgent ? kAlert : kNotice), at, name_of(event.kind), text_of(event.about),
                     text_of(Cursor{gen, event.number, 0}));
}

std::unique_ptr<AlertOutput> make_syslog(std::string where) { return std::make_unique<Syslog>(std::move(where)); }

}  // namespace egret::cloud
