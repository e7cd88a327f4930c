#include "cloud/http.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace egret::cloud {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

template <class Protocol>
using Stream = beast::basic_stream<Protocol, asio::any_io_executor>;
using Response = http::response<http::string_body>;

// Where an answer is put, by whatever thread, perhaps long after the server has gone.
struct Slot {
  std::mutex lock;
  bool filled = false;
  HttpResponse response;
  std::function<void()> wake;  // none: nobody waits any more

  void put(HttpResponse with) {
    std::lock_guard held(lock);
    if (filled) return;
    filled = true;
    response = std::move(with);
    if (wake) wake();
  }
};

HttpResponse plain(unsigned status, std::string text) {
  HttpResponse out;
  out.status = status;
  out.body = std::move(text);
  return out;
}

// Wakes one waiting coroutine; what it holds of the server goes with it.
class Waiter {
 public:
  Waiter(std::shared_ptr<Slot> slot, const asio::any_io_executor& executor, int64_t patience_ms) : slot_(std::move(slot)) {
    std::lock_guard held(slot_->lock);
    if (slot_->filled) return;
    timer_ = std::make_shared<asio::steady_timer>(executor, milliseconds(patience_ms));
    slot_->wake = [executor, timer = timer_] {
      asio::post(executor, [timer] { timer->cancel(); });
    };
  }
  ~Waiter() {
    std::lock_guard held(slot_->lock);
    slot_->wake = nullptr;
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // nullptr: the answer is there already.
  asio::steady_timer* timer() { return timer_.get(); }
  HttpResponse result() {
    std::lock_guard held(slot_->lock);
    if (slot_->filled) return std::move(slot_->response);
    slot_->filled = true;
    return plain(503, "no answer in time; the store may be busy\n");
  }

 private:
  std::shared_ptr<Slot> slot_;
  std::shared_ptr<asio::steady_timer> timer_;
};

Response render(HttpResponse&& from, unsigned version, bool keep_alive, bool head) {
  Response out(static_cast<http::status>(from.status), version);
  out.set(http::field::content_type, from.content_type);
  out.set("X-Content-Type-Options", "nosniff");
  out.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : from.headers) out.set(name, value);
  out.keep_alive(keep_alive);
  size_t size = from.body.size();
  if (!head) out.body() = std::move(from.body);
  out.content_length(size);
  return out;
}

// What a request that cannot be read is told; nullopt: nothing, the client has gone.
std::optional<HttpResponse> answer_to(const error_code& error) {
  if (error == http::error::body_limit) return plain(413, "the body is too large\n");
  if (error == http::error::header_limit) return plain(431, "the header is too large\n");
  if (error == http::error::end_of_stream || error == beast::error::timeout) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_target).category())
    return plain(400, "this is no HTTP/1.1 request\n");
  return std::nullopt;
}

class Place;

struct Listener {
  Listener(HttpHandler h, HttpBodyLimit b, HttpLimits l) : handler(std::move(h)), body_limit(std::move(b)), limits(l) {}
  HttpHandler handler;
  HttpBodyLimit body_limit;
  HttpLimits limits;
  std::atomic<size_t> flows = 0, refusals = 0;
  std::mutex lock;  // guards places, and what they say of themselves
  std::set<Place*> places;

  bool full() {
    std::lock_guard held(lock);
    return places.size() >= limits.connections;
  }
  // False: nobody has kept us waiting for so long.
  bool let_one_go();
};

