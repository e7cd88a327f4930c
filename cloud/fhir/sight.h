// Sight: what is seen of a state of the store, and the address under which it is told.
// Promises: nothing is read before it is asked for; blocks and orders are read once a request. Leaves to others: which
// thread this is, that the views are up to date (answer.h), writing (world.h).
#pragma once

#include <memory>

#include "cloud/block_reader.h"
#include "cloud/orders.h"
#include "cloud/patients.h"
#include "cloud/restrictions.h"

namespace egret::cloud::fhir {

// What is known of a state of the store once it was read: of one request's, or of one that lasts, for all who see it.
struct Known {
  std::optional<Key32> key;
  std::optional<std::vector<Recall>> recalls;
  std::optional<Restricted> restricted;
  std::map<std::pair<Facility, StreamKey>, LedgerRow> rows;
  bool views_whole = false;
};

class Sight {
 public:
  explicit Sight(const Kv& of, WallTime at = {}, std::shared_ptr<Known> known = std::make_shared<Known>())
      : kv(of), now(at), reader(of), known_(std::move(known)) {}

  const Kv& kv;
  const WallTime now;
  BlockReader reader;
  std::string base;  // absolute, without a slash at its end

  // The store's own key. Errors: corrupt, store_failed.
  Result<Key32> key();
  Result<const std::vector<Recall>*> recalls();
  // Whose data is not shown.
  Result<const Restricted*> restricted();
  // When the region had a record at the latest: its facility's W was past it then.
  WallTime had(const Facility& fac, const Place& place);

  // Are the views whole? Once they are they stay so. Errors: corrupt, store_failed.
  Result<bool> views_whole();

 private:
  const std::shared_ptr<Known> known_;
};

}  // namespace egret::cloud::fhir
