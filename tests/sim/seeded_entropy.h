// SeededEntropy: chance that can be had again: splitmix64 over one seed.
// Promises: the same seed gives the same numbers on every machine; a copy goes on from the same place.
// Leaves to others: production (schemas/entropy.h).
#pragma once

#include "schemas/types.h"

namespace egret {

class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(uint64_t seed) : state_(seed) {}
  uint64_t next() override {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

}  // namespace egret
