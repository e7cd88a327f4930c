// Rescue: brings back what stores that were set aside still hold, a few blocks at a time beside the normal work.
// Promises: goes on after a crash or restart, for a damaged store keeps its name until all of it is in the new one; begins
// only when the disk has room for it; a store that cannot be read is kept and said, never deleted; one whose reading ends
// the program is left alone after kAttemptsMax times.
// Leaves to others: setting a store aside (store.h), reading it (edge/salvage), the thread that writes (Writer).
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/attempts.h"
#include "agent/log.h"
#include "agent/writer.h"
#include "edge/salvage.h"

namespace egret::agent {

class Rescue : public std::enable_shared_from_this<Rescue> {
 public:
  struct Ways {
    std::function<void(Writer::Job)> run;              // on the writer's thread
    std::function<void(std::function<void()>)> post;   // back on the daemon's
    std::function<void(Message)> say;
  };
  // `not_before`: one that failed together with the store waits, or each reopening would append it all again.
  Rescue(std::filesystem::path state_dir, Facility fac, Ways ways, MonoTime not_before)
      : state_dir_(std::move(state_dir)), fac_(std::move(fac)), ways_(std::move(ways)), next_at_(not_before) {}
  ~Rescue();
  Rescue(const Rescue&) = delete;
  Rescue& operator=(const Rescue&) = delete;
  bool busy() const { return busy_; }

  // Once a second: begins when a damaged store waits and there is room.
  void tick(MonoTime now, uint64_t free_bytes);

 private:
  void begin(const std::filesystem::path& damaged);
  void opened(Result<std::shared_ptr<edge::Salvage>> salvage);
  void step();
  void stepped(const Result<size_t>& left);
  void finish();
  void fail(const Error& why);
  void put_off(Message why);
  void give_up();
  void end();

  const std::filesystem::path state_dir_;
  const Facility fac_;
  const Ways ways_;
  bool busy_ = false;
  MonoTime next_at_, now_{};
  std::filesystem::path damaged_;
  std::optional<Attempts> attempts_;  // while busy
  std::shared_ptr<edge::Salvage> salvage_;
};

}  // namespace egret::agent
