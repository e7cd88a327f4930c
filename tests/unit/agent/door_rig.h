// The door over a real socket with everything behind it: Api, Writer, Buffer, and a Kv in memory
// whose syncs can be held.
// Promises: the daemon's threads (one for doors, the writer's own); all are gone when the object
// goes.
// Leaves to others: what is asked.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <thread>

#include "agent/append.h"
#include "agent/doors/api.h"
#include "agent/host.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/agent/plain_host.h"
#include "tests/unit/agent/scratch.h"

namespace egret::agent {

// Holds every write until it is let go.
class HeldKv final : public Kv {
 public:
  KvMemory memory{edge::kEdgeSpaces};
  void hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void let_go() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // Until a write has arrived and is held.
  void wait_for_write() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_ > 0; }));
  }
  Result<void> write(const KvBatch& batch, bool sync) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    --waiting_;
    return memory.write(batch, sync);
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    return memory.get(space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return memory.scan(space, first, end, visit);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end,
                         const Visit& visit) const override {
    return memory.scan_back(space, first, end, visit);
  }
  uint64_t disk_bytes() const override { return memory.disk_bytes(); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int waiting_ = 0;
};

// A connection of a producer that says what it likes.
class Client {
 public:
  explicit Client(const std::filesystem::path& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.string().copy(at.sun_path, sizeof at.sun_path - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  Client& say(std::string_view text) {
    while (!text.empty()) {
      ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;  // refused before the end: the answer says why
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return *this;
  }
  bool answered_within(int ms) const {
    pollfd wait{fd_, POLLIN, 0};
    return ::poll(&wait, 1, ms) == 1;
  }
  // Everything until the door closes; empty when it closes without a word.
  std::string answer() {
    std::string out;
    char piece[4096];
    while (answered_within(10'000)) {
      ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
      if (got <= 0) break;
      out.append(piece, static_cast<size_t>(got));
    }
    return out;
  }

 private:
  int fd_;
};

inline std::string http_post(const std::string& path, const std::string& type,
                             const std::string& body, const std::string& more = "") {
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: " + type + "\r\n" +
         more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class DoorRig {
 public:
  explicit DoorRig(HttpBounds bounds = {}) {
    auto opened = edge::Buffer::open(kv, "clinic-1", entropy_);
    REQUIRE(opened.has_value());
    buffer = std::move(*opened);
    auto post = [this](std::function<void()> job) { boost::asio::post(io_, std::move(job)); };
    writer_ = std::make_unique<Writer>(
        *buffer, [] { return now(); }, post, Writer::Events{[](edge::View) {}, [](Error) {}});
    api_ = std::make_unique<Api>(io_, host());
    door_ = std::make_unique<HttpDoor>(
        io_, bounds, [this](HttpRequest r) { return api_->answer(std::move(r)); });
    REQUIRE(door_->listen_unix(socket()).has_value());
    thread_ = std::thread([this] {
      auto guard = boost::asio::make_work_guard(io_);
      io_.run();
    });
  }
  ~DoorRig() {
    kv.let_go();
    boost::asio::post(io_, [this] {
      door_->stop();
      io_.stop();
    });
    thread_.join();
    writer_.reset();
  }
  std::filesystem::path socket() const { return dir_.path() / "door"; }
  Client client() const { return Client(socket()); }
  // A request on a connection of its own.
  std::string ask(const std::string& request) const { return client().say(request).answer(); }

  HeldKv kv;
  std::unique_ptr<edge::Buffer> buffer;

 private:
  ApiHost host() {
    ApiHost host = plain_host("clinic-1");
    host.append = [this](edge::Unit unit) { return append_synced(io_, *writer_, std::move(unit)); };
    return host;
  }

  Scratch dir_;
  SeededEntropy entropy_{7};
  boost::asio::io_context io_{1};
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpDoor> door_;
  std::thread thread_;
};

}  // namespace egret::agent
