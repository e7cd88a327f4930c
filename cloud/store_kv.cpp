#include "cloud/store_kv.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/txn_kv.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::cloud {
namespace {

// Random, never 0.
uint64_t mint_gen(Entropy& entropy, uint64_t other_than) {
  uint64_t gen = 0;
  while (gen == 0 || gen == other_than) gen = entropy.next();
  return gen;
}

Result<bool> any_key(const Kv& kv, Space space, const Bytes& first, const Bytes& end) {
  bool found = false;
  auto scanned = kv.scan(space, first, end, [&](ByteView, ByteView) {
    found = true;
    return false;
  });
  if (!scanned) return std::move(scanned).error();
  return found;
}

Result<MetaRow> found_store(Kv& kv, Entropy& entropy) {
  // Rows without a meta row: founding anew would hide them behind a new store key.
  for (Space space = 0; space < kCloudSpaces; ++space) {
    const auto rows = any_key(kv, space, {}, end_of_space());
    if (!rows) return rows.error();
    if (*rows)
      return Error{Errc::corrupt, "cloud store: its meta row is gone; restore from a backup"};
  }
  MetaRow row;
  row.meta.format = kCloudFormat;
  row.meta.gen = mint_gen(entropy, 0);
  entropy.fill(row.store_key.data(), row.store_key.size());
  KvBatch batch;
  batch.put(kMetaSpace, meta_key(), encode(row));
  if (auto written = kv.write(batch, true); !written) return std::move(written).error();
  return row;
}

// The mutant w_before_records: the ledger in a transaction of its own.
Result<void> write_ledger_first(Kv& kv, const KvBatch& batch) {
  KvBatch ledger, rest;
  for (const KvOp& op : batch.ops()) {
    KvBatch& to = op.space == kMetaSpace && op.key[0] == 'l' ? ledger : rest;
    if (op.what == KvOp::What::put) to.put(op.space, op.key, op.value);
    if (op.what == KvOp::What::erase) to.erase(op.space, op.key);
  }
  if (Result<void> written = kv.write(ledger, true); !written) return written;
  return kv.write(rest, true);
}

// S of every row that the backup proves.
Result<void> set_safe(std::span<const KvStore::BackedUp> rows, Txn& txn, KvStore::Confirmed& out) {
  for (const KvStore::BackedUp& backed : rows) {
    auto row = txn.row(backed.fac, backed.key);
    if (!row) return std::move(row).error();
    const auto c = txn.c_at(backed.fac, backed.key, backed.w);
    if (!c) return c.error();
    // S lets a site delete: only what is in both histories may carry it.
    if (!*row || (*row)->w < backed.w || !*c || **c != backed.c) {
      ++out.strangers;
      continue;
    }
    ++out.rows;
    if ((*row)->safe >= backed.w) continue;
    (*row)->safe = backed.w;
    txn.put(backed.fac, backed.key, **row);
  }
  return {};
}

// Where others write too, each facility by itself: nobody waits for the whole region.
Result<void> set_safe_one_by_one(KvStore& store, std::span<const KvStore::BackedUp> rows, KvStore::Confirmed& out) {
  for (size_t from = 0, to = 0; from < rows.size(); from = to) {
    const Facility& fac = rows[from].fac;
    while (to < rows.size() && rows[to].fac == fac) ++to;
    auto txn = store.begin({&fac, 1});
    if (auto set = set_safe(rows.subspan(from, to - from), *txn, out); !set) return set;
    if (store.commit(std::move(txn)) != CommitResult::committed) return store.last_error();
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<KvStore>> open_store(Kv& kv, Entropy& entropy) {
  const AtOnce at_once(kv);
  const auto stored = kv.get(kMetaSpace, meta_key());
  if (!stored) return stored.error();
  const auto meta = *stored ? decode_meta(**stored) : found_store(kv, entropy);
  if (!meta) return meta.error();
  const auto tombstones =
      any_key(kv, kMetaSpace, table_prefix('t'), after_prefix(table_prefix('t')));
  if (!tombstones) return tombstones.error();
  return std::make_unique<KvStore>(kv, *meta, *tombstones);
}

std::unique_ptr<Txn> KvStore::begin(std::span<const Facility> about) {
  if (shared_ == nullptr) return std::make_unique<KvTxn>(kv_, store_key_, has_tombstones_, each_);
  shared_->begin(about);
  std::vector<Bytes> keys;
  for (const Facility& fac : about) keys.insert(keys.end(), {registration_key(fac), facility_key(fac)});
  shared_->expect(kMetaSpace, keys);
  return std::make_unique<KvTxn>(*shared_, store_key_, each_);
}

CommitResult KvStore::commit(std::unique_ptr<Txn> txn) {
  auto& mine = static_cast<KvTxn&>(*txn);
  if (mine.failure()) {
    last_error_ = *mine.failure();
    return last_error_.code == Errc::conflict ? CommitResult::conflict : CommitResult::failed;
  }
  const KvBatch batch = mine.overlay().take();
  if (batch.empty()) return CommitResult::committed;
  const auto written = mutant(Mutant::w_before_records) ? write_ledger_first(kv_, batch) : kv_.write(batch, true);
  if (!written) {
    last_error_ = written.error();
    if (last_error_.code == Errc::unknown_outcome) return CommitResult::unknown;
    return last_error_.code == Errc::conflict ? CommitResult::conflict : CommitResult::failed;
  }
  has_tombstones_ = has_tombstones_ || mine.has_tombstones();
  return CommitResult::committed;
}

Result<void> KvStore::commit_or_error(std::unique_ptr<Txn> txn) {
  if (commit(std::move(txn)) == CommitResult::committed) return {};
  return last_error_;
}

Result<MetaRow> KvStore::meta_row() {
  const auto stored = kv_.get(kMetaSpace, meta_key());
  if (!stored) return stored.error();
  if (!*stored)
    return Error{Errc::corrupt, "cloud store: its meta row is gone; restore from a backup"};
  return decode_meta(**stored);
}

Result<StoreMeta> KvStore::meta() {
  auto row = meta_row();
  if (!row) return std::move(row).error();
  return row->meta;
}

Result<std::vector<Facility>> KvStore::facilities() {
  std::vector<Facility> out;
  const Bytes first = table_prefix('r');
  auto scanned = kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView) {
    if (auto fac = facility_of('r', key)) out.push_back(std::move(*fac));
    return true;
  });
  if (!scanned) return std::move(scanned).error();
  return out;
}

Result<KvStore::Confirmed> KvStore::confirm_backup(std::span<const BackedUp> rows, WallTime now) {
  Confirmed out;
  if (shared_ != nullptr) {
    if (auto set = set_safe_one_by_one(*this, rows, out); !set) return std::move(set).error();
  }
  auto txn = begin();
  auto meta = meta_row();
  if (!meta) return std::move(meta).error();
  if (shared_ == nullptr) {
    if (auto set = set_safe(rows, *txn, out); !set) return std::move(set).error();
  }
  meta->meta.backup_confirmed = true;
  meta->meta.last_backup_confirmed = now;
  static_cast<KvTxn&>(*txn).overlay().put(kMetaSpace, meta_key(), encode(*meta));
  if (auto done = commit_or_error(std::move(txn)); !done) return std::move(done).error();
  return out;
}

Result<std::vector<Facility>> KvStore::mark_restored(Entropy& entropy, WallTime now,
                                                     const std::string& note) {
  auto facs = facilities();
  if (!facs) return std::move(facs).error();
  auto txn = begin(*facs);
  auto meta = meta_row();
  if (!meta) return std::move(meta).error();
  std::vector<Facility> behind;
  for (const Facility& fac : *facs) {
    const auto rows = txn->rows(fac);
    if (!rows) return rows.error();
    for (const auto& [key, row] : *rows) {
      if (row.claimed <= row.w) continue;
      behind.push_back(fac);
      break;
    }
    // Closed from the start: a note in the history, nothing that anyone must do.
    Incident restored;
    restored.kind = IncidentKind::restored;
    restored.opened = restored.closed = now;
    restored.note = note;
    txn->put(fac, restored);
  }
  meta->meta.gen = mint_gen(entropy, meta->meta.gen);
  static_cast<KvTxn&>(*txn).overlay().put(kMetaSpace, meta_key(), encode(*meta));
  if (auto done = commit_or_error(std::move(txn)); !done) return std::move(done).error();
  return behind;
}

Result<uint64_t> KvStore::drop_sessions(WallTime before) {
  const AtOnce at_once(kv_);
  KvBatch batch;
  std::optional<Error> damaged;
  const Bytes first = table_prefix('s');
  auto scanned =
      kv_.scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
        const auto row = decode_session(value);
        if (!row) damaged = row.error();
        if (row && row->last_used < before) batch.erase(kMetaSpace, Bytes(key));
        return !damaged;
      });
  if (!scanned) return std::move(scanned).error();
  if (damaged) return std::move(*damaged);
  if (batch.empty()) return uint64_t{0};
  if (auto written = kv_.write(batch, true); !written) return std::move(written).error();
  return uint64_t(batch.ops().size());
}

}  // namespace egret::cloud
