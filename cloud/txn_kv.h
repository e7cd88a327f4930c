// KvTxn: one transaction of the store over a Kv.
// Promises: nothing reaches the Kv before commit; a put that could not read what it needed makes
// the commit fail. Leaves to others: committing (KvStore), pending writes and their undoing
// (Overlay).
#pragma once

#include "cloud/overlay.h"
#include "cloud/stored_block.h"
#include "cloud/tables.h"

namespace egret::cloud {

class KvTxn final : public Txn {
 public:
  KvTxn(const Kv& kv, const Key32& store_key, bool has_tombstones)
      : overlay_(kv, kCloudSpaces), store_key_(store_key), has_tombstones_(has_tombstones) {}

  void savepoint() override;
  void rollback_to_savepoint() override;

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

  Result<std::vector<Disposition>> add_block(const Facility& fac, StreamKey key, Seq first,
                                             std::span<const JudgedRecord> records,
                                             std::span<const Hash> leaves, const Hash& c_end,
                                             WallTime now) override;
  void add_gap(const Facility& fac, StreamKey key, const GapRow& gap) override;
  Result<std::vector<GapRow>> gaps(const Facility& fac, StreamKey key, Seq after,
                                   size_t limit) override;
  Result<std::optional<Hash>> c_at(const Facility& fac, StreamKey key, Seq at) override;

  Result<std::vector<Incident>> incidents(const Facility& fac, bool open_only) override;
  void put(const Facility& fac, const Incident& incident) override;
  Result<void> erase(const Facility& fac, const NaturalKey& key,
                     const std::string& reason) override;

  // ---- for KvStore ----
  Overlay& overlay() { return overlay_; }
  // The first put that could not be carried out.
  const std::optional<Error>& failure() const { return failure_; }
  bool has_tombstones() const { return has_tombstones_; }

 private:
  template <class Row>
  Result<std::optional<Row>> read(ByteView key, Result<Row> (*decode)(ByteView)) const;
  Result<StoredEntry> judge(const Facility& fac, const Place& place, const JudgedRecord& record,
                            WallTime now);
  Result<StoredEntry> quarantine(const Facility& fac, const Place& place,
                                 const JudgedRecord& record, WallTime now);
  Result<std::optional<Hash>> tombstone(ByteView natural) const;
  Result<void> erase_entry(const Facility& fac, const Place& place, const Hash& tombstone);
  Result<uint64_t> next_incident();
  void failed(Error error) {
    if (!failure_) failure_ = std::move(error);
  }

  Overlay overlay_;
  const Key32 store_key_;
  bool has_tombstones_;
  bool had_tombstones_ = false;  // at the savepoint
  std::optional<Error> failure_;
  std::optional<Error> had_failure_;
};

}  // namespace egret::cloud
