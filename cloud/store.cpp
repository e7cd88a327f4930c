#include "cloud/store.h"

namespace egret::cloud {

const char* name_of(QuarantineReason reason) {
  switch (reason) {
    case QuarantineReason::none:
      return "none";
    case QuarantineReason::undecodable:
      return "undecodable";
    case QuarantineReason::unknown_kind:
      return "unknown_kind";
    case QuarantineReason::wrong_facility:
      return "wrong_facility";
    case QuarantineReason::rule_broken:
      return "rule_broken";
    case QuarantineReason::too_large:
      return "too_large";
  }
  return "unknown";
}

const char* name_of(IncidentKind kind) {
  switch (kind) {
    case IncidentKind::tail_lost:
      return "tail_lost";
    case IncidentKind::orphan:
      return "orphan";
    case IncidentKind::fork:
      return "fork";
    case IncidentKind::duplicate_identity:
      return "duplicate_identity";
    case IncidentKind::restored:
      return "restored";
  }
  return "unknown";
}

}  // namespace egret::cloud
