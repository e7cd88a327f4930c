// Http door: HTTP/1.1 on a unix socket and a loopback port (Beast), for producers on the clinic's
// server.
// Promises: header, bodies, connections and times are bounded, and what goes over a bound is told
// which; a slow client costs a connection, never a thread; a web page in a browser cannot post
// here.
// Leaves to others: what is answered (api.h).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/config.h"
#include "schemas/error.h"
#include "schemas/limits.h"

namespace egret::agent {

struct HttpRequest {
  std::string method, path, query;
  std::string media_type;    // Content-Type as it was sent
  std::string content_type;  // of it the type alone, lower case
  std::string content_encoding;
  std::string idempotency_key, prefer;
  std::string body;
};
struct HttpResponse {
  unsigned status = 200;
  std::string body;       // JSON, unless `type` says another
  int retry_after_s = 0;  // 0: no such header
  bool settled = false;   // the same request again should be told the same
  const char* type = "application/json";
  std::string policy = {};  // Content-Security-Policy of a page
};
using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

struct HttpBounds {
  size_t connections_max = 256;
  size_t header_bytes_max = 8 * kKiB;
  size_t body_bytes_max = kRequestBytesMax;
  size_t bodies_bytes_max = 3 * kRequestBytesMax;  // of all requests that are in hand
  std::chrono::milliseconds idle{60'000};          // between two requests
  std::chrono::milliseconds header{10'000};        // from its first byte to its last
  std::chrono::milliseconds body{30'000};
  std::chrono::milliseconds answer{30'000};  // to be taken by the client
};

class HttpDoor {
 public:
  HttpDoor(boost::asio::io_context& io, HttpBounds bounds, HttpHandler handler);
  ~HttpDoor();
  // Errors: config (the address is taken, or a file is in the way), locked (somebody listens on the
  // socket). The unix socket gets mode 0660.
  Result<void> listen_unix(const std::filesystem::path& path);
  Result<uint16_t> listen_tcp(const Loopback& address);
  // Takes no more requests and closes what is idle.
  void stop();
  size_t connections() const;
  uint64_t requests() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// {"error":{"code","field","message","todo"}}
HttpResponse http_error(unsigned status, const char* code, const std::string& message,
                        const std::string& todo, const std::string& field = "");

}  // namespace egret::agent
