// Shelf: the resources that FHIR clients wrote, as the views know them: tables of space 5. A version of a resource is a
// SourceDocument of the region's own facility (cloud/own_facility.h), named Type/id/_history/N, with the bytes that are served.
// Promises: every row follows from one document alone, so that order and repeats change nothing; no row is ever changed. The
// newest version is the one with the highest number; what the index says of an older one is passed over.
// Leaves to others: which number a version gets (write.h), matching (terms.h).
//
//   'f' type id version u32          a version: the place of its document, as in space 3
//   't' term 8 id version u32        a version that is found by a value (terms.h); type and value are in the term
// Type and id end with a zero byte.
#pragma once

#include "cloud/block_reader.h"
#include "cloud/fhir/terms.h"

namespace egret::v1 {  // generated: schemas/record.pb.h
class Body;
class SourceDocument;
}  // namespace egret::v1

namespace egret::cloud::fhir {

inline constexpr const char* kDocumentType = "application/fhir+json";

struct Stored {
  std::string id;
  uint32_t version = 0;
  Place place;
};

// The name of a version's document, and the way back; nullopt: it is none.
std::string document_name(std::string_view type, std::string_view id, uint32_t version);
std::optional<Ref> document_named(std::string_view name);

// Where the document stands that this record of the region's own is, or is a part of; nullopt: it is neither.
std::optional<Place> document_of(const Place& place, const v1::Body& body);

// Rows of a document that was committed at `place`. Errors: store_failed; what cannot be read is passed over.
Result<void> shelve(BlockReader& reader, const Facility& fac, const Place& place, const v1::SourceDocument& document, KvBatch& batch);

// `version` 0: the newest. nullopt: there is none. Errors: corrupt, store_failed.
Result<std::optional<Stored>> find_stored(const Kv& kv, std::string_view type, std::string_view id, uint32_t version = 0);
Result<std::vector<Stored>> versions_of(const Kv& kv, std::string_view type, std::string_view id);
// The bytes of one. Errors: not_found, corrupt, store_failed.
Result<Json> load(BlockReader& reader, const Place& place);

// Newest versions only, in the order of ids, behind `after`; with a term: those that are found by it.
Result<void> each_stored(const Kv& kv, const Type& type, const std::optional<Term>& term, std::string_view after, const std::function<bool(const Stored&)>& each);

}  // namespace egret::cloud::fhir
