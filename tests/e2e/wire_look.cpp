// wire-look: looks into frames for tests/e2e/wire.py: opens captured ones with a region's key, and
// makes the frames that an agent's store would send. Promises: opening is written from es1 section
// 4 over hpke and gcm alone, in both directions; making goes through the code that the agent's
// session uses (cut_batch, the edge's channel). Leaves to others: capturing, and searching in what
// comes out.
//
//   wire-look open KEYFILE FACILITY FRAMES BODIES
//   {"frames":…,"up":…,"down":…,"clear":…,"opened_up":…,"opened_down":…} wire-look cut STOREDIR
//   FACILITY BODIES FRAMES      {"batches":…,"records":…,"stored":…}
// A file of frames or bodies: each with its length before it, u32 little-endian.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>

#include "agent/store.h"
#include "edge/cut.h"
#include "edge/kv_options.h"
#include "schemas/entropy.h"
#include "schemas/gcm.h"
#include "schemas/hpke.h"
#include "schemas/limits.h"
#include "schemas/seal.h"

namespace egret::test {
namespace {

enum class Direction : char { up = 0, down = 1 };

std::vector<Bytes> read_list(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const Bytes all{std::istreambuf_iterator<char>(in), {}};
  std::vector<Bytes> out;
  for (size_t at = 0; at + 4 <= all.size();) {
    const uint32_t size = uint32_t(uint8_t(all[at])) | uint32_t(uint8_t(all[at + 1])) << 8 |
                          uint32_t(uint8_t(all[at + 2])) << 16 |
                          uint32_t(uint8_t(all[at + 3])) << 24;
    out.push_back(all.substr(at + 4, size));
    at += 4 + size;
  }
  return out;
}

void append(std::ofstream& out, ByteView bytes) {
  for (int shift = 0; shift < 32; shift += 8) out.put(char(bytes.size() >> shift));
  out.write(bytes.data(), std::streamsize(bytes.size()));
}

Key32 key_in(const char* path) {
  std::ifstream in(path);
  std::string text;
  in >> text;
  Key32 key{};
  for (size_t i = 0; i < key.size() && 2 * i + 1 < text.size(); i++)
    key[i] = uint8_t(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  return key;
}

// Opens frames of the runs whose HELLO it has seen.
class Opener {
 public:
  Opener(const Key32& region, const Facility& fac)
      : region_(region), named_(char(fac.size()) + fac) {}

  void hello(const ParsedFrame& frame) {
    const auto enc = take<32>(frame.hello_clear.substr(sizeof(KeyId)));
    auto exporter =
        hpke::setup_base_receiver(region_, enc, "egret es1" + named_, hpke::Aead::aes_256_gcm);
    if (exporter) runs_.insert_or_assign(frame.prefix.sid, *exporter);
  }
  std::optional<Bytes> open(const ParsedFrame& frame, Direction direction) const {
    const auto run = runs_.find(frame.prefix.sid);
    if (run == runs_.end()) return {};
    AesGcm gcm(run->second.derive(direction == Direction::up ? "es1 up key" : "es1 down key"));
    const ByteView prefix = frame.clear_prefix.substr(0, kFramePrefixBytes - sizeof(Nonce));
    return gcm.decrypt(frame.prefix.nonce, {prefix, frame.hello_clear, named_ + char(direction)},
                       frame.sealed);
  }

 private:
  const Key32 region_;
  const Bytes named_;
  std::map<SessionId, hpke::Exporter> runs_;
};

int open_frames(char** args) {
  const std::vector<Bytes> frames = read_list(args[2]);
  Opener opener(key_in(args[0]), args[1]);
  std::vector<ParsedFrame> parsed;
  for (const Bytes& bytes : frames) {
    const Result<ParsedFrame> frame = parse_frame(bytes);
    if (!frame) return std::fprintf(stderr, "%s\n", frame.error().text.c_str()), 1;
    parsed.push_back(*frame);
    if (frame->prefix.type == FrameType::hello) opener.hello(*frame);
  }
  std::ofstream bodies(args[3], std::ios::binary);
  size_t up = 0, down = 0, clear = 0, opened_up = 0, opened_down = 0;
  for (const ParsedFrame& frame : parsed) {
    const FrameType type = frame.prefix.type;
    if (type == FrameType::need_hello) {
      clear++;
      continue;
    }
    const bool is_up = type == FrameType::hello || type == FrameType::batch;
    const std::optional<Bytes> body = opener.open(frame, is_up ? Direction::up : Direction::down);
    (is_up ? up : down)++;
    if (!body) continue;
    (is_up ? opened_up : opened_down)++;
    append(bodies, *body);
  }
  fmt::print(R"({{"frames":{},"up":{},"down":{},"clear":{},"opened_up":{},"opened_down":{}}})"
             "\n",
             frames.size(), up, down, clear, opened_up, opened_down);
  return 0;
}

// Everything that waits in a stream, as the session would cut it, before and after sealing.
struct Cutter {
  edge::Buffer& buffer;
  Channel& channel;
  std::ofstream bodies, frames;
  size_t batches = 0, records = 0, stored = 0;

  void stream(StreamKey key, const edge::StreamView& view) {
    edge::CutOrder order;
    order.key = key;
    order.after = view.purged;
    order.head = view.head;
    order.c_head = view.c_head;
    order.frame_bytes = kFrameBytesMax;
    order.raw_bytes = kFrameBytesMax / 2;
    order.zstd_level = 0;
    while (order.after < order.head) {
      const std::optional<edge::Cut> cut = edge::cut_batch(buffer, order);
      if (!cut || cut->unreadable) break;
      es1::Batch batch;
      batch.ParseFromString(cut->body);
      batches++;
      records += span(order.after, cut->last);
      stored += batch.codec() == uint32_t(CodecId::stored);
      append(bodies, cut->body);
      append(frames, channel.seal(FrameType::batch, cut->body).frame);
      order.after = cut->last;
    }
  }
};

int cut_frames(char** args) {
  OsEntropy entropy;
  const Facility fac = args[1];
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(edge::kv_options(args[0]));
  if (!kv) return std::fprintf(stderr, "%s\n", kv.error().text.c_str()), 1;
  Result<std::unique_ptr<edge::Buffer>> buffer = edge::Buffer::open(**kv, fac, entropy);
  if (!buffer) return std::fprintf(stderr, "%s\n", buffer.error().text.c_str()), 1;
  const auto channel = open_edge_channel(fac, make_region_key(entropy).public_key(),
                                         make_site_key(entropy), entropy);
  Cutter cutter{**buffer, *channel, std::ofstream(args[2], std::ios::binary),
                std::ofstream(args[3], std::ios::binary)};
  for (const edge::EpochView& epoch : (*buffer)->view().epochs) {
    for (size_t i = 0; i < kStreamCount; i++)
      cutter.stream({epoch.id, StreamId(i)}, epoch.streams[i]);
  }
  fmt::print(R"({{"batches":{},"records":{},"stored":{}}})"
             "\n",
             cutter.batches, cutter.records, cutter.stored);
  return 0;
}

}  // namespace
}  // namespace egret::test

int main(int argc, char** argv) {
  const std::string what = argc == 6 ? argv[1] : "";
  if (what == "open") return egret::test::open_frames(argv + 2);
  if (what == "cut") return egret::test::cut_frames(argv + 2);
  std::fprintf(stderr,
               "wire-look open KEYFILE FACILITY FRAMES BODIES\n"
               "wire-look cut STOREDIR FACILITY BODIES FRAMES\n");
  return 2;
}
