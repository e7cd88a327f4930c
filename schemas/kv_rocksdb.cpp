#include "schemas/kv_rocksdb.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_buffer_manager.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "schemas/durable_file.h"
#include "schemas/kv_list.h"
#include "schemas/kv_unnamed.h"
#include "schemas/kv_wal.h"
#include "schemas/limits.h"

namespace egret {
namespace {

namespace fs = std::filesystem;
using rocksdb::Slice;
using rocksdb::Status;

constexpr std::chrono::seconds kDiskScanEvery{1};
// Or after so much was written: tables come beside the log that they will replace.
constexpr uint64_t kDiskScanBytes = 2 * kMiB;
constexpr uint64_t kTiB = uint64_t{1} << 40;

Slice slice(ByteView b) {
  return {b.data(), b.size()};
}
ByteView byte_view(const Slice& s) {
  return {s.data(), s.size()};
}

Errc code_of(const Status& s) {
  if (s.IsNoSpace()) return Errc::disk_full;
  if (s.IsCorruption()) return Errc::corrupt;
  if (s.IsNotSupported()) return Errc::newer_format;
  const std::string text = s.ToString();
  const bool lock = text.find("lock file") != text.npos || text.find("lock hold by") != text.npos;
  return s.IsIOError() && lock ? Errc::locked : Errc::store_failed;
}

Error error_of(const Status& s, const fs::path& dir, std::string_view doing) {
  const Errc code = code_of(s);
  if (code == Errc::locked) {
    return {code, fmt::format("store {}: another process has it open; stop that one first",
                              dir.string())};
  }
  const char* advice = code == Errc::disk_full ? "; free some space on that disk"
                       : code == Errc::corrupt ? "; set the directory aside and look at the disk"
                       : code == Errc::newer_format ? "; it was written by a newer program"
                                                    : "";
  return {code, fmt::format("store {}: {}: {}{}", dir.string(), doing, s.ToString(), advice)};
}

std::string family_name(Space space) {
  return space == 0 ? rocksdb::kDefaultColumnFamilyName : fmt::format("{}", space);
}

// The larger of both: a log is preallocated beyond its length, fresh pages have no place on disk
// yet.
uint64_t file_bytes(const fs::path& file) {
  struct stat st;
  if (lstat(file.c_str(), &st) != 0) return 0;
  return std::max<uint64_t>(uint64_t(st.st_size), uint64_t(st.st_blocks) * 512);
}

// What the files of `dir` take up.
uint64_t bytes_in(const fs::path& dir) {
  uint64_t sum = 0;
  std::error_code gone;  // files come and go while we look
  for (fs::directory_iterator it(dir, gone), end; !gone && it != end; it.increment(gone)) {
    sum += file_bytes(it->path());
  }
  return sum;
}

// RocksDB would resume by itself once space is back. After a failed write only a reopen tells what
// is there.
class NeverResume : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// A reader beside the owner must not rotate the owner's log of events away.
class NoLog final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::DBOptions db_options(const KvOptions& o) {
  rocksdb::DBOptions db;
  if (o.env != nullptr) db.env = o.env;
  db.create_if_missing = !o.salvage && !o.read_only;
  db.create_missing_column_families = true;
  db.paranoid_checks = !o.salvage;
  // cut_torn_tail() has shown that nothing begins after the first damage, so stopping there loses
  // nothing that a sync had promised. Alone, this mode hides whatever lies behind a flipped bit,
  // and kTolerateCorruptedTailRecords replays over a hole between two logs and refuses a log whose
  // last record has its length but not all its sectors, as a power cut leaves it.
  db.wal_recovery_mode = o.salvage ? rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords
                                   : rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.max_bgerror_resume_count = 0;
  db.listeners.push_back(std::make_shared<NeverResume>());
  // Memory.
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      o.salvage ? size_t{0} : o.memtables_total_bytes);
  db.avoid_flush_during_recovery = o.salvage;
  db.avoid_flush_during_shutdown = o.salvage;
  db.max_open_files = o.open_files;
  // A log file of RocksDB's own would end the program (an assertion) when the disk is full; what
  // matters comes back as a Status.
  db.info_log = std::make_shared<NoLog>();
  if (o.read_only) {
    db.max_open_files = -1;  // all at once: the owner deletes tables that it compacts
  }
  db.max_background_jobs = 2;
  db.max_file_opening_threads = 1;
  db.skip_stats_update_on_db_open = true;
  db.allow_concurrent_memtable_write = false;  // there is one writer
  // Disk: everything that is not data is bounded too.
  db.max_total_wal_size = o.log_bytes_max;
  db.max_manifest_file_size = 1 << 20;
  db.manifest_preallocation_size = 64 << 10;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.bytes_per_sync = 1 << 20;
  return db;
}

// Keys of a look-up space by all but their last 29 bytes: of one that ends in SHA-256, three bytes
// of the hash are left, which spread over the buckets.
class HashHead final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "egret.HashHead.29"; }
  Slice Transform(const Slice& key) const override {
    return {key.data(), key.size() > kTail ? key.size() - kTail : key.size()};
  }
  bool InDomain(const Slice&) const override { return true; }

 private:
  static constexpr size_t kTail = 29;
};

