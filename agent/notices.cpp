#include "agent/notices.h"

namespace egret::agent {

Message message_of(const edge::Notice& notice) {
  using Kind = edge::Notice::Kind;
  const Told why{notice.why};
  switch (notice.kind) {
    case Kind::linked: return message("linked");
    case Kind::link_lost: return message("link_lost", why);
    case Kind::identity_refused: return message("identity_refused", why);
    case Kind::cloud_went_back: return message("cloud_went_back", notice.lane);
    case Kind::rehomed: return message("rehomed", notice.lane);
    case Kind::gap_resent: return message("gap_resent", notice.lane);
    case Kind::parked_unreadable: return message("parked_unreadable", notice.lane);
    case Kind::parked_too_large: return message("parked_too_large", notice.lane);
    case Kind::held: return message("held", why);
    case Kind::version_unknown: return message("version_unknown", why);
    case Kind::new_run: return message("new_run", why);
    case Kind::corrupt_block: return message("block_corrupt", notice.lane);
  }
  EGRET_INVARIANT(false, "every kind of notice is an event");
  return {};
}

}  // namespace egret::agent
