// KvTxn: one transaction of the store over a Kv.
// Promises: nothing reaches the Kv before commit; a put that could not read what it needed makes
// the commit fail. Leaves to others: committing (KvStore), pending writes and their undoing
// (Overlay).
#pragma once

#include "cloud/each_of.h"
#include "cloud/overlay.h"
#include "cloud/shared_kv.h"
#include "cloud/stored_block.h"
#include "cloud/tables.h"

namespace egret::cloud {

class KvTxn final : public Txn {
 public:
  // Keys are looked up and blocks packed by `each`, which outlives this.
  KvTxn(const Kv& kv, const Key32& store_key, bool has_tombstones, const EachOf& each)
      : overlay_(kv, kCloudSpaces),
        store_key_(store_key),
        each_(each),
        has_tombstones_(has_tombstones) {}
  // Of a store that others write too; what was begun in `shared` ends with this. Whether there are tombstones is looked
  // up when it matters: another may have written the first one.
  KvTxn(SharedKv& shared, const Key32& store_key, const EachOf& each)
      : overlay_(shared, kCloudSpaces), shared_(&shared), store_key_(store_key), each_(each), has_tombstones_(true) {}
  ~KvTxn() override;

  void savepoint() override;
  void rollback_to_savepoint() override;
  void suppose_new() override { supposes_new_ = true; }

  Result<std::optional<Registration>> registration(const Facility& fac) override;
  void put(const Facility& fac, const Registration& row) override;
  Result<std::optional<SessionRow>> session(const Facility& fac, const SessionId& sid) override;
  void put(const Facility& fac, const SessionId& sid, const SessionRow& row) override;
  Result<std::vector<std::pair<SessionId, SessionRow>>> sessions(const Facility& fac) override;
  void drop_session(const Facility& fac, const SessionId& sid) override;
  Result<std::optional<FacilityRow>> facility(const Facility& fac) override;
  void put(const Facility& fac, const FacilityRow& row) override;

  Result<std::optional<LedgerRow>> row(const Facility& fac, StreamKey key) override;
  Result<std::vector<std::pair<StreamKey, LedgerRow>>> rows(const Facility& fac) override;
  void put(const Facility& fac, StreamKey key, const LedgerRow& row) override;
  Result<bool> advance(const Facility& fac, StreamKey key, Seq w_before, const Hash& c_before,
                       const LedgerRow& after) override;

  Result<std::vector<Disposition>> add_blocks(const Facility& fac, StreamKey key,
                                              std::span<const JudgedBlock> blocks,
                                              WallTime now) override;
  void add_gap(const Facility& fac, StreamKey key, const GapRow& gap) override;
  Result<std::vector<GapRow>> gaps(const Facility& fac, StreamKey key, Seq after,
                                   size_t limit) override;
  Result<std::optional<Hash>> c_at(const Facility& fac, StreamKey key, Seq at) override;

  Result<std::vector<Incident>> incidents(const Facility& fac, bool open_only) override;
  void put(const Facility& fac, const Incident& incident) override;
  Result<void> erase(const Facility& fac, const NaturalKey& key,
                     const std::string& reason) override;

  Result<void> expire(const Facility& fac, StreamKey key, Seq first,
                      std::span<const size_t> records, std::span<const KeptRow> kept) override;

  // ---- for KvStore ----
  Overlay& overlay() { return overlay_; }
  // The first put that could not be carried out.
  const std::optional<Error>& failure() const { return failure_; }
  bool has_tombstones() const { return has_tombstones_; }

 private:
  template <class Row>
  Result<std::optional<Row>> read(ByteView key, Result<Row> (*decode)(ByteView)) const;
  // A record's key, and where its statement stands in the store, without this transaction.
  struct Known {
    Bytes natural;
    Result<std::optional<Bytes>> at{std::optional<Bytes>()};
  };
  std::vector<Known> names_in(const Facility& fac, const JudgedBlock& block) const;
  void look_up(std::vector<Known>& block) const;
  Result<void> expect(const std::vector<std::vector<Known>>& blocks);
  bool committed_lately(const Facility& fac, const Place& place, WallTime now);
  Result<StoredEntry> judge(const Facility& fac, const Place& place, const JudgedRecord& record,
                            Known known, WallTime now);
  Result<BlockWriter> judge(const Facility& fac, StreamKey key, const JudgedBlock& block,
                            std::vector<Known> known, WallTime now,
                            std::vector<Disposition>& out);
  Result<StoredEntry> quarantine(const Facility& fac, const Place& place,
                                 const JudgedRecord& record, WallTime now);
  Result<std::optional<Hash>> tombstone(ByteView natural) const;
  Result<void> erase_entry(const Facility& fac, const Place& place, const Hash& tombstone);
  // Writes the block anew, changed by `change`, which answers false when it does not fit.
  Result<void> rewrite(const Facility& fac, StreamKey key, Seq first,
                       const std::function<bool(std::vector<StoredEntry>&)>& change);
  Result<uint64_t> next_incident();
  Result<void> add_to_feed(std::vector<Bytes> blocks);
  void failed(Error error) {
    if (!failure_) failure_ = std::move(error);
  }

  Overlay overlay_;
  SharedKv* const shared_ = nullptr;
  const Key32 store_key_;
  const EachOf& each_;
  bool supposes_new_ = false;
  bool has_tombstones_;
  bool sought_tombstones_ = false;
  bool had_tombstones_ = false;  // at the savepoint
  std::optional<Error> failure_;
  std::optional<Error> had_failure_;
};

}  // namespace egret::cloud
