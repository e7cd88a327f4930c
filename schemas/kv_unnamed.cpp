#include "schemas/kv_unnamed.h"

#include <rocksdb/sst_file_reader.h>
#include <rocksdb/system_clock.h>

namespace egret {
namespace {

class EnvOverTables final : public rocksdb::EnvWrapper {
 public:
  EnvOverTables(rocksdb::Env& base, const std::shared_ptr<KeptTables>& tables) : EnvWrapper(&base) {
    file_system_ = tables;
    system_clock_ = base.GetSystemClock();
  }
  const char* Name() const override { return "EnvOverTables"; }
};

}  // namespace

rocksdb::IOStatus KeptTables::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              rocksdb::IODebugContext* dbg) {
  {
    std::lock_guard lock(mutex_);
    if (keeps_) made_.insert(name);
  }
  return target()->NewWritableFile(name, options, file, dbg);
}

rocksdb::IOStatus KeptTables::DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                                         rocksdb::IODebugContext* dbg) {
  {
    std::lock_guard lock(mutex_);
    if (keeps_ && std::filesystem::path(name).extension() == ".sst" && !made_.contains(name)) {
      kept_.push_back(name);
      return rocksdb::IOStatus::OK();
    }
  }
  return target()->DeleteFile(name, options, dbg);
}

void KeptTables::believe() {
  std::lock_guard lock(mutex_);
  keeps_ = false;
  // What stays is found again at the next start.
  for (const std::string& name : kept_) target()->DeleteFile(name, {}, nullptr).PermitUncheckedError();
  kept_.clear();
  made_.clear();
}

void KeptTables::scan(rocksdb::Env* env, const Visit& visit) const {
  std::vector<std::string> kept;
  {
    std::lock_guard lock(mutex_);
    kept = kept_;
  }
  rocksdb::Options options;
  options.env = env;
  for (const std::string& name : kept) {
    rocksdb::SstFileReader table(options);
    if (!table.Open(name).ok()) continue;
    const std::string space = table.GetTableProperties()->column_family_name;
    const std::unique_ptr<rocksdb::Iterator> it(table.NewIterator(rocksdb::ReadOptions()));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      visit(space, {it->key().data(), it->key().size()}, {it->value().data(), it->value().size()});
    }
    it->status().PermitUncheckedError();
  }
}

std::unique_ptr<rocksdb::Env> env_with(rocksdb::Env& base, const std::shared_ptr<KeptTables>& tables) {
  return std::make_unique<EnvOverTables>(base, tables);
}

}  // namespace egret
