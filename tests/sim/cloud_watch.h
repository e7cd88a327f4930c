// CloudWatch: the checker's eye on the region's store.
// Promises: knows after every commit what is stored; holds I5, I6, I10, I11, I12, I14: each number up to W has one
// true disposition, of a history that an edge really chained, and W never falls within a gen.
// Leaves to others: what both sides hold together (Checker).
#pragma once

#include <map>
#include <set>

#include "cloud/store_kv.h"
#include "tests/sim/history.h"
#include "tests/sim/journal.h"
#include "tests/sim/watched_kv.h"

namespace egret::sim {

class CloudWatch final : public WatchedKv::Watcher {
 public:
  using RowName = std::pair<Facility, StreamKey>;
  CloudWatch(KvMemory& disk, History& history, Journal& journal)
      : disk_(disk), history_(history), journal_(journal) {}

  void before(const KvBatch&) override {}
  void after(const KvBatch& batch) override;
  // The store is another one now (restored).
  void look_anew();

  bool stored(Id id) const { return stored_.contains(id); }
  const std::set<Id>& stored() const { return stored_; }
  // Does a committed gap say that this record was at one of its places?
  bool names(const Fact& fact) const;
  Seq joint(const RowName& name) const;
  bool has_gap(const Facility& fac, const Spot& spot) const;
  const std::map<RowName, cloud::LedgerRow>& rows() const { return rows_; }
  // Walks every chain of the ledger again.
  void check_all();

 private:
  void take(const Bytes& key, ByteView value, bool count);
  void count_reason(GapReason reason);
  void take_stored(const Facility& fac, const Hash& content, bool aside);
  void check_chain(const RowName& name, const cloud::LedgerRow& row);
  std::optional<Seq> check_from(const RowName& name, const cloud::LedgerRow& row, Seq from, const Hash& c_from);
  std::optional<Hash> c_stored(const RowName& name, Seq at) const;
  void check_data(const RowName& name, Seq last, const Hash& c, const Node& node);
  void check_gap(const RowName& name, const cloud::GapRow& gap, const Node& node);

  KvMemory& disk_;
  History& history_;
  Journal& journal_;
  std::set<Id> stored_;
  std::map<RowName, cloud::LedgerRow> rows_;
  std::map<RowName, std::map<Seq, cloud::GapRow>> gaps_;  // by last
  std::set<RowName> changed_;
};

}  // namespace egret::sim
