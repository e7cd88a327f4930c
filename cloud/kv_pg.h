// PgKv: the SharedKv over PostgreSQL: a table of cloud/tables.h is a table of cloud/schema.
// Promises: one write is one transaction, committed with a sync or not at all; a commit whose answer did not come is
// unknown_outcome; transactions about one facility come one after the other (each takes its turn, of two at once one is
// refused with conflict), those about different ones do not wait for each other. Calls may come from any thread, one
// is served at a time; visitors may call. A connection that was lost stays so.
// Leaves to others: what keys mean (tables.h), the server's settings (pg_settings), opening anew (StoreThread).
#pragma once

#include <functional>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "cloud/pg_link.h"
#include "cloud/pg_tables.h"
#include "cloud/shared_kv.h"

namespace egret::cloud {

class PgKv final : public SharedKv {
 public:
  explicit PgKv(std::unique_ptr<PgLink> link) : link_(std::move(link)) {}
  ~PgKv() override;

  Result<void> write(const KvBatch& batch, bool sync) override;
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override;
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override;
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override;
  uint64_t disk_bytes() const override;
  void reclaim(Space, ByteView, ByteView) override {}

  void begin(std::span<const Facility> about = {}) override;
  void end() override;
  void expect(Space space, std::span<const Bytes> keys) const override;
  void expect_new(Space space, std::span<const Bytes> keys) const override;

 private:
  enum class Open : uint8_t { no, wanted, yes };  // BEGIN travels with the first read or write
  using Seen = std::unordered_map<Bytes, std::optional<Bytes>>;  // by space and key: what was read since begin()

  PgReply run_in_transaction(const std::function<void()>& add) const;
  void add_turns(const std::vector<Bytes>& facs) const;
  Result<PgRows> read(const std::string& sql, PgParams params) const;
  Result<void> fetch(Space space, std::span<const Bytes> keys) const;
  Result<bool> page(const PgTable& table, const PgRange& range, size_t rows, bool back, const Visit& visit, Bytes& last) const;
  Result<void> walk(Space space, ByteView first, ByteView end, bool back, const Visit& visit) const;
  Result<void> probe();
  Result<void> commit(const KvBatch& batch);
  void forget() const;

  const std::unique_ptr<PgLink> link_;
  mutable std::mutex mutex_;  // guards what follows, and link_
  mutable Open open_ = Open::no;
  mutable std::vector<Bytes> turns_;  // facilities whose turn this transaction has, or takes with BEGIN; in order
  mutable Seen seen_;
  mutable std::unordered_set<Bytes> supposed_;  // by space and key: taken for absent without a look; they are inserted or nothing is
  int looks_ = 0;                               // transactions that look, for one that did not was wrong lately
  mutable std::optional<Error> broken_;  // why this transaction can only be given up
};

}  // namespace egret::cloud
