// Witness: a 64-byte file beside the store that names the newest (epoch, stream, seq, c) and how many records its epoch
// holds in all lanes. If the store comes back shorter than it, a synced tail was lost and is known at once (es1 5.1).
// Promises: two slots, written in turn and synced, each with a checksum; a torn write leaves the other.
// Leaves to others: how often (at most once a second), what to do about a lost tail (daemon: alarm and status).
#pragma once

#include <filesystem>
#include <optional>

#include "edge/view.h"
#include "schemas/error.h"

namespace egret::edge {

struct WitnessPoint {
  EpochId epoch;
  StreamId stream = StreamId::critical;
  Seq head;
  uint32_t c_prefix = 0;  // the first 4 bytes of c_head
  uint32_t records = 0;   // of all lanes together, modulo 2^24
};
// Of the epoch that is being written, by its longest lane; nullopt while none is.
std::optional<WitnessPoint> witness_point(const View& view);
// Does `view` hold less than the point says? An epoch that is not in it has been finished, or is gone: the list tells.
bool is_shorter(const View& view, const WitnessPoint& point);

class Witness {
 public:
  // Creates the file when it is missing. Errors: store_failed.
  static Result<Witness> open(const std::filesystem::path& file);
  Witness(Witness&&) noexcept;
  Witness& operator=(Witness&&) noexcept;
  ~Witness();
  // The newest point that can be read; nullopt in a new or wholly damaged file.
  std::optional<WitnessPoint> last() const { return last_; }
  Result<void> write(const WitnessPoint& point);

 private:
  Witness() = default;
  int fd_ = -1;
  uint32_t counter_ = 0;
  std::optional<WitnessPoint> last_;
};

}  // namespace egret::edge
