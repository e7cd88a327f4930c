// Cursor: how far somebody has read of an ordered feed: changes, or alerts.
// Promises: it names the store's gen, so one of before a restore is told from one of now; what it names never moves.
// Leaves to others: what the numbers are (feed.h, alerts.h).
//
// As text: gen, number and index as hex, decimal, decimal: 9f3c…-1207-3. The index is the next one inside a block; 0: all of
// the number is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace egret::cloud {

struct Cursor {
  uint64_t gen = 0;
  uint64_t number = 0;
  uint32_t index = 0;
  auto operator<=>(const Cursor&) const = default;
};
std::string text_of(const Cursor& cursor);
// nullopt: it is none.
std::optional<Cursor> cursor_of(std::string_view text);

}  // namespace egret::cloud
