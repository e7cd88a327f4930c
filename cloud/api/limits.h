// ApiLimits: every number of the region's API, once. Units are in the names.
// Promises: none here can be exceeded by a caller. Leaves to others: enforcing them, and the limits of es1 and of
// records (schemas/limits.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "schemas/limits.h"

namespace egret::cloud {

inline constexpr size_t kApiBodyBytesMax = 64 * kKiB;      // of a request, unless its endpoint says more
inline constexpr size_t kApiParametersMax = 16;            // of a query
inline constexpr size_t kNoteBytesMax = 1'000;             // of a person's note about what was closed
inline constexpr size_t kTokensMax = 1'024;
inline constexpr size_t kTokenFileBytesMax = 256 * kKiB;
inline constexpr size_t kTokenNameCharsMax = 64;
inline constexpr int64_t kTokenDaysMax = 3'650;

static_assert(kTokensMax * (kTokenNameCharsMax + 128) <= kTokenFileBytesMax, "a full list of tokens can be read");

}  // namespace egret::cloud
