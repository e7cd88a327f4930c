// chaos-proxy SEED: TCP lines on loopback that can be made bad while connections run over them.
// Promises: without a fault every byte passes, in order; a fault takes hold at once, on running
// connections too; what chance decides comes from the seed and the number of the byte in its line.
// Leaves to others: which fault when (nemesis.py).
//
// One command a line on stdin, one answer a line on stdout, both JSON; the end of stdin is its end.
//   {"do":"open","line":"north","to":1883}  -> {"port":N}; "up" is from who connects to port `to`
//   {"do":"set","line":"north","way":"up",…} for both ways without `way`; what is not named stays:
//      delay_ms, jitter_ms   each piece arrives so much later, never before the one ahead of it
//      rate                  bytes a second of all connections together; 0: as they come
//      stall                 nothing moves, nothing is lost, no end is told
//      cut                   bytes and ends vanish; such a way of a connection is dead for good
//      dead                  "silence": so it stays; "reset": what is sent on it later resets it
//      corrupt, spare        of so many bytes one is changed; not the first `spare` of a connection
//   {"do":"door","line":"north","mode":"open"}  or "refuse": a reset; "deaf": no answer ever
//   {"do":"reset","line":"north"}           every connection ends with RST
//   {"do":"calm"}                           all faults of all lines end
//   {"do":"count"}                          -> what each line has carried and done so far
#include <boost/asio.hpp>
#include <boost/json/src.hpp>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>

namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using asio::awaitable;
using asio::use_awaitable;
using tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Error = boost::system::error_code;

constexpr size_t kPieceBytes = 16 * 1024;
constexpr size_t kUnderWayBytesMax = 1 << 20;  // then the sender's window fills, as on a real line
constexpr int64_t kPieceMs = 50;               // of a slow line: how long one piece takes

constexpr auto detached = [](std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
};

// Completes when the timer is cancelled (woken) or due.
awaitable<void> until(asio::steady_timer& timer) {
  Error ignored;
  co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
}

// One direction of a line: its faults, and what it has done.
struct Way {
  Way(asio::io_context& io, uint64_t seed) : changed(io, Clock::time_point::max()), chance(seed) {}
  int64_t delay_ms = 0, jitter_ms = 0, rate = 0, corrupt = 0, spare = 0;
  bool stall = false, cut = false, dead_resets = false;
  asio::steady_timer changed;  // cancelled when a fault begins or ends
  std::mt19937_64 chance;
  Clock::time_point free_at;  // of a line with a rate
  int64_t to_corrupt = 0;     // bytes before the next one that is changed
  uint64_t bytes = 0, corrupted = 0, swallowed = 0;

  void set(const json::object& o);
  void calm();
  void wake() { changed.cancel(); }
  int64_t draw(int64_t n) { return static_cast<int64_t>(chance() % static_cast<uint64_t>(n)); }
  void spoil(std::string& data, uint64_t at);
};

void Way::set(const json::object& o) {
  for (const auto& [key, value] : o) {
    if (key == "delay_ms") delay_ms = value.to_number<int64_t>();
    if (key == "jitter_ms") jitter_ms = value.to_number<int64_t>();
    if (key == "rate") rate = value.to_number<int64_t>();
    if (key == "stall") stall = value.as_bool();
    if (key == "cut") cut = value.as_bool();
    if (key == "dead") dead_resets = value.as_string() == "reset";
    if (key == "spare") spare = value.to_number<int64_t>();
    if (key == "corrupt") {
      corrupt = value.to_number<int64_t>();
      to_corrupt = corrupt > 0 ? draw(2 * corrupt) : 0;
    }
  }
  wake();
}

void Way::calm() {
  delay_ms = jitter_ms = rate = corrupt = spare = 0;
  stall = cut = false;
  wake();
}

// `at`: how many bytes of this connection went before.
void Way::spoil(std::string& data, uint64_t at) {
  if (corrupt == 0) return;
  for (char& c : data) {
    if (static_cast<int64_t>(at++) < spare || to_corrupt-- > 0) continue;
    c = static_cast<char>(c ^ (1 + draw(255)));
    corrupted++;
    to_corrupt = draw(2 * corrupt);
  }
}

struct Pipe;

struct Line {
  Line(asio::io_context& io, uint64_t seed, uint16_t upstream)
      : acceptor(io, {asio::ip::address_v4::loopback(), 0}),
        to(upstream),
        up(io, seed),
        down(io, seed + 1) {}
  tcp::acceptor acceptor;
  const uint16_t to;
  Way up, down;
  enum class Door : uint8_t { open, refuse, deaf } door = Door::open;
  std::set<Pipe*> pipes;
  uint64_t connections = 0, refused = 0, resets = 0;
};

