#include "schemas/kv_rocksdb.h"

#include <rocksdb/env.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "tests/unit/schemas/kv_dir.h"

using namespace egret;
using namespace egret::test;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Bytes key_of(uint64_t n) {
  Bytes key;
  put_u64(key, n);
  return key;
}

// A file system on which writing or syncing a log can be made to fail.
class Faulty final : public rocksdb::EnvWrapper {
 public:
  enum class Fault { none, append_io, append_no_space, sync };
  std::atomic<Fault> fault = Fault::none;

  Faulty() : EnvWrapper(rocksdb::Env::Default()) {}
  const char* Name() const override { return "Faulty"; }
  rocksdb::Status NewWritableFile(const std::string& name,
                                  std::unique_ptr<rocksdb::WritableFile>* file,
                                  const rocksdb::EnvOptions& options) override {
    auto s = EnvWrapper::NewWritableFile(name, file, options);
    if (s.ok() && name.ends_with(".log")) *file = std::make_unique<Log>(std::move(*file), fault);
    return s;
  }

 private:
  class Log final : public rocksdb::WritableFileWrapper {
   public:
    Log(std::unique_ptr<rocksdb::WritableFile> file, const std::atomic<Fault>& fault)
        : WritableFileWrapper(file.get()), file_(std::move(file)), fault_(fault) {}
    rocksdb::Status Append(const rocksdb::Slice& bytes) override { return appended(bytes); }
    rocksdb::Status Append(const rocksdb::Slice& bytes,
                           const rocksdb::DataVerificationInfo&) override {
      return appended(bytes);
    }
    rocksdb::Status Sync() override { return synced(); }
    rocksdb::Status Fsync() override { return synced(); }

   private:
    rocksdb::Status appended(const rocksdb::Slice& bytes) {
      if (fault_ == Fault::append_io) return rocksdb::Status::IOError("append");
      if (fault_ == Fault::append_no_space) return rocksdb::Status::NoSpace("append");
      return file_->Append(bytes);
    }
    rocksdb::Status synced() {
      return fault_ == Fault::sync ? rocksdb::Status::IOError("fdatasync") : file_->Sync();
    }

    std::unique_ptr<rocksdb::WritableFile> file_;
    const std::atomic<Fault>& fault_;
  };
};

Errc write_refusal(Kv& kv, const char* key) {
  KvBatch batch;
  batch.put(0, key, "v");
  auto written = kv.write(batch, true);
  REQUIRE(written.has_error());
  INFO(written.error().text);
  return written.error().code;
}

}  // namespace

TEST_CASE("what was written is there after reopening, each space by itself") {
  TempDir dir;
  {
    auto kv = opened(options_in(dir.path));
    put(*kv, 0, "k", "zero");
    put(*kv, 1, "k", Bytes("\0one", 4));
    KvBatch batch;
    batch.put(2, "a", "1");
    batch.put(2, "b", "2");
    batch.erase(0, "k");
    REQUIRE(kv->write(batch, true).has_value());
  }
  auto kv = opened(options_in(dir.path));
  CHECK(*kv->get(0, "k") == std::nullopt);
  CHECK(*kv->get(1, "k") == Bytes("\0one", 4));
  CHECK(keys(*kv, 2, "", "z") == std::vector<Bytes>{"a", "b"});
}

TEST_CASE("scans keep to [first, end), in either direction, and stop when told") {
  TempDir dir;
  auto kv = opened(options_in(dir.path));
  for (const char* k : {"a", "b", "c", "d", "e"}) put(*kv, 0, k, "v");
  CHECK(keys(*kv, 0, "b", "d") == std::vector<Bytes>{"b", "c"});
  CHECK(keys(*kv, 0, "b", "d", true) == std::vector<Bytes>{"c", "b"});
  CHECK(keys(*kv, 0, "b1", "b2").empty());
  CHECK(keys(*kv, 0, "d", "b").empty());
  CHECK(keys(*kv, 0, "d", "d", true).empty());
  int seen = 0;
  REQUIRE(kv->scan(0, "a", "z", [&](ByteView, ByteView) { return ++seen < 2; }).has_value());
  CHECK(seen == 2);
}

