// Record text: how single values of a record are written: decimals, times, uuids, hex, base64,
// names. Promises: what is read and written again is the same value; a decimal is the same text.
// Strict grammars, no locale. Leaves to others: which field has which form (record.proto), limits
// of length beyond the form's own.
#pragma once

#include <optional>

#include "schemas/types.h"

namespace egret {

// A JSON number of at most kDecimalCharsMax characters, exponent within kDecimalExponentMax.
bool is_decimal(std::string_view text);
// Exact, whatever the number of digits: < 0, 0, > 0. `text` is_decimal.
int compare_decimal(std::string_view text, int64_t bound);

bool is_dicom_uid(std::string_view text);   // DICOM PS3.5 9.1
bool is_ucum(std::string_view text);        // printable ASCII without spaces, 1-64
bool is_name(std::string_view text);        // [A-Za-z_][A-Za-z0-9_.:/-]*
bool is_media_type(std::string_view text);  // type/subtype[; parameters], ASCII
// UTF-8 without control characters; `lines` allows \n, \r and \t.
bool is_plain_text(std::string_view text, bool lines);

// 8-4-4-4-12, either case. nullopt: not one.
std::optional<Bytes> uuid_from_text(std::string_view text);
std::string uuid_to_text(ByteView uuid16);
std::optional<Bytes> bytes_from_hex(std::string_view text);
// RFC 4648 section 4, padded, no line ends, no stray bits.
std::optional<Bytes> bytes_from_base64(std::string_view text);
std::string bytes_to_base64(ByteView bytes);

// A moment and the offset it was written with.
struct TimeValue {
  int64_t us = 0;  // UTC since 1970
  int32_t tz_min = 0;
  auto operator<=>(const TimeValue&) const = default;
};
// RFC 3339 with 'T', at most 6 decimals, Z or an offset; years 0001-9999; no leap second.
std::optional<TimeValue> time_from_text(std::string_view text);
// Is its local time within years 0001-9999, so that it can be written?
bool can_be_written(TimeValue time);
std::string time_to_text(TimeValue time);
// The least and the greatest moment that can be written in UTC.
inline constexpr int64_t kTimeMinUs = -62'135'596'800'000'000;
inline constexpr int64_t kTimeMaxUs = 253'402'300'799'999'999;

// A double in as few digits as give the same double again, with '.' or 'e' so that it is not read
// as whole. Finite.
std::string double_to_text(double value);
// "1,048,576", for error texts.
std::string with_commas(uint64_t value);

}  // namespace egret
