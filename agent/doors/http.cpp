#include "agent/doors/http.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <vector>

#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::use_awaitable;
using boost::system::error_code;

constexpr auto kRequestTime = std::chrono::seconds(30);
constexpr auto kIdleTime = std::chrono::seconds(60);
constexpr uint32_t kHeaderBytesMax = 8 * 1024;

using Parser = http::request_parser<http::string_body>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool loopback_host(std::string_view host) {
  std::string_view name = host.substr(0, host.rfind(':') == std::string_view::npos || host.back() == ']' ? host.size() : host.rfind(':'));
  return host.empty() || name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

// A request that a browser sends on behalf of a page.
bool from_web_page(const Parser::value_type& request, bool tcp) {
  std::string_view site = request["Sec-Fetch-Site"];
  bool cross = !site.empty() && site != "none" && site != "same-origin";
  return !std::string_view(request[http::field::origin]).empty() || cross ||
         (tcp && !loopback_host(request[http::field::host]));
}

HttpRequest taken(Parser::value_type&& request) {
  HttpRequest out;
  std::string_view target = request.target();
  out.method = std::string(request.method_string());
  out.path = std::string(target.substr(0, target.find('?')));
  if (target.find('?') != std::string_view::npos) out.query = std::string(target.substr(target.find('?') + 1));
  std::string_view type = request[http::field::content_type];
  out.content_type = lower(type.substr(0, type.find(';')));
  while (!out.content_type.empty() && out.content_type.back() == ' ') out.content_type.pop_back();
  out.idempotency_key = std::string(std::string_view(request["Idempotency-Key"]));
  out.prefer = lower(std::string_view(request["Prefer"]));
  out.body = std::move(request.body());
  return out;
}

HttpResponse unreadable(error_code error) {
  if (error == http::error::body_limit) {
    return http_error(413, "too_large", fmt::format("body: more than {} bytes", kRequestBytesMax), "send less in one request");
  }
  if (error == http::error::header_limit) {
    return http_error(431, "too_large", fmt::format("header: more than {} bytes", kHeaderBytesMax), "send fewer or shorter headers");
  }
  return http_error(400, "bad_request", "not an HTTP/1.1 request: " + error.message(), "check the client");
}

}  // namespace

HttpResponse http_error(unsigned status, const char* code, const std::string& message, const std::string& todo,
                        const std::string& field) {
  HttpResponse response;
  response.status = status;
  response.body = "{\"error\":{\"code\":";
  append_json_string(response.body, code);
  response.body += ",\"field\":";
  append_json_string(response.body, field);
  response.body += ",\"message\":";
  append_json_string(response.body, message);
  response.body += ",\"todo\":";
  append_json_string(response.body, todo);
  response.body += "}}";
  return response;
}

struct HttpDoor::Impl : std::enable_shared_from_this<HttpDoor::Impl> {
  asio::io_context& io;
  const size_t connections_max;
  const HttpHandler handler;
  size_t connections = 0;
  uint64_t requests = 0;
  bool stopping = false;
  std::vector<std::function<void()>> closers;  // of acceptors
  std::map<uint64_t, std::function<void()>> idle;  // connections between two requests
  uint64_t next_id = 0;
  std::filesystem::path socket_path;

  Impl(asio::io_context& i, size_t max, HttpHandler h) : io(i), connections_max(max), handler(std::move(h)) {}

  template <class Stream>
  awaitable<bool> send(Stream& stream, const HttpResponse& answer, unsigned version, bool keep) {
    http::response<http::string_body> response(static_cast<http::status>(answer.status), version);
    response.set(http::field::content_type, "application/json");
    response.set(http::field::cache_control, "no-store");
    if (answer.retry_after_s > 0) response.set(http::field::retry_after, std::to_string(answer.retry_after_s));
    response.keep_alive(keep);
    response.body() = answer.body;
    response.body() += '\n';
    response.prepare_payload();
    error_code error;
    co_await http::async_write(stream, response, asio::redirect_error(use_awaitable, error));
    co_return !error && keep;
  }

