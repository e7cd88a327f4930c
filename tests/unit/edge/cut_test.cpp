// A batch as it is cut from blocks: how its records are encoded.
#include "edge/cut.h"

#include <catch2/catch.hpp>

#include "session_rig.h"

using namespace egret;
using namespace egret::edge;

namespace {

es1::Batch cut_with(int zstd_level) {
  BenchStore store;
  store.add(key_of(5), {Bytes(300, 'a'), Bytes(300, 'b')});
  CutOrder order;
  order.key = key_of(5);
  order.head = store.at(key_of(5)).head;
  order.c_head = store.at(key_of(5)).c_head;
  order.frame_bytes = order.raw_bytes = kFrameBytesStart;
  order.zstd_level = zstd_level;
  std::optional<Cut> cut = cut_batch(store, order);
  REQUIRE(cut);
  es1::Batch batch;
  REQUIRE(batch.ParseFromString(cut->body));
  return batch;
}

}  // namespace

TEST_CASE("level 0 sends records as they are, any other compresses them", "[cut]") {
  const es1::Batch plain = cut_with(0);
  CHECK(plain.codec() == uint32_t(CodecId::stored));
  CHECK(plain.records().find(Bytes(300, 'b')) != Bytes::npos);
  CHECK(plain.raw_len() == plain.records().size());

  const es1::Batch small = cut_with(1);
  CHECK(small.codec() == uint32_t(CodecId::zstd));
  CHECK(small.records().size() < plain.records().size());
  CHECK(small.c_last() == plain.c_last());
}