// Half of what a commit of new records cost was finding out that they are new, in memory, and where
// they belong among all others there.
void hash_memtables(rocksdb::ColumnFamilyOptions& cf) {
  const size_t buckets = cf.write_buffer_size / 128;  // one entry each when it is full
  cf.memtable_prefix_bloom_size_ratio = 0.02;
  cf.memtable_whole_key_filtering = true;
  cf.prefix_extractor = std::make_shared<HashHead>();
  cf.memtable_factory.reset(rocksdb::NewHashLinkListRepFactory(buckets, 0, 0, false));
}

rocksdb::ColumnFamilyOptions family_options(const KvOptions& o,
                                            const std::shared_ptr<rocksdb::Cache>& cache,
                                            Space space) {
  const auto is_in = [&](const std::vector<Space>& some) {
    return std::count(some.begin(), some.end(), space) != 0;
  };
  const bool lookups = is_in(o.lookup_spaces);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.block_size = is_in(o.small_block_spaces) ? 4 << 10 : 16 << 10;
  table.format_version = 5;
  const bool rows = is_in(o.row_spaces);
  if (o.table_bytes > kTableBytes) {
    // The index of a large table has megabytes: read in pieces, as they are needed.
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = lookups || rows;
    table.metadata_block_size = 4 << 10;
  }
  if (lookups || rows) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));

  rocksdb::ColumnFamilyOptions cf;
  cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  cf.write_buffer_size = o.memtable_bytes;
  if (lookups && !o.salvage) hash_memtables(cf);
  // The default is an eighth of the memtable, taken whole by a space that holds a single key.
  cf.arena_block_size = 64 << 10;
  cf.target_file_size_base = o.table_bytes;
  cf.max_bytes_for_level_base = o.one_level ? kTiB : 4 * o.table_bytes;
  cf.optimize_filters_for_hits = rows;  // none for the last level, where nearly all is
  cf.level_compaction_dynamic_level_bytes = true;
  const bool compress = o.compress && !is_in(o.packed_spaces);
  cf.compression = compress ? rocksdb::kZSTD : rocksdb::kNoCompression;
  cf.compression_opts.level = 1;
  // See repair(): what the logs hold stays in memory.
  if (o.salvage) cf.write_buffer_size = size_t{1} << 30;
  return cf;
}

// What a store opened with `doubt` works through.
struct Doubt {
  std::shared_ptr<KeptTables> tables;
  std::unique_ptr<rocksdb::Env> env;
};

