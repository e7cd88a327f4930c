// A store in a directory of its own, for tests: opened, filled, copied as a crash would leave it.
// Promises: the directory is gone with the object; a refusal's text is shown by the test that met
// it.
// Leaves to others: what is tested.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "schemas/kv_rocksdb.h"

namespace egret::test {

namespace fs = std::filesystem;

struct TempDir {
  fs::path path;
  TempDir() {
    std::string name = (fs::temp_directory_path() / "egret-kv-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TempDir() { fs::remove_all(path); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
};

inline Bytes read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void rewrite(const fs::path& file, const Bytes& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

inline KvOptions options_in(const fs::path& dir, Space spaces = 3) {
  KvOptions o;
  o.dir = dir;
  o.spaces = spaces;
  o.lookup_spaces = {1};
  return o;
}

inline std::unique_ptr<Kv> opened(const KvOptions& o) {
  auto kv = open_rocksdb(o);
  if (!kv) FAIL(kv.error().text);
  return std::move(*kv);
}

inline Errc refusal(const KvOptions& o) {
  auto kv = open_rocksdb(o);
  REQUIRE(kv.has_error());
  INFO(kv.error().text);
  return kv.error().code;
}

inline void put(Kv& kv, Space space, Bytes key, Bytes value, bool sync = true) {
  KvBatch batch;
  batch.put(space, std::move(key), std::move(value));
  const auto written = kv.write(batch, sync);
  if (!written) FAIL(written.error().text);
}

inline std::vector<Bytes> keys(const Kv& kv, Space space, ByteView first, ByteView end,
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

}  // namespace egret::test
