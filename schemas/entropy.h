// OsEntropy: chance from the operating system, for keys, nonces, ids and jitter in production.
// Promises: getrandom(2), nothing buffered (a cloned or rolled-back machine draws anew); never a
// weak answer.
// Leaves to others: the simulator's seeded source; guarding against clones whose kernels repeat
// (epoch ids).
#pragma once

#include "schemas/types.h"

namespace egret {

class OsEntropy final : public Entropy {
 public:
  uint64_t next() override;
};

}  // namespace egret
