#include "schemas/kv_list.h"

#include <rocksdb/env.h>

#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "schemas/kv_log.h"
#include "tests/unit/schemas/kv_dir.h"

using namespace egret;
using namespace egret::test;

namespace {

fs::path list_of(const fs::path& dir) {
  Bytes name = read(dir / "CURRENT");
  name.pop_back();
  return dir / name;
}

// A store whose list of files has got one more edit, of a flush: as it was just before (`before`
// bytes of list, all logs), and as it is once the edit was synced (the log that the flush has made
// needless is gone).
struct Flushed {
  TempDir dir;
  fs::path live = dir.path / "live", unsynced = dir.path / "unsynced", copy = dir.path / "copy";
  std::vector<Bytes> written;
  std::unique_ptr<Kv> kv;
  size_t before = 0;
  Bytes list;

  Flushed() {
    KvOptions o = options_in(live);
    o.memtable_bytes = 64 << 10;
    kv = opened(o);
    before = fs::file_size(list_of(live));
    // A link, for the flush deletes the log whenever it likes.
    const fs::path log = log_of(live);
    fs::create_directory(unsynced);
    fs::create_hard_link(log, unsynced / log.filename());
    // An edit holds the first and the last key of its table: with these it lies in three sectors. A
    // write goes to a new log when the one before was one too many, and the flush begins.
    while (log_of(live) == log) {
      written.push_back(Bytes(500, 'k') + std::to_string(100'000 + written.size()));
      put(*kv, 0, written.back(), Bytes(4'000, 'v'));
      REQUIRE(written.size() < 200);
    }
    for (int i = 0; i < 500 && fs::exists(log); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE_FALSE(fs::exists(log));
    list = read(list_of(live));
    REQUIRE(list.size() > before + 1'000);
  }
  // What is in `copy` when the power goes before the list is synced, or after; with `bytes` for the
  // list.
  void as_unsynced(const Bytes& bytes) {
    keep(live, copy);
    const fs::path log = log_of(unsynced);
    fs::copy_file(log, copy / log.filename());
    rewrite(list_of(copy), bytes);
  }
  void as_synced(const Bytes& bytes) {
    keep(live, copy);
    rewrite(list_of(copy), bytes);
  }
  std::vector<Bytes> found() { return keys(*opened(options_in(copy)), 0, "", "z"); }

 private:
  static void keep(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::create_directory(to);
    for (const auto& file : fs::directory_iterator(from)) {
      if (file.path().filename() != "LOCK") fs::copy_file(file, to / file.path().filename());
    }
  }
  // The newest.
  static fs::path log_of(const fs::path& dir) {
    fs::path newest;
    for (const auto& file : fs::directory_iterator(dir)) {
      if (file.path().extension() == ".log") newest = std::max(newest, file.path());
    }
    return newest;
  }
};

// A sector, or the part of it that was not synced.
Bytes without_sector(Bytes bytes, size_t first, size_t sector) {
  const size_t at = std::max(first, sector * 512), end = std::min(bytes.size(), (sector + 1) * 512);
  return bytes.replace(at, end - at, end - at, '\0');
}

}  // namespace

TEST_CASE(
    "whichever sectors of an unsynced edit a power cut takes, the store opens and has all that was "
    "written") {
  Flushed flushed;
  const size_t first = flushed.before / 512, last = (flushed.list.size() - 1) / 512;
  REQUIRE(last >= first + 2);
  for (uint64_t some = 0; some < uint64_t{1} << (last - first + 1); ++some) {
    CAPTURE(some);
    Bytes torn = flushed.list;
    for (size_t sector = first; sector <= last; ++sector) {
      if (some >> (sector - first) & 1) torn = without_sector(torn, flushed.before, sector);
    }
    CHECK(list_until_torn(torn) == (some == 0 ? torn.size() : flushed.before));
    flushed.as_unsynced(torn);
    CHECK((flushed.found() == flushed.written));
    torn.resize(torn.size() - 3);  // and its length
    flushed.as_unsynced(torn);
    CHECK((flushed.found() == flushed.written));
  }
}

TEST_CASE("an edit that was synced is never cut off for a flipped bit: the store is refused") {
  Flushed flushed;
  std::set<size_t> lengths;  // RocksDB takes a longer one for a list that ends early
  for (size_t at = flushed.before; at < flushed.list.size();
       at += kFragmentHeaderBytes + fragment_at(flushed.list, at)->payload.size())
    lengths.insert({at + 4, at + 5});
  for (size_t at = flushed.before; at < flushed.list.size(); ++at) {
    CAPTURE(at - flushed.before);
    Bytes flipped = flushed.list;
    flipped[at] = char(flipped[at] ^ (1 << at % 8));
    CHECK(list_until_torn(flipped) == flipped.size());
    if (lengths.contains(at) || at % 37 != 0) continue;
    flushed.as_synced(flipped);
    CHECK(refusal(options_in(flushed.copy)) == Errc::corrupt);
    CHECK(read(list_of(flushed.copy)) == flipped);
  }
}

TEST_CASE("edits that follow a torn one were written under the same sync when they are few") {
  Flushed flushed;
  const auto edit = fragment_at(flushed.list, flushed.before);
  REQUIRE(edit);
  Bytes more = flushed.list.substr(0, flushed.before);
  append_log_record(more, edit->payload);
  more = without_sector(more, flushed.before, flushed.before / 512 + 1);
  for (int edits = 2; edits <= 10; ++edits) {
    CAPTURE(edits);
    append_log_record(more, edit->payload);
    CHECK(list_until_torn(more) == (edits <= 8 ? flushed.before : more.size()));
  }
}

TEST_CASE("a list that another process is writing is left alone") {
  TempDir dir;
  auto owner = opened(options_in(dir.path));
  const Bytes torn = read(list_of(dir.path)) + Bytes(600, '\0');
  rewrite(list_of(dir.path), torn);
  CHECK(list_until_torn(torn) < torn.size());
  CHECK(refusal(options_in(dir.path)) == Errc::locked);
  CHECK(read(list_of(dir.path)) == torn);
}
