#include "schemas/kv_rocksdb.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

using namespace egret;
namespace fs = std::filesystem;

namespace {

struct TempDir {
  fs::path path;
  TempDir() {
    std::string name = (fs::temp_directory_path() / "egret-kv-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TempDir() { fs::remove_all(path); }
};

KvOptions options_in(const fs::path& dir, Space spaces = 3) {
  KvOptions o;
  o.dir = dir;
  o.spaces = spaces;
  o.bloom_spaces = {1};
  return o;
}

std::unique_ptr<Kv> opened(const KvOptions& o) {
  auto kv = open_rocksdb(o);
  if (!kv) FAIL(kv.error().text);
  return std::move(*kv);
}

Errc refusal(const KvOptions& o) {
  auto kv = open_rocksdb(o);
  REQUIRE(kv.has_error());
  INFO(kv.error().text);
  return kv.error().code;
}

void put(Kv& kv, Space space, Bytes key, Bytes value, bool sync = true) {
  KvBatch batch;
  batch.put(space, std::move(key), std::move(value));
  REQUIRE(kv.write(batch, sync).has_value());
}

std::vector<Bytes> keys(const Kv& kv, Space space, ByteView first, ByteView end,
                        bool back = false) {
  std::vector<Bytes> out;
  const auto visit = [&](ByteView key, ByteView) {
    out.emplace_back(key);
    return true;
  };
  const auto done =
      back ? kv.scan_back(space, first, end, visit) : kv.scan(space, first, end, visit);
  REQUIRE(done.has_value());
  return out;
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
