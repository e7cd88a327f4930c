// World: what one request works with: what it sees of the store, and where it writes.
// Leaves to others: which thread this is (who writes is on the store's).
#pragma once

#include "cloud/fhir/sight.h"
#include "cloud/store_kv.h"

namespace egret::cloud::fhir {

class World : public Sight {
 public:
  World(Kv& of, KvStore& with, Entropy& chance, WallTime at, std::shared_ptr<Known> known = std::make_shared<Known>())
      : Sight(of, at, std::move(known)), views(of), store(with), entropy(chance) {}

  Kv& views;  // where they are brought up to date
  KvStore& store;
  Entropy& entropy;
  std::string client;  // who asks
};

}  // namespace egret::cloud::fhir
