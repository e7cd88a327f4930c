// Fuzz entry: the agent's HTTP door with its Api and a buffer in memory behind it: any bytes on the
// socket, in any pieces. Each answer is whole HTTP, the connection ends, what a 2xx has promised is
// in the buffer.
#include <boost/asio/co_spawn.hpp>
#include <regex>

#include "agent/doors/api.h"
#include "tests/fuzz/talk.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/agent/plain_host.h"

using namespace egret;
using namespace egret::agent;
using fuzz::require;

namespace {

constexpr uint64_t kRequestsPerBuffer = 512;
constexpr size_t kTurns = 20'000;

class Door {
 public:
  Door() {
    HttpBounds bounds;
    bounds.body_bytes_max = 256 * kKiB;
    door_ = std::make_unique<HttpDoor>(
        io_, bounds, [this](HttpRequest r) { return api_->answer(std::move(r)); });
    require(door_->listen_unix(folder_ / "door").has_value(), "the door listens");
    renew();
  }
  void ask(ByteView text, size_t pieces) {
    if (door_->requests() > renewed_at_ + kRequestsPerBuffer) renew();
    fuzz::Talk talk(folder_ / "door");
    const Bytes said = talk.exchange(text, pieces, kTurns, [this] { io_.poll(); });
    (void)fuzz::whole_answers(said);  // HEAD is refused, with a body, and the connection ends
    // A request that is repeated under its key is told the same place again.
    static const std::regex place(R"re("epoch":"([0-9a-f]{16})","stream":"(\w+)","seq":(\d+))re");
    const bool taken = said.find("\"outcome\":\"accepted\"") != Bytes::npos || said.find(" 201 ") != Bytes::npos;
    const std::sregex_iterator first(said.begin(), said.end(), place), end;
    require(!taken || first != end, "what was accepted has a place");
    for (auto at = first; at != end; ++at) require(holds((*at)[1], (*at)[2], (*at)[3]), "what was accepted is in the buffer");
  }

 private:
  bool holds(const std::string& epoch, const std::string& stream, const std::string& seq) const {
    const edge::View view = buffer_->view();
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamKey key{{std::stoull(epoch, nullptr, 16)}, StreamId(i)};
      const edge::StreamView* row = view.find(key);
      if (stream == name_of(key.stream)) return row != nullptr && row->head.value >= std::stoull(seq);
    }
    return false;
  }
  void renew() {
    renewed_at_ = door_->requests();
    buffer_.reset();
    kv_ = std::make_unique<KvMemory>(edge::kEdgeSpaces);
    buffer_ = edge::Buffer::open(*kv_, "clinic-7", entropy_).value();
    api_ = std::make_unique<Api>(io_, host());
  }
  ApiHost host() {
    ApiHost host = plain_host("clinic-7");
    host.append = [this](edge::Unit unit) -> boost::asio::awaitable<Result<edge::Places>> {
      co_return buffer_->append(std::span(&unit, 1), {1});
    };
    return host;
  }

  fuzz::Folder folder_;
  SeededEntropy entropy_{7};
  boost::asio::io_context io_{1};
  std::unique_ptr<KvMemory> kv_;
  std::unique_ptr<edge::Buffer> buffer_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpDoor> door_;
  uint64_t renewed_at_ = 0;
};

// Input: pieces(1) · what is said.
void run(ByteView input) {
  static Door* door = new Door;  // lives as long as the program
  if (!input.empty()) door->ask(input.substr(1), uint8_t(input[0]) % 8);
}

std::vector<Bytes> seeds() {
  const Bytes record =
      R"({"sens":2,"purpose":["quality"],"agent_event":{"boot_id":"62626262-6262-6262-6262-626262626262","counter":1,"name":"a","severity":"info"}})";
  auto post = [](const Bytes& path, const Bytes& type, const Bytes& body, const Bytes& more = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + type + "\r\n" +
           more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  const Bytes telemetry =
      R"({"series":[{"name":"gpu.temperature","unit":"Cel","kind":"gauge","points":[[1,71.5],[2,null]]}]})";
  std::vector<Bytes> out;
  uint8_t pieces = 0;
  for (const Bytes& text :
       {post("/v1/records", "application/json", record),
        post("/v1/records", "application/x-ndjson; a=b", record + "\n{}\n" + record),
        post("/v1/records", "application/json", "[" + record + "," + record + "]",
             "Prefer: return=minimal\r\nIdempotency-Key: k1\r\n"),
        post("/v1/telemetry", "application/json", telemetry),
        post("/v1/documents?name=a%20b", "application/dicom", Bytes(100, 'd')),
        post("/v1/queue/unpark", "", ""),
        Bytes("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"),
        Bytes("POST /v1/records HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: "
              "application/json\r\n\r\n3\r\n{\"a\r\n2;x=y\r\n\":\r\n0\r\nT: 1\r\n\r\n"),
        Bytes("POST /v1/records HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: "
              "application/json\r\nContent-Length: 2\r\n\r\n{}"),
        Bytes("POST /v1/records HTTP/1.1\r\nOrigin: http://evil\r\nContent-Length: "
              "999999999999\r\n\r\n"),
        Bytes("HEAD /healthz HTTP/1.0\r\n\r\n"), Bytes("\x16\x03\x01\x02")})
    out.push_back(fuzz::tagged(pieces++, text));
  return out;
}

const fuzz::Registered registered({"agent_http", run, seeds});

}  // namespace
