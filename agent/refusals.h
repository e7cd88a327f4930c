// Refusals: why the doors refused records since the agent started: how many for which reason.
// Promises: a reason is a code of agent/doors/README.md and the name of a field of the record's schema, never what a producer
// wrote, not even a name that it made up; at most kReasonsKept, what comes after counts as one.
// Leaves to others: the count that lasts (edge/buffer), the text of an answer (doors).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret::agent {

class Refusals {
 public:
  static constexpr size_t kReasonsKept = 100;
  struct Reason {
    std::string code, field;  // field: empty when it is of the whole
    uint64_t records = 0;
    int64_t last_ms = 0;  // UTC
  };
  void add(const char* code, const std::string& field, int64_t at_ms);
  // The most frequent first.
  std::vector<Reason> list() const;

 private:
  std::map<std::pair<std::string, std::string>, Reason> reasons_;
};

// "ai_result.findings[3].code" when every part of it is a field of the schema, without the index; else "(another)".
std::string known_field(const std::string& field);

}  // namespace egret::agent
