// Http: the cloud's small HTTP/1.1 server: a loopback port for people and Prometheus, a unix socket
// for the command line. Promises: sizes, connections and times are bounded before anything is done;
// a slow or silent client costs a connection for some seconds, never a thread; of a full house the one
// that has kept us waiting longest gives its place to the next; nothing of Beast leaves http.cpp.
// Leaves to others: what is answered (the handlers), which thread answers.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cloud/flow.h"
#include "schemas/error.h"

namespace egret::cloud {

struct HttpRequest {
  std::string method, path, body;  // path: the target without its query
  std::string query;               // what follows the '?', as it came
  std::map<std::string, std::string> headers;  // names in small letters; one that comes again is joined by ", "
  bool local = false;              // the peer is on this machine: a loopback address, or the unix socket
};
// "" when there is none; `name` in small letters.
std::string header_of(const HttpRequest& request, const std::string& name);

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::filesystem::path file =
      {};  // not empty: its bytes are the body, read and sent in pieces of kHttpPieceBytes
  std::shared_ptr<HttpFlow> flow = {};  // not null: the body is what comes there, chunk by chunk, until it is over
};
inline constexpr size_t kHttpPieceBytes =
    64 * 1024;  // of a file, in memory for each that is being sent
// May be called from any thread, at once or later; what comes after the first call is ignored.
using HttpAnswer = std::function<void(HttpResponse response)>;
// Runs on one of the server's threads, on several at once for different connections: must not block; gives `answer` away when
// that takes longer.
using HttpHandler = std::function<void(const HttpRequest& request, HttpAnswer answer)>;

// How large the body may be of a request with this header; asked before any of it is read.
using HttpBodyLimit = std::function<size_t(const HttpRequest& head)>;

struct HttpLimits {
  size_t threads = 1;
  size_t connections = 128;  // of each listener; see patience_ms
  int64_t patience_ms = 1'000;  // of a full house who has kept us waiting this long gives its place to the next; if nobody has, that one is told 503
  size_t refusals = 64;         // that are told so at once; more are closed without a word
  size_t header_bytes = 8 * 1024;
  size_t body_bytes = 64 * 1024;  // unless HttpBodyLimit says another
  int64_t idle_ms = 10'000;       // to send a request, and to take the answer, or a piece of a file
  size_t flows = 48;  // of the connections, at once; more get 503
  int flow_buffer_bytes = 256 * 1024;  // of the system, for each flow: what is sent and not taken waits here, to be seen
  int64_t answer_ms = 45'000;  // for the handler, which may wait for news for 30 s: then 503
};

class HttpServer {
 public:
  explicit HttpServer(HttpLimits limits = {});
  // Ends all connections and joins the threads. No handler runs afterwards.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // host:port or [v6]:port; port 0 picks one. Before start(). Errors: config (the address is in
  // use, or is none).
  Result<uint16_t> listen_tcp(const std::string& address, HttpHandler handler, HttpBodyLimit body_limit = {});
  // Takes the place of a socket that nobody listens on; only the owner may connect (0600).
  // Errors: config, locked (somebody does listen).
  Result<void> listen_unix(const std::filesystem::path& path, HttpHandler handler);
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace egret::cloud
