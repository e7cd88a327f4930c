// Write: what creates, updates and patches do to resources, decided on what is there and on what the same request has done
// before (FHIR R4, RESTful API; rules 25 and 26 of cloud/merge).
// Promises: nothing is stored before all is decided; a repeat of what is there makes no new version; what is made from
// results is not written to. Leaves to others: storing (keep.h), the form of Bundles (bundle.h).
#pragma once

#include "cloud/fhir/exchange.h"
#include "cloud/fhir/keep.h"
#include "cloud/fhir/types.h"

namespace egret::cloud::fhir {

// What one write has come to.
struct Written {
  unsigned status = 200;
  Json resource;          // as it is now
  std::string made_as{};  // id of a Provenance that is made from a record: it can be read when that is stored
};
// A refusal as it will be answered.
using WrittenOr = boost::system::result<Written, Response>;

class Writes {
 public:
  explicit Writes(World& world) : world_(world) {}

  // `condition`: If-None-Exist; empty: none. `id`: the one to give; empty: a new one.
  WrittenOr create(const Type& type, Json resource, const Parameters& condition, const std::string& id = {});
  // `if_match`: the version that was seen; empty: any.
  WrittenOr update(const Type& type, const std::string& id, Json resource, const std::string& if_match);
  WrittenOr update_where(const Type& type, const Parameters& condition, Json resource, const std::string& if_match);
  WrittenOr patch(const Type& type, const std::string& id, const Json& steps, const std::string& if_match);
  WrittenOr patch_where(const Type& type, const Parameters& condition, const Json& steps, const std::string& if_match);

  // What matches, with what was decided here: at most two.
  Result<std::vector<Json>> matches(const Type& type, const Parameters& condition);
  std::string new_id();

  const Changes& decided() const { return decided_; }

 private:
  Result<std::optional<Json>> current(const Type& type, const std::string& id);
  WrittenOr state(NewBody body);
  WrittenOr put(const Type& type, const std::string& id, Json resource, const std::optional<Json>& before);

  World& world_;
  Changes decided_;
};

// After what was decided is stored, and can be read.
Response answer_to(World& world, const Written& written, std::string_view prefer);

}  // namespace egret::cloud::fhir
