// Site: one agent of the simulated world: a machine with a disk, and the process on it: the real Buffer and Session.
// Promises: a process is made and lost as a whole; its disk keeps what was synced.
// Leaves to others: carrying out what the session asks for, and when (World).
#pragma once

#include <deque>
#include <memory>

#include "edge/buffer.h"
#include "edge/session.h"
#include "edge/witness.h"
#include "tests/sim/edge_watch.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/sim/skew.h"

namespace egret::sim {

// Batches of a lane that are not answered, by their first number; all of one epoch.
struct Flying {
  struct Sent {
    Seq last;
    Bytes nonce;
  };
  EpochId epoch;
  std::map<Seq, Sent> sent;
};

// What the checker has overheard of a process: it goes back with it.
struct Overheard {
  Bytes hello_nonce;                     // of the last HELLO it sent
  std::optional<es1::Welcome> believed;  // the answer to it, as it arrived
  std::map<uint32_t, Flying> in_flight;  // by lane
  std::map<std::tuple<StreamKey, Seq, Bytes>, std::pair<Seq, Bytes>> reaches;  // a batch of this link: (last, c) from (first - 1, c)
  uint32_t credit = 0;                   // most that was granted on this link
  std::set<EpochId> outclaimed;          // more was claimed of them than it holds
  std::set<std::tuple<StreamKey, Seq, Bytes>> told;  // (W, c) as the cloud said
  std::optional<SessionId> sid;          // of the run, once it has spoken
};

// The witness file beside a store, and what was true when it was written.
struct Witnessed {
  edge::WitnessPoint point;
  uint64_t records = 0;  // of its epoch, in all lanes
};

// A machine as it was at a moment: its disk, and what ran on it.
struct MachineImage {
  KvMemory::State disk;
  edge::Memory remembered;
  uint64_t process = 0;  // 0: none ran
  edge::Buffer::Memory buffer;
  std::shared_ptr<edge::Session> session;  // a copy that never steps
  std::deque<edge::Action> writes;
  Overheard overheard;
  std::optional<Witnessed> witness;
  Skew skew;
};

struct Site {
  Site(std::string n, Facility f, uint64_t seed, History& history, Journal& journal)
      : name(std::move(n)), fac(std::move(f)), entropy(seed), disk(edge::kEdgeSpaces), kv(disk), watch(fac, disk, history, journal) {
    kv.watch(&watch);
  }
  bool runs() const { return session != nullptr; }

  std::string name;
  Facility fac;
  SeededEntropy entropy;
  KvMemory disk;
  WatchedKv kv;
  EdgeWatch watch;
  edge::Memory remembered;      // kept over restarts, outside the store
  int64_t wall_offset_us = 0;   // how far its clock is off

  std::unique_ptr<edge::Buffer> buffer;
  std::unique_ptr<edge::Session> session;
  uint64_t life = 0;            // rises with every start, end and jump of the machine: older jobs are void
  std::deque<edge::Action> writes;  // what the writer has to do
  uint64_t view_made = 0, view_told = 0;

  bool connected = false;
  uint64_t connection = 0;      // likewise for the link
  std::string client_id;
  bool cut_move = false;        // the next re-homing ends in the middle
  uint64_t sends_fail = 0;      // the next few frames do not leave

  std::vector<MachineImage> images;
  std::optional<Witnessed> witness, older_witness;
  MonoTime witness_at;

  RegionPublicKey region_key;  // as it is configured
  bool told_key = false;       // a WELCOME has told it the region's next one
  Skew skew;                   // its program is of another version

  Overheard overheard;
};

}  // namespace egret::sim
