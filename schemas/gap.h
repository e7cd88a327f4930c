// Gap: why a range of a stream carries no data. Travels inside the stream, in its place.
#pragma once

#include <cstdint>

namespace egret {

// On disk and on the wire. Never renumbered.
enum class GapKind : uint8_t {
  none = 0,     // data
  shed = 1,     // the disk was full: telemetry dropped by rule
  corrupt = 2,  // a block could not be read back
  purged = 3,   // deleted after the cloud had confirmed it, before the cloud went back in time
  parked = 4,   // kept at the site: no frame of this broker could carry it
};
enum class GapReason : uint8_t { none = 0, disk_budget = 1, unreadable = 2, cloud_restored = 3, frame_too_large = 4, undecodable = 5 };

inline const char* name_of(GapKind kind) {
  switch (kind) {
    case GapKind::none: return "data";
    case GapKind::shed: return "shed";
    case GapKind::corrupt: return "corrupt";
    case GapKind::purged: return "purged";
    case GapKind::parked: return "parked";
  }
  return "unknown";
}

}  // namespace egret
