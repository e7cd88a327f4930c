// Fuzz entry: the cloud's HTTP server: any bytes on its socket, in any pieces; requests reach the
// control commands. Each answer is whole HTTP, and the connection ends.
#include "cloud/control.h"
#include "cloud/http.h"
#include "cloud/page.h"
#include "tests/fuzz/talk.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

constexpr size_t kTurns = 5'000;  // of a millisecond, when nothing comes

HttpResponse answer_to(const HttpRequest& request) {
  require(request.path.find('?') == std::string::npos, "a path has no query");
  if (request.method == "GET" && request.path == "/")
    return {
        200, "text/html; charset=utf-8", page_html(), {{"Content-Security-Policy", page_policy()}}};
  if (request.path.rfind("/control/", 0) != 0)
    return {404, "text/plain; charset=utf-8", "no such page\n", {}};
  SeededEntropy entropy{1};
  OpenedStore store;
  store.kv = std::make_unique<KvMemory>(kCloudSpaces);
  store.store = open_store(*store.kv, entropy).value();
  const std::string name = request.path.substr(9);
  if (name.rfind("backup", 0) == 0) return {};  // would write files
  const ControlAnswer done = run_control(name, decode_args(request.body), store, "store", {1});
  return {200, "text/plain; charset=utf-8", std::to_string(done.code) + "\n" + done.text, {}};
}

class Region {
 public:
  Region() {
    HttpLimits limits;
    limits.idle_ms = 60'000;  // a busy machine is no finding
    server_ = std::make_unique<HttpServer>(limits);
    require(server_
                ->listen_unix(folder_ / "control",
                              [](const HttpRequest& r, HttpAnswer answer) { answer(answer_to(r)); })
                .has_value(),
            "the server listens");
    server_->start();
  }
  void ask(ByteView text, size_t pieces) const {
    fuzz::Talk talk(folder_ / "control");
    const Bytes said = talk.exchange(text, pieces, kTurns, [&] {
      pollfd wait{talk.fd(), POLLIN, 0};
      ::poll(&wait, 1, 1);
    });
    if (text.find("HEAD ") == ByteView::npos)
      (void)fuzz::whole_answers(said);  // an answer to HEAD has no body
  }

 private:
  fuzz::Folder folder_;
  std::unique_ptr<HttpServer> server_;
};

// Input: pieces(1) · what is said.
void run(ByteView input) {
  static Region* region = new Region;  // lives as long as the program
  if (!input.empty()) region->ask(input.substr(1), uint8_t(input[0]) % 4);
}

std::vector<Bytes> seeds() {
  const Bytes add = encode_args({{"fac", "clinic-7"}, {"key", Bytes(64, 'a')}});
  return {
      fuzz::tagged(0, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      fuzz::tagged(1, "GET /metrics?a=b%20c HTTP/1.1\r\n\r\nGET //?? HTTP/1.1\r\n\r\n"),
      fuzz::tagged(2, "POST /control/facility.add HTTP/1.1\r\nContent-Length: " +
                          std::to_string(add.size()) + "\r\n\r\n" + add),
      fuzz::tagged(0, "HEAD / HTTP/1.0\r\n\r\n"),
      fuzz::tagged(
          3, "POST /control/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na=\r\n0\r\n\r\n"),
      fuzz::tagged(0, "GET / HTTP/1.1\r\n" + Bytes(9000, 'h') + ": 1\r\n\r\n"),
      fuzz::tagged(0, "POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n")};
}

const fuzz::Registered registered({"cloud_http", run, seeds});

}  // namespace