int64_t now_ms() { return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// A connection's, as long as it lives: since when its client keeps us waiting, and how it is let go.
class Place {
 public:
  Place(std::shared_ptr<Listener> listener, std::function<void()> let_go) : listener_(std::move(listener)), let_go_(std::move(let_go)) {
    std::lock_guard held(listener_->lock);
    listener_->places.insert(this);
  }
  ~Place() {
    std::lock_guard held(listener_->lock);
    listener_->places.erase(this);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  // From now on we wait for the client: for its request, or that it takes an answer.
  void client_next() { set(now_ms()); }
  // The client waits for us.
  void we_next() { set(kNotWaiting); }

 private:
  friend struct Listener;
  static constexpr int64_t kNotWaiting = INT64_MAX;
  void set(int64_t since) {
    std::lock_guard held(listener_->lock);
    if (!gone_) since_ms_ = since;
  }
  const std::shared_ptr<Listener> listener_;
  const std::function<void()> let_go_;
  int64_t since_ms_ = now_ms();
  bool gone_ = false;
};

bool Listener::let_one_go() {
  std::lock_guard held(lock);
  const auto slowest = std::ranges::min_element(places, {}, [](const Place* p) { return p->since_ms_; });
  if (slowest == places.end() || (*slowest)->since_ms_ == Place::kNotWaiting || now_ms() - (*slowest)->since_ms_ < limits.patience_ms) return false;
  Place& place = **slowest;
  place.since_ms_ = Place::kNotWaiting;
  place.gone_ = true;
  place.let_go_();
  return true;
}

template <class Protocol>
asio::awaitable<bool> respond(Stream<Protocol>& stream, Listener& listener, Response response) {
  error_code error;
  stream.expires_after(milliseconds(listener.limits.idle_ms));
  co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
  co_return !error && response.keep_alive();
}

// A file that is sent. It is read from its page cache, or a piece from the disk, on the server's
// thread.
class SentFile {
 public:
  explicit SentFile(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat st;
    if (fd_ >= 0 && ::fstat(fd_, &st) == 0) size_ = static_cast<uint64_t>(st.st_size);
  }
  ~SentFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  SentFile(const SentFile&) = delete;
  SentFile& operator=(const SentFile&) = delete;

  bool open() const { return fd_ >= 0; }
  uint64_t size() const { return size_; }
  // What comes next, at most as much as fits; 0: it cannot be read.
  size_t read(std::vector<char>& into, uint64_t left) {
    const ssize_t n = ::read(fd_, into.data(), std::min<uint64_t>(into.size(), left));
    return n > 0 ? static_cast<size_t>(n) : 0;
  }

 private:
  const int fd_;
  uint64_t size_ = 0;
};

// The header, then the file piece by piece; each has idle_ms to be taken. A file that ends early
// ends the connection, so that nobody takes a part for the whole.
template <class Protocol>
asio::awaitable<bool> respond_with_file(Stream<Protocol>& stream, Listener& listener, Place& place,
                                        HttpResponse from, unsigned version, bool keep_alive,
                                        bool head) {
  SentFile file(from.file);
  if (!file.open())
    co_return co_await respond(
        stream, listener,
        render(plain(404, "the file is not there any more\n"), version, keep_alive, head));
  const Response rendered = render(std::move(from), version, keep_alive, true);
  http::response<http::empty_body> header(rendered.base());
  header.content_length(file.size());
  http::response_serializer<http::empty_body> serializer(header);
  error_code error;
  stream.expires_after(milliseconds(listener.limits.idle_ms));
  co_await http::async_write_header(stream, serializer,
                                    asio::redirect_error(asio::use_awaitable, error));
  std::vector<char> piece(head ? 0 : kHttpPieceBytes);
  for (uint64_t left = head ? 0 : file.size(); left > 0 && !error;) {
    const size_t n = file.read(piece, left);
    if (n == 0) co_return false;
    stream.expires_after(milliseconds(listener.limits.idle_ms));
    place.client_next();
    co_await asio::async_write(stream, asio::buffer(piece.data(), n),
                               asio::redirect_error(asio::use_awaitable, error));
    left -= n;
  }
  co_return !error && keep_alive;
}

// Flows of a listener, counted as long as they live; the flow is over with it.
class FlowPlace {
 public:
  FlowPlace(Listener& listener, std::shared_ptr<HttpFlow> flow) : listener_(listener), flow_(std::move(flow)) { fits_ = ++listener_.flows <= listener_.limits.flows; }
  ~FlowPlace() {
    flow_->end();
    --listener_.flows;
  }
  FlowPlace(const FlowPlace&) = delete;
  FlowPlace& operator=(const FlowPlace&) = delete;
  bool fits() const { return fits_; }

 private:
  Listener& listener_;
  const std::shared_ptr<HttpFlow> flow_;
  bool fits_ = false;
};

// The header, then pieces as they come. Each has idle_ms to be taken. A client that goes is seen at the next piece.
template <class Protocol>
asio::awaitable<void> respond_with_flow(std::shared_ptr<Stream<Protocol>> shared, Listener& listener, HttpResponse from, unsigned version) {
  Stream<Protocol>& stream = *shared;
  const std::shared_ptr<HttpFlow> flow = std::move(from.flow);
  const FlowPlace place(listener, flow);
  if (!place.fits()) {
    HttpResponse full = plain(503, "as many streams are open as may be\n");
    full.headers.emplace_back("Retry-After", "5");
    co_await respond(stream, listener, render(std::move(full), version, false, false));
    co_return;
  }
  const Response rendered = render(std::move(from), version, false, true);
  http::response<http::empty_body> header(rendered.base());
  header.erase(http::field::content_length);
  header.chunked(true);
  http::response_serializer<http::empty_body> serializer(header);
  error_code error;
  stream.socket().set_option(asio::socket_base::send_buffer_size(listener.limits.flow_buffer_bytes), error);
  error.clear();  // the system's own size will do
  stream.expires_after(milliseconds(listener.limits.idle_ms));
  co_await http::async_write_header(stream, serializer, asio::redirect_error(asio::use_awaitable, error));
  const auto executor = stream.get_executor();
  auto timer = std::make_shared<asio::steady_timer>(executor);
  while (!error) {
    timer->expires_at(asio::steady_timer::time_point::max());
    const HttpFlow::Piece piece = flow->next([executor, timer, shared, weak = std::weak_ptr(flow)] {
      asio::post(executor, [timer, shared, weak] {
        timer->cancel();
        const auto told = weak.lock();
        if (told == nullptr || !told->open()) shared->close();  // in the middle of a piece that is not taken
      });
    });
    if (piece == nullptr) {
      if (!flow->open()) break;
      // What wakes it is posted to this very connection, and so comes after the wait has begun.
      error_code woken;
      co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, woken));
      continue;
    }
    stream.expires_after(milliseconds(listener.limits.idle_ms));
    co_await asio::async_write(stream, http::make_chunk(asio::buffer(*piece)), asio::redirect_error(asio::use_awaitable, error));
  }
}

