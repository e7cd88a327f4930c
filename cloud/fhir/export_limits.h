// ExportLimits: every number of bulk exports, once. Units are in the names.
// Promises: none here can be exceeded by a client. Leaves to others: enforcing them, and the limits
// of the facade (schemas/limits_fhir.h).
#pragma once

#include "schemas/limits_fhir.h"

namespace egret {

// One is written, the others wait; each keeps the store's state of its moment.
inline constexpr size_t kFhirExportsAtOnce = 4;
// With those that have ended.
inline constexpr size_t kFhirExportsKept = 16;
// After its end; then its files go.
inline constexpr int64_t kFhirExportKeptMs = 24LL * 3600 * 1000;
// From the request to the last line.
inline constexpr int64_t kFhirExportMsMax = 6LL * 3600 * 1000;
// Then a type goes on in another file.
inline constexpr uint64_t kFhirExportFileBytes = 256 * kMiB;
// In memory an export holds one resource and so much of lines.
inline constexpr size_t kFhirExportBufferBytes = 256 * kKiB;
// The disk is the store's, too: an export ends before it has less.
inline constexpr uint64_t kFhirExportFreeBytes = 1024 * kMiB;
// Until no other process has committed between the views and the state that is kept.
inline constexpr int kFhirFreezeTries = 8;
// Before `_since`, where several processes write: told once more.
inline constexpr int64_t kFhirSharedSinceUs = 60LL * 1'000'000;

static_assert(kFhirExportsAtOnce <= kFhirExportsKept, "those that are at work are kept");

}  // namespace egret
