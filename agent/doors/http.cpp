#include "agent/doors/http.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <typeinfo>
#include <vector>

#include "agent/log.h"
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

// After a refusal: what the client still sends is read and dropped, for closing on it would lose
// the answer.
constexpr auto kLingerTime = std::chrono::seconds(5);
constexpr size_t kLingerBytesMax = 8 * kRequestBytesMax;
constexpr size_t kTurnedAwayMax = 64;
constexpr size_t kReadBytes = 64 * kKiB;

using Parser = http::request_parser<http::string_body>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool loopback_host(std::string_view host) {
  std::string_view name = host.substr(
      0, host.rfind(':') == std::string_view::npos || host.back() == ']' ? host.size()
                                                                         : host.rfind(':'));
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
  if (target.find('?') != std::string_view::npos)
    out.query = std::string(target.substr(target.find('?') + 1));
  out.media_type = std::string(std::string_view(request[http::field::content_type]));
  out.content_type = lower(std::string_view(out.media_type).substr(0, out.media_type.find(';')));
  while (!out.content_type.empty() && out.content_type.back() == ' ') out.content_type.pop_back();
  out.content_encoding = lower(std::string_view(request[http::field::content_encoding]));
  out.idempotency_key = std::string(std::string_view(request["Idempotency-Key"]));
  out.prefer = lower(std::string_view(request["Prefer"]));
  out.body = std::move(request.body());
  return out;
}

bool is_http_error(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category();
}

HttpResponse unreadable(const HttpBounds& bounds, const error_code& error) {
  if (error == http::error::body_limit) {
    return http_error(413, "too_large",
                      fmt::format("body: more than {} bytes", bounds.body_bytes_max),
                      "send less in one request");
  }
  if (error == http::error::header_limit) {
    return http_error(431, "too_large",
                      fmt::format("header: more than {} bytes", bounds.header_bytes_max),
                      "send fewer or shorter headers");
  }
  if (error == http::error::partial_message || error == http::error::end_of_stream) {
    return http_error(400, "bad_request", "the request ends before it is complete",
                      "send what Content-Length or the chunks announce");
  }
  return http_error(400, "bad_request", "not an HTTP/1.1 request: " + error.message(),
                    "check the client");
}

HttpResponse too_slow(const char* part, std::chrono::milliseconds time) {
  return http_error(408, "timeout", fmt::format("{}: not complete after {} ms", part, time.count()),
                    "send a request in one go");
}

// Cancels what a stream waits for when the time is over. The stream can still be written to.
template <class Stream>
class Deadline {
 public:
  Deadline(Stream& stream, std::chrono::milliseconds time)
      : state_(std::make_shared<State>()), timer_(stream.get_executor(), time) {
    timer_.async_wait([state = state_, &stream](error_code error) {
      if (error || !state->armed) return;
      state->over = true;
      stream.cancel();
    });
  }
  ~Deadline() { state_->armed = false; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool over() const { return state_->over; }

 private:
  struct State {
    bool armed = true, over = false;
  };
  std::shared_ptr<State> state_;
  asio::steady_timer timer_;
};

// How much of all bodies one request holds.
class Share {
 public:
  explicit Share(size_t& all) : all_(all) {}
  ~Share() { all_ -= mine_; }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  void set(size_t bytes) {
    all_ += bytes - mine_;
    mine_ = bytes;
  }

 private:
  size_t& all_;
  size_t mine_ = 0;
};

}  // namespace

