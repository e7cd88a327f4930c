// AgentStore: the files of a site's buffer: RocksDB, its lock, the ballast; opened, or set aside and founded anew.
// Promises: a store that cannot be opened is never deleted and never stops the site: it is set aside under a name that
// says when, and a fresh one takes over at once (es1 5.7).
// Leaves to others: what is in it (edge/buffer), reading the set-aside one (edge/salvage), when (daemon).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "agent/config.h"
#include "edge/buffer.h"
#include "schemas/kv_rocksdb.h"

namespace egret::agent {

struct OpenStore {
  std::unique_ptr<Kv> kv;
  std::unique_ptr<edge::Buffer> buffer;  // refers to kv, and so goes first
  std::optional<std::filesystem::path> set_aside;  // a damaged store, just put away as store.damaged-N
  std::string why;                                 // what was wrong with it
};

// Errors: locked (another agent runs here), newer_format, config (another facility's), disk_full, store_failed.
// `distrust`: the store opens and then fails again and again: it is set aside all the same. So is one whose opening has
// ended the program time after time.
Result<OpenStore> open_agent_store(const Config& config, Entropy& entropy, WallTime now, bool distrust = false);

// How often a store that opens may fail with damage before it is believed no more.
class Distrust {
 public:
  void failed(const Error& why) { damaged_ += why.code == Errc::corrupt; }
  bool now() const { return damaged_ >= kFailuresMax; }

 private:
  static constexpr int kFailuresMax = 3;
  int damaged_ = 0;
};

// The oldest store that was set aside and has not been brought back yet.
std::optional<std::filesystem::path> oldest_damaged_store(const std::filesystem::path& state_dir);
// It has: from now on it is store.salvaged-N.
Result<std::filesystem::path> mark_salvaged(const std::filesystem::path& damaged);

// Reading it ends the agent: from now on it is store.unreadable-N, and nobody reads it again.
Result<std::filesystem::path> mark_unreadable(const std::filesystem::path& damaged);

// The ballast: kBallastBytes that are given back when the disk is full, so that deleting is always possible.
Result<void> make_ballast(const std::filesystem::path& state_dir);
void release_ballast(const std::filesystem::path& state_dir);
bool has_ballast(const std::filesystem::path& state_dir);

}  // namespace egret::agent