TEST_CASE("a space for look-ups gives what any other gives: in memory, in tables and in both") {
  TempDir dir;
  std::mt19937_64 chance(11);
  std::vector<Bytes> all;
  for (int i = 0; i < 4'000; ++i) {
    Bytes key = i % 3 == 0 ? "clinic-" : "clinic-1/";
    const size_t size = i % 10 == 0 ? chance() % 20 : 32;
    while (key.size() < 9 + size) key.push_back(char(chance()));
    all.push_back(std::move(key));
  }
  auto kv = opened(options_in(dir.path));
  const Bytes last(1, '\xff');
  const auto same_in_both = [&](ByteView first, ByteView end) {
    CHECK(keys(*kv, 1, first, end) == keys(*kv, 2, first, end));
    CHECK(keys(*kv, 1, first, end, true) == keys(*kv, 2, first, end, true));
  };
  const auto same = [&] {
    same_in_both("", last);
    for (int i = 0; i < 40; ++i) {
      const Bytes& a = all[chance() % all.size()];
      const Bytes& b = all[chance() % all.size()];
      same_in_both(std::min(a, b), std::max(a, b));
      for (ByteView key : {ByteView(a), ByteView(a).substr(0, a.size() / 2)})
        CHECK(kv->get(1, key).value() == kv->get(2, key).value());
    }
  };
  for (int round = 0; round < 4; ++round) {
    KvBatch batch;
    for (int i = 0; i < 1'000; ++i) {
      const Bytes& key = all[size_t(round * 700 + i)];
      for (Space space : {1, 2}) {
        if (i % 7 == 3) {
          batch.erase(space, key);
        } else {
          batch.put(space, key, std::to_string(round * 10'000 + i));
        }
      }
    }
    REQUIRE(kv->write(batch, true).has_value());
    same();
    if (round % 2 == 0) continue;
    kv.reset();  // what was in memory is in tables, or in the log
    kv = opened(options_in(dir.path));
    same();
  }
}

TEST_CASE("a range is erased up to its end and not beyond; an inverted one erases nothing") {
  TempDir dir;
  {
    auto kv = opened(options_in(dir.path));
    for (const char* k : {"a", "b", "c", "d"}) put(*kv, 0, k, "v");
    KvBatch batch;
    batch.erase_range(0, "b", "d");
    batch.erase_range(0, "d", "a");
    batch.erase_range(0, "a", "a");
    REQUIRE(kv->write(batch, true).has_value());
    CHECK(keys(*kv, 0, "", "z") == std::vector<Bytes>{"a", "d"});
  }
  auto kv = opened(options_in(dir.path));
  CHECK(keys(*kv, 0, "", "z") == std::vector<Bytes>{"a", "d"});
}

TEST_CASE("a second opener is told that the store is locked") {
  TempDir dir;
  auto kv = opened(options_in(dir.path));
  CHECK(refusal(options_in(dir.path)) == Errc::locked);
}

TEST_CASE("a store with more spaces than known is a newer program's and is left alone") {
  TempDir dir;
  {
    put(*opened(options_in(dir.path, 3)), 2, "k", "v");
  }
  CHECK(refusal(options_in(dir.path, 2)) == Errc::newer_format);
  CHECK(*opened(options_in(dir.path, 3))->get(2, "k") == "v");
}

TEST_CASE("a store grows new spaces when a newer program opens it") {
  TempDir dir;
  {
    put(*opened(options_in(dir.path, 1)), 0, "k", "v");
  }
  auto kv = opened(options_in(dir.path, 4));
  CHECK(*kv->get(0, "k") == "v");
  put(*kv, 3, "k", "v3");
  CHECK(*kv->get(3, "k") == "v3");
}

TEST_CASE("a checkpoint holds what was written before it and nothing after") {
  TempDir dir;
  auto kv = opened(options_in(dir.path / "live"));
  put(*kv, 1, "before", "1", false);
  REQUIRE(checkpoint(*kv, dir.path / "copy").has_value());
  put(*kv, 1, "after", "1");
  auto copy = opened(options_in(dir.path / "copy"));
  CHECK(*copy->get(1, "before") == "1");
  CHECK(*copy->get(1, "after") == std::nullopt);
  CHECK(checkpoint(*kv, dir.path / "copy").has_error());
}

TEST_CASE("after a write or sync failed every later write fails until the store is opened anew") {
  using Fault = Faulty::Fault;
  const struct {
    Fault fault;
    Errc code;
  } rows[] = {{Fault::append_io, Errc::store_failed},
              {Fault::append_no_space, Errc::disk_full},
              {Fault::sync, Errc::store_failed}};
  for (const auto& row : rows) {
    CAPTURE(int(row.fault));
    TempDir dir;
    Faulty env;
    KvOptions o = options_in(dir.path);
    o.env = &env;
    {
      auto kv = opened(o);
      put(*kv, 0, "before", "v");
      env.fault = row.fault;
      CHECK(write_refusal(*kv, "lost") == row.code);
      env.fault = Fault::none;  // the disk is well again, but nobody knows what it holds
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      CHECK(write_refusal(*kv, "after") == Errc::store_failed);
      CHECK(*kv->get(0, "before") == "v");
    }
    auto kv = opened(o);
    CHECK(*kv->get(0, "before") == "v");
    CHECK(*kv->get(0, "after") == std::nullopt);
    put(*kv, 0, "anew", "v");
    CHECK(*kv->get(0, "anew") == "v");
  }
}

TEST_CASE("a table whose bytes changed is reported as corrupt by get and by scan") {
  TempDir dir;
  std::mt19937 random(1);
  Bytes value(64 << 10, '\0');
  for (char& c : value) c = char(random());
  KvOptions o = options_in(dir.path, 1);
  {
    auto kv = opened(o);
    for (uint64_t n = 0; n < 64; ++n) put(*kv, 0, key_of(n), value, false);
  }
  {
    opened(o);
  }  // recovery writes the log's content to tables
  for (const auto& file : fs::directory_iterator(dir.path)) {
    if (file.path().extension() != ".sst") continue;
    std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(std::streamoff(fs::file_size(file) / 2));
    table.write("damaged", 7);
  }
  auto kv = opened(o);
  size_t unreadable = 0;
  for (uint64_t n = 0; n < 64; ++n) {
    auto got = kv->get(0, key_of(n));
    if (got.has_error()) {
      CHECK(got.error().code == Errc::corrupt);
      ++unreadable;
    } else {
      CHECK((**got == value));
    }
  }
  CHECK(unreadable >= 1);
  CHECK(unreadable < 64);
  auto scanned = kv->scan(0, "", Bytes(9, '\xff'), [](ByteView, ByteView) { return true; });
  REQUIRE(scanned.has_error());
  CHECK(scanned.error().code == Errc::corrupt);
}

TEST_CASE("a range that was erased and reclaimed gives its disk back soon") {
  TempDir dir;
  KvOptions o = options_in(dir.path, 2);
  o.compress = false;
  auto kv = opened(o);
  Bytes value(36 << 10, '\0');
  constexpr uint64_t kBlocks = 1500;
  for (uint64_t n = 0; n < kBlocks; ++n) {
    KvBatch batch;
    batch.put(1, key_of(n), value);
    batch.put(0, key_of(n), "border");
    REQUIRE(kv->write(batch, false).has_value());
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // disk_bytes looks once a second
  CHECK(kv->disk_bytes() > kBlocks * value.size() * 9 / 10);
  // All but the last ten: a queue that was drained while a little came in.
  KvBatch batch;
  batch.erase_range(1, key_of(0), key_of(kBlocks - 10));
  REQUIRE(kv->write(batch, true).has_value());
  const auto start = Clock::now();
  kv->reclaim(1, key_of(0), key_of(kBlocks - 10));
  CHECK(seconds_since(start) < 1);
  while (kv->disk_bytes() >= 5 << 20 && seconds_since(start) < 10) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(kv->disk_bytes() < 5 << 20);
  CHECK(keys(*kv, 1, "", Bytes(9, '\xff')).size() == 10);
  CHECK(keys(*kv, 0, "", Bytes(9, '\xff')).size() == kBlocks);
}

TEST_CASE("a queue stays quick to read from its head after ten thousand purges") {
  TempDir dir;
  auto kv = opened(options_in(dir.path, 1));
  uint64_t head = 0, tail = 0;
  for (int purge = 0; purge < 10'000; ++purge) {
    KvBatch batch;
    for (int n = 0; n < 4; ++n) batch.put(0, key_of(head++), Bytes(500, 'v'));
    if (purge >= 100) {
      batch.erase_range(0, key_of(tail), key_of(tail + 4));
      tail += 4;
    }
    REQUIRE(kv->write(batch, false).has_value());
  }
  const auto start = Clock::now();
  for (int i = 0; i < 10; ++i) {
    uint64_t first = 0;
    REQUIRE(kv->scan(0, key_of(0), key_of(head), [&](ByteView key, ByteView) {
                first = get_u64(key, 0);
                return false;
              }).has_value());
    CHECK(first == tail);
  }
  CHECK(seconds_since(start) < 1);  // about 0.01 s; without range tombstones that skip, minutes
}

TEST_CASE("disk_bytes counts what was written since it last looked at the directory") {
  TempDir dir;
  auto kv = opened(options_in(dir.path, 1));
  const uint64_t before = kv->disk_bytes();
  for (uint64_t n = 0; n < 100; ++n) put(*kv, 0, key_of(n), Bytes(10'000, 'v'), false);
  CHECK(kv->disk_bytes() >= before + 1'000'000);
}

TEST_CASE("closing does not wait for ranges that are still being worked off") {
  TempDir dir;
  KvOptions o = options_in(dir.path, 1);
  {
    auto kv = opened(o);
    for (uint64_t n = 0; n < 500; ++n) put(*kv, 0, key_of(n), Bytes(36 << 10, 'v'), false);
    KvBatch batch;
    batch.erase_range(0, key_of(0), key_of(499));
    REQUIRE(kv->write(batch, true).has_value());
    kv->reclaim(0, key_of(0), key_of(499));
  }
  CHECK(keys(*opened(o), 0, "", Bytes(9, '\xff')) == std::vector<Bytes>{key_of(499)});
}

TEST_CASE("a reader beside the owner sees what was written, writes nothing and leaves no file") {
  TempDir dir;
  KvOptions o = options_in(dir.path);
  auto owner = opened(o);
  put(*owner, 1, "k", "v");
  const auto files = [&] {
    std::vector<fs::path> out;
    for (const auto& file : fs::directory_iterator(dir.path)) out.push_back(file.path());
    std::sort(out.begin(), out.end());
    return out;
  };
  const auto before = files();
  o.read_only = true;
  {
    auto reader = opened(o);
    CHECK(*reader->get(1, "k") == "v");
    CHECK(write_refusal(*reader, "mine") == Errc::store_failed);
    put(*owner, 1, "later", "v");
    CHECK(*reader->get(1, "later") == std::nullopt);
  }
  CHECK(files() == before);
  CHECK(*opened(o)->get(1, "later") == "v");
  put(*owner, 1, "still", "writing");

  TempDir nothing;
  o.dir = nothing.path / "not there";
  CHECK(refusal(o) == Errc::store_failed);
  CHECK_FALSE(fs::exists(o.dir));
}

TEST_CASE("a store in a folder that is not there is no damaged store, and makes none") {
  TempDir dir;
  KvOptions o = options_in(dir.path);
  o.dir = dir.path / "not mounted" / "store";
  const auto tried = open_rocksdb(o);
  REQUIRE(tried.has_error());
  CHECK(tried.error().code == Errc::store_failed);
  CHECK(tried.error().text.find("not mounted") != std::string::npos);
  CHECK(std::filesystem::is_empty(dir.path));
}

TEST_CASE("a snapshot stays as it is while its store goes on, and knows when it is old") {
  TempDir dir;
  const auto kv = open_rocksdb(options_in(dir.path)).value();
  KvBatch batch;
  batch.put(0, "a", "1");
  batch.put(1, "b", "1");
  REQUIRE(kv->write(batch, true).has_value());
  const auto seen = snapshot_of(*kv);
  REQUIRE(seen != nullptr);
  CHECK(seen->current());
  batch.clear();
  batch.put(0, "a", "2");
  batch.put(0, "c", "2");
  batch.erase(1, "b");
  REQUIRE(kv->write(batch, false).has_value());
  CHECK_FALSE(seen->current());
  CHECK(seen->get(0, "a").value() == Bytes("1"));
  CHECK(seen->get(0, "c").value() == std::nullopt);
  CHECK(keys(*seen, 0, "a", "z") == std::vector<Bytes>{"a"});
  CHECK(keys(*seen, 1, "a", "z", true) == std::vector<Bytes>{"b"});
  CHECK(seen->write(batch, false).error().code == Errc::store_failed);
  CHECK(snapshot_of(*kv)->get(0, "a").value() == Bytes("2"));
  CHECK(snapshot_of(*kv)->current());
}

TEST_CASE("looking back in a snapshot again and again keeps to the bounds of each look, one inside another and on any thread") {
  TempDir dir;
  const auto kv = opened(options_in(dir.path));
  for (uint64_t n = 0; n < 50; ++n) put(*kv, 1, key_of(n), "v");
  const auto seen = snapshot_of(*kv);
  const auto look = [&](uint64_t first, uint64_t end, size_t most) {
    std::vector<Bytes> out;
    REQUIRE(seen->scan_back(1, key_of(first), key_of(end), [&](ByteView key, ByteView) {
      out.emplace_back(key);
      return out.size() < most;
    }).has_value());
    return out;
  };
  CHECK(look(3, 9, 1) == std::vector<Bytes>{key_of(8)});
  CHECK(look(3, 6, 99) == std::vector<Bytes>{key_of(5), key_of(4), key_of(3)});
  CHECK(look(48, 60, 99) == std::vector<Bytes>{key_of(49), key_of(48)});
  CHECK(look(50, 60, 99).empty());
  CHECK(look(7, 7, 99).empty());
  CHECK(look(0, 1, 99) == std::vector<Bytes>{key_of(0)});
  std::vector<Bytes> outer;
  REQUIRE(seen->scan_back(1, key_of(10), key_of(13), [&](ByteView key, ByteView) {
    outer.emplace_back(key);
    CHECK(look(20, 30, 1) == std::vector<Bytes>{key_of(29)});
    return true;
  }).has_value());
  CHECK(outer == std::vector<Bytes>{key_of(12), key_of(11), key_of(10)});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        Bytes got;
        const auto scanned = seen->scan_back(1, key_of(t), key_of(t + 10), [&](ByteView key, ByteView) { return got = Bytes(key), false; });
        wrong += !scanned || got != key_of(t + 9);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a snapshot shows what was there, whatever is written or closed after it") {
  TempDir dir;
  const KvOptions o = options_in(dir.path);
  auto kv = opened(o);
  for (uint64_t n = 0; n < 4; ++n) put(*kv, 1, key_of(n), "before");
  put(*kv, 0, "k", "before");
  auto then = snapshot_of(*kv);
  put(*kv, 0, "k", "after");
  put(*kv, 1, key_of(9), "after");
  KvBatch batch;
  batch.erase(1, key_of(0));
  batch.erase_range(1, key_of(1), key_of(3));
  REQUIRE(kv->write(batch, true).has_value());
  for (const bool closed : {false, true}) {
    INFO(closed);
    CHECK(*then->get(0, "k") == "before");
    CHECK(*then->get(1, key_of(1)) == "before");
    CHECK(*then->get(1, key_of(9)) == std::nullopt);
    CHECK(keys(*then, 1, "", Bytes(9, '\xff')) ==
          std::vector<Bytes>{key_of(0), key_of(1), key_of(2), key_of(3)});
    CHECK(write_refusal(*then, "mine") == Errc::store_failed);
    if (closed) continue;
    CHECK(keys(*kv, 1, "", Bytes(9, '\xff')) == std::vector<Bytes>{key_of(3), key_of(9)});
    kv.reset();
    // It is still read.
    CHECK(refusal(o) == Errc::locked);
  }
  then.reset();
  CHECK(*opened(o)->get(0, "k") == "after");
}
