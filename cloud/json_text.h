// JsonText: strings as JSON, for the few answers that are written by hand.
// Promises: valid JSON for any bytes; what is not UTF-8 becomes U+FFFD.
// Leaves to others: numbers and structure (fmt).
#pragma once

#include <string>
#include <string_view>

#include "schemas/types.h"

namespace egret::cloud {

// With its quotes.
std::string json_string(std::string_view text);
// RFC 3339 in UTC with milliseconds, quoted; null when it never was.
std::string json_time(WallTime at);

}  // namespace egret::cloud
