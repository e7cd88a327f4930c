// Lanes: decides which stream sends next (es1 section 7).
// Promises: critical goes first but takes at most 80 % of the bytes of 10 s while others wait; the
// other lanes share by weight 8:2:1 in bytes, and every waiting lane gets at least 5 %. Leaves to
// others: what a batch holds and whether credit is left (Session).
#pragma once

#include <array>
#include <optional>

#include "schemas/types.h"

namespace egret::edge {

class Lanes {
 public:
  // `may_send[i]`: lane i has something to send and is allowed to. `waits[i]`: it has something to
  // send, allowed or not. nullopt: none may send now.
  std::optional<StreamId> pick(const std::array<bool, kStreamCount>& may_send,
                               const std::array<bool, kStreamCount>& waits, MonoTime now);
  // That lane has sent `bytes`.
  void sent(StreamId lane, size_t bytes, MonoTime now);

 private:
  void slide(MonoTime now);
  std::array<int64_t, kStreamCount> deficit_{};
  // Bytes of two half windows, so that old traffic fades without a list of it.
  std::array<std::array<uint64_t, 2>, kStreamCount> window_{};
  MonoTime half_started_;
};

}  // namespace egret::edge
