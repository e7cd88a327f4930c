// Recall: which results a recall of a model touches, as a pure function of their versions and of the recalls: rule 21.
// Promises: nothing of a result is judged or changed; what comes after the recall is marked as what came before; a recall
// that was undone marks nothing. Leaves to others: where recalls are kept (cloud/orders.h), finding results by model.
#pragma once

#include <span>

#include "cloud/merge/read.h"

namespace egret::cloud {

// Every result with a version that one of `models` made and that is effective in [from, to).
struct RecallScope {
  std::vector<Hash> models;  // model_ref, sorted
  int64_t from_us = 0, to_us = 0;
  Facility fac;  // of one site alone; empty: of all
  bool touches(const Facility& of, const Version& version) const;
};

struct Recall {
  uint64_t id = 0;
  RecallScope scope;
  bool undone = false;
};
// The recalls that mark this result, by id, rising.
std::vector<uint64_t> recalls_of(const Facility& fac, std::span<const Statement> statements, std::span<const Recall> recalls);

}  // namespace egret::cloud