bool is_local(const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error).address();
  return !error && (peer.is_loopback() || (peer.is_v6() && peer.to_v6().is_v4_mapped() && asio::ip::make_address_v4(asio::ip::v4_mapped, peer.to_v6()).is_loopback()));
}
bool is_local(const asio::local::stream_protocol::socket&) { return true; }

HttpRequest head_of(const http::request<http::string_body>& request, bool local) {
  HttpRequest in;
  in.method = std::string(request.method_string());
  const auto target = request.target();
  const size_t mark = std::min(target.find('?'), target.size());
  in.path = std::string(target.substr(0, mark));
  in.query = std::string(target.substr(std::min(mark + 1, target.size())));
  in.local = local;
  for (const auto& field : request) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string& value = in.headers[std::move(name)];
    value += (value.empty() ? "" : ", ") + std::string(field.value());
  }
  return in;
}

// The header, then the body as far as the listener lets it come. nullopt: refused, or the client has gone.
template <class Protocol>
asio::awaitable<std::optional<HttpRequest>> read_request(Stream<Protocol>& stream, Listener& listener, beast::flat_buffer& buffer, bool local,
                                                         http::request_parser<http::string_body>& parser) {
  parser.header_limit(static_cast<std::uint32_t>(listener.limits.header_bytes));
  parser.body_limit(boost::none);
  error_code error;
  stream.expires_after(milliseconds(listener.limits.idle_ms));
  co_await http::async_read_header(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
  HttpRequest in;
  if (!error) {
    in = head_of(parser.get(), local);
  }
  if (!error && !parser.is_done()) {  // a body follows
    const size_t most = listener.body_limit ? listener.body_limit(in) : listener.limits.body_bytes;
    const auto length = parser.content_length();
    if (length && *length > most) error = http::error::body_limit;
    parser.body_limit(most);
  }
  if (!error && !parser.is_done()) {
    if (in.headers.contains("expect")) {
      static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await asio::async_write(stream, asio::buffer(kGoOn), asio::redirect_error(asio::use_awaitable, error));
    }
    if (!error) co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
  }
  if (error) {
    auto refusal = answer_to(error);
    if (refusal) co_await respond(stream, listener, render(std::move(*refusal), 11, false, false));
    co_return std::nullopt;
  }
  in.body = std::move(parser.get().body());
  co_return in;
}

template <class Protocol>
asio::awaitable<bool> one_request(std::shared_ptr<Stream<Protocol>> shared, Listener& listener, Place& place,
                                  beast::flat_buffer& buffer, bool local) {
  Stream<Protocol>& stream = *shared;
  http::request_parser<http::string_body> parser;
  place.client_next();
  auto in = co_await read_request(stream, listener, buffer, local, parser);
  if (!in) co_return false;
  place.we_next();
  const auto& request = parser.get();
  auto slot = std::make_shared<Slot>();
  listener.handler(*in, [slot](HttpResponse response) { slot->put(std::move(response)); });
  Waiter waiter(slot, stream.get_executor(), listener.limits.answer_ms);
  // An answer that comes now cancels the timer by what it posts to this very connection, and so after the wait has begun.
  error_code error;
  if (waiter.timer() != nullptr) co_await waiter.timer()->async_wait(asio::redirect_error(asio::use_awaitable, error));
  HttpResponse answer = waiter.result();
  bool head = request.method() == http::verb::head;
  if (!answer.file.empty()) {
    bool after_file = co_await respond_with_file(stream, listener, place, std::move(answer),
                                                 request.version(), request.keep_alive(), head);
    co_return after_file;
  }
  if (answer.flow && head) answer.flow->end();
  if (answer.flow && !head) {
    co_await respond_with_flow(shared, listener, std::move(answer), request.version());
    co_return false;
  }
  Response response = render(std::move(answer), request.version(), request.keep_alive(), head);
  place.client_next();
  bool more = co_await respond(stream, listener, std::move(response));
  co_return more;
}

template <class Protocol>
asio::awaitable<void> serve(std::shared_ptr<Stream<Protocol>> stream, std::shared_ptr<Listener> listener, std::unique_ptr<Place> place) {
  beast::flat_buffer buffer(listener->limits.header_bytes + listener->limits.body_bytes);
  const bool local = is_local(stream->socket());
  bool more = true;
  while (more) {
    bool again = co_await one_request(stream, *listener, *place, buffer, local);
    more = again;
  }
  error_code ignored;
  stream->socket().shutdown(Protocol::socket::shutdown_both, ignored);
}

// Those who are told that the house is full, counted as long as they are.
class Refusal {
 public:
  explicit Refusal(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) { fits_ = ++listener_->refusals <= listener_->limits.refusals; }
  ~Refusal() { --listener_->refusals; }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
  bool fits() const { return fits_; }

 private:
  const std::shared_ptr<Listener> listener_;
  bool fits_ = false;
};

// Without reading what it asks. Its end is waited for, or what it still sends would take the answer from it.
template <class Protocol>
asio::awaitable<void> refuse(typename Protocol::socket socket, std::shared_ptr<Listener> listener, std::unique_ptr<Refusal>) {
  Stream<Protocol> stream(std::move(socket));
  HttpResponse full = plain(503, "as many connections are open as may be\n");
  full.headers.emplace_back("Retry-After", "1");
  const Response response = render(std::move(full), 11, false, false);
  error_code error;
  stream.expires_after(milliseconds(listener->limits.patience_ms));
  co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
  if (!error) stream.socket().shutdown(Protocol::socket::shutdown_send, error);
  std::array<char, 1024> rest;
  for (size_t read = 0; !error && read < listener->limits.header_bytes;)
    read += co_await stream.async_read_some(asio::buffer(rest), asio::redirect_error(asio::use_awaitable, error));
}

// Threads, each with connections of its own.
class Threads {
 public:
  explicit Threads(size_t n) {
    for (size_t i = 0; i < n; i++) all_.push_back(std::make_unique<Own>());
  }
  // The one that listens, and the one whose turn it is to get a connection.
  asio::io_context& first() { return all_.front()->io; }
  asio::io_context& next() { return all_[turn_++ % all_.size()]->io; }
  void start() {
    for (const auto& own : all_) own->thread = std::thread([&io = own->io] { io.run(); });
  }
  void stop() {
    for (const auto& own : all_) own->io.stop();
    for (const auto& own : all_) {
      if (own->thread.joinable()) own->thread.join();
    }
  }

 private:
  struct Own {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> open = asio::make_work_guard(io);
    std::thread thread;
  };
  std::vector<std::unique_ptr<Own>> all_;
  size_t turn_ = 0;  // of the first thread
};

template <class Protocol>
asio::awaitable<void> accept_all(typename Protocol::acceptor acceptor, std::shared_ptr<Listener> listener, Threads& threads) {
  auto executor = acceptor.get_executor();
  for (;;) {
    error_code error;
    typename Protocol::socket socket(threads.next());
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, most likely: a short rest instead of a spin.
      asio::steady_timer rest(executor, milliseconds(100));
      co_await rest.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const auto connection = socket.get_executor();
    if (listener->full() && !listener->let_one_go()) {
      auto refusal = std::make_unique<Refusal>(listener);
      if (refusal->fits()) asio::co_spawn(connection, refuse<Protocol>(std::move(socket), listener, std::move(refusal)), asio::detached);
      continue;
    }
    auto stream = std::make_shared<Stream<Protocol>>(std::move(socket));
    auto place = std::make_unique<Place>(listener, [connection, weak = std::weak_ptr(stream)] {
      asio::post(connection, [weak] {
        if (const auto open = weak.lock()) open->close();
      });
    });
    asio::co_spawn(connection, serve<Protocol>(std::move(stream), listener, std::move(place)), asio::detached);
  }
}

Error bad_address(const std::string& address, const std::string& why) {
  return {Errc::config, fmt::format("http: cannot listen on '{}': {}", address, why)};
}

Result<asio::ip::tcp::endpoint> parse_address(const std::string& address) {
  size_t colon = address.rfind(':');
  if (colon == std::string::npos) return bad_address(address, "write host:port");
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  unsigned port = 0;
  const char* end = address.data() + address.size();
  auto [stop, failed] = std::from_chars(address.data() + colon + 1, end, port);
  if (failed != std::errc{} || stop != end || port > 65'535)
    return bad_address(address, "the port is 0 to 65535");
  error_code error;
  auto ip = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return bad_address(address, "the host is an IP address or localhost");
  return asio::ip::tcp::endpoint(ip, static_cast<uint16_t>(port));
}

}  // namespace

struct HttpServer::Impl {
  explicit Impl(HttpLimits l) : limits(l), threads(l.threads) {}
  template <class Protocol>
  void open(typename Protocol::acceptor acceptor, HttpHandler handler, HttpBodyLimit body_limit) {
    auto listener = std::make_shared<Listener>(std::move(handler), std::move(body_limit), limits);
    asio::co_spawn(acceptor.get_executor(), accept_all<Protocol>(std::move(acceptor), std::move(listener), threads), asio::detached);
  }

  HttpLimits limits;
  std::vector<std::filesystem::path> paths;
  Threads threads;
};

std::string header_of(const HttpRequest& request, const std::string& name) {
  const auto at = request.headers.find(name);
  return at == request.headers.end() ? "" : at->second;
}

HttpServer::HttpServer(HttpLimits limits) : impl_(std::make_unique<Impl>(limits)) {}

HttpServer::~HttpServer() {
  impl_->threads.stop();
  for (const auto& path : impl_->paths) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
}

Result<uint16_t> HttpServer::listen_tcp(const std::string& address, HttpHandler handler, HttpBodyLimit body_limit) {
  auto endpoint = parse_address(address);
  if (!endpoint) return endpoint.error();
  asio::ip::tcp::acceptor acceptor(impl_->threads.first());
  error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return bad_address(address, error.message());
  uint16_t port = acceptor.local_endpoint().port();
  impl_->open<asio::ip::tcp>(std::move(acceptor), std::move(handler), std::move(body_limit));
  return port;
}

Result<void> HttpServer::listen_unix(const std::filesystem::path& path, HttpHandler handler) {
  using Local = asio::local::stream_protocol;
  if (path.native().size() > 100)
    return bad_address(path.string(), "the path is over 100 characters");
  Local::endpoint endpoint(path.string());
  error_code error;
  Local::socket probe(impl_->threads.first());
  probe.connect(endpoint, error);
  if (!error)
    return Error{Errc::locked, fmt::format("'{}': another process listens there", path.string())};
  std::error_code ignored;
  if (std::filesystem::is_socket(path, ignored)) std::filesystem::remove(path, ignored);
  Local::acceptor acceptor(impl_->threads.first());
  error.clear();
  acceptor.open(endpoint.protocol(), error);
  // No moment with wider permissions: the mask holds from the socket's first.
  mode_t before = umask(0177);
  if (!error) acceptor.bind(endpoint, error);
  umask(before);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return bad_address(path.string(), error.message());
  impl_->open<Local>(std::move(acceptor), std::move(handler), {});
  impl_->paths.push_back(path);
  return {};
}

void HttpServer::start() {
  impl_->threads.start();
}

}  // namespace egret::cloud
