// A region's store on the real RocksDB, changed behind its back through RocksDB's own API and in its files: the program
// `egret-cloud verify` exits 1 and names the place.
#include <rocksdb/db.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cloud/access.h"
#include "cloud/stored_block.h"
#include "schemas/kv_rocksdb.h"
#include "tests/unit/cloud/reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;
namespace fs = std::filesystem;

namespace {

struct Ran {
  int code = -1;
  std::string text;
};

struct Region {
  Writer w{key_of(5, StreamId::telemetry)};
  fs::path state;

  Region() {
    std::string name = (fs::temp_directory_path() / "egret-tamper-XXXXXX").string();
    state = ::mkdtemp(name.data());
    CloudRig rig;
    commit_eight(rig, w);
    auto kv = open_rocksdb(options());
    REQUIRE(kv.has_value());
    KvBatch all;
    for (Space space = 0; space < kCloudSpaces; space++) {
      for (const auto& [key, value] : rig.kv.table(space)) all.put(space, key, *value);
    }
    REQUIRE((*kv)->write(all, true).has_value());
  }
  ~Region() {
    std::error_code ignored;
    fs::remove_all(state, ignored);
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  KvOptions options() const {
    KvOptions o;
    o.dir = store_dir(state);
    o.spaces = kCloudSpaces;
    return o;
  }
  Ran verify() const {
    Ran ran;
    const std::string line = std::string(EGRET_CLOUD) + " verify --state-dir " + state.string() + " 2>&1";
    FILE* out = ::popen(line.c_str(), "r");
    REQUIRE(out != nullptr);
    char part[4096];
    while (size_t n = std::fread(part, 1, sizeof part, out)) ran.text.append(part, n);
    const int status = ::pclose(out);
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
  }
  Bytes block_at(uint64_t first) const { return numbered_key(kFac, w.key, {first}); }
};

// The store as RocksDB alone sees it.
class Raw {
 public:
  explicit Raw(const Region& region) {
    const std::string dir = store_dir(region.state).string();
    std::vector<std::string> names;
    REQUIRE(rocksdb::DB::ListColumnFamilies({}, dir, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    rocksdb::DB* db = nullptr;
    REQUIRE(rocksdb::DB::Open({}, dir, families, &handles_, &db).ok());
    db_.reset(db);
  }
  ~Raw() {
    for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  Bytes get(Space space, const Bytes& key) {
    Bytes value;
    REQUIRE(db_->Get({}, at(space), key, &value).ok());
    return value;
  }
  void put(Space space, const Bytes& key, const Bytes& value) {
    REQUIRE(db_->Put({}, at(space), key, value).ok());
  }
  void erase(Space space, const Bytes& key) {
    get(space, key);
    REQUIRE(db_->Delete({}, at(space), key).ok());
  }
  void flush() { REQUIRE(db_->Flush({}, handles_).ok()); }
  void edit(const Bytes& key, const std::function<void(std::vector<StoredEntry>&)>& change) {
    Bytes raw;
    std::vector<StoredEntry> entries = decode_block(get(kBlockSpace, key), raw).value();
    change(entries);
    BlockWriter writer(1024);
    for (const StoredEntry& entry : entries) writer.add(entry);
    put(kBlockSpace, key, writer.finish());
  }
  void set_w(const Region& region, uint64_t to) {
    const Bytes key = ledger_key(kFac, region.w.key);
    LedgerRow row = decode_ledger(get(kMetaSpace, key)).value();
    row.w = {to};
    put(kMetaSpace, key, encode(row));
  }

 private:
  rocksdb::ColumnFamilyHandle* at(Space space) {
    const std::string name = space == 0 ? rocksdb::kDefaultColumnFamilyName : std::to_string(space);
    for (auto* handle : handles_) {
      if (handle->GetName() == name) return handle;
    }
    FAIL("the store has no space " << int(space));
    return nullptr;
  }
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

Ran after(const std::function<void(Region&, Raw&)>& deed) {
  Region region;
  {
    Raw raw(region);
    deed(region, raw);
  }
  return region.verify();
}

// Exit 1, and a line that names facility, lane and numbers.
bool names(const Ran& ran, const std::string& numbers) {
  UNSCOPED_INFO(ran.text);
  return ran.code == 1 && ran.text.find(kFac) != std::string::npos &&
         ran.text.find("telemetry") != std::string::npos && ran.text.find(numbers) != std::string::npos;
}

void flip(const fs::path& file, uint64_t at) {
  std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
  f.seekg(static_cast<std::streamoff>(at));
  const char c = static_cast<char>(f.get() ^ 0x10);
  f.seekp(static_cast<std::streamoff>(at));
  f.put(c);
}

}  // namespace

TEST_CASE("a store that went through RocksDB's hands unchanged is all true", "[verify]") {
  const Ran ran = after([](Region&, Raw&) {});
  INFO(ran.text);
  CHECK(ran.code == 0);
  CHECK(ran.text.find("all true") != std::string::npos);
}

TEST_CASE("verify exits 1 and names the place of what was done through RocksDB's own API", "[verify]") {
  CHECK(names(after([](Region& r, Raw& raw) {
          const Bytes other = record_of(99);
          raw.edit(r.block_at(3), [&](auto& entries) { entries[1].record = other; });
        }), "4"));
  CHECK(names(after([](Region& r, Raw& raw) { raw.edit(r.block_at(3), [](auto& entries) { entries.pop_back(); }); }),
              "4"));
  CHECK(names(after([](Region& r, Raw& raw) {
          raw.edit(r.block_at(1), [](auto& entries) { std::swap(entries[0], entries[1]); });
        }), "1"));
  CHECK(names(after([](Region& r, Raw& raw) { raw.erase(kMetaSpace, gap_key(kFac, r.w.key, {7})); }), "5"));
  CHECK(names(after([](Region& r, Raw& raw) { raw.set_w(r, 4); }), "5"));
  CHECK(names(after([](Region& r, Raw& raw) { raw.set_w(r, 9); }), "9"));
}

TEST_CASE("a changed byte of a file is found wherever it stands, or changes nothing", "[verify]") {
  Region region;
  const std::string clean = region.verify().text;
  {
    Raw raw(region);
    raw.flush();
  }
  REQUIRE(region.verify().text == clean);
  const fs::path kept = region.state.string() + ".kept";
  fs::copy(store_dir(region.state), kept);
  size_t tables = 0, found = 0, tried = 0;
  for (const auto& entry : fs::directory_iterator(kept)) {
    const std::string name = entry.path().filename().string();
    const bool table = entry.path().extension() == ".sst";
    if (!table && !name.starts_with("MANIFEST") && name != "CURRENT") continue;
    tables += table;
    const uint64_t size = fs::file_size(entry.path());
    for (uint64_t at = 0; at < size; at += 1 + size / 16) {
      fs::copy_file(entry.path(), store_dir(region.state) / name, fs::copy_options::overwrite_existing);
      flip(store_dir(region.state) / name, at);
      const Ran ran = region.verify();
      INFO(name << " byte " << at << " of " << size << ": exit " << ran.code << "\n" << ran.text);
      tried++;
      found += ran.code == 1;
      // What no checksum covers (a table's properties, for one) may be changed and unseen, if it says nothing.
      CHECK((ran.code == 1 || (ran.code == 0 && ran.text == clean)));
      const bool place = ran.text.find("epoch ") != std::string::npos || ran.text.find(name) != std::string::npos ||
                         ran.text.find(store_dir(region.state).string()) != std::string::npos;
      if (ran.code == 1) CHECK(place);
    }
    fs::copy_file(entry.path(), store_dir(region.state) / name, fs::copy_options::overwrite_existing);
  }
  fs::remove_all(kept);
  CAPTURE(tables, tried, found);
  CHECK(tables >= 4);
  CHECK(found * 10 >= tried * 9);
  std::printf("%zu bytes changed, %zu found, the others say nothing that verify reads\n", tried, found);
}
