#include "cloud/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/unit/support/mosquitto.h"

using namespace egret;
using namespace egret::cloud;
using namespace std::chrono_literals;
using egret::test::TempDir;

namespace {

// A raw client: what is sent is exactly what the test says.
class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at = egret::test::loopback(port);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  }
  explicit Client(const std::filesystem::path& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path.native().copy(at.sun_path, sizeof(at.sun_path) - 1);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const std::string& text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Everything up to the end of the connection, or until `until` was seen.
  std::string read(const std::string& until = "", int patience_ms = 5'000) {
    std::string out;
    char buffer[4096];
    for (;;) {
      if (!until.empty() && out.find(until) != std::string::npos) return out;
      pollfd wait{fd_, POLLIN, 0};
      if (poll(&wait, 1, patience_ms) <= 0) return out + "(timeout)";
      ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0) return out;
      out.append(buffer, static_cast<size_t>(n));
    }
  }

 private:
  int fd_;
};

void echo(const HttpRequest& request, HttpAnswer answer) {
  HttpResponse out;
  out.body = request.method + ' ' + request.path + ' ' + request.body;
  out.headers.emplace_back("X-Test", "yes");
  answer(std::move(out));
}

std::string get(uint16_t port, const std::string& target) {
  Client client(port);
  client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return client.read();
}

}  // namespace

