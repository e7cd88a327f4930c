#include "cloud/cursor.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

namespace egret::cloud {

std::string text_of(const Cursor& cursor) { return fmt::format("{:016x}-{}-{}", cursor.gen, cursor.number, cursor.index); }

std::optional<Cursor> cursor_of(std::string_view text) {
  Cursor out;
  const char* const end = text.data() + text.size();
  const auto gen = std::from_chars(text.data(), end, out.gen, 16);
  if (gen.ec != std::errc{} || gen.ptr == end || *gen.ptr != '-') return std::nullopt;
  const auto number = std::from_chars(gen.ptr + 1, end, out.number);
  if (number.ec != std::errc{} || number.ptr == end || *number.ptr != '-') return std::nullopt;
  const auto index = std::from_chars(number.ptr + 1, end, out.index);
  // Only as it was written: one place has one name.
  if (index.ec != std::errc{} || index.ptr != end || text_of(out) != text) return std::nullopt;
  return out;
}

}  // namespace egret::cloud
