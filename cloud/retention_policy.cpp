#include "cloud/retention_policy.h"

namespace egret::cloud {

const char* name_of(RetentionClass c) {
  static constexpr std::array<const char*, kRetentionClasses> kNames{"telemetry", "events", "documents", "results"};
  return kNames[size_t(c)];
}

std::optional<RetentionClass> class_named(std::string_view name) {
  for (size_t i = 0; i < kRetentionClasses; i++) {
    if (name == name_of(RetentionClass(i))) return RetentionClass(i);
  }
  return std::nullopt;
}

std::optional<RetentionClass> class_of(Kind kind) {
  switch (kind) {
    case Kind::telemetry_batch:
      return RetentionClass::telemetry;
    case Kind::agent_event:
      return RetentionClass::events;
    case Kind::source_document:
    case Kind::document_part:
      return RetentionClass::documents;
    case Kind::ai_result:
    case Kind::review:
    case Kind::retraction:
      return RetentionClass::results;
    case Kind::identity_link:
    case Kind::model_def:
      break;
  }
  return std::nullopt;
}

}  // namespace egret::cloud