// An open database: closed by the last of those who read it.
struct OpenDb {
  OpenDb(fs::path at, Doubt doubted, std::unique_ptr<rocksdb::DB> opened,
         std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : dir(std::move(at)),
        doubt(std::move(doubted)),
        db(std::move(opened)),
        families(std::move(handles)) {}
  ~OpenDb() {
    for (auto* handle : families) db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    db->Close().PermitUncheckedError();
  }
  OpenDb(const OpenDb&) = delete;
  OpenDb& operator=(const OpenDb&) = delete;

  rocksdb::ColumnFamilyHandle* family(Space space) const {
    EGRET_INVARIANT(space < families.size(), "a space that the store was opened with");
    return families[space];
  }
  Error failed(const Status& s, std::string_view doing) const { return error_of(s, dir, doing); }

  // As the store is, or was at a snapshot.
  Result<std::optional<Bytes>> get(const rocksdb::Snapshot* at, Space space, ByteView key) const;
  Result<void> iterate(const rocksdb::Snapshot* at, Space space, ByteView first, ByteView end,
                       const Kv::Visit& visit, bool forward) const;

  const fs::path dir;
  const Doubt doubt;  // outlives the database
  const std::unique_ptr<rocksdb::DB> db;
  const std::vector<rocksdb::ColumnFamilyHandle*> families;
};

Result<std::optional<Bytes>> OpenDb::get(const rocksdb::Snapshot* at, Space space,
                                         ByteView key) const {
  rocksdb::ReadOptions options;
  options.snapshot = at;
  Bytes value;
  const Status s = db->Get(options, family(space), slice(key), &value);
  if (s.IsNotFound()) return std::optional<Bytes>();
  if (!s.ok()) return failed(s, "reading");
  return std::optional<Bytes>(std::move(value));
}

Result<void> OpenDb::iterate(const rocksdb::Snapshot* at, Space space, ByteView first, ByteView end,
                             const Kv::Visit& visit, bool forward) const {
  if (end <= first) return {};
  const Slice lower = slice(first), upper = slice(end);
  rocksdb::ReadOptions options;
  options.snapshot = at;
  options.iterate_lower_bound = &lower;
  options.iterate_upper_bound = &upper;
  options.total_order_seek = true;  // in look-up spaces too
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(options, family(space)));
  for (forward ? it->SeekToFirst() : it->SeekToLast(); it->Valid();
       forward ? it->Next() : it->Prev()) {
    if (!visit(byte_view(it->key()), byte_view(it->value()))) return {};
  }
  if (!it->status().ok()) return failed(it->status(), "scanning");
  return {};
}

class RocksSnapshot final : public KvSnapshot {
 public:
  explicit RocksSnapshot(std::shared_ptr<const OpenDb> of)
      : open_(std::move(of)), at_(open_->db->GetSnapshot()), walkers_(open_->families.size()) {}
  ~RocksSnapshot() override {
    for (auto& idle : walkers_) delete idle.load();
    open_->db->ReleaseSnapshot(at_);
  }
  RocksSnapshot(const RocksSnapshot&) = delete;
  RocksSnapshot& operator=(const RocksSnapshot&) = delete;

  bool current() const override {
    return open_->db->GetLatestSequenceNumber() == at_->GetSequenceNumber();
  }
  Result<void> write(const KvBatch&, bool) override {
    return Error{Errc::store_failed, "a state of the store that is only read cannot be written"};
  }
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    return open_->get(at_, space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return open_->iterate(at_, space, first, end, visit, true);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const override;
  uint64_t disk_bytes() const override { return bytes_in(open_->dir); }
  void reclaim(Space, ByteView, ByteView) override {}

 private:
  const std::shared_ptr<const OpenDb> open_;
  const rocksdb::Snapshot* const at_;
  mutable std::vector<std::atomic<rocksdb::Iterator*>> walkers_;  // a space: one that nobody uses; making it costs as much as a look
};

Result<void> RocksSnapshot::scan_back(Space space, ByteView first, ByteView end, const Visit& visit) const {
  if (end <= first) return {};
  std::atomic<rocksdb::Iterator*>& idle = walkers_.at(space);
  std::unique_ptr<rocksdb::Iterator> it(idle.exchange(nullptr));
  if (!it) {
    rocksdb::ReadOptions options;
    options.snapshot = at_;
    options.total_order_seek = true;  // in look-up spaces too
    it.reset(open_->db->NewIterator(options, open_->family(space)));
  }
  it->SeekForPrev(slice(end));
  if (it->Valid() && byte_view(it->key()) == end) it->Prev();
  while (it->Valid() && byte_view(it->key()) >= first && visit(byte_view(it->key()), byte_view(it->value()))) it->Prev();
  if (!it->status().ok()) return open_->failed(it->status(), "scanning");
  delete idle.exchange(it.release());
  return {};
}

class RocksKv final : public Kv {
 public:
  explicit RocksKv(std::shared_ptr<const OpenDb> of)
      : open_(std::move(of)),
        dir_(open_->dir),
        doubt_(open_->doubt),
        db_(open_->db.get()),
        families_(open_->families),
        pending_(families_.size()) {
    reclaimer_ = std::thread([this] { reclaim_rests(); });
  }
  ~RocksKv() override;

