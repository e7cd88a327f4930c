// SiteNames: what people call a site, and the district that it is in: said by an operator, in any language, beside its registration.
// Promises: a text that is kept is UTF-8, short, and looks like what it is: no control character, no mark that turns the direction of
// what is beside it, nothing invisible at its ends. It decides nothing: a site is known by its facility alone.
// Leaves to others: where it is kept (tables.h), escaping it where it is shown (json_text, the dashboard).
#pragma once

#include <string>

#include "schemas/error.h"

namespace egret::cloud {

inline constexpr size_t kDistrictBytesMax = 96;
inline constexpr size_t kSiteNameBytesMax = 192;

// Empty is fine: nobody says any. Errors: bad_input, which names the option and the limit.
Result<void> check_district(const std::string& text);
Result<void> check_site_name(const std::string& text);

}  // namespace egret::cloud