HttpResponse http_error(unsigned status, const char* code, const std::string& message,
                        const std::string& todo, const std::string& field) {
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
  const HttpBounds bounds;
  const HttpHandler handler;
  size_t connections = 0, turned_away = 0;
  size_t bodies_bytes = 0;
  uint64_t requests = 0;
  bool stopping = false;
  std::vector<std::function<void()>> closers;      // of acceptors
  std::map<uint64_t, std::function<void()>> idle;  // connections between two requests
  uint64_t next_id = 0;
  std::filesystem::path socket_path;

  Impl(asio::io_context& i, HttpBounds b, HttpHandler h)
      : io(i), bounds(b), handler(std::move(h)) {}

  template <class Stream>
  awaitable<bool> send(Stream& stream, const HttpResponse& answer, unsigned version, bool keep) {
    http::response<http::string_body> response(static_cast<http::status>(answer.status), version);
    response.set(http::field::content_type, answer.type);
    if (!answer.policy.empty()) response.set("Content-Security-Policy", answer.policy);
    response.set(http::field::cache_control, "no-store");
    if (answer.retry_after_s > 0)
      response.set(http::field::retry_after, std::to_string(answer.retry_after_s));
    response.keep_alive(keep);
    response.body() = answer.body;
    if (!response.body().ends_with('\n')) response.body() += '\n';
    response.prepare_payload();
    error_code error;
    stream.expires_after(bounds.answer);
    co_await http::async_write(stream, response, asio::redirect_error(use_awaitable, error));
    stream.expires_never();
    co_return !error && keep;
  }

  // An answer to what was not read to its end; the connection ends with it.
  template <class Stream>
  awaitable<bool> refuse(Stream& stream, HttpResponse answer) {
    co_await send(stream, answer, 11, false);
    error_code error;
    stream.socket().shutdown(asio::socket_base::shutdown_send, error);
    std::string dropped(kReadBytes, '\0');
    size_t read = 0;
    stream.expires_after(kLingerTime);
    while (!error && read < kLingerBytesMax) {
      read += co_await stream.async_read_some(asio::buffer(dropped),
                                              asio::redirect_error(use_awaitable, error));
    }
    co_return false;
  }

  // Waits for the first bytes of a request. False: none comes.
  template <class Stream>
  awaitable<bool> begins(Stream& stream, beast::flat_buffer& buffer, uint64_t id) {
    if (buffer.size() > 0) co_return true;  // pipelined
    error_code error;
    Deadline deadline(stream, bounds.idle);
    idle[id] = [&stream] { stream.cancel(); };
    size_t read = co_await stream.async_read_some(buffer.prepare(4 * kKiB),
                                                  asio::redirect_error(use_awaitable, error));
    idle.erase(id);
    buffer.commit(read);
    co_return !error;
  }

  // What is said about a request that did not come whole; silence to a client that is gone.
  template <class Stream>
  awaitable<bool> reject(Stream& stream, error_code error, const char* part,
                         std::chrono::milliseconds time) {
    if (error == beast::error::timeout) co_return co_await refuse(stream, too_slow(part, time));
    if (error == asio::error::no_buffer_space) {
      HttpResponse busy =
          http_error(503, "busy", "the requests in hand hold all the memory that is given to them",
                     "send the same again in a moment");
      busy.retry_after_s = 1;
      co_return co_await refuse(stream, busy);
    }
    if (!is_http_error(error)) co_return false;
    co_return co_await refuse(stream, unreadable(bounds, error));
  }

  template <class Stream>
  awaitable<error_code> read_header(Stream& stream, beast::flat_buffer& buffer, Parser& parser) {
    error_code error;
    Deadline deadline(stream, bounds.header);
    co_await http::async_read_header(stream, buffer, parser,
                                     asio::redirect_error(use_awaitable, error));
    if (deadline.over()) error = beast::error::timeout;
    co_return error;
  }

  template <class Stream>
  awaitable<error_code> read_body(Stream& stream, beast::flat_buffer& buffer, Parser& parser,
                                  Share& share) {
    error_code error;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue") && !parser.is_done()) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      co_await http::async_write(stream, go_on, asio::redirect_error(use_awaitable, error));
    }
    Deadline deadline(stream, bounds.body);
    parser.eager(true);
    while (!error && !parser.is_done()) {
      co_await http::async_read_some(stream, buffer, parser,
                                     asio::redirect_error(use_awaitable, error));
      share.set(parser.get().body().size());
      if (!error && bodies_bytes > bounds.bodies_bytes_max) error = asio::error::no_buffer_space;
    }
    if (!error) co_return error;
    if (deadline.over()) error = beast::error::timeout;
    std::string().swap(parser.get().body());  // nothing of it is needed any more
    share.set(0);
    co_return error;
  }

  // One request and its answer. False: the connection ends.
  template <class Stream>
  awaitable<bool> exchange(Stream& stream, beast::flat_buffer& buffer, bool tcp, uint64_t id) {
    Parser parser;
    parser.header_limit(static_cast<uint32_t>(bounds.header_bytes_max));
    parser.body_limit(bounds.body_bytes_max);
    bool begun = co_await begins(stream, buffer, id);
    if (!begun) co_return false;
    error_code error = co_await read_header(stream, buffer, parser);
    if (error) co_return co_await reject(stream, error, "header", bounds.header);
    if (from_web_page(parser.get(), tcp)) {
      co_return co_await refuse(stream,
                                http_error(403, "forbidden", "requests of web pages are not taken",
                                           "post from a program on this server"));
    }
    Share share(bodies_bytes);
    error = co_await read_body(stream, buffer, parser, share);
    if (error) co_return co_await reject(stream, error, "body", bounds.body);
    unsigned version = parser.get().version();
    bool keep = parser.get().keep_alive() && !stopping && parser.get().method() != http::verb::head;
    requests++;
    HttpResponse answer = co_await handled(taken(parser.release()));
    bool alive = co_await send(stream, answer, version, keep);
    co_return alive;
  }

  awaitable<HttpResponse> handled(HttpRequest request) {
    try {
      HttpResponse answer = co_await handler(std::move(request));
      co_return answer;
    } catch (const std::exception& e) {
      log("request_failed", e);
    }
    co_return http_error(500, "internal", "this request could not be answered",
                         "tell the agent's makers; the log names the error");
  }

  template <class Socket>
  awaitable<void> serve(Socket socket, bool tcp) {
    auto self = shared_from_this();
    using Stream = beast::basic_stream<typename Socket::protocol_type>;
    Stream stream(std::move(socket));
    uint64_t id = next_id++;
    connections++;
    beast::flat_buffer buffer(bounds.body_bytes_max + bounds.header_bytes_max);
    for (bool more = true; more && !stopping;) {
      more = co_await exchange(stream, buffer, tcp, id);
    }
    connections--;
    error_code ignored;
    stream.socket().shutdown(Socket::shutdown_send, ignored);
  }

  // Every connection is in use: that is said to the one too many.
  template <class Socket>
  awaitable<void> turn_away(Socket socket) {
    auto self = shared_from_this();
    beast::basic_stream<typename Socket::protocol_type> stream(std::move(socket));
    turned_away++;
    HttpResponse full = http_error(
        503, "busy", fmt::format("all {} connections are in use", bounds.connections_max),
        "close connections that are done, or raise doors.connections_max");
    full.retry_after_s = 1;
    co_await refuse(stream, full);
    turned_away--;
  }

  template <class Acceptor>
  awaitable<void> accept(std::shared_ptr<Acceptor> acceptor, bool tcp) {
    auto self = shared_from_this();
    while (!stopping) {
      error_code error;
      auto socket = co_await acceptor->async_accept(asio::redirect_error(use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // no descriptors left, for a moment
        asio::steady_timer pause(io, std::chrono::milliseconds(50));
        co_await pause.async_wait(use_awaitable);
      } else if (connections < bounds.connections_max) {
        asio::co_spawn(io, serve(std::move(socket), tcp), asio::detached);
      } else if (turned_away < kTurnedAwayMax) {
        asio::co_spawn(io, turn_away(std::move(socket)), asio::detached);
      }
    }
  }

  template <class Protocol>
  Result<std::shared_ptr<typename Protocol::acceptor>> listen(const typename Protocol::endpoint& at,
                                                              const std::string& name) {
    auto acceptor = std::make_shared<typename Protocol::acceptor>(io);
    error_code error;
    acceptor->open(at.protocol(), error);
    if constexpr (std::is_same_v<Protocol, asio::ip::tcp>) {
      if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) acceptor->bind(at, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return Error{Errc::config, fmt::format("{}: cannot listen: {}", name, error.message())};
    closers.push_back([acceptor] {
      error_code ignored;
      acceptor->close(ignored);
    });
    return acceptor;
  }
};

HttpDoor::HttpDoor(asio::io_context& io, HttpBounds bounds, HttpHandler handler)
    : impl_(std::make_shared<Impl>(io, bounds, std::move(handler))) {}
HttpDoor::~HttpDoor() {
  stop();
}

Result<void> HttpDoor::listen_unix(const std::filesystem::path& path) {
  using Local = asio::local::stream_protocol;
  error_code error;
  Local::socket probe(impl_->io);
  probe.connect(Local::endpoint(path.string()), error);
  if (!error) return Error{Errc::locked, path.string() + ": another program listens there"};
  // What a killed agent left is replaced; a file that is no socket is somebody's.
  std::error_code ignored;
  std::filesystem::file_status there = std::filesystem::symlink_status(path, ignored);
  if (std::filesystem::exists(there) && !std::filesystem::is_socket(there)) {
    return Error{Errc::config,
                 path.string() + ": cannot listen: a file that is no socket is there"};
  }
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
  asio::ip::address host =
      asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error) return Error{Errc::config, address.host + ": no address to listen on"};
  auto acceptor = impl_->listen<Tcp>(Tcp::endpoint(host, address.port),
                                     fmt::format("{}:{}", address.host, address.port));
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

size_t HttpDoor::connections() const {
  return impl_->connections;
}
uint64_t HttpDoor::requests() const {
  return impl_->requests;
}

}  // namespace egret::agent