  // One request and its answer. False: the connection ends.
  template <class Stream>
  awaitable<bool> exchange(Stream& stream, beast::flat_buffer& buffer, bool tcp, uint64_t id) {
    Parser parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(kRequestBytesMax);
    error_code error;
    stream.expires_after(kIdleTime);
    idle[id] = [&stream] { stream.cancel(); };
    co_await http::async_read_header(stream, buffer, parser, asio::redirect_error(use_awaitable, error));
    idle.erase(id);
    bool over = error == http::error::end_of_stream || error == beast::error::timeout || error == asio::error::operation_aborted;
    if (over || (error && error.category() != http::make_error_code(http::error::bad_method).category())) co_return false;
    stream.expires_after(kRequestTime);
    if (error) {
      co_await send(stream, unreadable(error), 11, false);
      co_return false;
    }
    if (from_web_page(parser.get(), tcp)) {
      co_await send(stream, http_error(403, "forbidden", "requests of web pages are not taken", "post from a program on this server"), 11, false);
      co_return false;
    }
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      co_await http::async_write(stream, go_on, asio::redirect_error(use_awaitable, error));
    }
    if (!error) co_await http::async_read(stream, buffer, parser, asio::redirect_error(use_awaitable, error));
    if (error) {
      bool malformed = error.category() == http::make_error_code(http::error::bad_method).category() && error != http::error::partial_message;
      if (malformed) co_await send(stream, unreadable(error), 11, false);
      co_return false;
    }
    unsigned version = parser.get().version();
    bool keep = parser.get().keep_alive() && !stopping;
    requests++;
    HttpRequest request = taken(parser.release());
    HttpResponse answer = co_await handler(std::move(request));
    stream.expires_after(kRequestTime);
    bool alive = co_await send(stream, answer, version, keep);
    co_return alive;
  }

  template <class Socket>
  awaitable<void> serve(Socket socket, bool tcp) {
    auto self = shared_from_this();
    using Stream = beast::basic_stream<typename Socket::protocol_type>;
    Stream stream(std::move(socket));
    uint64_t id = next_id++;
    connections++;
    beast::flat_buffer buffer(kRequestBytesMax + kHeaderBytesMax);
    for (bool more = true; more && !stopping;) {
      more = co_await exchange(stream, buffer, tcp, id);
    }
    idle.erase(id);
    connections--;
    error_code ignored;
    stream.socket().shutdown(Socket::shutdown_send, ignored);
  }

  template <class Acceptor>
  awaitable<void> accept(std::shared_ptr<Acceptor> acceptor, bool tcp) {
    auto self = shared_from_this();
    while (!stopping) {
      error_code error;
      auto socket = co_await acceptor->async_accept(asio::redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error || connections >= connections_max) {
        if (error) {  // no descriptors left, for a moment
          asio::steady_timer pause(io, std::chrono::milliseconds(50));
          co_await pause.async_wait(use_awaitable);
        }
        continue;  // a socket that was accepted is closed here
      }
      asio::co_spawn(io, serve(std::move(socket), tcp), asio::detached);
    }
  }

  template <class Protocol>
  Result<std::shared_ptr<typename Protocol::acceptor>> listen(const typename Protocol::endpoint& at, const std::string& name) {
    auto acceptor = std::make_shared<typename Protocol::acceptor>(io);
    error_code error;
    acceptor->open(at.protocol(), error);
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
      if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) acceptor->bind(at, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error) return Error{Errc::config, fmt::format("{}: cannot listen: {}", name, error.message())};
    closers.push_back([acceptor] {
      error_code ignored;
      acceptor->close(ignored);
    });
    return acceptor;
  }
};

HttpDoor::HttpDoor(asio::io_context& io, size_t connections_max, HttpHandler handler)
    : impl_(std::make_shared<Impl>(io, connections_max, std::move(handler))) {}
HttpDoor::~HttpDoor() { stop(); }

Result<void> HttpDoor::listen_unix(const std::filesystem::path& path) {
  using Local = asio::local::stream_protocol;
  error_code error;
  Local::socket probe(impl_->io);
  probe.connect(Local::endpoint(path.string()), error);
  if (!error) return Error{Errc::locked, path.string() + ": another program listens there"};
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  auto acceptor = impl_->listen<Local>(Local::endpoint(path.string()), path.string());
  if (!acceptor) return acceptor.error();
  ::chmod(path.c_str(), 0660);
  impl_->socket_path = path;
  asio::co_spawn(impl_->io, impl_->accept(*acceptor, false), asio::detached);
  return {};
}

Result<uint16_t> HttpDoor::listen_tcp(const Loopback& address) {
  using Tcp = asio::ip::tcp;
  error_code error;
  asio::ip::address host = asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error) return Error{Errc::config, address.host + ": no address to listen on"};
  auto acceptor = impl_->listen<Tcp>(Tcp::endpoint(host, address.port), fmt::format("{}:{}", address.host, address.port));
  if (!acceptor) return acceptor.error();
  uint16_t port = (*acceptor)->local_endpoint().port();
  asio::co_spawn(impl_->io, impl_->accept(*acceptor, true), asio::detached);
  return port;
}

void HttpDoor::stop() {
  if (impl_->stopping) return;
  impl_->stopping = true;
  for (auto& close : impl_->closers) close();
  impl_->closers.clear();
  auto idle = std::move(impl_->idle);
  for (auto& [id, cancel] : idle) cancel();
  std::error_code ignored;
  if (!impl_->socket_path.empty()) std::filesystem::remove(impl_->socket_path, ignored);
}

size_t HttpDoor::connections() const { return impl_->connections; }
uint64_t HttpDoor::requests() const { return impl_->requests; }

}  // namespace egret::agent
