// EdgeWatch: the checker's eye on one site's disk.
// Promises: knows after every write which records the disk holds and names; holds I2, I3, I4, I10, I11, and that
// nothing is deleted but what the cloud had, what was shed by rule, or what lives on elsewhere.
// Leaves to others: what both sides hold together (Checker).
#pragma once

#include <map>
#include <set>

#include "edge/tables.h"
#include "schemas/es1.pb.h"
#include "tests/sim/history.h"
#include "tests/sim/journal.h"
#include "tests/sim/watched_kv.h"

namespace egret::sim {

class EdgeWatch final : public WatchedKv::Watcher {
 public:
  EdgeWatch(Facility fac, KvMemory& disk, History& history, Journal& journal)
      : fac_(std::move(fac)), disk_(disk), history_(history), journal_(journal) {}
  // Which process writes from now on; 0: none.
  uint64_t process = 0;
  // The disk is short of room: what is purged now may be above S.
  bool room_purge = false;

  void before(const KvBatch& batch) override;
  void after(const KvBatch& batch) override;
  // The disk is another one now (rolled back, replaced, cloned).
  void look_anew();
  // Spoils the data block that lies `n`-th on the disk; false: there is none.
  bool spoil(uint64_t n, uint64_t how);

  const std::set<Id>& held() const { return held_; }
  // Does the disk still say that this record was at one of its places (purged, or a gap)?
  bool names(const Fact& fact) const;
  const std::map<edge::EpochNo, edge::EpochRow>& rows() const { return rows_; }
  uint64_t parked_blocks() const { return disk_.table(edge::kParkedSpace).size(); }

 private:
  using PlaceOnDisk = std::pair<Space, Bytes>;
  struct Placed {
    edge::EpochNo no;
    StreamId stream;
    edge::BorderRow border;
  };
  // A block or gap that a re-homing takes from its old place.
  struct Taken {
    uint32_t count;
    std::vector<Id> ids;
  };
  void read_rows();
  void read_held();
  void for_each_block(const std::function<void(const PlaceOnDisk&, const Node&)>& see) const;
  bool damaged(const PlaceOnDisk& place) const;
  void add_parked();
  std::vector<Id> ids_parked(const Bytes& key, const Bytes& value);
  std::vector<Id> ids_of_raw(ByteView raw);
  std::vector<Placed> placed_in(const KvBatch& batch) const;
  void check_gap_in_place(const Placed& now, const edge::BorderRow& was);
  std::map<StreamId, std::vector<Taken>> taken();
  es1::FinishedStream finished_stream(StreamKey key) const;
  void check_placed(const std::vector<Placed>& placed);
  void add_node(const Placed& p, const Hash& before, std::vector<Id> gap_ids);
  void check_lost(const std::set<Id>& held_before);

  Facility fac_;
  KvMemory& disk_;
  History& history_;
  Journal& journal_;
  std::map<edge::EpochNo, edge::EpochRow> rows_, rows_before_;
  std::map<Bytes, edge::BorderRow> borders_before_;  // those that this batch writes again
  std::set<Id> held_, gapped_;                       // gapped_: by this batch, in place, as SHED
};

}  // namespace egret::sim
