// RealTwin: the real RocksDB, on a disk that forgets what was not synced, under a site of the simulator, beside the Kv in
// memory.
// Promises: each write is done here too, and then all keys are compared; so is each read of the Buffer. After power
// failed the store is opened anew and must hold what was synced. What it did is a trace that can be played again.
// Leaves to others: what is done when (World and its plan); RocksDB's own threads cannot be seeded, so a trace repeats the
// operations, not their moments.
#pragma once

#include <filesystem>
#include <fstream>

#include "tests/sim/journal.h"
#include "tests/sim/watched_kv.h"
#include "tests/storage/power_cut_fs.h"

namespace egret::sim {

class RealTwin final : public WatchedKv::Twin {
 public:
  // `syncs`: false is a planted bug. `trace`: a file that is written; empty: none.
  RealTwin(std::filesystem::path dir, Journal& journal, bool syncs, const std::filesystem::path& trace);
  ~RealTwin() override;
  void wrote(const KvBatch& batch) override;
  void read(Space space, ByteView key, const std::optional<Bytes>& value) override;
  void scanned(Space space, ByteView first, ByteView end, bool back, const std::vector<std::pair<Bytes, Bytes>>& seen, bool all) override;
  void power_fails(Entropy& entropy) override;
  void process_ends() override;
  void becomes(const KvMemory& disk) override;

  struct Counts {
    uint64_t writes = 0, reads = 0, cuts = 0, reopenings = 0, compared = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  friend bool replay(const std::filesystem::path& trace, const std::filesystem::path& dir, Journal& journal);
  void open();
  void apply(const KvBatch& batch);
  void cut(uint64_t seed);
  void compare(const char* when);
  void trace(char what, const std::string& text);

  std::filesystem::path dir_;
  Journal& journal_;
  const bool syncs_;
  KvMemory expected_;  // every write that was done
  std::shared_ptr<test::PowerCutFs> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<Kv> kv_;
  std::ofstream trace_;
  Counts counts_;
};

// Does what a trace says once more. False: a comparison failed (the journal says which).
bool replay(const std::filesystem::path& trace, const std::filesystem::path& dir, Journal& journal);

}  // namespace egret::sim
