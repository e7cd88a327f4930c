// World: sites, a broker that keeps no promise, and the region, under one virtual clock and one seed.
// Promises: the objects are the real ones (Session, Buffer, Reconciler, Committer, KvStore); the same seed gives the
// same run; a violation names the invariant.
// Leaves to others: which seeds, and the command line (egret_sim.cpp).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "cloud/committer.h"
#include "cloud/store_kv.h"
#include "edge/session.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"

namespace egret::sim {

// What the seeds met.
struct Met {
  uint64_t records = 0, repeats = 0, crashes = 0, rollbacks = 0, clones = 0, cloud_restarts = 0, failed_commits = 0, backups = 0, restores = 0,
           link_losses = 0, frames = 0, dropped = 0, repeated = 0, sheds = 0, corrupt = 0, poison = 0, rehomes = 0, parks = 0, purges = 0, forks = 0,
           need_hellos = 0, incidents = 0;
};

class World {
 public:
  explicit World(uint64_t seed);
  ~World();
  // Runs the whole seed: faults, healing, the end state. Empty: nothing is wrong.
  std::string run();
  const Met& met() const { return met_; }
  // Over everything that was decided and stored: equal for equal seeds.
  uint64_t trace_hash() const { return trace_; }

 private:
  struct Site;
  struct Keys;
  struct Later {
    int64_t at;
    uint64_t order;
    std::function<void()> what;
    bool operator<(const Later& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  // Chance per mille of each thing, drawn once a seed (swarm).
  struct Swarm {
    uint64_t drop, repeat, delay_ms, crash, rollback, cloud_restart, failed_commit, backup, restore, link_loss, shed, corrupt, poison, clone;
    cloud::SafePolicy safe;
  };

  void later(int64_t in_ms, std::function<void()> what);
  bool chance(uint64_t per_mille) { return !healing_ && entropy_.below(1000) < per_mille; }
  void note(uint64_t x) { trace_ = (trace_ ^ x) * 0x100000001b3ULL; }
  void advance(int64_t to_ms);

  void boot(Site& site);
  void drive(Site& site, const edge::Event& event);
  void carry_out(Site& site, edge::Action& action);
  void tick(Site& site);
  void produce(Site& site);
  void to_cloud(Site& site, TopicKind topic, Bytes frame);
  void from_cloud(const cloud::Reply& reply);
  void boot_cloud();
  void back_up();
  void restore();
  void fault();

  std::set<NaturalKey> held(Site& site);
  std::set<NaturalKey> applied(const Facility& fac);
  bool in_lawful_gap(const Site& site, const NaturalKey& key) const;
  void excuse_destroyed();
  std::string conserved();
  std::string watermarks();
  std::string end_state();

  SeededEntropy entropy_;
  Swarm swarm_{};
  Met met_;
  uint64_t trace_ = 0xcbf29ce484222325ULL;
  Now now_;
  uint64_t order_ = 0;
  std::priority_queue<Later> queue_;
  bool healing_ = false;
  uint8_t next_sid_ = 1;
  uint64_t next_record_ = 1;
  std::string violation_;

  std::vector<std::unique_ptr<Site>> sites_;
  KvMemory cloud_disk_;
  std::unique_ptr<cloud::KvStore> store_;
  std::unique_ptr<cloud::Reconciler> reconciler_;
  std::unique_ptr<Keys> keys_;
  KvMemory::State backup_;
  bool has_backup_ = false;
  std::map<std::pair<Facility, StreamKey>, Seq> w_;  // last seen, within a gen
};

}  // namespace egret::sim
