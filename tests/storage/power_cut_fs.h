// PowerCutFs: a file system for RocksDB that remembers what was synced, and forgets the rest when
// power fails. Promises: after power_back() a file holds what was synced of it and perhaps some of
// what came after; a name that was made, renamed or deleted is as it was unless its directory was
// synced since. Nothing is kinder than that: no fsync of a file saves its name, no close saves
// anything. Leaves to others: closing the database before power_back(). Not followed: RocksDB's own
// text log and lock file, random-access writing (RocksDB does none here).
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "schemas/types.h"

namespace egret::test {

class PowerCutFs final : public rocksdb::FileSystemWrapper {
 public:
  // How much of what was not synced is there all the same when power is back.
  enum class Kept : uint8_t {
    nothing,  // all of it is gone
    prefix,   // bytes and names up to somewhere
    torn,     // as prefix, and some of the kept sectors are zeros
  };

  // Names that may come back are kept in `attic` meanwhile: a directory of its own on the same
  // disk.
  explicit PowerCutFs(std::string attic);
  const char* Name() const override { return "PowerCutFs"; }

  // The n-th operation from now that changes the disk (1: the next) finds the power off; so does
  // all after it.
  void cut_at(uint64_t n);
  // The same for the n-th sync of a file whose name begins with `kind`.
  void cut_at_sync_of(std::string kind, uint64_t n);
  // What the n-th operation from now meets instead, while the power stays on.
  enum class Fault : uint8_t {
    error,        // EIO, once
    sync_loses,   // EIO of a sync, and the pages it was for are never written (nor by a later one)
    short_write,  // half of the bytes are there, then EIO
    full,         // ENOSPC of all that needs room, for the next kFullFor operations
  };
  static constexpr uint64_t kFullFor = 40;
  void fail_at(uint64_t n, Fault fault);
  uint64_t operations() const;
  bool off() const;
  // Makes the disk what it is after the cut (or after a cut right now) and turns the power on
  // again.
  void power_back(Kept kept, Entropy& entropy);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* dir,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class File;
  class Directory;
  struct Length {
    uint64_t written = 0, synced = 0;
    bool lost = false;  // a sync failed: what it was for stays unsynced
  };
  // One change of names that its directory has not been synced after.
  struct NameChange {
    enum class What : uint8_t { create, rename, erase } what;
    std::string name, to;
    std::string saved;  // in the attic: what `name` (erase) or `to` (rename) was; empty: nothing
    std::shared_ptr<Length> length;  // of what is saved, when it is followed
  };

  enum class Kind : uint8_t { grow, sync, other };
  rocksdb::IOStatus operation(Kind kind);  // counts one; an error when the power is off
  rocksdb::IOStatus fault_of(Kind kind);
  bool is_short_write() const;
  rocksdb::IOStatus nowhere(const std::string& name, const rocksdb::FileOptions& options,
                            std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* dbg);
  void about_to_sync(const std::string& name);
  void synced_directory(const std::string& dir);
  void follow(const std::string& name, uint64_t already);
  std::string save(const std::string& name, std::shared_ptr<Length>& length);
  void undo(const NameChange& change);
  void tear(const std::string& name, const Length& length, Kept kept, Entropy& entropy);

  const std::string attic_;
  mutable std::mutex mutex_;
  uint64_t operations_ = 0;
  uint64_t off_at_ = ~uint64_t{0};
  std::string cut_kind_;
  uint64_t syncs_left_ = 0;  // of that kind, until the power fails; 0: it does not
  uint64_t fault_at_ = ~uint64_t{0};
  Fault fault_ = Fault::error;
  uint64_t saved_ = 0;
  std::map<std::string, std::shared_ptr<Length>> lengths_;  // of files written since power came
  std::vector<NameChange> unsynced_;
};

// For KvOptions::env. Its clock does not sleep: RocksDB waits a second after each failure in the
// background.
std::unique_ptr<rocksdb::Env> env_over(const std::shared_ptr<PowerCutFs>& fs);

}  // namespace egret::test
