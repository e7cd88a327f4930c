// Corpus: benchmark records of one size: AI results that carry the text of real Synthea
// observations. Promises: each is valid at the door and in the region, and differs from every
// other; the same number gives the same record. Leaves to others: what is done with them.
#pragma once

#include <string>

#include "schemas/types.h"

namespace egret::bench {

class Corpus {
 public:
  // `record_bytes`: body, arrival and both length prefixes together. Ends the program with a
  // message when the samples are missing or the size cannot be met.
  Corpus(Facility fac, size_t record_bytes);
  // As a block holds it, without the prefix that blocks add.
  Bytes record(uint64_t n);

 private:
  Bytes make(uint64_t n, size_t text_bytes) const;
  const Facility fac_;
  const size_t record_bytes_;
  std::string text_;         // all observations, as one line
  size_t text_bytes_ = 200;  // that last gave the right size
};

}  // namespace egret::bench
