#include "schemas/kv.h"

#include <catch2/catch.hpp>

using namespace egret;

TEST_CASE("integers in keys sort as numbers and read back") {
  Bytes small, large;
  put_u64(small, 255);
  put_u64(large, 256);
  CHECK(small < large);
  CHECK(get_u64(small, 0) == 255);
  Bytes key = "k";
  put_u32(key, 0xdeadbeef);
  CHECK(key == ByteView("k\xde\xad\xbe\xef", 5));
  CHECK(get_u32(key, 1) == 0xdeadbeef);
}

TEST_CASE("reading an integer past the end of a key gives 0") {
  const Bytes key = "\x01\x02\x03\x04\x05";
  CHECK(get_u32(key, 1) == 0x02030405);
  CHECK(get_u32(key, 2) == 0);
  CHECK(get_u32(key, size_t(-1)) == 0);
  CHECK(get_u64(key, 0) == 0);
  CHECK(get_u32("", 0) == 0);
}

TEST_CASE("a batch keeps its operations in order and knows its size") {
  KvBatch batch;
  CHECK(batch.empty());
  batch.put(0, "key", "value");
  batch.erase(1, "k");
  batch.erase_range(2, "a", "bb");
  REQUIRE(batch.ops().size() == 3);
  CHECK(batch.bytes() == 8 + 1 + 3);
  CHECK(batch.ops()[0].what == KvOp::What::put);
  CHECK(batch.ops()[1].space == 1);
  CHECK(batch.ops()[2].key == "a");
  CHECK(batch.ops()[2].value == "bb");
  batch.clear();
  CHECK(batch.empty());
  CHECK(batch.bytes() == 0);
}