  Result<void> write(const KvBatch& batch, bool sync) override;
  Result<std::optional<Bytes>> get(Space space, ByteView key) const override {
    return open_->get(nullptr, space, key);
  }
  Result<void> scan(Space space, ByteView first, ByteView end, const Visit& visit) const override {
    return open_->iterate(nullptr, space, first, end, visit, true);
  }
  Result<void> scan_back(Space space, ByteView first, ByteView end,
                         const Visit& visit) const override {
    return open_->iterate(nullptr, space, first, end, visit, false);
  }
  uint64_t disk_bytes() const override;
  void reclaim(Space space, ByteView first, ByteView end) override;
  Result<void> copy_to(const fs::path& dir);
  std::unique_ptr<KvSnapshot> snapshot() const { return std::make_unique<RocksSnapshot>(open_); }
  void scan_unnamed(const std::function<void(Space, ByteView, ByteView)>& visit) const;
  void believe() {
    if (doubt_.tables) doubt_.tables->believe();
  }

 private:
  struct Range {
    Bytes first, end;
  };

  rocksdb::ColumnFamilyHandle* family(Space space) const { return open_->family(space); }
  Error failed(const Status& s, std::string_view doing) const { return open_->failed(s, doing); }
  void reclaim_rests();
  void reclaim_rest(Space space, const Range& range);

  const std::shared_ptr<const OpenDb> open_;
  const fs::path& dir_;
  const Doubt& doubt_;
  rocksdb::DB* const db_;
  const std::vector<rocksdb::ColumnFamilyHandle*>& families_;
  std::atomic<bool> write_failed_ = false;

  // disk_bytes(): the last look at the directory, and what was written since.
  mutable std::mutex disk_mutex_;
  mutable std::chrono::steady_clock::time_point disk_seen_at_{};
  mutable uint64_t disk_seen_ = 0;
  mutable std::atomic<uint64_t> written_since_ = 0;

