#include "tests/storage/region.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "cloud/verify.h"

namespace egret::test {
namespace {

namespace fs = std::filesystem;
using namespace egret::cloud;

void put_text(Bytes& out, ByteView text) {
  put_u32(out, static_cast<uint32_t>(text.size()));
  out += text;
}

ByteView take_text(ByteView in, size_t& at) {
  const uint32_t size = get_u32(in, at);
  at += sizeof(uint32_t) + size;
  return in.substr(at - size, size);
}

}  // namespace

Region::Region(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  const Bytes all = text.str();
  KvBatch batch;
  for (size_t at = 0; at < all.size();) {
    const Space space = static_cast<Space>(all[at++]);
    Bytes key(take_text(all, at));
    batch.put(space, std::move(key), Bytes(take_text(all, at)));
  }
  if (!rig_.kv.write(batch, true)) throw std::runtime_error("the region's memory takes no write");
  rig_.restore(rig_.kv.snapshot());
}

void Region::keep(const fs::path& file) const {
  Bytes out;
  for (Space space = 0; space < kCloudSpaces; ++space) {
    for (const auto& [key, value] : rig_.kv.table(space)) {
      out.push_back(static_cast<char>(space));
      put_text(out, key);
      put_text(out, *value);
    }
  }
  std::ofstream(file, std::ios::binary) << out;
}

std::vector<Bytes> Region::hear(TopicKind topic, Bytes frame, Now now) {
  rig_.now = now;
  std::vector<Bytes> answers;
  for (Reply& reply : rig_.run({{kFac, topic, std::move(frame)}}).replies)
    answers.push_back(std::move(reply.frame));
  return answers;
}

Bytes Region::natural_key_of(ByteView record) {
  return natural_key(kFac, check_body(split_record(record)->body, kFac)->key);
}

Region::Fate Region::fate(StreamKey key, Seq seq, ByteView record) {
  if (const auto found = rig_.kv.get(kNaturalSpace, natural_key_of(record)); found && *found)
    return Fate::applied;
  const auto txn = rig_.store->begin();
  const auto gaps = txn->gaps(kFac, key, {seq.value - 1}, 1);
  if (gaps && !gaps->empty() && gaps->front().first <= seq) return Fate::gap;
  for (const Incident& incident : rig_.incidents()) {
    if (incident.key == key && incident.first <= seq && seq <= incident.last) return Fate::incident;
  }
  return Fate::unknown;
}

size_t Region::strangers(const std::function<bool(const Bytes&)>& known) {
  size_t strangers = rig_.facility().quarantined;
  for (const auto& [key, value] : rig_.kv.table(kNaturalSpace)) strangers += !known(key);
  return strangers;
}

std::string Region::wrong() {
  const Result<Verdict> verdict = verify(rig_.kv, nullptr);
  if (!verdict) return verdict.error().text;
  return verdict->wrong == 0 ? "" : text_of(verdict->findings.front());
}

std::vector<std::string> Region::incidents() {
  std::vector<std::string> all;
  for (const Incident& i : rig_.incidents()) {
    all.push_back(fmt::format("{} epoch {:04x} {} {}-{}", name_of(i.kind),
                              i.key.epoch.value % 0x10000, egret::name_of(i.key.stream),
                              i.first.value, i.last.value));
  }
  return all;
}

}  // namespace egret::test
