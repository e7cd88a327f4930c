// Bundle: a transaction (all entries or none) or a batch (each for itself), decided together and stored in one transaction of
// the store (FHIR R4, Bundle).
// Promises: answers stand in the order of the entries; urn:uuid references become the ids that their entries got; two
// entries for one identity are refused before anything is decided (rule 25). Leaves to others: each write (write.h), each
// read (the `read` that is handed in).
#pragma once

#include <functional>

#include "cloud/fhir/write.h"

namespace egret::cloud::fhir {

// What a GET entry is answered.
using ReadEntry = std::function<Response(const std::string& address)>;

class BundleRun {
 public:
  BundleRun(World& world, const Json& bundle) : world_(world), bundle_(bundle) {}

  // Decides every entry. A response: the Bundle as a whole is refused.
  std::optional<Response> decide(Writes& writes);
  // After what was decided is stored, and can be read.
  Response answer(const ReadEntry& read, std::string_view prefer) const;

 private:
  struct Entry {
    std::string method, address;      // "Patient/1", "Patient?identifier=..."
    const Type* type = nullptr;
    std::string id;
    Parameters condition;             // of the address, or If-None-Exist
    std::string if_match;
    Json resource;
    std::string full_url;
    std::optional<WrittenOr> done;    // not of a GET
  };

  std::optional<Response> read_entries();
  std::optional<Response> read_entry(const Json& from, Entry& entry) const;
  std::optional<Response> find_identities(Writes& writes);
  std::optional<Response> resolve(Json& value, Writes& writes);
  WrittenOr run(Entry& entry, Writes& writes) const;

  World& world_;
  const Json& bundle_;
  bool transaction_ = false;
  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::string>> names_;  // fullUrl, what it is now
};

}  // namespace egret::cloud::fhir
