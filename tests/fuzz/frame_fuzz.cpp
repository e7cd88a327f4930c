// Fuzz entry: parse_frame and Channel::open take any bytes; a part that parses lies within them.
#include <cstdlib>

#include "schemas/frame.h"
#include "schemas/limits.h"
#include "schemas/seal.h"
#include "tests/sim/seeded_entropy.h"

using namespace egret;

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Ends ends;
  const ByteView bytes(reinterpret_cast<const char*>(data), size);
  const auto frame = parse_frame(bytes);
  if (!frame) return 0;
  for (ByteView part : {frame->clear_prefix, frame->hello_clear, frame->sealed, frame->signed_part,
                        frame->signature}) {
    if (!within(bytes, part)) std::abort();
  }
  if (encode_prefix(frame->prefix) != frame->clear_prefix) std::abort();
  if (frame->prefix.type != FrameType::need_hello && frame->sealed.size() < kTagBytes) std::abort();
  if (ends.edge->open(bytes)) std::abort();  // nobody sealed this
  if (frame->prefix.type == FrameType::hello) {
    if (hello_signed_by(ends.site_public, "clinic-7", *frame)) std::abort();
    if (auto cloud =
            join_cloud_channel("clinic-7", ends.region, frame->hello_clear.substr(sizeof(KeyId)))) {
      if ((*cloud)->open(bytes)) std::abort();
    }
  }
  return 0;
}
