// Fuzz entry: the region's API behind its socket: any method, address, token and body through the real door and table, as
// each role. Each is answered once, and nobody is let in whom the table does not name.
#include "cloud/api/door.h"
#include "cloud/api/live.h"
#include "cloud/api/region.h"
#include "cloud/fhir/exports.h"
#include "tests/fuzz/talk.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

class Bench {
 public:
  Bench() {
    const WallTime now{1'800'000'000'000'000};
    store_.kv = std::make_unique<KvMemory>(kCloudSpaces);
    store_.store = open_store(*store_.kv, entropy_).value();
    region_.on_store = [this](StoreThread::Job job) { job(&store_); };
    region_.beside_store = [this](ReadJob job) { job(&store_, nullptr); };
    region_.read_here = [this](ReadJob job) { job(&store_, nullptr); };
    region_.rates = [this] { return &rates_; };
    region_.now = [now] { return now; };
    region_.metrics = region_.health = [] { return HttpResponse{}; };
    region_.mono = [] { return MonoTime{1}; };
    region_.waiting = std::make_shared<Waiting>();
    region_.live = std::make_shared<Live>("fuzz", [] { return MonoTime{}; });
    region_.exports = std::make_shared<fhir::Exports>(folder_ / "exports", [now] { return now; });
    region_.freeze = [this](const OpenedStore& store) {
      OpenedStore out;
      out.kv = std::make_unique<KvMemory>(static_cast<const KvMemory&>(*store.kv));
      out.store = open_store(*out.kv, entropy_).value();
      return Result<OpenedStore>(std::move(out));
    };
    region_.statement_key = [] { return Result<SitePrivateKey>(SitePrivateKey{{7}}); };
    for (Role role : kAllRoles) tokens_.push_back(add_token(folder_ / "tokens", name_of(role), role, 0, now, entropy_).value());
    door_ = std::make_unique<Door>(api_endpoints(region_), folder_ / "tokens", true, [now] { return now; });
  }
  void ask(uint8_t who, HttpRequest request) {
    if (who < kRoles) request.headers["authorization"] = "Bearer " + tokens_[who];
    request.headers["prefer"] = "respond-async";
    const auto found = door_->endpoints().find(request.method, request.path);
    const bool may = found.endpoint != nullptr && (found.endpoint->who.open() || (who < kRoles && found.endpoint->who.has(kAllRoles[who])));
    size_t answers = 0;
    door_->answer(request, [&](HttpResponse response) {
      answers++;
      require(response.status >= 200 && response.status < 600, "a status");
      const bool let_in = response.status != 401 && response.status != 403;
      // Of this one a part is for fewer.
      const bool fhir = who < kRoles && kAllRoles[who] == Role::fhir;
      const bool narrower = request.path == "/api/changes" && response.status == 403 && may && !fhir;
      require(may == let_in || narrower || found.endpoint == nullptr, "who may is let in, and nobody else");
      require(fhir || request.path != "/api/changes" || response.body.find("\"record\":") == std::string::npos, "records are for fhir alone");
      require(found.endpoint != nullptr || response.status == 404 || response.status == 405, "what is not there is said to be so");
    });
    region_.waiting->look(&store_, MonoTime{1'000'000});
    require(answers == 1, "one answer");
  }

 private:
  fuzz::Folder folder_;
  SeededEntropy entropy_{1};
  OpenedStore store_;
  std::map<Facility, double> rates_;
  Region region_;
  std::vector<std::string> tokens_;
  std::unique_ptr<Door> door_;
};

// Input: who(1) · method · ' ' · target · '\n' · body.
void run(ByteView input) {
  static Bench* bench = new Bench;  // lives as long as the program
  if (input.empty()) return;
  const ByteView text = input.substr(1);
  const size_t line = std::min(text.find('\n'), text.size());
  const size_t space = std::min(text.find(' '), line);
  const ByteView target = text.substr(std::min(space + 1, line), line - std::min(space + 1, line));
  HttpRequest request;
  request.method = Bytes(text.substr(0, space));
  request.path = Bytes(target.substr(0, target.find('?')));
  if (request.path.size() < target.size()) request.query = Bytes(target.substr(request.path.size() + 1));
  if (line < text.size()) request.body = Bytes(text.substr(line + 1));
  bench->ask(static_cast<uint8_t>(input[0]) % 8, std::move(request));
}

std::vector<Bytes> seeds() {
  return {
      fuzz::tagged(0, "GET /api/facilities"),
      fuzz::tagged(0, "GET /api/results/clinic/01000000-0000-0000-0000-000000000000"),
      fuzz::tagged(1, "GET /api/recalls/preview?model=m%20n&from=2026-03-01&to=2026-03-02"),
      fuzz::tagged(
          1,
          "POST "
          "/api/alerts/clinic/01000000-0000-0000-0000-000000000000/acknowledge\n{\"note\":\"x\"}"),
      fuzz::tagged(4, "GET /api/changes?after=0000000000000001-1-0&lines=3&records=1&wait=1s"),
      fuzz::tagged(0, "GET /api/quality?model=m&before_from=2026-02-01"),
      fuzz::tagged(4, "GET /fhir/$export?_type=Patient&_since=2026-03-01T08:30:00Z"),
      fuzz::tagged(4, "DELETE /fhir/exports/0123456789abcdef0123456789abcdef"),
      fuzz::tagged(4, "GET /fhir/exports/0123456789abcdef0123456789abcdef/Patient.1.ndjson"),
      fuzz::tagged(7, "HEAD /"),
      fuzz::tagged(3, "DELETE /api/%zz/%41")};
}

const fuzz::Registered registered({"cloud_api", run, seeds});

}  // namespace
