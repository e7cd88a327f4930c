// Talk: a client of an HTTP server on a unix socket that says any bytes, in pieces of any size, and
// hears the answers. Promises: never waits longer than it was told; the socket is closed when the
// object goes. Leaves to others: the server's thread, what the answers must be.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/beast/http.hpp>
#include <filesystem>

#include "tests/fuzz/fuzz.h"

namespace egret::fuzz {

// A folder of this process that goes with the object; in memory where there is such a place.
class Folder {
 public:
  Folder() {
    const std::filesystem::path base = std::filesystem::exists("/dev/shm")
                                           ? std::filesystem::path("/dev/shm")
                                           : std::filesystem::temp_directory_path();
    std::string name = (base / "egret-fuzz-XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "a folder can be made");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Talk {
 public:
  explicit Talk(const std::filesystem::path& socket)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    socket.string().copy(at.sun_path, sizeof at.sun_path - 1);
    require(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0, "the server listens");
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
  }
  ~Talk() { ::close(fd_); }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  // Says all of it in `pieces` pieces and hears to the end; `turn` lets the server work, at most
  // `turns` times.
  template <class Turn>
  Bytes exchange(ByteView text, size_t pieces, size_t turns, Turn turn) {
    const size_t piece = text.size() / std::max<size_t>(pieces, 1) + 1;
    bool told = false;
    for (; turns > 0 && !over_; turns--) {
      if (!text.empty()) say(text, piece);
      if (text.empty() && !told) ::shutdown(fd_, SHUT_WR), told = true;
      turn();
      hear();
    }
    require(over_, "a connection whose client has said everything ends");
    return heard_;
  }
  int fd() const { return fd_; }

 private:
  void say(ByteView& text, size_t piece) {
    const ssize_t n = ::send(fd_, text.data(), std::min(piece, text.size()), MSG_NOSIGNAL);
    if (n > 0) text.remove_prefix(static_cast<size_t>(n));
    if (n < 0 && errno != EAGAIN) text = {};  // refused before the end: the answer says why
  }
  void hear() {
    char bytes[16384];
    ssize_t n = 0;
    while ((n = ::recv(fd_, bytes, sizeof bytes, 0)) > 0)
      heard_.append(bytes, static_cast<size_t>(n));
    over_ = n == 0 || (n < 0 && errno != EAGAIN);
  }
  int fd_;
  bool over_ = false;
  Bytes heard_;
};

// What a server said is answers, one after the other, each of them whole. How many.
inline size_t whole_answers(ByteView said) {
  namespace http = boost::beast::http;
  size_t n = 0;
  while (!said.empty()) {
    http::response_parser<http::string_body> parser;
    boost::system::error_code error;
    parser.eager(true);
    const size_t used = parser.put(boost::asio::buffer(said.data(), said.size()), error);
    require(!error && parser.is_header_done(), "what a server says is HTTP");
    const unsigned status = parser.get().result_int();
    if (status == 100) {
      said.remove_prefix(used);
      continue;
    }
    require(parser.is_done(), "an answer is whole");
    require(status >= 200 && status < 600, "an answer has a status");
    said.remove_prefix(used);
    n++;
  }
  return n;
}

}  // namespace egret::fuzz
