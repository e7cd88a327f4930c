#include "cloud/site_names.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string_view>

#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

using namespace std::string_view_literals;

// Three bytes each in UTF-8: marks of direction, of no width, line and paragraph separator, byte order mark.
constexpr std::string_view kDeceiving[] = {"\xE2\x80\x8B"sv, "\xE2\x80\x8C"sv, "\xE2\x80\x8D"sv, "\xE2\x80\x8E"sv, "\xE2\x80\x8F"sv, "\xE2\x80\xA8"sv, "\xE2\x80\xA9"sv,
                                           "\xE2\x80\xAA"sv, "\xE2\x80\xAB"sv, "\xE2\x80\xAC"sv, "\xE2\x80\xAD"sv, "\xE2\x80\xAE"sv, "\xE2\x81\xA6"sv, "\xE2\x81\xA7"sv,
                                           "\xE2\x81\xA8"sv, "\xE2\x81\xA9"sv, "\xEF\xBB\xBF"sv};

// U+0080 to U+009F, which a terminal may obey.
bool has_c1_control(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); i++) {
    if (text[i] == '\xC2' && static_cast<uint8_t>(text[i + 1]) < 0xA0) return true;
  }
  return false;
}

Result<void> check(const char* option, const std::string& text, size_t most) {
  if (text.size() > most) return Error{Errc::bad_input, fmt::format("{}: {} bytes, at most {}", option, text.size(), most)};
  const bool deceives = std::ranges::any_of(kDeceiving, [&](std::string_view mark) { return text.find(mark) != text.npos; });
  if (!is_plain_text(text, false) || has_c1_control(text) || deceives) return Error{Errc::bad_input, fmt::format("{}: UTF-8 without control characters or marks of direction", option)};
  if (text.starts_with(' ') || text.ends_with(' ')) return Error{Errc::bad_input, fmt::format("{}: no space at its ends", option)};
  return {};
}

}  // namespace

Result<void> check_district(const std::string& text) { return check("--district", text, kDistrictBytesMax); }
Result<void> check_site_name(const std::string& text) { return check("--name", text, kSiteNameBytesMax); }

}  // namespace egret::cloud
