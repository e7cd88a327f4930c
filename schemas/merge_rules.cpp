#include "schemas/merge_rules.h"

namespace egret {

#ifdef EGRET_MUTANTS
Rule rule_off = Rule::none;
#endif

const char* name_of(Rule rule) {
  static constexpr const char* kNames[] = {
      "none", "same_record", "forked_record", "same_version_elsewhere", "two_bodies", "missing_version", "late_version",
      "step_back", "unchanged_values", "hl7_status", "correction", "retraction", "early_retraction", "resurrection",
      "unknown_patient", "linked_patients", "wrong_patient", "rerun", "newer_model", "reviews_disagree", "stale_review",
      "recall", "one_alert", "corrected_time", "quarantine", "one_entry_an_identity", "conditional_write",
      "late_telemetry", "erasure"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kRules + 1);
  return kNames[static_cast<int>(rule)];
}

}  // namespace egret
