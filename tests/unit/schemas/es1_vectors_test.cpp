// The test vectors that schemas/es1.md shows are what the code computes.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "schemas/seal.h"
#include "schemas/topics.h"

using namespace egret;

namespace {

// Entropy that gives one byte for ever.
class Constant final : public Entropy {
 public:
  explicit Constant(uint8_t b) : value_(0x0101010101010101ULL * b) {}
  uint64_t next() override { return value_; }

 private:
  uint64_t value_;
};

std::vector<std::pair<std::string, std::string>> computed() {
  const Facility fac = "clinic-1";
  const StreamKey key{{0x0102030405060708ULL}, StreamId::result};
  const Bytes a = "\xaa", b = "\xbb\xcc";
  std::vector<Hash> leaves{leaf_of(a), leaf_of(b)};
  Hash c0 = chain_start(fac, key);
  Hash c2 = chain_extend(c0, {1}, 2, leaves);
  Hash c5 = chain_extend(c2, {3}, 3, {});
  RegionPrivateKey region;
  region.scalar.fill(1);
  SitePrivateKey site;
  site.seed.fill(2);
  Constant entropy(3);
  std::unique_ptr<Channel> up = open_edge_channel(fac, region.public_key(), site, entropy);
  es1::Ack ack;
  ack.set_w(5);
  Bytes body;
  ack.SerializeToString(&body);
  return {{"shard", shard_of(fac)},
          {"topic", topic_of(TopicKind::up_bulk, fac)},
          {"leaf_1", hex(view(leaves[0]))},
          {"leaf_2", hex(view(leaves[1]))},
          {"c_0", hex(view(c0))},
          {"c_2 after the block (1, 2 records)", hex(view(c2))},
          {"c_5 after a re-homed gap (3, 3 numbers)", hex(view(c5))},
          {"region public key", hex(view(region.public_key().point))},
          {"kid", hex(view(region.public_key().kid()))},
          {"site public key", hex(view(site.public_key().point))},
          {"sid", hex(view(up->sid()))},
          {"BATCH frame around the body 2805", hex(up->seal(FrameType::batch, body).frame)},
          {"HELLO frame around the body 2805", hex(up->seal(FrameType::hello, body).frame)}};
}

}  // namespace

TEST_CASE("schemas/es1.md shows the vectors that the code computes", "[es1 section 10]") {
  std::ifstream file(std::string(EGRET_SOURCE_DIR) + "/schemas/es1.md");
  std::map<std::string, std::string> shown;
  std::string line;
  while (std::getline(file, line)) {
    size_t bar = line.find("` |");
    size_t name_end = line.find(" | `");
    if (line.rfind("| ", 0) == 0 && bar != std::string::npos && name_end != std::string::npos) {
      shown[line.substr(2, name_end - 2)] = line.substr(name_end + 4, bar - name_end - 4);
    }
  }
  for (const auto& [name, value] : computed()) {
    INFO("the line of schemas/es1.md should be: | " << name << " | `" << value << "` |");
    CHECK(shown[name] == value);
  }
}