TEST_CASE("a request is answered with status, headers and the whole body") {
  HttpServer server;
  auto port = server.listen_tcp("127.0.0.1:0", echo);
  REQUIRE(port.has_value());
  server.start();
  std::string answer = get(*port, "/a/b?c=d");
  CHECK(answer.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(answer.find("X-Test: yes\r\n") != std::string::npos);
  CHECK(answer.find("X-Content-Type-Options: nosniff\r\n") != std::string::npos);
  CHECK(answer.substr(answer.size() - 9) == "GET /a/b ");
}

TEST_CASE("one connection carries many requests, also pipelined and in small pieces") {
  HttpServer server;
  auto port = server.listen_tcp("127.0.0.1:0", echo);
  REQUIRE(port.has_value());
  server.start();
  Client client(*port);
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "3\r\n\r\nabc");
  std::string answers = client.read("POST /2 abc");
  CHECK(answers.find("GET /1 ") != std::string::npos);
  for (char c : std::string("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client.send(std::string(1, c));
    std::this_thread::sleep_for(1ms);
  }
  CHECK(client.read("GET /3 ").find("200 OK") != std::string::npos);
}

TEST_CASE("several threads answer: a handler that takes its time holds up the connections of its own thread alone") {
  HttpLimits limits;
  limits.threads = 3;
  HttpServer server(limits);
  std::atomic<int> inside = 0, most = 0;
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest& request, HttpAnswer answer) {
    const int now = ++inside;
    for (int known = most; known < now && !most.compare_exchange_weak(known, now);) {
    }
    std::this_thread::sleep_for(2ms);
    --inside;
    // Some at once, some by another thread and later.
    if (request.path.back() % 2 == 0) return echo(request, std::move(answer));
    std::thread([request, answer = std::move(answer)] { echo(request, answer); }).detach();
  });
  REQUIRE(port.has_value());
  server.start();
  std::atomic<int> right = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 12; ++c) {
    clients.emplace_back([&, c] {
      Client client(*port);
      for (int i = 0; i < 25; ++i) {
        const std::string name = "/" + std::to_string(c) + "-" + std::to_string(i);
        client.send("GET " + name + " HTTP/1.1\r\nHost: x\r\n\r\n");
        right += client.read("GET " + name + " ").find("(timeout)") == std::string::npos;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK(right == 12 * 25);
  CHECK(most >= 2);
  CHECK(most <= 3);
}

TEST_CASE("HEAD tells the length and sends no body") {
  HttpServer server;
  auto port = server.listen_tcp("127.0.0.1:0", echo);
  REQUIRE(port.has_value());
  server.start();
  Client client(*port);
  client.send("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  std::string answer = client.read();
  CHECK(answer.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(answer.substr(answer.size() - 4) == "\r\n\r\n");
}

TEST_CASE("what is too large or no HTTP is refused, and the server goes on") {
  HttpLimits limits;
  limits.body_bytes = 100;
  limits.header_bytes = 1'000;
  HttpServer server(limits);
  auto port = server.listen_tcp("127.0.0.1:0", echo);
  REQUIRE(port.has_value());
  server.start();
  auto say = [&](const std::string& text) {
    Client client(*port);
    client.send(text);
    return client.read();
  };
  CHECK(say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n").find("413") !=
        std::string::npos);
  CHECK(say("GET / HTTP/1.1\r\nA: " + std::string(2'000, 'a') + "\r\n\r\n").find("431") !=
        std::string::npos);
  CHECK(say("\x16\x03\x01 this is TLS\r\n\r\n").find("400") != std::string::npos);
  CHECK(say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n")
            .find("200") == std::string::npos);
  CHECK(say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" +
            std::string(255, 'a') + "\r\n0\r\n\r\n")
            .find("413") != std::string::npos);
  CHECK(get(*port, "/still").find("200 OK") != std::string::npos);
}

TEST_CASE("a silent client loses its connection, and too many are told so") {
  HttpLimits limits;
  limits.connections = 2;
  limits.idle_ms = 300;
  HttpServer server(limits);
  auto port = server.listen_tcp("127.0.0.1:0", echo);
  REQUIRE(port.has_value());
  server.start();
  auto start = std::chrono::steady_clock::now();
  Client silent(*port), slow(*port);
  slow.send("GET / HT");
  std::this_thread::sleep_for(50ms);
  Client third(*port);
  third.send("GET /third HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string full = third.read();
  CHECK(full.find("HTTP/1.1 503") == 0);
  CHECK(full.find("Retry-After: 1\r\n") != std::string::npos);
  CHECK(silent.read().empty());
  CHECK(slow.read().empty());
  CHECK(std::chrono::steady_clock::now() - start < 2s);
  std::this_thread::sleep_for(50ms);
  CHECK(get(*port, "/again").find("200 OK") != std::string::npos);
}

TEST_CASE("of a full house who keeps us waiting gives its place to the next, and who waits for us keeps it") {
  HttpLimits limits;
  limits.connections = 2;
  limits.patience_ms = 100;
  HttpServer server(limits);
  std::mutex lock;
  HttpAnswer later;
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest& request, HttpAnswer answer) {
    if (request.path != "/later") return echo(request, std::move(answer));
    std::lock_guard held(lock);
    later = std::move(answer);
  });
  REQUIRE(port.has_value());
  server.start();
  Client working(*port), silent(*port);
  working.send("GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  silent.send("GET / HT");
  std::this_thread::sleep_for(150ms);
  CHECK(get(*port, "/next").find("200 OK") != std::string::npos);
  CHECK(silent.read().empty());
  std::lock_guard held(lock);
  REQUIRE(later);
  later({});
  CHECK(working.read().find("200 OK") != std::string::npos);
}

TEST_CASE("a stream that is let go ends at once, in the middle of a piece that is not taken") {
  HttpServer server;
  auto flow = std::make_shared<HttpFlow>();
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest&, HttpAnswer answer) {
    HttpResponse out{200, "text/event-stream", {}, {}};
    out.flow = flow;
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  Client client(*port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.read("\r\n\r\n");
  const auto piece = std::make_shared<const std::string>(kFlowBytesMax, 'x');
  CHECK(flow->put(piece));
  for (int i = 0; i < 100 && flow->behind_bytes() > 0; i++) std::this_thread::sleep_for(10ms);
  CHECK(flow->behind_bytes() == 0);
  flow->let_go();
  const std::string part = client.read("", 2'000);
  CHECK(part.find("(timeout)") == std::string::npos);
  CHECK(part.size() < piece->size());
}

TEST_CASE("an answer may come later from another thread; one that never comes is 503") {
  HttpLimits limits;
  limits.answer_ms = 200;
  HttpServer server(limits);
  std::thread later;
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest& request, HttpAnswer answer) {
    if (request.path == "/never") return;
    later = std::thread([answer] {
      std::this_thread::sleep_for(50ms);
      HttpResponse out;
      out.body = "late but good";
      answer(out);
      answer(out);
    });
  });
  REQUIRE(port.has_value());
  server.start();
  CHECK(get(*port, "/").find("late but good") != std::string::npos);
  later.join();
  CHECK(get(*port, "/never").find("503") != std::string::npos);
}

TEST_CASE("an answer that comes after the server has gone harms nobody") {
  HttpAnswer kept;
  std::atomic<bool> asked{false};
  {
    HttpServer server;
    auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest&, HttpAnswer answer) {
      kept = std::move(answer);
      asked = true;
    });
    REQUIRE(port.has_value());
    server.start();
    Client client(*port);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!asked) std::this_thread::sleep_for(1ms);
  }
  CHECK_NOTHROW(kept({}));
  CHECK_NOTHROW(kept({}));  // nor does a second one
}

TEST_CASE("the control socket is its owner's alone, and a stale one is taken over") {
  TempDir dir;
  auto path = dir / "control.sock";
  {
    HttpServer first;
    REQUIRE(first.listen_unix(path, echo).has_value());
    first.start();
    struct stat about{};
    REQUIRE(stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
    HttpServer second;
    auto refused = second.listen_unix(path, echo);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == Errc::locked);
    Client client(path);
    client.send(
        "POST /control/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    CHECK(client.read().find("POST /control/x hi") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(path));
  // What a killed process leaves behind.
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.native().copy(at.sun_path, sizeof(at.sun_path) - 1);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0);
  close(fd);
  HttpServer third;
  CHECK(third.listen_unix(path, echo).has_value());
}

TEST_CASE("an address that cannot be listened on is named") {
  HttpServer server;
  for (const char* address :
       {"nonsense", "127.0.0.1:99999", "example.org:80", "127.0.0.1:x", "1.2.3.4:0"}) {
    auto refused = server.listen_tcp(address, echo);
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == Errc::config);
    CHECK(refused.error().text.find(address) != std::string::npos);
  }
  CHECK(server.listen_tcp("[::1]:0", echo).has_value());
}

TEST_CASE("how large a body may be is asked with its header, before any of it is read") {
  HttpServer server;
  auto port = server.listen_tcp("127.0.0.1:0", echo, [](const HttpRequest& head) {
    return head.headers.contains("x-large") && head.local ? size_t{200'000} : size_t{10};
  });
  REQUIRE(port.has_value());
  server.start();
  const std::string large(150'000, 'b');
  const auto post = [&](const std::string& headers, const std::string& body) {
    Client client(*port);
    client.send("POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n" + body);
    return client.read();
  };
  CHECK(post("X-Large: 1\r\nContent-Length: 150000\r\n", large).find("200 OK") != std::string::npos);
  CHECK(post("Content-Length: 11\r\n", "").find("413") != std::string::npos);  // nothing of it came
  CHECK(post("Content-Length: 10\r\n", "0123456789").find("200 OK") != std::string::npos);
  CHECK(post("Transfer-Encoding: chunked\r\n", "b\r\n0123456789a\r\n0\r\n\r\n").find("413") != std::string::npos);
  CHECK(post("Transfer-Encoding: chunked\r\n", "6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n").find("413") != std::string::npos);
  Client patient(*port);
  patient.send("POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(patient.read("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  patient.send("abc");
  CHECK(patient.read("POST /x abc").find("200 OK") != std::string::npos);
}

TEST_CASE(
    "a file is sent whole and in pieces, after it the connection goes on; one that is gone is said "
    "to be so") {
  TempDir dir;
  const std::filesystem::path file = dir.path() / "file";
  std::string text;
  for (int i = 0; text.size() < 5 * kHttpPieceBytes; i++) text += std::to_string(i) + "\n";
  std::ofstream(file, std::ios::binary) << text;
  HttpServer server;
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest& request, HttpAnswer answer) {
    HttpResponse out;
    out.content_type = "application/x-lines";
    if (request.path != "/none") out.file = request.path == "/file" ? file : dir.path() / "gone";
    out.body = "no file";
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  Client client(*port);
  client.send(
      "GET /file HTTP/1.1\r\nHost: x\r\n\r\nHEAD /file HTTP/1.1\r\nHost: x\r\n\r\nGET /gone "
      "HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.read();
  const std::string length = "Content-Length: " + std::to_string(text.size()) + "\r\n";
  const size_t body = all.find("\r\n\r\n") + 4;
  CHECK(all.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(all.find("Content-Type: application/x-lines\r\n") < body);
  CHECK(all.find("Cache-Control: no-store\r\n") < body);
  CHECK(all.find(length) < body);
  REQUIRE(all.size() > body + text.size());
  CHECK((all.compare(body, text.size(), text) == 0));
  // HEAD: the same header, and then the next answer.
  const std::string rest = all.substr(body + text.size());
  CHECK(rest.find("HTTP/1.1 200 OK\r\n") == 0);
  const size_t second = rest.find("\r\n\r\n") + 4;
  CHECK(rest.find(length) < second);
  CHECK(rest.find("HTTP/1.1 404 Not Found\r\n") == second);
  CHECK(rest.ends_with("\r\n\r\nno file"));
}

TEST_CASE("a client that takes nothing of a file loses its place, and the others are served") {
  TempDir dir;
  const std::filesystem::path file = dir.path() / "file";
  std::ofstream(file, std::ios::binary).seekp(64 << 20).put('x');
  HttpLimits limits;
  limits.idle_ms = 300;
  limits.connections = 1;
  HttpServer server(limits);
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest&, HttpAnswer answer) {
    HttpResponse out;
    out.file = file;
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  Client slow(*port);
  slow.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string answer;
  for (int i = 0; i < 100 && answer.empty(); i++) {
    std::this_thread::sleep_for(50ms);
    Client other(*port);
    other.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer = other.read("", 200);
    if (answer.find("200 OK") == std::string::npos) answer.clear();
  }
  CHECK(answer.find("HTTP/1.1 200 OK\r\n") == 0);
  // What it has was never the whole.
  CHECK(slow.read("", 300).size() < (64 << 20));
}

TEST_CASE("an answer that goes on is sent piece by piece, and ends with its client") {
  HttpServer server;
  std::mutex lock;
  std::vector<std::shared_ptr<HttpFlow>> flows;
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest&, HttpAnswer answer) {
    HttpResponse out{200, "text/event-stream", {}, {}};
    out.flow = std::make_shared<HttpFlow>();
    out.flow->put(std::make_shared<const std::string>("first\n"));
    std::lock_guard held(lock);
    flows.push_back(out.flow);
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  auto client = std::make_unique<Client>(*port);
  client->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string begun = client->read("first\n\r\n");
  CHECK(begun.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(begun.find("Content-Length") == std::string::npos);
  CHECK(begun.ends_with("\r\n\r\n6\r\nfirst\n\r\n"));
  CHECK(flows.at(0)->put(std::make_shared<const std::string>("second\n")));
  CHECK(client->read("second\n\r\n") == "7\r\nsecond\n\r\n");
  client.reset();
  bool there = true;
  for (int i = 0; i < 100 && there; i++) {
    std::this_thread::sleep_for(20ms);
    there = flows.at(0)->put(std::make_shared<const std::string>("third\n"));
  }
  CHECK_FALSE(there);
}

TEST_CASE("as many streams are open as may be, and the others are served") {
  HttpLimits limits;
  limits.flows = 2;
  HttpServer server(limits);
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest& request, HttpAnswer answer) {
    HttpResponse out;
    if (request.path == "/stream") {
      out.flow = std::make_shared<HttpFlow>();
      out.flow->put(std::make_shared<const std::string>("x"));
    }
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  Client one(*port), two(*port), three(*port), four(*port);
  for (Client* client : {&one, &two}) {
    client->send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client->read("1\r\nx\r\n").find("200 OK") != std::string::npos);
  }
  three.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string full = three.read();
  CHECK(full.find("HTTP/1.1 503") == 0);
  CHECK(full.find("Retry-After: 5\r\n") != std::string::npos);
  four.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(four.read().find("HTTP/1.1 200 OK") == 0);
}

TEST_CASE("who asks for the header of a stream gets no stream") {
  HttpServer server;
  std::shared_ptr<HttpFlow> flow = std::make_shared<HttpFlow>();
  auto port = server.listen_tcp("127.0.0.1:0", [&](const HttpRequest&, HttpAnswer answer) {
    HttpResponse out{200, "text/event-stream", {}, {}};
    out.flow = flow;
    answer(std::move(out));
  });
  REQUIRE(port.has_value());
  server.start();
  Client client(*port);
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.read();
  CHECK(answer.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(answer.ends_with("\r\n\r\n"));
  CHECK_FALSE(flow->open());
}
