// The disk that forgets must really forget, or the tests over it prove nothing.
#include "tests/storage/power_cut_fs.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/sim/seeded_entropy.h"
#include "tests/unit/schemas/kv_dir.h"

using namespace egret;
using namespace egret::test;
using Kept = PowerCutFs::Kept;

namespace {

struct Disk {
  TempDir dir;
  PowerCutFs fs{dir.path / "attic"};
  SeededEntropy entropy{1};
  rocksdb::FileOptions options;
  Disk() { std::filesystem::create_directories(dir.path / "d"); }

  std::string at(const char* name) const { return (dir.path / "d" / name).string(); }
  void write(const char* name, const std::string& synced, const std::string& after) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    REQUIRE(fs.NewWritableFile(at(name), options, &file, nullptr).ok());
    REQUIRE(file->Append(synced, {}, nullptr).ok());
    REQUIRE(file->Sync({}, nullptr).ok());
    REQUIRE(file->Append(after, {}, nullptr).ok());
    REQUIRE(file->Close({}, nullptr).ok());
  }
  void sync_names() {
    std::unique_ptr<rocksdb::FSDirectory> d;
    REQUIRE(fs.NewDirectory((dir.path / "d").string(), {}, &d, nullptr).ok());
    REQUIRE(d->Fsync({}, nullptr).ok());
  }
  std::string content(const char* name) const {
    std::ifstream in(at(name), std::ios::binary);
    return in ? std::string(std::istreambuf_iterator<char>(in), {}) : "(none)";
  }
};

}  // namespace

TEST_CASE("bytes that were not synced are gone, and names that were not synced", "[power]") {
  Disk disk;
  disk.write("kept", "synced", "loose");
  disk.sync_names();
  disk.write("new", "synced", "");
  disk.fs.power_back(Kept::nothing, disk.entropy);
  CHECK(disk.content("kept") == "synced");
  CHECK(disk.content("new") == "(none)");
}

TEST_CASE("renames and deletions that were not synced are undone, in whatever order they came",
          "[power]") {
  Disk disk;
  disk.write("current", "one", "");
  disk.write("other", "other", "");
  disk.sync_names();
  disk.write("next", "two", "");
  REQUIRE(disk.fs.RenameFile(disk.at("next"), disk.at("current"), {}, nullptr).ok());
  REQUIRE(disk.fs.DeleteFile(disk.at("other"), {}, nullptr).ok());
  disk.write("other", "again", "");
  REQUIRE(disk.fs.DeleteFile(disk.at("current"), {}, nullptr).ok());
  CHECK(disk.content("current") == "(none)");
  disk.fs.power_back(Kept::nothing, disk.entropy);
  CHECK(disk.content("current") == "one");
  CHECK(disk.content("other") == "other");
  CHECK(disk.content("next") == "(none)");
}

TEST_CASE("a rename that was synced stays", "[power]") {
  Disk disk;
  disk.write("current", "one", "");
  disk.write("next", "two", "loose");
  REQUIRE(disk.fs.RenameFile(disk.at("next"), disk.at("current"), {}, nullptr).ok());
  disk.sync_names();
  disk.fs.power_back(Kept::nothing, disk.entropy);
  CHECK(disk.content("current") == "two");
  CHECK(disk.content("next") == "(none)");
  CHECK(std::filesystem::is_empty(disk.dir.path / "attic"));
}

TEST_CASE("after the cut nothing changes the disk any more", "[power]") {
  Disk disk;
  disk.write("a", "one", "");
  disk.sync_names();
  disk.fs.cut_at(2);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  REQUIRE(disk.fs.NewWritableFile(disk.at("b"), disk.options, &file, nullptr).ok());
  CHECK_FALSE(file->Append("x", {}, nullptr).ok());
  CHECK_FALSE(file->Sync({}, nullptr).ok());
  CHECK_FALSE(disk.fs.DeleteFile(disk.at("a"), {}, nullptr).ok());
  CHECK_FALSE(disk.fs.RenameFile(disk.at("a"), disk.at("c"), {}, nullptr).ok());
  CHECK(disk.fs.off());
  disk.fs.power_back(Kept::nothing, disk.entropy);
  CHECK_FALSE(disk.fs.off());
  CHECK(disk.content("a") == "one");
  CHECK(disk.content("b") == "(none)");
}

TEST_CASE("what may survive a cut is never less than what was synced", "[power]") {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    disk.entropy = SeededEntropy(seed);
    disk.write("f", std::string(1000, 's'), std::string(3000, 'l'));
    disk.sync_names();
    disk.fs.power_back(seed % 2 ? Kept::torn : Kept::prefix, disk.entropy);
    const std::string left = disk.content("f");
    REQUIRE(left.size() >= 1000);
    REQUIRE(left.size() <= 4000);
    CHECK(left.substr(0, 1000) == std::string(1000, 's'));
  }
}
