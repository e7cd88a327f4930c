#include "tests/storage/power_cut_fs.h"

#include <rocksdb/system_clock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace egret::test {
namespace {

namespace fs = std::filesystem;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr uint64_t kSectorBytes = 512;

IOStatus power_off() {
  return IOStatus::IOError("the power is off");
}

// RocksDB's text log is for people and never read back.
bool followed(const std::string& name) {
  return !fs::path(name).filename().string().starts_with("LOG");
}

std::string directory_of(const std::string& name) {
  return fs::path(name).parent_path().lexically_normal().string();
}

}  // namespace

// A file that is written from front to back. Nothing is really synced: what counts is what we
// remember.
class PowerCutFs::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(std::unique_ptr<rocksdb::FSWritableFile> file, PowerCutFs& fs,
       const std::string& name, std::shared_ptr<Length> length)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs), name_(fs::path(name).filename()), length_(std::move(length)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    std::lock_guard lock(fs_.mutex_);
    const IOStatus allowed = fs_.operation(Kind::grow);
    if (!allowed.ok() && !fs_.is_short_write()) return allowed;
    const Slice part(data.data(), allowed.ok() ? data.size() : data.size() / 2);
    IOStatus s = target()->Append(part, options, dbg);
    if (s.ok()) length_->written += part.size();
    return allowed.ok() ? s : allowed;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* dbg) override {
    std::lock_guard lock(fs_.mutex_);
    if (IOStatus s = fs_.operation(Kind::other); !s.ok()) return s;
    IOStatus s = target()->Truncate(size, options, dbg);
    if (s.ok()) length_->written = size;
    return s;
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  IOStatus sync() {
    std::lock_guard lock(fs_.mutex_);
    fs_.about_to_sync(name_);
    if (IOStatus s = fs_.operation(Kind::sync); !s.ok()) {
      length_->lost = true;
      return s;
    }
    if (!length_->lost) length_->synced = length_->written;
    return IOStatus::OK();
  }
  PowerCutFs& fs_;
  const std::string name_;
  std::shared_ptr<Length> length_;
};

class PowerCutFs::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(std::unique_ptr<rocksdb::FSDirectory> dir, PowerCutFs& fs, std::string name)
      : FSDirectoryWrapper(std::move(dir)), fs_(fs), name_(std::move(name)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    std::lock_guard lock(fs_.mutex_);
    if (IOStatus s = fs_.operation(Kind::other); !s.ok()) return s;
    fs_.synced_directory(name_);
    return IOStatus::OK();
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, dbg);
  }

 private:
  PowerCutFs& fs_;
  const std::string name_;
};

PowerCutFs::PowerCutFs(std::string attic)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), attic_(std::move(attic)) {
  fs::create_directories(attic_);
}

void PowerCutFs::cut_at(uint64_t n) {
  std::lock_guard lock(mutex_);
  off_at_ = operations_ + n;
}

void PowerCutFs::cut_at_sync_of(std::string kind, uint64_t n) {
  std::lock_guard lock(mutex_);
  cut_kind_ = std::move(kind);
  syncs_left_ = n;
}

void PowerCutFs::about_to_sync(const std::string& name) {
  if (syncs_left_ > 0 && name.starts_with(cut_kind_) && --syncs_left_ == 0) off_at_ = operations_ + 1;
}

uint64_t PowerCutFs::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

bool PowerCutFs::off() const {
  std::lock_guard lock(mutex_);
  return operations_ >= off_at_;
}

void PowerCutFs::fail_at(uint64_t n, Fault fault) {
  std::lock_guard lock(mutex_);
  fault_at_ = operations_ + n;
  fault_ = fault;
}

IOStatus PowerCutFs::operation(Kind kind) {
  return ++operations_ >= off_at_ ? power_off() : fault_of(kind);
}

IOStatus PowerCutFs::fault_of(Kind kind) {
  if (operations_ < fault_at_) return IOStatus::OK();
  if (fault_ == Fault::full) {
    const bool full = operations_ < fault_at_ + kFullFor && kind == Kind::grow;
    return full ? IOStatus::NoSpace("No space left on device") : IOStatus::OK();
  }
  // What the fault is not for lets it wait: the next sync, the next write.
  const bool meets = fault_ == Fault::error ||
                     (fault_ == Fault::sync_loses && kind == Kind::sync) ||
                     (fault_ == Fault::short_write && kind == Kind::grow);
  if (!meets) return IOStatus::OK();
  fault_at_ = ~uint64_t{0};
  return IOStatus::IOError("Input/output error");
}

