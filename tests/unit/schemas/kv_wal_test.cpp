#include "schemas/kv_wal.h"

#include <rocksdb/env.h>

#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "tests/sim/seeded_entropy.h"
#include "tests/unit/schemas/kv_dir.h"

using namespace egret;
using namespace egret::test;

namespace {

// The store as it would be found if power went now: its files, with their process still running.
void crash_copy(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::create_directory(to);
  for (const auto& file : fs::directory_iterator(from)) {
    if (file.path().filename() != "LOCK") fs::copy_file(file, to / file.path().filename());
  }
}

std::vector<fs::path> logs(const fs::path& dir) {
  std::vector<fs::path> out;
  for (const auto& file : fs::directory_iterator(dir)) {
    if (file.path().extension() == ".log") out.push_back(file);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Keys a, b, c with values of `value_bytes`; where each record ends in the log.
struct Three {
  TempDir dir;
  fs::path live = dir.path / "live", copy = dir.path / "copy";
  std::unique_ptr<Kv> kv = opened(options_in(live));
  fs::path log = logs(live).back().filename();
  std::vector<size_t> ends{size_t(fs::file_size(live / log))};

  explicit Three(size_t value_bytes = 100) {
    for (const char* key : {"a", "b", "c"}) {
      put(*kv, 0, key, Bytes(value_bytes, 'v'));
      ends.push_back(fs::file_size(live / log));
    }
    crash_copy(live, copy);
    whole = read(copy / log);
    REQUIRE(whole.size() == ends.back());
  }
  void crash_with(const Bytes& log_bytes) {
    crash_copy(live, copy);
    rewrite(copy / log, log_bytes);
  }
  std::vector<Bytes> found() { return keys(*opened(options_in(copy)), 0, "", "z"); }
  Bytes whole;
};

Bytes with_zeros(Bytes bytes, size_t at, size_t n) {
  return bytes.replace(at, n, n, '\0');
}

const std::vector<Bytes> kAll{"a", "b", "c"}, kTwo{"a", "b"};

}  // namespace

TEST_CASE("a log cut anywhere in its last record opens without that record") {
  Three three;
  CHECK(three.found() == kAll);
  for (size_t n = three.ends[2]; n < three.ends[3]; n += 13) {
    CAPTURE(n);
    three.crash_with(three.whole.substr(0, n));
    CHECK(three.found() == kTwo);
  }
}

TEST_CASE("a last record with its length but not all its sectors is a torn end too") {
  for (size_t value_bytes :
       {size_t(2'000), size_t(100'000)}) {  // within one log block, and over four
    Three three(value_bytes);
    for (size_t at = three.ends[2]; at + 512 <= three.ends[3]; at += value_bytes / 4) {
      CAPTURE(value_bytes, at);
      three.crash_with(with_zeros(three.whole, at, 512));
      CHECK(three.found() == kTwo);
    }
  }
}

TEST_CASE("damage before the last record is refused, not hidden") {
  Three three(2'000);
  for (size_t record : {0, 1}) {
    for (size_t at = three.ends[record]; at < three.ends[record + 1]; at += 293) {
      CAPTURE(record, at);
      Bytes flipped = three.whole;
      flipped[at] ^= 1;
      three.crash_with(flipped);
      CHECK(refusal(options_in(three.copy)) == Errc::corrupt);
    }
    three.crash_with(
        with_zeros(three.whole, three.ends[record], three.ends[record + 1] - three.ends[record]));
    CHECK(refusal(options_in(three.copy)) == Errc::corrupt);
  }
  CHECK(*three.kv->get(0, "c") == Bytes(2'000, 'v'));
}

TEST_CASE("an older log that lost its end while a newer one holds records is refused") {
  TempDir dir;
  KvOptions o = options_in(dir.path / "live");
  o.memtable_bytes = 64 << 10;
  auto kv = opened(o);
  put(*kv, 0, "kept in the first log", "v");
  // Space 1 fills its memtable; space 0 does not, and keeps the first log alive.
  for (int n = 0; n < 40; ++n) put(*kv, 1, "k" + std::to_string(n), Bytes(4'000, 'v'));
  crash_copy(dir.path / "live", dir.path / "copy");
  const auto all = logs(dir.path / "copy");
  REQUIRE(all.size() >= 2);
  const Bytes first = read(all[0]), last = read(all.back());
  REQUIRE(last.size() > 100);
  {
    CHECK(*opened(options_in(dir.path / "copy"))->get(0, "kept in the first log") == "v");
  }

  crash_copy(dir.path / "live", dir.path / "copy");
  rewrite(all[0], first.substr(0, first.size() - 1));
  CHECK(refusal(options_in(dir.path / "copy")) == Errc::corrupt);
  // The newest may lose its end.
  rewrite(all[0], first);
  rewrite(all.back(), last.substr(0, last.size() - 1));
  CHECK(*opened(options_in(dir.path / "copy"))->get(0, "kept in the first log") == "v");
}

TEST_CASE("after a torn end was dropped the store lives on and survives the next crash") {
  Three three;
  three.crash_with(three.whole.substr(0, three.ends[3] - 1));
  auto kv = opened(options_in(three.copy));
  put(*kv, 0, "d", "v");
  crash_copy(three.copy, three.dir.path / "second");
  CHECK(keys(*opened(options_in(three.dir.path / "second")), 0, "", "z") ==
        std::vector<Bytes>{"a", "b", "d"});
}

// RocksDB deletes a log once its writes are in tables, and syncs no deletion: a power cut may bring the log back.
TEST_CASE("a log whose torn end was dropped may come back before newer logs") {
  Three three;
  const Bytes torn = three.whole.substr(0, three.ends[3] - 1);
  three.crash_with(torn);
  REQUIRE(cut_torn_tail(*rocksdb::Env::Default(), three.copy).has_value());
  const Bytes cut = read(three.copy / three.log);
  CHECK(cut == three.whole.substr(0, three.ends[2]));
  auto kv = opened(options_in(three.copy));
  put(*kv, 0, "d", "v");
  const fs::path second = three.dir.path / "second";
  crash_copy(three.copy, second);
  REQUIRE_FALSE(fs::exists(second / three.log));
  SECTION("as it was left: the store opens") {
    rewrite(second / three.log, cut);
    CHECK(keys(*opened(options_in(second)), 0, "", "z") == std::vector<Bytes>{"a", "b", "d"});
  }
  SECTION("as it was torn: that would look like damage before newer records") {
    rewrite(second / three.log, torn);
    CHECK(refusal(options_in(second)) == Errc::corrupt);
  }
}

TEST_CASE("a log that another process is writing is left alone") {
  TempDir dir;
  auto owner = opened(options_in(dir.path));
  put(*owner, 0, "a", "v");
  const fs::path log = logs(dir.path).back();
  std::ofstream(log, std::ios::binary | std::ios::app) << "half a record";
  const Bytes before = read(log);
  CHECK(refusal(options_in(dir.path)) == Errc::locked);
  CHECK(read(log) == before);
}

TEST_CASE("salvage reads what lies before and behind the damage") {
  Three three(40'000);  // whole log blocks between the records
  Bytes flipped = three.whole;
  flipped[three.ends[1] + 50] ^= 1;  // in b
  three.crash_with(flipped);
  CHECK(refusal(options_in(three.copy)) == Errc::corrupt);
  KvOptions o = options_in(three.copy);
  o.salvage = true;
  CHECK(keys(*opened(o), 0, "", "z") == std::vector<Bytes>{"a", "c"});
}

TEST_CASE("salvage loses only the record that is damaged, not the rest of its 32 KiB") {
  const size_t value_bytes = GENERATE(size_t(100), size_t(9'000), size_t(70'000));
  Three three(value_bytes);
  KvOptions o = options_in(three.copy);
  o.salvage = true;
  for (size_t at = three.ends[1]; at < three.ends[2]; at += 1 + value_bytes / 40) {
    CAPTURE(value_bytes, at);
    Bytes flipped = three.whole;
    flipped[at] ^= 1;
    three.crash_with(flipped);
    CHECK(keys(*opened(o), 0, "", "z") == std::vector<Bytes>{"a", "c"});
    three.crash_with(with_zeros(three.whole, at, std::min<size_t>(512, three.ends[2] - at)));
    CHECK(keys(*opened(o), 0, "", "z") == std::vector<Bytes>{"a", "c"});
  }
}

TEST_CASE("what looks like a log within a damaged record is not taken for one") {
  Three inner;
  TempDir dir;
  auto kv = opened(options_in(dir.path / "live"));
  const fs::path log = logs(dir.path / "live").back().filename();
  const size_t before = fs::file_size(dir.path / "live" / log);
  put(*kv, 0, "outer", inner.whole);
  put(*kv, 0, "last", "v");
  crash_copy(dir.path / "live", dir.path / "copy");
  Bytes flipped = read(dir.path / "copy" / log);
  flipped[before + 20] ^= 1;
  rewrite(dir.path / "copy" / log, flipped);
  KvOptions o = options_in(dir.path / "copy");
  o.salvage = true;
  CHECK(keys(*opened(o), 0, "", "z") == std::vector<Bytes>{"last"});
}

TEST_CASE("the records of a whole log are found as they were written") {
  Three three(40'000);
  const std::vector<LogRecord> records = whole_records(three.whole);
  REQUIRE(records.size() == 3);
  for (size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].end == three.ends[i + 1]);
    CHECK(records[i].bytes.find(Bytes(40'000, 'v')) != Bytes::npos);
  }
}

TEST_CASE("salvage reads the tables of a store whose manifest is gone") {
  TempDir dir;
  {
    put(*opened(options_in(dir.path)), 2, "k", "v");
  }
  {
    opened(options_in(dir.path));
  }  // from the log into a table
  fs::remove(dir.path / "CURRENT");
  KvOptions o = options_in(dir.path);
  o.salvage = true;
  CHECK(*opened(o)->get(2, "k") == "v");
}

// Several tables that one compaction has made hold writes of the same times: without one_level it does not open.
TEST_CASE("salvage reads the tables of a store that was compacted") {
  TempDir dir;
  KvOptions o = options_in(dir.path);
  o.compress = false;
  o.one_level = true;
  o.memtable_bytes = 256 << 10;
  SeededEntropy entropy(1);
  std::map<Bytes, Bytes> rows;
  {
    auto kv = opened(o);
    for (int n = 0; n < 20'000; ++n) {
      Bytes key = std::to_string(entropy.below(16'000)), value(4'000, '\0');
      entropy.fill(reinterpret_cast<uint8_t*>(value.data()), value.size());
      rows[key] = value;
      put(*kv, 0, key, value, false);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // compactions come to their end
  }
  fs::remove(dir.path / "CURRENT");
  o.salvage = true;
  auto kv = opened(o);
  size_t right = 0;
  const auto look = [&](ByteView key, ByteView value) {
    right += rows.at(Bytes(key)) == value;
    return true;
  };
  REQUIRE(kv->scan(0, "", "z", look).has_value());
  CHECK(right == rows.size());
}

TEST_CASE("salvage reads a store whose first write has a table of its own") {
  TempDir dir;
  {
    put(*opened(options_in(dir.path)), 0, "founded", "v");
  }
  {
    put(*opened(options_in(dir.path)), 0, "more", "v");
  }
  fs::remove(dir.path / "CURRENT");
  KvOptions o = options_in(dir.path);
  o.salvage = true;
  CHECK(keys(*opened(o), 0, "", "z") == std::vector<Bytes>{"founded", "more"});
}
