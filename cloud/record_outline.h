// RecordOutline: what a record is made of, without what it says: fields by name, type and length, as people look at one that could not be
// taken. Promises: no value is in it, whatever the bytes are; it ends where they make no sense, and says where; at most kOutlineFields fields and
// kOutlineDepth messages in each other. Leaves to others: who may see it, and the bytes (api/quarantine).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret::cloud {

inline constexpr size_t kOutlineFields = 1'000;
inline constexpr uint32_t kOutlineDepth = 12;

struct OutlineField {
  uint32_t depth = 0;    // of the message that it is in
  uint32_t number = 0;
  std::string name;      // as schemas/record.proto calls it; empty: it is not there
  const char* type = ""; // "message", "text", "bytes", "number", "fixed"
  uint64_t bytes = 0;    // of the value, as it is encoded
};
struct Outline {
  uint64_t bytes = 0;
  std::vector<OutlineField> fields;
  bool more = false;                   // than kOutlineFields
  std::optional<uint64_t> broken_at;   // from this byte on it makes no sense
};
struct RecordOutline {
  bool split = false;  // else nobody can tell body from arrival, and `body` is all of it
  Outline body, arrival;
};
RecordOutline outline_of(ByteView record);
std::string to_json(const RecordOutline& outline);

}  // namespace egret::cloud