  // What is left of reclaimed ranges is worked off beside the writer.
  std::atomic<uint64_t> logged_ = 0;  // since all spaces were flushed
  std::mutex pending_mutex_;
  std::condition_variable pending_changed_;
  std::vector<std::optional<Range>> pending_;  // a space
  std::atomic<bool> closing_ = false;
  std::thread reclaimer_;
};

RocksKv::~RocksKv() {
  {
    std::lock_guard lock(pending_mutex_);
    closing_ = true;
  }
  pending_changed_.notify_one();
  reclaimer_.join();
  rocksdb::CancelAllBackgroundWork(db_, true);
}

Result<void> RocksKv::write(const KvBatch& batch, bool sync) {
  if (write_failed_) {
    return Error{
        Errc::store_failed,
        fmt::format("store {}: an earlier write failed; it must be opened anew", dir_.string())};
  }
  rocksdb::WriteBatch out(batch.bytes() + 32 * batch.ops().size() + 16);
  for (const KvOp& op : batch.ops()) {
    Status added;
    switch (op.what) {
      case KvOp::What::put:
        added = out.Put(family(op.space), op.key, op.value);
        break;
      case KvOp::What::erase:
        added = out.Delete(family(op.space), op.key);
        break;
      case KvOp::What::erase_range:
        // RocksDB takes an inverted range into the log and then fails on it, at every start again.
        if (op.key < op.value) added = out.DeleteRange(family(op.space), op.key, op.value);
        break;
    }
    if (!added.ok()) return failed(added, "preparing a write");
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  if (Status s = db_->Write(options, &out); !s.ok()) {
    write_failed_ = true;
    Error e = failed(s, "writing");
    // A compaction has met damage: opening anew will not mend that.
    if (e.code != Errc::disk_full && e.code != Errc::corrupt) e.code = Errc::store_failed;
    return e;
  }
  written_since_ += out.GetDataSize();
  logged_ += out.GetDataSize();
  return {};
}

uint64_t RocksKv::disk_bytes() const {
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard lock(disk_mutex_);
  if (disk_seen_at_ == decltype(now){} || now - disk_seen_at_ >= kDiskScanEvery ||
      written_since_ >= kDiskScanBytes) {
    written_since_ = 0;
    disk_seen_ = bytes_in(dir_);
    disk_seen_at_ = now;
  }
  return disk_seen_ + written_since_;
}

void RocksKv::reclaim(Space space, ByteView first, ByteView end) {
  if (end <= first) return;
  const Slice lower = slice(first), upper = slice(end);
  // A file that this fails for stays until compaction reaches it: disk_bytes() keeps counting it.
  rocksdb::DeleteFilesInRange(db_, family(space), &lower, &upper, false).PermitUncheckedError();
  rocksdb::SizeApproximationOptions what;
  what.include_memtables = true;
  const rocksdb::Range range(lower, upper);
  uint64_t rest = 0;
  db_->GetApproximateSizes(what, family(space), &range, 1, &rest).PermitUncheckedError();
  std::lock_guard lock(pending_mutex_);
  std::optional<Range>& pending = pending_[space];
  if (!pending && rest < kReclaimRestBytes && logged_ < kReclaimLogBytes) return;
  if (!pending) pending = Range{Bytes(first), Bytes(end)};
  pending->first = std::min(pending->first, Bytes(first));
  pending->end = std::max(pending->end, Bytes(end));
  pending_changed_.notify_one();
}

void RocksKv::reclaim_rests() {
  for (;;) {
    std::vector<std::optional<Range>> work(families_.size());
    {
      std::unique_lock lock(pending_mutex_);
      pending_changed_.wait(lock, [this] {
        return closing_ ||
               std::any_of(pending_.begin(), pending_.end(), [](auto& r) { return r.has_value(); });
      });
      if (closing_) return;
      work.swap(pending_);
    }
    // All spaces, for the smallest unflushed one keeps the whole log.
    logged_ = 0;
    db_->Flush(rocksdb::FlushOptions(), families_).PermitUncheckedError();
    for (size_t space = 0; space < work.size(); ++space) {
      if (work[space]) reclaim_rest(static_cast<Space>(space), *work[space]);
    }
  }
}

// The tombstones are in tables now: bring them down to what they cover. Nothing is lost when this
// fails.
void RocksKv::reclaim_rest(Space space, const Range& range) {
  const Slice lower = range.first, upper = range.end;
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.canceled = &closing_;
  db_->CompactRange(options, family(space), &lower, &upper).PermitUncheckedError();
}

Result<void> RocksKv::copy_to(const fs::path& dir) {
  rocksdb::Checkpoint* made = nullptr;
  Status s = rocksdb::Checkpoint::Create(db_, &made);
  const std::unique_ptr<rocksdb::Checkpoint> owned(made);
  if (s.ok()) s = made->CreateCheckpoint(dir.string());
  if (!s.ok()) return failed(s, fmt::format("copying to {}", dir.string()));
  return {};
}

void RocksKv::scan_unnamed(const std::function<void(Space, ByteView, ByteView)>& visit) const {
  if (!doubt_.tables) return;
  doubt_.tables->scan(doubt_.env.get(), [&](const std::string& name, ByteView key, ByteView value) {
    for (size_t space = 0; space < families_.size(); ++space) {
      if (name == family_name(Space(space))) visit(Space(space), key, value);
    }
  });
}

// A store with more spaces than we know is a newer program's: opening it would drop what we cannot
// name.
Result<void> check_spaces(const KvOptions& o, const rocksdb::DBOptions& db) {
  std::vector<std::string> there;
  if (!rocksdb::DB::ListColumnFamilies(db, o.dir.string(), &there).ok())
    return {};  // new, or Open says why
  for (const std::string& name : there) {
    bool known = false;
    for (unsigned space = 0; space < o.spaces; ++space)
      known = known || name == family_name(Space(space));
    if (!known) {
      return Error{Errc::newer_format,
                   fmt::format("store {}: holds space '{}' where this program knows {}; it was "
                               "written by a newer program",
                               o.dir.string(), name, o.spaces)};
    }
  }
  return {};
}

// RepairDB learns from tables which spaces there are, and drops what the log holds of any other. So
// each space is given a table first, with the deletion of a key that nobody uses.
Status name_spaces_for_repair(const fs::path& dir, const rocksdb::DBOptions& options,
                              const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted) {
  const fs::path beside = dir.string() + ".spaces";
  std::error_code ignored;
  fs::remove_all(beside, ignored);
  rocksdb::DBOptions db = options;
  db.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  Status s = rocksdb::DB::Open(db, beside.string(), wanted, &families, &opened);
  if (!s.ok()) return s;
  const std::unique_ptr<rocksdb::DB> owned(opened);
  // Numbers that the damaged store has not come to; of a repair that was cut short they are there.
  uint64_t number = uint64_t{1} << 40;
  for (size_t i = 0; i < families.size(); ++i) {
    // Its write has no time (sequence 0): RocksDB refuses two tables with writes of the same time.
    rocksdb::SstFileWriter table({}, rocksdb::Options(db, wanted[i].options), families[i]);
    if (s.ok()) s = table.Open((dir / fmt::format("{:06}.sst", number++)).string());
    if (s.ok()) s = table.Delete(std::string(64, '\xff'));
    if (s.ok()) s = table.Finish();
  }
  for (auto* family : families) owned->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  owned->Close().PermitUncheckedError();
  // The list of files that the repair writes, and syncs, names them.
  if (auto synced = sync_tree(dir); !synced && s.ok()) s = Status::IOError(synced.error().text);
  fs::remove_all(beside, ignored);
  return s;
}

Status move_logs(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::create_directories(to, failed);
  for (fs::directory_iterator it(from, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().extension() == ".log")
      fs::rename(it->path(), to / it->path().filename(), failed);
  }
  if (failed) return Status::IOError("moving the logs", failed.message());
  // Where they are first: RocksDB soon syncs where they are no more.
  for (const fs::path& folder : {to, fs::absolute(to).parent_path(), from}) {
    if (auto synced = sync_folder(folder); !synced) return Status::IOError(synced.error().text);
  }
  return Status::OK();
}

fs::path logs_aside(const fs::path& dir) {
  return dir.string() + ".logs";
}

// Can the list of files be gone by? Not when a repair has not ended, which leaves the logs aside, nor
// when it does not name all spaces: they would be founded anew, behind what the logs hold of them.
// Not when a table that it names does not open, or is not there: in salvage the store opens all the
// same, and RocksDB 7.8 deletes the range tombstones of the table before it twice, so that the first
// scan ends the program. Nor when there are tables that it does not name: it may have lost its end,
// and opening deletes them.
bool list_of_files_holds(const fs::path& dir, const rocksdb::DBOptions& options,
                         const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted) {
  std::error_code failed;
  if (fs::exists(logs_aside(dir), failed)) return false;
  rocksdb::DBOptions strict = options;
  strict.paranoid_checks = true;
  strict.max_open_files = -1;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  if (!rocksdb::DB::OpenForReadOnly(strict, dir.string(), wanted, &families, &opened).ok()) return false;
  const std::unique_ptr<rocksdb::DB> owned(opened);
  std::vector<rocksdb::LiveFileMetaData> named;
  owned->GetLiveFilesMetaData(&named);
  for (auto* family : families) owned->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  size_t there = 0;
  for (fs::directory_iterator it(dir, failed), end; !failed && it != end; it.increment(failed)) {
    there += it->path().extension() == ".sst";
  }
  return !failed && there == named.size();
}

// Makes a new list of files from the tables that are there. The logs stand aside meanwhile:
// RepairDB would make tables of them, and RocksDB refuses two tables with the same writes, which a
// log that outlived a flush gives. Opening replays them afterwards, into memory.
Status repair(const fs::path& dir, const rocksdb::DBOptions& options,
              const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted) {
  const fs::path logs = logs_aside(dir);
  Status s = move_logs(dir, logs);
  if (s.ok()) s = name_spaces_for_repair(dir, options, wanted);
  if (s.ok()) s = rocksdb::RepairDB(dir.string(), options, wanted);
  if (s.ok()) s = move_logs(logs, dir);
  std::error_code ignored;
  if (s.ok()) fs::remove(logs, ignored);
  return s;
}

// Without CURRENT RocksDB would begin a new store over the files of the old one.
Result<void> check_nothing_there(const KvOptions& o) {
  std::error_code failed;
  for (fs::directory_iterator it(o.dir, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().extension() != ".sst" && it->path().extension() != ".log") continue;
    return error_of(Status::Corruption("there are files of a store, but no CURRENT"), o.dir, "opening");
  }
  return {};
}

// Under the store's lock: the end of a file that another process is writing looks torn too.
Result<void> mend_torn_ends(const KvOptions& o, const rocksdb::DBOptions& db) {
  if (!o.salvage && !fs::exists(o.dir / "CURRENT")) return check_nothing_there(o);
  rocksdb::FileLock* held = nullptr;
  const Status locked = db.env->LockFile((o.dir / "LOCK").string(), &held);
  if (!locked.ok()) return error_of(locked, o.dir, "opening");
  Result<void> mended = cut_torn_list(*db.env, o.dir);
  if (mended) mended = check_spaces(o, db);
  if (mended) mended = o.salvage ? keep_whole_records(*db.env, o.dir) : cut_torn_tail(*db.env, o.dir);
  db.env->UnlockFile(held).PermitUncheckedError();
  return mended;
}

// RocksDB syncs the names in the store's directory, not the name of the directory: a store that was
// just made, or set in place by a rename, would be gone whole after a power cut.
Result<void> sync_name_of_store(const KvOptions& o, rocksdb::Env& env) {
  const fs::path above = fs::absolute(o.dir).parent_path();
  std::unique_ptr<rocksdb::Directory> names;
  Status s = env.NewDirectory(above.string(), &names);
  if (s.ok()) s = names->Fsync();
  if (!s.ok()) return error_of(s, o.dir, "syncing its name");
  return {};
}

}  // namespace

Result<std::unique_ptr<Kv>> open_rocksdb(const KvOptions& o) {
  EGRET_INVARIANT(o.spaces > 0, "a store has at least one space");
  rocksdb::DBOptions db = db_options(o);
  Doubt doubt;
  if (o.doubt) {
    doubt.tables = std::make_shared<KeptTables>(db.env->GetFileSystem());
    doubt.env = env_with(*db.env, doubt.tables);
    db.env = doubt.env.get();
  }
  const fs::path above = fs::absolute(o.dir).parent_path();
  if (db.env->FileExists(above.string()).IsNotFound())
    return Error{Errc::store_failed, fmt::format("store {}: the folder {} is not there", o.dir.string(), above.string())};
  if (auto ready = o.read_only ? check_spaces(o, db) : mend_torn_ends(o, db); !ready) return ready.error();
  // Readers of a large cache do not wait for each other; of a small one a part would be too small for an index.
  const int parts_log2 = o.cache_bytes >= (size_t{64} << 20) ? 4 : 0;
  const auto cache = rocksdb::NewLRUCache(o.cache_bytes, parts_log2, false, 0.5);
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted;
  for (unsigned space = 0; space < o.spaces; ++space) {
    wanted.emplace_back(family_name(Space(space)), family_options(o, cache, Space(space)));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  Status s = o.read_only
                 ? rocksdb::DB::OpenForReadOnly(db, o.dir.string(), wanted, &families, &opened)
             : o.salvage && !list_of_files_holds(o.dir, db, wanted)
                 ? Status::Corruption("the list of files is not whole")
                 : rocksdb::DB::Open(db, o.dir.string(), wanted, &families, &opened);
  if (!s.ok() && o.salvage && code_of(s) != Errc::locked) {
    s = repair(o.dir, db, wanted);
    if (s.ok()) s = rocksdb::DB::Open(db, o.dir.string(), wanted, &families, &opened);
  }
  if (s.IsPathNotFound() && !o.read_only) s = Status::Corruption("a file of it is missing", s.ToString());
  if (!s.ok()) return error_of(s, o.dir, "opening");
  auto kv = std::make_unique<RocksKv>(std::make_shared<const OpenDb>(
      o.dir, std::move(doubt), std::unique_ptr<rocksdb::DB>(opened), std::move(families)));
  if (!o.salvage && !o.read_only) {
    if (auto named = sync_name_of_store(o, *db.env); !named) return named.error();
  }
  return std::unique_ptr<Kv>(std::move(kv));
}

Result<void> checkpoint(Kv& kv, const fs::path& dir) {
  auto* rocks = dynamic_cast<RocksKv*>(&kv);
  EGRET_INVARIANT(rocks != nullptr, "only a store on disk can be copied");
  return rocks->copy_to(dir);
}

std::unique_ptr<KvSnapshot> snapshot_of(const Kv& kv) {
  const auto* rocks = dynamic_cast<const RocksKv*>(&kv);
  return rocks == nullptr ? nullptr : rocks->snapshot();
}

void scan_unnamed(const Kv& kv, const std::function<void(Space, ByteView, ByteView)>& visit) {
  const auto* rocks = dynamic_cast<const RocksKv*>(&kv);
  EGRET_INVARIANT(rocks != nullptr, "only a store on disk has tables");
  rocks->scan_unnamed(visit);
}

void believe(Kv& kv) {
  auto* rocks = dynamic_cast<RocksKv*>(&kv);
  EGRET_INVARIANT(rocks != nullptr, "only a store on disk has tables");
  rocks->believe();
}

}  // namespace egret
