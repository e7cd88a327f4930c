#include "schemas/hl7_status.h"

#include "schemas/merge_rules.h"
#include "schemas/record.pb.h"

namespace egret {
namespace {

using Makes = Hl7Meaning::Makes;

Hl7Meaning version(v1::AiResult::Status status) {
  return {.makes = Makes::version, .status = static_cast<uint8_t>(status)};
}
Hl7Meaning without_value(Hl7Meaning meaning) {
  meaning.has_value = false;
  return meaning;
}

std::optional<Hl7Meaning> meaning_of(char code) {
  switch (code) {
    case 'O':  // order detail
      return Hl7Meaning{.makes = Makes::nothing, .has_value = false};
    case 'I':  // in the laboratory, nothing yet
      return without_value(version(v1::AiResult::STATUS_REGISTERED));
    case 'R':  // entered, not verified
    case 'S':  // partial
    case 'P':
      return version(v1::AiResult::STATUS_PRELIMINARY);
    case 'F':
      return version(v1::AiResult::STATUS_FINAL);
    case 'U': {  // now final, values not repeated
      Hl7Meaning meaning = without_value(version(v1::AiResult::STATUS_FINAL));
      meaning.unchanged = true;
      return meaning;
    }
    case 'V':  // verified
      return Hl7Meaning{.makes = Makes::review, .has_value = false};
    case 'C':
      return version(v1::AiResult::STATUS_CORRECTED);
    case 'A':
      return version(v1::AiResult::STATUS_AMENDED);
    case 'B': {  // appended
      Hl7Meaning meaning = version(v1::AiResult::STATUS_AMENDED);
      meaning.addendum = true;
      return meaning;
    }
    case 'X':  // cannot be obtained
      return without_value(version(v1::AiResult::STATUS_CANCELLED));
    case 'N': {  // not asked
      Hl7Meaning meaning = without_value(version(v1::AiResult::STATUS_FINAL));
      meaning.not_asked = true;
      return meaning;
    }
    case 'D':  // delete
    case 'W':  // posted in error
      return Hl7Meaning{.makes = Makes::retraction, .has_value = false};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Hl7Meaning> hl7_status(std::string_view obx11) {
  if (obx11.size() != 1) return std::nullopt;
  const char code = obx11[0] >= 'a' && obx11[0] <= 'z' ? static_cast<char>(obx11[0] - 'a' + 'A') : obx11[0];
  auto meaning = meaning_of(code);
  if (off(Rule::hl7_status) && meaning) return version(v1::AiResult::STATUS_FINAL);
  return meaning;
}

}  // namespace egret
