// KvUnnamed: the tables in a store's folder that its list of files does not name. RocksDB deletes them while it opens the
// store: leftovers of a crash, or, when the list has lost its end, all that was written last.
// Promises: until believe() a table that RocksDB wants deleted stays where it is, and can be read; but not one that was made
// since: the halves of tables that a full disk ends would fill it for good, a try after the other.
// Leaves to others: whether anything in them is missed (the edge's rows say so).
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret {

class KeptTables final : public rocksdb::FileSystemWrapper {
 public:
  explicit KeptTables(const std::shared_ptr<rocksdb::FileSystem>& base) : FileSystemWrapper(base) {}
  const char* Name() const override { return "KeptTables"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  // Deletes what was kept, and from now on keeps nothing.
  void believe();
  // The space's name, key and value of what the kept tables hold. What cannot be read of them is left out: a crash leaves
  // half a table.
  using Visit = std::function<void(const std::string& space, ByteView key, ByteView value)>;
  void scan(rocksdb::Env* env, const Visit& visit) const;

 private:
  mutable std::mutex mutex_;
  bool keeps_ = true;
  std::vector<std::string> kept_;
  std::set<std::string> made_;
};

// An Env for RocksDB: as `base`, its files by way of `tables`.
std::unique_ptr<rocksdb::Env> env_with(rocksdb::Env& base, const std::shared_ptr<KeptTables>& tables);

}  // namespace egret
