// Host: what the agent knows about the machine it runs on: clocks, boot, names; and chance for its
// epochs. Promises: an epoch's chance is mixed of everything that tells two runs apart, so that a
// cloned or rolled-back machine whose kernel repeats its random numbers still draws a new one (es1
// section 2). Leaves to others: what time means (nothing that is safe depends on it).
#pragma once

#include <array>
#include <string>

#include "schemas/types.h"

namespace egret::agent {

Now now();
std::array<uint8_t, 16> boot_id();
std::string machine_id();  // empty when the machine has none
std::string host_name();

// How far the kernel trusts the wall clock (adjtimex).
struct ClockTrust {
  bool synced = false;
  int64_t error_ms = 0;  // the kernel's estimate of the largest error
};
ClockTrust clock_trust();

// SHA-256(getrandom ‖ boot id ‖ machine id ‖ clocks ‖ pid ‖ counter), 8 bytes a draw.
class MixedEntropy final : public Entropy {
 public:
  MixedEntropy();
  uint64_t next() override;

 private:
  std::string fixed_;  // boot id ‖ machine id
  uint64_t counter_ = 0;
};

}  // namespace egret::agent
