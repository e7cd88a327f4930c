// Decoded: all rows of a range of keys, read one after the other.
// Promises: the first row that cannot be read ends it, and is the answer. Leaves to others: what a row is (tables.h,
// view_tables.h), ranges too long to hold (scan).
#pragma once

#include <vector>

#include "schemas/kv.h"

namespace egret::cloud {

// `rows` is anything with a scan like Kv's; `decode` makes a Result<Row> of a key and its value.
template <class Rows, class Decode>
auto decoded(const Rows& rows, Space space, const Bytes& first, const Bytes& end, const Decode& decode, size_t most = SIZE_MAX) {
  using Row = typename decltype(decode(ByteView(), ByteView()))::value_type;
  using All = Result<std::vector<Row>>;
  std::vector<Row> out;
  std::optional<Error> damaged;
  auto scanned = rows.scan(space, first, end, [&](ByteView key, ByteView value) {
    auto row = decode(key, value);
    if (!row) {
      damaged = std::move(row).error();
      return false;
    }
    out.push_back(std::move(*row));
    return out.size() < most;
  });
  if (!scanned) return All(std::move(scanned).error());
  if (damaged) return All(std::move(*damaged));
  return All(std::move(out));
}

}  // namespace egret::cloud
