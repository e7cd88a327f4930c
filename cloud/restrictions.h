// Restrictions: orders that a patient's data may be kept, and not be processed: beside erasure, for data that must not go and
// must not be used. Table 'z' of space 0: rows are added and never changed, so they say who did what, when and why.
// Promises: one synced write orders or lifts one, whatever it touches; it is about the patient: what comes later and what was
// joined is restricted too, what was parted is not; the store holds the patient's pseudonym, no identifier.
// Leaves to others: what is hidden from whom (fhir/gate.h, changes, export), keeping it (retention).
//
//   'z' number u64     kind u8, at i64, by text, reason text; of a restriction: patient 32; of one lifted: its number u64
#pragma once

#include <map>
#include <optional>
#include <set>

#include "cloud/view_tables.h"

namespace egret::cloud {

struct RestrictionOrder {
  enum class Kind : uint8_t { restrict = 1, lift = 2 };  // on disk
  uint64_t id = 0;  // given by the store
  Kind kind = Kind::restrict;
  WallTime at;
  std::string by, reason;
  Hash patient{};      // the store's pseudonym, of a restriction
  uint64_t lifts = 0;  // of one lifted
};

inline constexpr size_t kRestrictionsMax = 10'000;
inline constexpr size_t kRestrictionTextBytes = 512;

// In the order they were given. Errors: corrupt, store_failed.
Result<std::vector<RestrictionOrder>> restriction_orders(const Kv& kv);
// Adds one; its id is the answer. One writer at a time. Errors: bad_input (who or why is missing or too long, too many),
// conflict (restricted, or lifted, already), not_found (no such restriction), corrupt, store_failed.
Result<uint64_t> add_restriction(Kv& kv, RestrictionOrder order);

// Whose data is restricted now.
class Restricted {
 public:
  // Errors: corrupt, store_failed.
  static Result<Restricted> read(const Kv& kv);
  bool nobody() const { return names_.empty(); }
  // The orders that restrict a patient, or a result of one; empty: none.
  std::vector<uint64_t> orders_of(const Hash& patient) const;
  std::vector<uint64_t> orders_of(const ResultRow& row) const;
  // A result by its name. Errors: corrupt, store_failed.
  Result<std::vector<uint64_t>> orders_of(const Kv& kv, const ResultName& name) const;
  // A record: a result, what is said about one, a link of identifiers, or a document, or a part of one, that one of a restricted
  // patient's results was made from. Of a document whose results have not come, or that made none, nobody knows whose it is.
  Result<std::vector<uint64_t>> orders_of(const Kv& kv, const Facility& fac, ByteView body) const;

 private:
  using Documents = std::map<std::pair<Facility, Bytes>, std::set<uint64_t>>;  // by SHA-256
  Result<const Documents*> documents(const Kv& kv) const;

  std::map<Hash, std::vector<uint64_t>> names_;  // those that are joined with one that is restricted, too
  mutable std::optional<Documents> documents_;   // of `names_`, once a document is asked about
};

std::string to_json(const RestrictionOrder& order, bool lifted);

}  // namespace egret::cloud