bool PowerCutFs::is_short_write() const {
  return fault_ == Fault::short_write && operations_ < off_at_;
}

void PowerCutFs::follow(const std::string& name, uint64_t already) {
  lengths_[name] = std::make_shared<Length>(Length{already, already});
}

// Puts what `name` is by now into the attic; empty when there is no such file.
std::string PowerCutFs::save(const std::string& name, std::shared_ptr<Length>& length) {
  if (!fs::exists(name)) return {};
  const std::string saved = (fs::path(attic_) / std::to_string(++saved_)).string();
  fs::create_hard_link(name, saved);
  if (auto it = lengths_.find(name); it != lengths_.end()) length = it->second;
  return saved;
}

IOStatus PowerCutFs::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                     std::unique_ptr<rocksdb::FSWritableFile>* file,
                                     IODebugContext* dbg) {
  std::lock_guard lock(mutex_);
  if (!followed(name)) return target()->NewWritableFile(name, options, file, dbg);
  if (IOStatus s = operation(Kind::grow); !s.ok()) {
    const bool off = operations_ >= off_at_;
    return off && fs::path(name).extension() == ".log" ? nowhere(name, options, file, dbg) : s;
  }
  NameChange old{NameChange::What::erase, name, {}, {}, {}};
  old.saved = save(name, old.length);
  if (!old.saved.empty()) {  // a new file under an old name
    fs::remove(name);
    unsynced_.push_back(old);
  }
  IOStatus s = target()->NewWritableFile(name, options, file, dbg);
  if (!s.ok()) return s;
  unsynced_.push_back({NameChange::What::create, name, {}, {}, {}});
  follow(name, 0);
  *file = std::make_unique<File>(std::move(*file), *this, name, lengths_[name]);
  return s;
}

// Who has lost power never learns whether a log could be made; here he lives on until he is destroyed, and RocksDB 7.8
// forgets a reference when it cannot be, and aborts then. So it is made, without a name, and takes nothing.
IOStatus PowerCutFs::nowhere(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* dbg) {
  const std::string unnamed = (fs::path(attic_) / std::to_string(++saved_)).string();
  IOStatus s = target()->NewWritableFile(unnamed, options, file, dbg);
  if (!s.ok()) return s;
  fs::remove(unnamed);
  *file = std::make_unique<File>(std::move(*file), *this, name, std::make_shared<Length>());
  return s;
}

IOStatus PowerCutFs::ReopenWritableFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file,
                                        IODebugContext* dbg) {
  std::lock_guard lock(mutex_);
  if (IOStatus s = operation(Kind::grow); !s.ok()) return s;
  const bool there = fs::exists(name);
  IOStatus s = target()->ReopenWritableFile(name, options, file, dbg);
  if (!s.ok()) return s;
  if (!there) unsynced_.push_back({NameChange::What::create, name, {}, {}, {}});
  if (!lengths_.contains(name)) follow(name, fs::file_size(name));
  *file = std::make_unique<File>(std::move(*file), *this, name, lengths_[name]);
  return s;
}

IOStatus PowerCutFs::NewDirectory(const std::string& name, const IOOptions& options,
                                  std::unique_ptr<rocksdb::FSDirectory>* dir, IODebugContext* dbg) {
  IOStatus s = target()->NewDirectory(name, options, dir, dbg);
  if (s.ok()) *dir = std::make_unique<Directory>(std::move(*dir), *this, directory_of(name + "/x"));
  return s;
}

IOStatus PowerCutFs::DeleteFile(const std::string& name, const IOOptions& options,
                                IODebugContext* dbg) {
  std::lock_guard lock(mutex_);
  if (!followed(name)) return target()->DeleteFile(name, options, dbg);
  if (IOStatus s = operation(Kind::other); !s.ok()) return s;
  NameChange change{NameChange::What::erase, name, {}, {}, {}};
  change.saved = save(name, change.length);
  IOStatus s = target()->DeleteFile(name, options, dbg);
  if (s.ok()) {
    lengths_.erase(name);
    unsynced_.push_back(std::move(change));
  }
  return s;
}

