// HttpPost: one POST to somebody else's HTTP server.
// Promises: over in `limit_ms`, whatever the other side does; a server of https:// proves its name; redirects are not
// followed, so nothing goes to a host that was not named; of the answer no more is kept than its status.
// Leaves to others: what a status means, trying again (cloud/outputs, otlp_push).
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "schemas/error.h"

namespace egret {

struct HttpTarget {
  bool tls = false;
  std::string host, port, path;
};
// http://host[:port][/path] or https://…; without a user. Errors: config.
Result<HttpTarget> http_target(const std::string& url);

struct HttpPost {
  HttpTarget target;
  std::filesystem::path ca_file;  // PEM, who may vouch for the server; empty: the system's
  int64_t limit_ms = 0;           // connect, handshake, send, answer
  std::string agent;              // User-Agent
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;               // JSON
  const std::atomic<bool>* given_up = nullptr;  // once it is true the call ends soon
};
// The status of the answer; blocks. Errors: link.
Result<unsigned> http_post(const HttpPost& post);

}  // namespace egret
