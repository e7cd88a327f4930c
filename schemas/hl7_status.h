// Hl7Status: what the result status of an HL7 v2 observation (OBX-11, table 0085) means for a record: rule 9.
// Promises: every code of the table has exactly one meaning, and no other text has one; nothing is guessed from values.
// Leaves to others: reading messages (the door), what becomes of the version or review that is made from it (cloud/merge).
#pragma once

#include <optional>
#include <string_view>

#include "schemas/record.h"

namespace egret {

struct Hl7Meaning {
  enum class Makes : uint8_t {
    version,     // of the result, with `status`
    review,      // that agrees with the version that is known: somebody verified it
    retraction,  // it was never true
    nothing,     // describes an order: no result is stated
  } makes = Makes::version;
  uint8_t status = 0;         // of a version: AiResult.Status of record.proto
  bool has_value = true;      // OBX-5 is the value
  bool unchanged = false;     // no_value UNCHANGED: the value is that of the version before
  bool not_asked = false;     // absent_reason "not-asked"
  bool addendum = false;      // what was said before stays true, this comes beside it: status_reason "addendum"
};
// Letters count as they are written, in either case. nullopt: not a code of the table; the message is refused by name.
std::optional<Hl7Meaning> hl7_status(std::string_view obx11);

}  // namespace egret
