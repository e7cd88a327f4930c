#include "agent/cli/client.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>

#include "agent/cli/cli.h"

namespace egret::agent::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr uint64_t kAnswerBytesMax = 64ULL << 20;

Error nobody(const std::string& where, const error_code& error) {
  return {Errc::link, fmt::format("no agent answers at {} ({}): start it with systemctl start egret-agent, or egret-agent run", where, error.message())};
}

template <class Socket>
Result<Answer> exchange(Socket& socket, const std::string& where, const Ask& ask) {
  http::request<http::string_body> request(http::string_to_verb(ask.method), ask.path, 11);
  request.set(http::field::host, "localhost");
  if (!ask.content_type.empty()) request.set(http::field::content_type, ask.content_type);
  if (!ask.idempotency_key.empty()) request.set("Idempotency-Key", ask.idempotency_key);
  if (!ask.prefer.empty()) request.set("Prefer", ask.prefer);
  request.keep_alive(false);
  request.body() = ask.body;
  request.prepare_payload();
  error_code error;
  http::write(socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  if (!error) http::read(socket, buffer, parser, error);
  if (error) return nobody(where, error);
  return Answer{parser.get().result_int(), parser.get().body()};
}

}  // namespace

Result<Answer> ask_agent(const Where& where, const Ask& ask) {
  asio::io_context io;
  error_code error;
  if (!where.url.empty()) {
    auto url = boost::urls::parse_uri(where.url);
    if (!url || url->scheme() != "http") return Error{Errc::config, where.url + ": http://host:port is allowed"};
    asio::ip::tcp::socket socket(io);
    asio::ip::tcp::resolver resolver(io);
    auto found = resolver.resolve(std::string(url->host()), url->has_port() ? std::string(url->port()) : "80", error);
    if (!error) asio::connect(socket, found, error);
    if (error) return nobody(where.url, error);
    return exchange(socket, where.url, ask);
  }
  std::string path = where.socket;
  if (path.empty()) {
    CheckedConfig checked = read_config(where.config);
    if (!checked.mistakes.empty()) return Error{Errc::config, text_of(checked.mistakes.front())};
    path = checked.config.doors.unix_socket.string();
    if (path.empty()) {
      Where by_port;
      by_port.url = "http://" + checked.config.doors.http;
      return ask_agent(by_port, ask);
    }
  }
  asio::local::stream_protocol::socket socket(io);
  socket.connect(asio::local::stream_protocol::endpoint(path), error);
  if (error) return nobody(path, error);
  return exchange(socket, path, ask);
}

}  // namespace egret::agent::cli
