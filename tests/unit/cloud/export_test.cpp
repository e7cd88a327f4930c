// What the export says is what is there: a separate program can recompute the digest from it.
#include "cloud/export.h"

#include <catch2/catch.hpp>
#include <openssl/evp.h>

#include <boost/json/src.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "cloud/verify.h"
#include "reconciler_rig.h"
#include "schemas/record_document.h"
#include "tests/unit/support/mosquitto.h"

using namespace egret;
using namespace egret::cloud;
namespace json = boost::json;

namespace {

std::vector<json::object> lines_of(const Kv& kv, const ExportOptions& options, Exported* done = nullptr) {
  std::vector<json::object> out;
  const auto exported = export_records(kv, options, [&](const std::string& line) {
    CHECK(line.find('\n') == std::string::npos);
    out.push_back(json::parse(line).as_object());
  });
  REQUIRE(exported.has_value());
  CHECK(exported->lines == out.size());
  if (done) *done = *exported;
  return out;
}

Bytes unhex(std::string_view text) {
  Bytes out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) out.push_back(char(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return out;
}

// As tables.h describes it, from the export alone.
Hash digest_of(const std::vector<json::object>& lines) {
  std::set<Bytes> keys;
  for (const json::object& line : lines) {
    if (!line.contains("disposition") || line.at("disposition") != "applied") continue;
    REQUIRE(line.at("kind") == "agent_event");
    keys.insert(Bytes(line.at("facility").as_string()) + '\0' + char(Kind::agent_event) + unhex(line.at("content_sha256").as_string()));
  }
  Bytes all;
  for (const Bytes& key : keys) all += key;
  return sha256(all);
}

struct Filled {
  CloudRig rig;
  Writer telemetry{key_of(5, StreamId::telemetry)}, result{key_of(5)};
  Filled() {
    telemetry.data({record_of(1), record_of(2)});
    telemetry.gap(3, GapKind::shed);
    telemetry.data({record_of(2), record_of(3)});
    result.data({record_of(3), "not a record"});
    rig.hello({CloudRig::listing(telemetry)});
    rig.push_all(telemetry, 0, 3);
    rig.hello({CloudRig::listing(telemetry), CloudRig::listing(result)});
    rig.push_all(result, 0, 1);
  }
};

}  // namespace

TEST_CASE("the export has a line a number or gap, in order, and gives the digest of the store", "[export]") {
  Filled f;
  const auto lines = lines_of(f.rig.kv, {});
  std::vector<std::string> shape;
  for (const json::object& line : lines) {
    if (line.contains("gap")) {
      const json::object& gap = line.at("gap").as_object();
      shape.push_back("gap " + std::to_string(gap.at("first").as_int64()) + "-" + std::to_string(gap.at("last").as_int64()) + " " + Bytes(gap.at("kind").as_string()));
    } else {
      shape.push_back(std::to_string(line.at("seq").as_int64()) + " " + Bytes(line.at("disposition").as_string()));
    }
  }
  CHECK(shape == std::vector<std::string>{"1 duplicate", "2 quarantined", "1 applied", "2 applied", "gap 3-5 shed", "6 duplicate", "7 applied"});
  CHECK(digest_of(lines) == verify(f.rig.kv, nullptr)->digest);
  CHECK(verify(f.rig.kv, nullptr)->wrong == 0);
}

TEST_CASE("the raw body in the export hashes to what it is said to be", "[export]") {
  Filled f;
  ExportOptions raw;
  raw.raw = true;
  size_t bodies = 0;
  for (const json::object& line : lines_of(f.rig.kv, raw)) {
    if (!line.contains("body_b64")) continue;
    const std::string text(line.at("body_b64").as_string());
    Bytes body(text.size(), '\0');
    int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(body.data()), reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
    body.resize(size_t(n) - size_t(std::count(text.begin(), text.end(), '=')));
    CHECK(hex(view(sha256(body))) == std::string(line.at("content_sha256").as_string()));
    CHECK(line.at("body").as_object().contains("agent_event"));
    CHECK(line.at("arrival").as_object().contains("wall_us"));
    ++bodies;
  }
  CHECK(bodies == 5);
}

TEST_CASE("the export shows one facility or one kind when asked", "[export]") {
  Filled f;
  ExportOptions options;
  options.fac = "clinic-2";
  CHECK(lines_of(f.rig.kv, options).empty());
  options.fac = kFac;
  CHECK(lines_of(f.rig.kv, options).size() == 7);
  options.kind = "ai_result";
  for (const json::object& line : lines_of(f.rig.kv, options)) CHECK(line.contains("gap"));
}

TEST_CASE("a document comes out byte for byte, and one whose part is missing is counted, not made up", "[export]") {
  CloudRig rig;
  Bytes bytes;
  for (uint32_t i = 0; i < 100'000; ++i) bytes.push_back(char(i * 2654435761u >> 24));
  const DocumentFacts facts{"application/dicom", "a", 4, {v1::PURPOSE_CARE}};
  std::vector<NewBody> whole = split_document(bytes, facts, kFac).value();
  std::vector<NewBody> broken = split_document(bytes + "more", facts, kFac).value();
  broken.erase(broken.begin() + 2);
  v1::Arrival arrival;
  arrival.set_wall_us(1);
  Writer w{key_of(5)};
  for (const std::vector<NewBody>* bodies : {&whole, &broken}) {
    for (const NewBody& body : *bodies) w.data({join_record(body.bytes, encode_arrival(arrival).value()).value()});
  }
  rig.hello({CloudRig::listing(w)});
  rig.push_all(w, 0, w.blocks.size());
  REQUIRE(rig.row(w.key).w == w.head());
  test::TempDir dir;
  ExportOptions options;
  options.documents = dir / "out";
  Exported done;
  lines_of(rig.kv, options, &done);
  CHECK(done.documents == 1);
  CHECK(done.incomplete_documents == 1);
  std::ifstream in(dir / "out" / kFac / hex(view(sha256(bytes))), std::ios::binary);
  std::stringstream read;
  read << in.rdbuf();
  CHECK(read.str() == bytes);
}
