#include "schemas/kv_unnamed.h"

#include <catch2/catch.hpp>

#include "tests/unit/schemas/kv_dir.h"

using namespace egret;
using namespace egret::test;

namespace {

uint64_t bytes_in(const fs::path& dir) {
  uint64_t sum = 0;
  for (const auto& file : fs::directory_iterator(dir)) sum += file.file_size();
  return sum;
}

size_t tables_in(const fs::path& dir) {
  size_t tables = 0;
  for (const auto& file : fs::directory_iterator(dir)) tables += file.path().extension() == ".sst";
  return tables;
}

// A disk with room for so much in the store's folder, and no more.
class SmallDisk final : public rocksdb::FileSystemWrapper {
 public:
  explicit SmallDisk(fs::path dir)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), dir_(std::move(dir)) {}
  const char* Name() const override { return "SmallDisk"; }
  uint64_t room = 0;

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override {
    rocksdb::IOStatus s = target()->NewWritableFile(name, options, file, dbg);
    if (s.ok()) *file = std::make_unique<File>(std::move(*file), *this);
    return s;
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, const SmallDisk& disk)
        : FSWritableFileOwnerWrapper(std::move(file)), disk_(disk) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
      if (bytes_in(disk_.dir_) + data.size() > disk_.room)
        return rocksdb::IOStatus::NoSpace("No space left on device");
      return target()->Append(data, options, dbg);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* dbg) override {
      return Append(data, options, dbg);
    }

   private:
    const SmallDisk& disk_;
  };
  const fs::path dir_;
};

class SmallDiskEnv final : public rocksdb::EnvWrapper {
 public:
  explicit SmallDiskEnv(const std::shared_ptr<SmallDisk>& disk)
      : EnvWrapper(rocksdb::Env::Default()) {
    file_system_ = disk;
  }
  const char* Name() const override { return "SmallDiskEnv"; }
};

}  // namespace

// A full disk stayed full for good: each try to open the store left the beginning of a table.
TEST_CASE("tries to open a store on a full disk do not fill it with halves of tables") {
  TempDir dir;
  KvOptions o = options_in(dir.path);
  o.compress = false;
  {
    auto kv = opened(o);
    for (int n = 0; n < 300; ++n) put(*kv, 0, "k" + std::to_string(1000 + n), Bytes(4'000, 'v'));
  }
  const auto disk = std::make_shared<SmallDisk>(dir.path);
  SmallDiskEnv env(disk);
  o.env = &env;
  o.doubt = true;
  disk->room = bytes_in(dir.path) + (600 << 10);  // for half of the table that the log becomes
  const size_t tables = tables_in(dir.path);
  for (int tries = 0; tries < 5; ++tries) {
    CHECK(refusal(o) == Errc::disk_full);
    CHECK(tables_in(dir.path) == tables);
  }
  disk->room += 2 << 20;
  auto kv = opened(o);
  believe(*kv);
  CHECK(keys(*kv, 0, "", "z").size() == 300);
}
