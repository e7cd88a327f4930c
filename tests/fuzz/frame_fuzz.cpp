// Fuzz entry: parse_frame and Channel::open take any bytes; a part that parses lies within them.
#include "schemas/frame.h"
#include "schemas/limits.h"
#include "schemas/seal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;
using fuzz::require;

namespace {

bool within(ByteView whole, ByteView part) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

struct Ends {
  SeededEntropy entropy{1};
  RegionPrivateKey region = make_region_key(entropy);
  SitePrivateKey site = make_site_key(entropy);
  SitePublicKey site_public = site.public_key();
  std::unique_ptr<Channel> edge = open_edge_channel("clinic-7", region.public_key(), site, entropy);
};

void run(ByteView bytes) {
  static Ends ends;
  const auto frame = parse_frame(bytes);
  if (!frame) return;
  for (ByteView part : {frame->clear_prefix, frame->hello_clear, frame->sealed, frame->signed_part,
                        frame->signature}) {
    require(within(bytes, part), "a part of a frame lies within it");
  }
  require(encode_prefix(frame->prefix) == frame->clear_prefix,
          "a prefix is written as it was read");
  require(frame->prefix.type == FrameType::need_hello || frame->sealed.size() >= kTagBytes,
          "a sealed frame has a tag");
  require(!ends.edge->open(bytes), "nobody sealed this");
  if (frame->prefix.type == FrameType::hello) {
    require(!hello_signed_by(ends.site_public, "clinic-7", *frame), "nobody signed this");
    if (auto cloud =
            join_cloud_channel("clinic-7", ends.region, frame->hello_clear.substr(sizeof(KeyId)))) {
      require(!(*cloud)->open(bytes), "nobody sealed this HELLO");
    }
  }
}

// A frame of each type as both sides make them; the real ones are of another key, so that none
// opens.
std::vector<Bytes> seeds() {
  SeededEntropy entropy{2};
  const RegionPrivateKey region = make_region_key(entropy);
  const SitePrivateKey site = make_site_key(entropy);
  const auto edge = open_edge_channel("clinic-7", region.public_key(), site, entropy);
  const Bytes hello = edge->seal(FrameType::hello, "\x28\x05").frame;
  auto cloud =
      join_cloud_channel("clinic-7", region, parse_frame(hello)->hello_clear.substr(sizeof(KeyId)));
  return {hello, edge->seal(FrameType::batch, "\x28\x05").frame,
          (*cloud)->seal(FrameType::welcome, "\x28\x05").frame,
          (*cloud)->seal(FrameType::ack, "\x28\x05").frame, need_hello_frame(edge->sid(), {})};
}

const fuzz::Registered registered({"frame", run, seeds});

}  // namespace