// One direction of one connection.
struct Flow {
  Flow(asio::io_context& io, Way& w) : way(w), timer(io), arrived(io, Clock::time_point::max()) {}
  struct Piece {
    Clock::time_point due;
    std::string data;
    bool reset = false;  // without data: the end, and how it came
  };
  Way& way;
  asio::steady_timer timer, arrived;  // arrived: the queue has grown or shrunk
  std::deque<Piece> under_way;
  size_t under_way_bytes = 0;
  uint64_t delivered = 0;
  Clock::time_point last_due;
  bool maimed = false;  // has lost bytes: nothing may pass any more
};

struct Pipe : std::enable_shared_from_this<Pipe> {
  Pipe(Line& l, tcp::socket client, asio::io_context& io)
      : line(l), near(std::move(client)), far(io), up(io, l.up), down(io, l.down) {
    line.pipes.insert(this);
  }
  ~Pipe() { line.pipes.erase(this); }
  awaitable<void> run();
  awaitable<void> take(tcp::socket& from, Flow& flow);
  awaitable<void> give(tcp::socket& to, Flow& flow);
  awaitable<bool> pass(tcp::socket& to, Flow& flow, std::string data);
  void arrive(Flow& flow, std::string data, bool reset);
  void end(bool reset);

  Line& line;
  tcp::socket near, far;
  Flow up, down;
  bool over = false;
};

