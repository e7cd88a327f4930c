#include "cloud/fhir/catch_up.h"

#include "cloud/follower.h"

namespace egret::cloud::fhir {
namespace {

constexpr size_t kBlocksAStep = 64;
constexpr int kStepsAnew = 2;
constexpr int kStepsAtOnce = 64;  // then a client waits no longer

}  // namespace

Result<void> catch_up(Kv& kv, bool to_the_end) {
  for (int i = 0; i < kStepsAtOnce; i++) {
    const auto behind = Follower::behind(kv);
    if (!behind) return behind.error();
    // A small store is made anew in a moment; of a large one nobody waits for the end.
    if (!*behind && i == kStepsAnew)
      return Error{Errc::locked, "the views are being made anew; try again"};
    if (*behind && (!to_the_end || **behind == 0)) return {};
    Follower follower(kv);
    if (const auto took = follower.step(kBlocksAStep); !took && took.error().code != Errc::conflict)
      return took.error();
  }
  return Error{Errc::locked, "the views are behind; try again"};
}

}  // namespace egret::cloud::fhir
