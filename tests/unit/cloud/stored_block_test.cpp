#include "cloud/stored_block.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace egret;
using namespace egret::cloud;

namespace {

// Some hundred bytes each, and one record that is larger than a page.
std::vector<Bytes> records(size_t count) {
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i) out.push_back("record " + std::to_string(i) + Bytes(i == 20 ? 20'000 : 600, static_cast<char>('a' + i % 26)));
  return out;
}

Bytes block_of(const std::vector<Bytes>& records) {
  BlockWriter writer(1024);
  for (const Bytes& record : records) writer.add({EntryKind::applied, record, {}, {}, {}});
  return writer.finish();
}

}  // namespace

TEST_CASE("stored block: all records, and each alone, are what was written") {
  for (const size_t count : {1, 2, 14, 100, 1000}) {
    const auto wanted = records(count);
    const Bytes value = block_of(wanted);
    Bytes raw;
    const auto all = decode_block(value, raw).value();
    auto pages = BlockPages::open(value).value();
    REQUIRE(all.size() == count);
    REQUIRE(pages.records() == count);
    for (size_t i = count; i-- > 0;) {
      CHECK(all[i].record == wanted[i]);
      CHECK(pages.at(i).value().record == wanted[i]);
    }
  }
}

TEST_CASE("stored block: one without records is a block") {
  Bytes raw;
  const Bytes value = BlockWriter(0).finish();
  CHECK(decode_block(value, raw).value().empty());
  CHECK(BlockPages::open(value).value().records() == 0);
}

TEST_CASE("stored block: what points into a block stays good when it is moved") {
  const auto wanted = records(100);
  auto pages = BlockPages::open(block_of(wanted)).value();
  const StoredEntry entry = pages.at(3).value();
  const BlockPages moved = std::move(pages);
  CHECK(entry.record == wanted[3]);
}

TEST_CASE("stored block: of a damaged page the others can be read") {
  const auto wanted = records(100);
  Bytes value = block_of(wanted);
  value.back() ^= 1;
  auto pages = BlockPages::open(value).value();
  CHECK(pages.at(0).value().record == wanted[0]);
  Bytes raw;
  // Or, when what it decodes to is damaged and not its form, it decodes to something else: leaves say so.
  const auto last = pages.at(99);
  const auto all = decode_block(value, raw);
  CHECK((!last || last->record != wanted[99]));
  CHECK(all.has_value() == last.has_value());
}

TEST_CASE("stored block: heads that lie are refused before anything is allocated") {
  const Bytes value = block_of(records(100));
  Bytes raw;
  const auto refused = [&](const Bytes& with, Errc code) {
    CHECK(decode_block(with, raw).error().code == code);
    CHECK(BlockPages::open(with).error().code == code);
  };
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4}, size_t{20}, value.size() - 1}) refused(value.substr(0, size), Errc::corrupt);
  refused(value + "x", Errc::corrupt);
  Bytes many = value;
  many.replace(1, 4, "\xff\xff\xff\xff");  // pages
  refused(many, Errc::corrupt);
  Bytes none = value;
  none.replace(1, 4, Bytes(4, '\0'));
  refused(none, Errc::corrupt);
  Bytes large = value;
  large.replace(5 + 1 + 4, 4, "\xff\xff\xff\xff");  // the first one's raw length
  refused(large, Errc::too_large);
}
