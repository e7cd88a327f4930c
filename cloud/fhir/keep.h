// Keep: versions of resources become records of the region's own facility, like those of any site: documents of one stream
// whose chain `verify` runs over, in the feed, with natural keys, committed in one synced transaction.
// Promises: all of them or none; decided on what nobody has changed since: the stream's (W, c) moves by compare-and-append
// from what it was when the deciding began. The stream's epoch is the store's gen, so a store that was restored begins
// another. Leaves to others: deciding (write.h).
#pragma once

#include "cloud/fhir/json.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// Where the region's stream stands.
struct Head {
  EpochId epoch;
  Seq w;
  Hash c{};
};
Result<Head> head_of(World& world);

struct NewVersion {
  std::string type, id;
  uint32_t version = 0;
  Json resource;
};
struct Changes {
  std::vector<NewVersion> versions;
  std::vector<NewBody> statements;  // records that are no documents: reviews
  bool empty() const { return versions.empty() && statements.empty(); }
};
// Errors: conflict (somebody has written since `head`), too_large (kFhirResourceBytesMax), store_failed, unknown_outcome.
Result<void> keep(World& world, const Head& head, const Changes& changes);

}  // namespace egret::cloud::fhir
