// Core: one agent without its doors and its files: the real session, buffer (over memory) and link; hundreds fit into one process.
// Promises: what the session asks for is done as the daemon does it, on the thread of Jobs; the weather (a line that is cut or
// thin, power that fails, a small disk) meets the real objects from outside, as it would meet an agent.
// Leaves to others: what is taken in and when (the programs), what weather it is.
#pragma once

#include <memory>

#include "edge/budget.h"
#include "edge/link.h"
#include "schemas/entropy.h"
#include "tests/fleet/jobs.h"
#include "tests/sim/kv_memory.h"

namespace egret {

class Core {
 public:
  struct Options {
    edge::LinkConfig link;
    RegionPublicKey region;
    uint64_t key_seed = 0;  // of the site's key
    int64_t herd_ms = 0;
    int64_t reconnect_max_ms = kBackoffMaxMs;
  };
  Core(Options options, Jobs& jobs);

  // ---- power ----
  // From then on the disk can be written; a new run, a new epoch.
  void switch_on();
  // Greets the region, and goes on until the power fails.
  void connect();
  // As pulling the plug: what is on the disk stays.
  void switch_off();
  bool on() const { return buffer_ != nullptr; }

  // One synced group. Errors: disk_full: the disk is too full for it, and its records are counted as refused; config: no power.
  Result<void> append(edge::Unit unit, WallTime at);

  // ---- the weather ----
  void cut(bool is);
  void thin(uint64_t bytes_per_s);           // what goes up; 0: as much as comes
  void small_disk(uint64_t bytes_for_data);  // 0: large enough
  // To be called each second: HELLO tells how full the disk is, and telemetry is shed where it must be.
  void look_at_disk();

  // ---- how it stands ----
  bool linked() const;
  int64_t greeted_ms() const { return greeted_ms_; }  // after connect(), for the first time; -1: not yet
  uint64_t waiting() const;  // records that are not acknowledged
  bool drained() const { return greeted_ms_ >= 0 && waiting() == 0; }
  edge::Counters counters() const { return buffer_ ? buffer_->view().counters : edge::Counters{}; }
  uint64_t holds() const { return holds_; }
  uint64_t resent() const { return session_ ? session_->status().frames_resent : 0; }

 private:
  void wait();
  void drive(const edge::Event& event);
  bool carry_out(edge::Action action);
  void connect(const edge::Connect& action);
  void publish(edge::Publish action);
  void heard(edge::Event event);
  void shed(uint64_t bytes);

  const Options options_;
  Jobs& jobs_;
  OsEntropy entropy_;
  KvMemory kv_{edge::kEdgeSpaces};
  std::unique_ptr<edge::Buffer> buffer_;
  std::unique_ptr<edge::Session> session_;
  std::unique_ptr<edge::Link> link_;
  edge::Memory memory_;
  edge::Budget budget_;
  edge::BudgetDecision decision_;
  uint64_t run_ = 0, connection_ = 0;  // jobs of earlier ones do nothing
  enum class Line : uint8_t { down, asked, up } line_ = Line::down;
  bool cut_ = false;
  uint64_t bytes_per_s_ = 0, disk_bytes_ = 0;
  int64_t line_free_ms_ = 0;
  int64_t started_ms_ = 0, greeted_ms_ = -1;
  uint64_t holds_ = 0;
};

// The key of the site with this seed.
SitePrivateKey key_of_seed(uint64_t seed);

}  // namespace egret
