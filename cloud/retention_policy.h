// RetentionPolicy: how long each class of records is kept. `documents` are those that results were read from; what FHIR
// clients wrote is the region's own and stays.
// Promises: a kind is of one class; what results are read by (models, identities) is of none, and kept for ever.
// Leaves to others: carrying it out (retention.h), the settings (config.h).
#pragma once

#include <array>
#include <optional>

#include "schemas/record.h"

namespace egret::cloud {

// On disk: how far each has come.
enum class RetentionClass : uint8_t { telemetry = 0, events = 1, documents = 2, results = 3 };
inline constexpr size_t kRetentionClasses = 4;
const char* name_of(RetentionClass c);
std::optional<RetentionClass> class_named(std::string_view name);
std::optional<RetentionClass> class_of(Kind kind);

inline constexpr int64_t kRetentionDaysMax = 36'500;
inline constexpr int64_t kRetentionEventsDaysMin = 180;  // an audit log is kept half a year at least

// Days since the region committed it; 0: for ever.
struct RetentionPolicy {
  std::array<int64_t, kRetentionClasses> days{};
  int64_t audit_days = 0;  // of entries of the audit log (audit.h), since they were written
  int64_t& operator[](RetentionClass c) { return days[size_t(c)]; }
  int64_t operator[](RetentionClass c) const { return days[size_t(c)]; }
};

}  // namespace egret::cloud
