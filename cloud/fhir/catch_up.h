// CatchUp: brings the views as far as what is committed, before anything is answered from them.
// Promises: nobody waits long: views that are made anew, or far behind, are said to be so. Leaves
// to others: making them (Follower).
#pragma once

#include "schemas/kv.h"

namespace egret::cloud::fhir {

// Whole; `to_the_end`: and with everything that is committed. Errors: locked (made anew, or far
// behind), store_failed, corrupt.
Result<void> catch_up(Kv& kv, bool to_the_end);

}  // namespace egret::cloud::fhir