void end_with_reset(tcp::socket& socket) {
  Error ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

void Pipe::end(bool reset) {
  if (over) return;
  over = true;
  if (reset) line.resets++;
  for (tcp::socket* socket : {&near, &far}) {
    Error ignored;
    if (reset) end_with_reset(*socket);
    socket->close(ignored);
  }
  for (Flow* flow : {&up, &down}) {
    flow->timer.cancel();
    flow->arrived.cancel();
    flow->way.wake();
  }
}

void Pipe::arrive(Flow& flow, std::string data, bool reset) {
  Way& way = flow.way;
  int64_t late = way.delay_ms + (way.jitter_ms > 0 ? way.draw(way.jitter_ms) : 0);
  flow.last_due = std::max(flow.last_due, Clock::now() + milliseconds(late));
  flow.under_way_bytes += data.size();
  flow.under_way.push_back({flow.last_due, std::move(data), reset});
  flow.arrived.cancel();
}

awaitable<void> Pipe::take(tcp::socket& from, Flow& flow) {
  auto self = shared_from_this();
  std::string buffer(kPieceBytes, '\0');
  while (!over) {
    Error error;
    size_t n = co_await from.async_read_some(asio::buffer(buffer),
                                             asio::redirect_error(use_awaitable, error));
    if (over) co_return;
    if (flow.way.cut || flow.maimed) {
      flow.way.swallowed += n;
      flow.maimed = true;
      if (!flow.way.cut && flow.way.dead_resets && n > 0) co_return end(true);
      if (error) co_return;
      continue;
    }
    arrive(flow, buffer.substr(0, n), error && error != asio::error::eof);
    if (error) co_return;
    while (!over && flow.under_way_bytes > kUnderWayBytesMax) co_await until(flow.arrived);
  }
}

// Through the rate of the line, in pieces; false: the connection is over.
awaitable<bool> Pipe::pass(tcp::socket& to, Flow& flow, std::string data) {
  Way& way = flow.way;
  for (size_t at = 0; at < data.size();) {
    size_t n = data.size() - at;
    if (way.rate > 0) {
      n = std::min(n, static_cast<size_t>(std::max<int64_t>(way.rate * kPieceMs / 1000, 1)));
      way.free_at = std::max(way.free_at, Clock::now()) +
                    microseconds(static_cast<int64_t>(n) * 1'000'000 / way.rate);
      flow.timer.expires_at(way.free_at);
      co_await until(flow.timer);
    }
    while (!over && way.stall) co_await until(way.changed);
    if (over) co_return false;
    std::string piece = data.substr(at, n);
    way.spoil(piece, flow.delivered);
    at += n;
    flow.delivered += n;
    way.bytes += n;
    Error error;
    co_await asio::async_write(to, asio::buffer(piece), asio::redirect_error(use_awaitable, error));
    if (error) end(error == asio::error::connection_reset);
    if (over) co_return false;
  }
  co_return true;
}

awaitable<void> Pipe::give(tcp::socket& to, Flow& flow) {
  auto self = shared_from_this();
  while (!over) {
    if (flow.under_way.empty()) {
      co_await until(flow.arrived);
      continue;
    }
    Flow::Piece piece = std::move(flow.under_way.front());
    flow.under_way.pop_front();
    flow.timer.expires_at(piece.due);
    if (piece.due > Clock::now()) co_await until(flow.timer);
    while (!over && flow.way.stall) co_await until(flow.way.changed);
    if (over) co_return;
    bool last = piece.data.empty();
    size_t n = piece.data.size();
    if (!last && !co_await pass(to, flow, std::move(piece.data))) co_return;
    if (last) co_return end(piece.reset);
    flow.under_way_bytes -= n;
    flow.arrived.cancel();
  }
}

awaitable<void> Pipe::run() {
  auto self = shared_from_this();
  asio::any_io_executor io = near.get_executor();
  if (line.door == Line::Door::deaf) {
    up.maimed = down.maimed = true;
    asio::co_spawn(io, take(near, up), detached);
    co_return;
  }
  Error error;
  tcp::endpoint upstream(asio::ip::address_v4::loopback(), line.to);
  co_await far.async_connect(upstream, asio::redirect_error(use_awaitable, error));
  if (error) co_return end(true);
  for (tcp::socket* socket : {&near, &far}) socket->set_option(tcp::no_delay(true), error);
  asio::co_spawn(io, take(near, up), detached);
  asio::co_spawn(io, give(far, up), detached);
  asio::co_spawn(io, take(far, down), detached);
  asio::co_spawn(io, give(near, down), detached);
}

class Proxy {
 public:
  Proxy(asio::io_context& io, uint64_t seed)
      : io_(io), seed_(seed), input_(io, ::dup(STDIN_FILENO)) {}
  awaitable<void> obey();

 private:
  json::object answer(const json::object& command);
  json::object count() const;
  awaitable<void> accept(Line& line);
  template <class Fn>
  void each(const json::object& command, Fn fn) {
    const json::value* name = command.if_contains("line");
    for (auto& [known, line] : lines_)
      if (name == nullptr || name->as_string() == known) fn(*line);
  }

  asio::io_context& io_;
  const uint64_t seed_;
  asio::posix::stream_descriptor input_;
  std::map<std::string, std::unique_ptr<Line>> lines_;
};

awaitable<void> Proxy::accept(Line& line) {
  for (;;) {
    Error error;
    tcp::socket client =
        co_await line.acceptor.async_accept(asio::redirect_error(use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) continue;
    if (line.door == Line::Door::refuse) {
      line.refused++;
      end_with_reset(client);
      continue;
    }
    line.connections++;
    auto pipe = std::make_shared<Pipe>(line, std::move(client), io_);
    asio::co_spawn(io_, pipe->run(), detached);
  }
}

void reset_all(Line& line) {
  std::vector<std::shared_ptr<Pipe>> running;
  for (Pipe* pipe : line.pipes) running.push_back(pipe->shared_from_this());
  for (auto& pipe : running) pipe->end(true);
}

json::object Proxy::count() const {
  json::object out;
  for (const auto& [name, line] : lines_) {
    json::object one{{"connections", line->connections},
                     {"running", line->pipes.size()},
                     {"refused", line->refused},
                     {"resets", line->resets}};
    for (auto [way_name, way] : {std::pair("up", &line->up), std::pair("down", &line->down)})
      one[way_name] = json::object{
          {"bytes", way->bytes}, {"corrupted", way->corrupted}, {"swallowed", way->swallowed}};
    out[name] = one;
  }
  return out;
}

json::object Proxy::answer(const json::object& command) {
  const json::string& what = command.at("do").as_string();
  if (what == "open") {
    std::string name(command.at("line").as_string());
    uint64_t seed = seed_ + 2 * std::hash<std::string>{}(name);
    auto line = std::make_unique<Line>(io_, seed, command.at("to").to_number<uint16_t>());
    uint16_t port = line->acceptor.local_endpoint().port();
    asio::co_spawn(io_, accept(*line), detached);
    lines_[name] = std::move(line);
    return {{"port", port}};
  }
  if (what == "count") return count();
  each(command, [&](Line& line) {
    if (what == "calm") {
      line.up.calm();
      line.down.calm();
      line.door = Line::Door::open;
    } else if (what == "reset") {
      reset_all(line);
    } else if (what == "door") {
      const json::string& mode = command.at("mode").as_string();
      line.door = mode == "refuse" ? Line::Door::refuse
                  : mode == "deaf" ? Line::Door::deaf
                                   : Line::Door::open;
    } else if (what == "set") {
      const json::value* way = command.if_contains("way");
      if (way == nullptr || way->as_string() == "up") line.up.set(command);
      if (way == nullptr || way->as_string() == "down") line.down.set(command);
    }
  });
  return {};
}

awaitable<void> Proxy::obey() {
  std::string text;
  for (;;) {
    Error error;
    size_t n = co_await asio::async_read_until(input_, asio::dynamic_buffer(text), '\n',
                                               asio::redirect_error(use_awaitable, error));
    if (error) co_return io_.stop();
    json::object said = answer(json::parse(text.substr(0, n)).as_object());
    text.erase(0, n);
    std::cout << json::serialize(said) << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "chaos-proxy SEED\n";
    return 2;
  }
  asio::io_context io;
  Proxy proxy(io, std::stoull(argv[1]));
  asio::co_spawn(io, proxy.obey(), detached);
  io.run();
  // What still runs ends with the process; taking it down in order would be for nobody.
  std::_Exit(0);
}
