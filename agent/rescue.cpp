#include "agent/rescue.h"

#include "agent/store.h"
#include "schemas/limits.h"
#include "edge/kv_options.h"

namespace egret::agent {
namespace {

namespace fs = std::filesystem;

uint64_t bytes_of(const fs::path& dir) {
  uint64_t bytes = 0;
  std::error_code failed;
  for (fs::directory_iterator it(dir, failed), end; !failed && it != end; it.increment(failed)) {
    const uint64_t size = it->file_size(failed);
    if (!failed) bytes += size;
  }
  return bytes;
}

}  // namespace

// An orderly end is no crash.
Rescue::~Rescue() {
  if (attempts_) attempts_->ended();
}

void Rescue::tick(MonoTime now, uint64_t free_bytes) {
  now_ = now;
  if (busy_ || now < next_at_) return;
  next_at_ = now + kRescueRetryMs;
  const std::optional<fs::path> damaged = oldest_damaged_store(state_dir_);
  if (!damaged) return;
  damaged_ = *damaged;
  const uint64_t needed = bytes_of(damaged_);
  if (free_bytes < needed) {
    return put_off(message("rescue_needs_room", damaged_.filename(), needed / kMiB + 1, free_bytes / kMiB));
  }
  begin(damaged_);
}

void Rescue::begin(const fs::path& damaged) {
  Attempts attempts(damaged.string() + ".attempts");
  if (!attempts.begin()) return give_up();
  attempts_ = std::move(attempts);
  busy_ = true;
  ways_.run([weak = weak_from_this(), post = ways_.post, damaged, fac = fac_](edge::Buffer&) -> Result<void> {
    Result<edge::Salvage> opened = edge::Salvage::open(edge::kv_options(damaged), fac);
    Result<std::shared_ptr<edge::Salvage>> shared =
        opened ? Result<std::shared_ptr<edge::Salvage>>(std::make_shared<edge::Salvage>(std::move(*opened)))
               : opened.error();
    post([weak, shared] {
      if (auto self = weak.lock()) self->opened(shared);
    });
    return {};
  });
}

void Rescue::opened(Result<std::shared_ptr<edge::Salvage>> salvage) {
  if (!salvage) return fail(salvage.error());
  salvage_ = std::move(*salvage);
  step();
}

void Rescue::step() {
  ways_.run([weak = weak_from_this(), post = ways_.post, salvage = salvage_](edge::Buffer& buffer) -> Result<void> {
    Result<size_t> left = salvage->step(buffer);
    post([weak, left] {
      if (auto self = weak.lock()) self->stepped(left);
    });
    return left ? Result<void>{} : Result<void>(left.error());
  });
}

void Rescue::stepped(const Result<size_t>& left) {
  if (!left) return fail(left.error());
  if (*left > 0) return step();
  finish();
}

void Rescue::finish() {
  const edge::Salvaged found = salvage_->found();
  end();
  next_at_ = now_;  // there may be another one
  const Result<fs::path> kept = mark_salvaged(damaged_);
  if (!kept) return fail(kept.error());
  ways_.say(message("rescue_done", found.records, found.unreadable, kept->filename()));
}

void Rescue::end() {
  salvage_.reset();
  busy_ = false;
  if (attempts_) attempts_->ended();
  attempts_.reset();
}

void Rescue::give_up() {
  const Result<fs::path> kept = mark_unreadable(damaged_);
  if (!kept) return fail(kept.error());
  Attempts(damaged_.string() + ".attempts").ended();
  next_at_ = now_;  // there may be another one
  ways_.say(message("rescue_given_up", damaged_.filename(), kAttemptsMax, kept->filename()));
}

void Rescue::fail(const Error& why) { put_off(message("rescue_waits", damaged_.filename(), why)); }

void Rescue::put_off(Message why) {
  end();
  next_at_ = now_ + kRescueRetryMs;
  ways_.say(std::move(why));
}

}  // namespace egret::agent
