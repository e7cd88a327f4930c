#include "cloud/shards.h"

#include <algorithm>

#include "schemas/chain.h"

namespace egret::cloud {
namespace {

// How much a member wants each part: 64 bits of a hash, of which two are never equal.
std::array<uint64_t, 256> wishes_of(const MemberId& id) {
  std::array<uint64_t, 256> out{};
  Bytes text(reinterpret_cast<const char*>(id.data()), id.size());
  text.push_back('\0');
  for (size_t part = 0; part < out.size(); part += 4) {
    text.back() = static_cast<char>(part);
    const Hash hash = sha256(text);
    for (size_t i = 0; i < 4; i++) {
      for (size_t b = 0; b < 8; b++) out[part + i] = out[part + i] << 8 | hash[8 * i + b];
    }
  }
  return out;
}

}  // namespace

Shards parts_of(const MemberId& self, std::span<const MemberId> others) {
  const auto mine = wishes_of(self);
  Shards out;
  out.set();
  for (const MemberId& other : others) {
    const auto theirs = wishes_of(other);
    for (size_t part = 0; part < out.size(); part++) {
      if (theirs[part] > mine[part] || (theirs[part] == mine[part] && other > self)) out.reset(part);
    }
  }
  return out;
}

void Members::see(std::span<const Member> rows, MonoTime now) {
  now_ = now;
  std::map<MemberId, Heard> next;
  for (const Member& row : rows) {
    if (row.id == self_) continue;
    const auto before = heard_.find(row.id);
    if (before == heard_.end()) {
      next[row.id] = {row.beat, row.outputs, now, false};
    } else {
      next[row.id] = before->second.beat == row.beat ? before->second : Heard{row.beat, row.outputs, now, true};
    }
  }
  heard_ = std::move(next);
}

std::vector<MemberId> Members::living() const {
  std::vector<MemberId> out;
  for (const auto& [id, heard] : heard_) {
    if (heard.risen && !silent(heard)) out.push_back(id);
  }
  return out;
}

bool Members::tells(const std::string& output) const {
  if (!outputs_.contains(output)) return false;
  return std::ranges::none_of(heard_, [&](const auto& other) {
    const Heard& heard = other.second;
    return heard.outputs.contains(output) && !silent(heard) && (!heard.risen || other.first < self_);
  });
}

std::vector<Member> Members::forgotten() const {
  std::vector<Member> out;
  for (const auto& [id, heard] : heard_) {
    if (now_ - heard.since >= kMemberForgottenMs) out.push_back({id, heard.beat, heard.outputs});
  }
  return out;
}

}  // namespace egret::cloud
