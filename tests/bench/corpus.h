// Corpus: benchmark records of one size: AI results that carry the text of real Synthea
// observations. Promises: each is valid at the door and in the region, and differs from every
// other; the same number gives the same record. Leaves to others: what is done with them.
#pragma once

#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret::bench {

// Whom results are about, and what made them.
struct Spread {
  uint64_t patients = 0;  // result n is of patient n modulo so many; 0: each has 20, one after the other
  uint64_t models = 1;
};

class Corpus {
 public:
  // `record_bytes`: body, arrival and both length prefixes together. Ends the program with a
  // message when the samples are missing or the size cannot be met.
  Corpus(Facility fac, size_t record_bytes, Spread spread = {});
  // A version of result `n`, as a block holds it, without the prefix that blocks add.
  Bytes record(uint64_t n, uint32_t version = 1);
  // The definition of model `k`, in the same way.
  Bytes model(uint64_t k) const;

 private:
  Bytes make(uint64_t n, uint32_t version, size_t text_bytes) const;
  const Facility fac_;
  const size_t record_bytes_;
  const Spread spread_;
  const std::string& text_;  // all observations, as one line
  std::vector<Bytes> models_;
  size_t text_bytes_ = 200;  // that last gave the right size
};

}  // namespace egret::bench
