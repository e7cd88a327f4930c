#include "cloud/json_text.h"

#include <spdlog/fmt/fmt.h>

#include <ctime>

namespace egret::cloud {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the UTF-8 character at the front of `text`; 0: it is none.
size_t utf8_bytes(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  size_t n = byte(0) < 0x80   ? 1
             : byte(0) < 0xC2 ? 0
             : byte(0) < 0xE0 ? 2
             : byte(0) < 0xF0 ? 3
             : byte(0) < 0xF5 ? 4
                              : 0;
  if (n == 0 || n > text.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong, surrogate, or past U+10FFFF.
  if (n == 3 && ((byte(0) == 0xE0 && byte(1) < 0xA0) || (byte(0) == 0xED && byte(1) > 0x9F)))
    return 0;
  if (n == 4 && ((byte(0) == 0xF0 && byte(1) < 0x90) || (byte(0) == 0xF4 && byte(1) > 0x8F)))
    return 0;
  return n;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    size_t n = utf8_bytes(text);
    if (n == 0) {
      out += kReplacement;
      n = 1;
    } else if (text[0] == '"' || text[0] == '\\') {
      out += '\\';
      out += text[0];
    } else if (static_cast<uint8_t>(text[0]) < 0x20 || text[0] == 0x7F) {
      out += fmt::format("\\u{:04x}", static_cast<uint8_t>(text[0]));
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(n);
  }
  out += '"';
  return out;
}

std::string json_time(WallTime at) {
  if (at.us <= 0) return "null";
  time_t seconds = at.us / 1'000'000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\"", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     at.us / 1000 % 1000);
}

}  // namespace egret::cloud
