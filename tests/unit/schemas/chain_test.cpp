#include "schemas/chain.h"

#include <catch2/catch.hpp>

#include "schemas/limits.h"

using namespace egret;

namespace {

Bytes raw_of(std::initializer_list<ByteView> records) {
  Bytes raw;
  for (ByteView r : records) append_record(raw, r);
  return raw;
}

}  // namespace

// FIPS 180-4 examples (NIST, "SHA256.pdf").
TEST_CASE("sha256 gives the published digests") {
  CHECK(hex(view(sha256("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(view(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex(view(sha256(""))) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// Computed apart, with Python's hashlib and struct, from the formulas in es1 section 2: these are
// on disks.
TEST_CASE("leaf, start and extension of a chain never change") {
  CHECK(hex(view(leaf_of("abc"))) ==
        "3da9865b43fa2ec490f78da9db16acd5638704dbce5cc7b3df2e3c7a23addf19");
  const Hash c0 = chain_start("clinic-7", {EpochId{0x0102030405060708}, StreamId::telemetry});
  CHECK(hex(view(c0)) == "5fdc18e69bd7855bc8da25cd39dcbbe795043890eaec15ddd616aa38dd19637d");
  const std::vector<Hash> leaves{leaf_of("abc"), leaf_of("")};
  const Hash c1 = chain_extend(c0, Seq{1}, 2, leaves);
  CHECK(hex(view(c1)) == "9479906efa733ff2c461ab12b4e93b75c35b8ad8c8f4a636d7bf3c2d2b4bc67b");
  CHECK(hex(view(chain_extend(c1, Seq{3}, 70000, {}))) ==
        "3917913490e16089506fe3545aa9cfe506a80338d2c2d202d48a6d7626b2c0ce");
}

TEST_CASE("records come out of raw form as they went in") {
  const Bytes longest(kRecordBytesMax, 'x');
  const Bytes raw = raw_of({"abc", "", longest});
  bool ok = false;
  const auto records = split_records(raw, ok);
  REQUIRE(ok);
  REQUIRE(records.size() == 3);
  CHECK(records[0] == "abc");
  CHECK(records[1].empty());
  CHECK(records[2] == longest);
  CHECK(leaves_of(records) == std::vector<Hash>{leaf_of("abc"), leaf_of(""), leaf_of(longest)});

  CHECK(split_records("", ok).empty());
  CHECK(ok);
}

TEST_CASE("raw form that is cut or lies about a length gives no record at all") {
  const Bytes raw = raw_of({"abc", "defgh"});
  bool ok = true;
  for (size_t n = 1; n < raw.size(); ++n) {
    if (n == kLengthPrefixBytes + 3) continue;  // a whole first record
    CAPTURE(n);
    CHECK(split_records(ByteView(raw).substr(0, n), ok).empty());
    CHECK_FALSE(ok);
  }
  for (const char* lie : {"\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x06\x00\x00\x00"}) {
    Bytes bad = raw_of({"abc"});
    bad.append(lie, 4).append("defgh");
    CHECK(split_records(bad, ok).empty());
    CHECK_FALSE(ok);
  }
}

TEST_CASE("more records than a batch may hold are refused") {
  bool ok = false;
  CHECK(split_records(Bytes(kBatchRecordsMax * kLengthPrefixBytes, '\0'), ok).size() ==
        kBatchRecordsMax);
  CHECK(ok);
  CHECK(split_records(Bytes((kBatchRecordsMax + 1) * kLengthPrefixBytes, '\0'), ok).empty());
  CHECK_FALSE(ok);
}

TEST_CASE("a chain tells apart every history") {
  const Hash c0 = chain_start("clinic-7", {EpochId{1}, StreamId::result});
  const Hash a = leaf_of("a"), b = leaf_of("b");
  const std::vector<Hash> ab{a, b}, ba{b, a}, only_a{a}, only_b{b};
  const Hash one_block = chain_extend(c0, Seq{1}, 2, ab);
  CHECK(one_block != chain_extend(c0, Seq{1}, 2, ba));  // order
  CHECK(one_block !=
        chain_extend(chain_extend(c0, Seq{1}, 1, only_a), Seq{2}, 1, only_b));  // borders
  CHECK(one_block != chain_extend(c0, Seq{2}, 2, ab));                          // place
  CHECK(chain_extend(c0, Seq{1}, 2, {}) != chain_extend(c0, Seq{1}, 3, {}));    // size of a gap
  CHECK(c0 != chain_start("clinic-7", {EpochId{2}, StreamId::result}));
  CHECK(c0 != chain_start("clinic-7", {EpochId{1}, StreamId::bulk}));
  CHECK(c0 != chain_start("clinic-8", {EpochId{1}, StreamId::result}));
}
