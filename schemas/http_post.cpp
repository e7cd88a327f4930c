#include "schemas/http_post.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <optional>

#include "schemas/limits.h"

namespace egret {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;

constexpr std::chrono::milliseconds kLookMs{50};  // whether it is given up
constexpr size_t kAnswerBytesMax = 64 * kKiB;  // what it says beside its status is nobody's

template <class Stream>
asio::awaitable<unsigned> say_and_hear(Stream& stream, const Request& request) {
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> answer;
  answer.body_limit(kAnswerBytesMax);
  co_await http::async_read_header(stream, buffer, answer, asio::use_awaitable);
  co_return answer.get().result_int();
}

asio::awaitable<unsigned> carry_out(const HttpPost& config, const Request& request) {
  const auto executor = co_await asio::this_coro::executor;
  Tcp::resolver resolver(executor);
  const auto places = co_await resolver.async_resolve(config.target.host, config.target.port, asio::use_awaitable);
  beast::tcp_stream plain(executor);
  plain.expires_after(std::chrono::milliseconds(config.limit_ms));
  if (!config.target.tls) {
    co_await plain.async_connect(places, asio::use_awaitable);
    co_return co_await say_and_hear(plain, request);
  }
  asio::ssl::context context(asio::ssl::context::tls_client);
  if (config.ca_file.empty()) {
    context.set_default_verify_paths();
  } else {
    context.load_verify_file(config.ca_file.string());
  }
  beast::ssl_stream<beast::tcp_stream> stream(std::move(plain), context);
  stream.set_verify_mode(asio::ssl::verify_peer);
  stream.set_verify_callback(asio::ssl::host_name_verification(config.target.host));
  SSL_set_tlsext_host_name(stream.native_handle(), config.target.host.c_str());
  co_await beast::get_lowest_layer(stream).async_connect(places, asio::use_awaitable);
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_return co_await say_and_hear(stream, request);
}

Result<unsigned> judged(const std::exception_ptr& failed, unsigned status) {
  try {
    if (failed) std::rethrow_exception(failed);
  } catch (const boost::system::system_error& e) {
    return Error{Errc::link, e.code().message()};
  } catch (const std::exception& e) {
    return Error{Errc::link, e.what()};
  }
  return status;
}

}  // namespace

Result<HttpTarget> http_target(const std::string& url) {
  const Error wrong{Errc::config, "http://host[:port][/path] or https://host[:port][/path]"};
  HttpTarget out;
  std::string_view left(url);
  out.tls = left.starts_with("https://");
  if (!out.tls && !left.starts_with("http://")) return wrong;
  left.remove_prefix(out.tls ? 8 : 7);
  const size_t slash = std::min(left.find('/'), left.size());
  const std::string_view authority = left.substr(0, slash);
  out.path = slash == left.size() ? "/" : std::string(left.substr(slash));
  const size_t colon = authority.ends_with(']') ? authority.npos : authority.rfind(':');
  out.host = std::string(authority.substr(0, colon));
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']') out.host = out.host.substr(1, out.host.size() - 2);
  out.port = colon == authority.npos ? (out.tls ? "443" : "80") : std::string(authority.substr(colon + 1));
  const bool digits = !out.port.empty() && out.port.size() <= 5 && out.port.find_first_not_of("0123456789") == out.port.npos && std::stoi(out.port) >= 1 && std::stoi(out.port) <= 65'535;
  const bool visible = url.find_first_of(" \t\r\n\"<>\\#") == url.npos;
  if (out.host.empty() || out.host.find('@') != out.host.npos || !digits || !visible) return wrong;
  return out;
}

Result<unsigned> http_post(const HttpPost& post) {
  Request request(http::verb::post, post.target.path, 11);
  request.body() = post.body;
  request.set(http::field::host, post.target.host + ":" + post.target.port);
  request.set(http::field::content_type, "application/json");
  request.set(http::field::user_agent, post.agent);
  for (const auto& [name, value] : post.headers) request.set(name, value);
  request.keep_alive(false);
  request.prepare_payload();
  asio::io_context io;
  std::optional<Result<unsigned>> out;
  asio::co_spawn(io, carry_out(post, request), [&](std::exception_ptr failed, unsigned status) { out = judged(failed, status); });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(post.limit_ms);
  while (!out && std::chrono::steady_clock::now() < end && (post.given_up == nullptr || !*post.given_up)) io.run_for(std::min(kLookMs, std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())));
  return out ? *out : Result<unsigned>(Error{Errc::link, "no answer in time"});
}

}  // namespace egret
