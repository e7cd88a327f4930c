// World: agents, a broker that keeps no promise, and the region's reconcilers, under one virtual clock and one plan.
// Promises: the objects are the real ones (Session, Buffer, Reconciler, Committer, KvStore); the same plan gives the
// same run, event for event; a violation names the invariant of es1 section 8.
// Leaves to others: what is drawn (Plan), what must hold (Checker and the watches), which seeds (runner).
#pragma once

#include "tests/sim/broker.h"
#include "tests/sim/checker.h"
#include "tests/sim/contested_store.h"
#include "tests/sim/producer.h"

namespace egret::sim {

// How a broker turns a site away.
enum class Refusal : uint8_t { not_now, silent, identity };

class World {
 public:
  World(const Plan& plan, bool print);
  // From now on each site's disk has a second one beside it.
  using MakeTwin = std::function<std::unique_ptr<WatchedKv::Twin>(Journal& journal)>;
  void pair_disks(const MakeTwin& make);
  ~World();
  // The whole seed: time with faults, healing, the end state.
  void run();
  const Journal& journal() const { return journal_; }

 private:
  struct Backup {
    KvMemory::State state;
    std::vector<cloud::KvStore::BackedUp> rows;
    std::set<Checker::Claimed> claims;
    bool confirmed = false;
  };

  // One of the region's processes.
  struct Region {
    std::unique_ptr<ContestedStore> contested;  // when there are several
    std::unique_ptr<cloud::Reconciler> reconciler;
    std::deque<cloud::Inbound> inbox;
    bool commit_waits = false;
    uint64_t life = 0;
    MonoTime hangs_until;
  };

  // world.cpp: time
  void run_until(MonoTime end);
  void heal();
  Now now_at(const Site& site) const;
  Now now_in_cloud() const;
  void feed(const Facility& fac, const Bytes& body, WallTime wall);
  void compare_with_calm();
  int64_t below(int64_t ms) { return static_cast<int64_t>(chance_.below(static_cast<uint64_t>(std::max<int64_t>(ms, 1)))); }

  // world_site.cpp: an agent
  void boot(Site& site);
  void end_process(Site& site);
  void reopen(Site& site);
  void restart_later(Site& site, int64_t ms);
  void drive(Site& site, const edge::Event& event);
  void wait_for_deadline(Site& site);
  void carry_out(Site& site, edge::Action action);
  void connect(Site& site, const edge::Connect& connect);
  void refuse(Site& site);
  void publish(Site& site, const edge::Publish& publish);
  void cut_link(Site& site, const char* why);
  void write_next(Site& site);
  void write(Site& site, const edge::Action& action);
  void wrote(Site& site, bool ok);
  void tell_view(Site& site);
  bool append(Site& site, bool answered);

  // world_cloud.cpp: the region
  void boot_cloud();
  void boot_reconciler(size_t r);
  void end_cloud();
  void end_reconciler(Region& region);
  bool arrives(const Parcel& parcel, size_t reconciler);
  void forged_arrives(const Parcel& parcel, size_t reconciler);
  void commit_soon(size_t r);
  void commit_group(size_t r);
  void rival_commits(size_t r);
  void back_up();
  void confirm();
  void restore(bool newest);

  // world_keys.cpp: keys, versions, the witness
  std::unique_ptr<Channel> open_run(Site& site);
  void register_sites();
  bool is_heard(const MachineImage& image) const;
  void restart_unheard();
  void restart(Site& site);
  void perform_on_keys(Deed deed, Site& site);
  void retire_when_told();
  void renew_key(Site& site, bool revoke);
  void run_another_version(Site& site);
  void note_next_key(Site& site);
  void write_witness(Site& site);
  void check_witness(Site& site);
  void lose_witness(Deed deed, Site& site);
  void check_revoked(std::span<const cloud::Inbound> group, const cloud::CommitReport& report);

  // world_deeds.cpp: what the plan says
  void perform(const Planned& planned);
  void perform_on_site(Deed deed, Site& site);
  void perform_on_machine(Deed deed, Site& site);
  void perform_on_disk(Deed deed, Site& site);
  void lose_power(Site& site);
  void roll_back(Deed deed, Site& site);
  void perform_on_cloud(Deed deed, Site& site);
  void perform_on_store(Deed deed);
  void set_blocked(const Facility& fac, bool blocked);
  void perform_on_broker(Deed deed, Site& site);
  void take_image(Site& site);
  void take_disk(Site& site, const MachineImage& image);
  bool take_memory(Site& site, const MachineImage& image);
  void become(Site& site, const MachineImage& image, bool live);
  void clone(bool live);
  void make_room(Site& site);
  void make_noise();

  Plan plan_;
  SeededEntropy entropy_;  // the region's and the keys'
  SeededEntropy chance_;   // of the deed that is done, and of delays
  Timeline time_;
  Journal journal_;
  Turns turns_;
  History history_;
  Producer producer_;
  std::unique_ptr<Sealing> sealing_;
  std::vector<std::unique_ptr<Site>> sites_;
  Site* stepping_ = nullptr;  // whose session is at work: a copy of a session opens its runs for the machine it runs on
  uint64_t next_process_ = 1;
  bool healing_ = false;
  bool calm_ = false;      // this is the run without faults that another one is compared with
  uint64_t jobs_ = 0;
  size_t packet_limit_ = 0;  // the broker's; 0: none
  MonoTime refuses_until_;
  Refusal refusal_ = Refusal::not_now;

  KvMemory cloud_disk_;
  WatchedKv cloud_kv_;
  CloudWatch cloud_watch_;
  std::unique_ptr<cloud::KvStore> store_;
  std::vector<Region> regions_;
  // By an operator, whatever the store says.
  std::set<Facility> blocked_, revoked_;
  struct SiteKeys {
    uint64_t oldest = 0, newest = 0;  // that are registered
  };
  std::map<Facility, SiteKeys> site_keys_;
  std::map<SessionId, RunKeys> runs_;
  uint64_t cloud_life_ = 0;
  bool rivals_ = true;  // a commit may be overtaken
  std::vector<Backup> backups_;

  Checker checker_;
  Broker broker_;
};

}  // namespace egret::sim
