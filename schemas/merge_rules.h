// MergeRules: the 28 rules of what becomes of a result, by number and name, each with a switch that tests alone have.
// Promises: in every build but the tests' own (EGRET_MUTANTS) no rule can be off, and asking compiles away.
// Leaves to others: what a rule does (cloud/merge/README.md says where), switching one off (tests/sim/mutants).
#pragma once

#include <cstdint>

namespace egret {

enum class Rule : uint8_t {
  none,
  same_record,            //  1
  forked_record,          //  2
  same_version_elsewhere, //  3
  two_bodies,             //  4
  missing_version,        //  5
  late_version,           //  6
  step_back,              //  7
  unchanged_values,       //  8
  hl7_status,             //  9
  correction,             // 10
  retraction,             // 11
  early_retraction,       // 12
  resurrection,           // 13
  unknown_patient,        // 14
  linked_patients,        // 15
  wrong_patient,          // 16
  rerun,                  // 17
  newer_model,            // 18
  reviews_disagree,       // 19
  stale_review,           // 20
  recall,                 // 21
  one_alert,              // 22
  corrected_time,         // 23
  quarantine,             // 24
  one_entry_an_identity,  // 25
  conditional_write,      // 26
  late_telemetry,         // 27
  erasure,                // 28
};
inline constexpr int kRules = 28;
const char* name_of(Rule rule);

#ifdef EGRET_MUTANTS
extern Rule rule_off;  // set by the tests, one at a time
inline bool off(Rule rule) { return rule_off == rule; }
#else
constexpr bool off(Rule) { return false; }
#endif

}  // namespace egret