IOStatus PowerCutFs::RenameFile(const std::string& from, const std::string& to,
                                const IOOptions& options, IODebugContext* dbg) {
  std::lock_guard lock(mutex_);
  if (!followed(from)) return target()->RenameFile(from, to, options, dbg);
  if (IOStatus s = operation(Kind::other); !s.ok()) return s;
  NameChange change{NameChange::What::rename, from, to, {}, {}};
  change.saved = save(to, change.length);
  IOStatus s = target()->RenameFile(from, to, options, dbg);
  if (!s.ok()) return s;
  lengths_.erase(to);
  if (auto node = lengths_.extract(from)) {
    node.key() = to;
    lengths_.insert(std::move(node));
  }
  unsynced_.push_back(std::move(change));
  return s;
}

void PowerCutFs::synced_directory(const std::string& dir) {
  std::erase_if(unsynced_, [&](const NameChange& change) {
    if (directory_of(change.name) != dir) return false;
    if (!change.saved.empty()) fs::remove(change.saved);
    return true;
  });
}

void PowerCutFs::undo(const NameChange& change) {
  const bool rename = change.what == NameChange::What::rename;
  const std::string& place = rename ? change.to : change.name;
  auto now = lengths_.extract(place);
  if (rename) {
    fs::rename(change.to, change.name);
    if (now) lengths_[change.name] = now.mapped();
  } else if (change.what == NameChange::What::create) {
    fs::remove(change.name);
  }
  if (change.saved.empty()) return;
  fs::rename(change.saved, place);
  if (change.length) lengths_[place] = change.length;
}

void PowerCutFs::tear(const std::string& name, const Length& length, Kept kept, Entropy& entropy) {
  if (!fs::exists(name)) return;
  const uint64_t loose = length.written - std::min(length.written, length.synced);
  // Torn, a record of full length has lost some of its sectors: a shorter one is merely cut.
  const bool full_length = kept == Kept::torn && entropy.below(2) == 0;
  const uint64_t extra = kept == Kept::nothing ? 0 : full_length ? loose : entropy.below(loose + 1);
  const uint64_t size = std::min(length.written, length.synced) + extra;
  fs::resize_file(name, size);
  if (kept != Kept::torn || extra == 0) return;
  std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
  for (uint64_t at = length.synced; at < size; at = (at / kSectorBytes + 1) * kSectorBytes) {
    if (entropy.below(2) == 0) continue;
    const uint64_t end = std::min((at / kSectorBytes + 1) * kSectorBytes, size);
    file.seekp(std::streamoff(at));
    file << std::string(end - at, '\0');
  }
}

void PowerCutFs::power_back(Kept kept, Entropy& entropy) {
  std::lock_guard lock(mutex_);
  const size_t names = kept == Kept::nothing ? 0 : entropy.below(unsynced_.size() + 1);
  while (unsynced_.size() > names) {
    undo(unsynced_.back());
    unsynced_.pop_back();
  }
  for (const NameChange& change : unsynced_) {
    if (!change.saved.empty()) fs::remove(change.saved);
  }
  unsynced_.clear();
  for (const auto& [name, length] : lengths_) tear(name, *length, kept, entropy);
  lengths_.clear();
  off_at_ = ~uint64_t{0};
  syncs_left_ = 0;
}

namespace {

class Impatient final : public rocksdb::SystemClockWrapper {
 public:
  Impatient() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "Impatient"; }
  void SleepForMicroseconds(int micros) override {
    target_->SleepForMicroseconds(std::min(micros, 1000));
  }
};

class PowerCutEnv final : public rocksdb::EnvWrapper {
 public:
  explicit PowerCutEnv(const std::shared_ptr<PowerCutFs>& fs)
      : EnvWrapper(rocksdb::NewCompositeEnv(fs)) {
    file_system_ = fs;
    system_clock_ = std::make_shared<Impatient>();
  }
  const char* Name() const override { return "PowerCutEnv"; }
};

}  // namespace

std::unique_ptr<rocksdb::Env> env_over(const std::shared_ptr<PowerCutFs>& fs) {
  return std::make_unique<PowerCutEnv>(fs);
}

}  // namespace egret::test
