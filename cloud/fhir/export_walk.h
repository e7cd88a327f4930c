// ExportWalk: the resources that a bulk export consists of, one after the other, from one state of
// the store. Promises: without `since` what a search without parameters finds, page after page;
// with it what has changed then or later, more often than not rather than too little: a result
// counts as changed by any statement about it and by a recall of its model, and what was taken back
// is there as entered-in-error; a resource that does not say when it changed is always there. One
// resource is in memory. What is restricted is not there (gate.h). Leaves to others: the state (World), writing (export_files.h).
#pragma once

#include "cloud/fhir/export_wish.h"
#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

// False: enough.
using EachExported = std::function<bool(const Json& resource)>;
// Errors: corrupt, store_failed.
Result<void> each_exported(World& world, const ExportWish& wish, const Type& type,
                           const EachExported& each);

}  // namespace egret::cloud::fhir
