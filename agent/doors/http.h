// Http door: HTTP/1.1 on a unix socket and a loopback port (Beast), for producers on the clinic's server.
// Promises: header, body, connections and times are bounded before anything is kept; a slow client costs a connection,
// never a thread; a web page in a browser cannot post here.
// Leaves to others: what is answered (api.h).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/config.h"
#include "schemas/error.h"

namespace egret::agent {

struct HttpRequest {
  std::string method, path, query;
  std::string content_type;  // without parameters, lower case
  std::string idempotency_key, prefer;
  std::string body;
};
struct HttpResponse {
  unsigned status = 200;
  std::string body;       // JSON
  int retry_after_s = 0;  // 0: no such header
};
using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

class HttpDoor {
 public:
  HttpDoor(boost::asio::io_context& io, size_t connections_max, HttpHandler handler);
  ~HttpDoor();
  // Errors: config (the address is taken), locked (somebody listens on the socket). The unix socket gets mode 0660.
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
HttpResponse http_error(unsigned status, const char* code, const std::string& message, const std::string& todo,
                        const std::string& field = "");

}  // namespace egret::agent
