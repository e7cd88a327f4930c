#include "agent/cli/client.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>

namespace egret::agent::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using boost::system::error_code;

constexpr uint64_t kAnswerBytesMax = 64ULL << 20;

Error nobody(const std::string& where, const Ask& ask, const error_code& error) {
  if (error == beast::error::timeout) {
    return {Errc::link, fmt::format("the agent at {} does not answer within {} s: look into its "
                                    "log (journalctl -u egret-agent)",
                                    where, ask.time.count())};
  }
  if (error == asio::error::access_denied) {
    return {Errc::link, fmt::format("{} may not be opened by this user: run this as root, or as a "
                                    "member of its group (ls -l)",
                                    where)};
  }
  return {Errc::link, fmt::format("no agent answers at {} ({}): start it with systemctl start "
                                  "egret-agent, or egret-agent run",
                                  where, error.message())};
}

template <class Protocol>
asio::awaitable<Answer> exchange(typename Protocol::endpoint at, const Ask& ask) {
  beast::basic_stream<Protocol> stream(co_await asio::this_coro::executor);
  stream.expires_after(ask.time);
  co_await stream.async_connect(at, use_awaitable);
  http::request<http::string_body> request(http::string_to_verb(ask.method), ask.path, 11);
  request.set(http::field::host, "localhost");
  if (!ask.content_type.empty()) request.set(http::field::content_type, ask.content_type);
  if (!ask.idempotency_key.empty()) request.set("Idempotency-Key", ask.idempotency_key);
  if (!ask.prefer.empty()) request.set("Prefer", ask.prefer);
  request.keep_alive(false);
  request.body() = ask.body;
  request.prepare_payload();
  error_code refused;  // the agent may answer before it has read all of it
  co_await http::async_write(stream, request, asio::redirect_error(use_awaitable, refused));
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  co_await http::async_read(stream, buffer, parser, use_awaitable);
  co_return Answer{parser.get().result_int(), parser.get().body()};
}

template <class Protocol>
Result<Answer> ask_at(const typename Protocol::endpoint& at, const std::string& where,
                      const Ask& ask) {
  asio::io_context io;
  Result<Answer> result = Answer{};
  asio::co_spawn(io, exchange<Protocol>(at, ask), [&](const std::exception_ptr& failed, Answer answer) {
    if (!failed) {
      result = std::move(answer);
      return;
    }
    try {
      std::rethrow_exception(failed);
    } catch (const boost::system::system_error& e) {
      result = nobody(where, ask, e.code());
    }
  });
  io.run();
  return result;
}

Result<Answer> ask_url(const std::string& text, const Ask& ask) {
  auto url = boost::urls::parse_uri(text);
  if (!url || url->scheme() != "http")
    return Error{Errc::config, text + ": http://host:port is allowed"};
  asio::io_context io;
  error_code error;
  asio::ip::tcp::resolver resolver(io);
  auto found = resolver.resolve(std::string(url->host_address()),
                                url->has_port() ? std::string(url->port()) : "80", error);
  if (error) return nobody(text, ask, error);
  return ask_at<asio::ip::tcp>(found.begin()->endpoint(), text, ask);
}

}  // namespace

Result<Answer> ask_agent(const Where& where, const Ask& ask) {
  if (!where.url.empty()) return ask_url(where.url, ask);
  std::string path = where.socket;
  if (path.empty()) {
    CheckedConfig checked = read_config(where.config);
    if (!checked.mistakes.empty()) return Error{Errc::config, text_of(checked.mistakes.front())};
    path = checked.config.doors.unix_socket.string();
    if (path.empty()) return ask_url("http://" + checked.config.doors.http, ask);
  }
  using Local = asio::local::stream_protocol;
  if (path.size() > kUnixPathMax)
    return Error{Errc::config,
                 fmt::format("{}: a path of at most {} characters is allowed", path, kUnixPathMax)};
  return ask_at<Local>(Local::endpoint(path), path, ask);
}

std::string error_text_of(const Answer& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view message, todo;
  bool known = parser.parse(simdjson::padded_string(answer.body)).get(root) == simdjson::SUCCESS &&
               root["error"]["message"].get(message) == simdjson::SUCCESS &&
               root["error"]["todo"].get(todo) == simdjson::SUCCESS;
  return known ? fmt::format("{} ({})\n  -> {}", message, answer.status, todo)
               : fmt::format("{}: {}", answer.status, answer.body);
}

bool try_later(const Answer& answer) {
  return answer.status == 429 || answer.status == 503 || answer.status == 507;
}

}  // namespace egret::agent::cli
