// Producer: the records that sites are given, small ones and some that are large, broken or said before.
// Promises: real record bytes; every record that is made is known to History before anybody gets it.
// Leaves to others: which lane and when (World).
#pragma once

#include "tests/sim/history.h"

namespace egret::sim {

enum class RecordKind : uint8_t { small, large, undecodable, wrong_facility };

struct Made {
  Id id = 0;
  Bytes record;
};

class Producer {
 public:
  explicit Producer(History& history) : history_(history) {}
  Made make(const Facility& fac, RecordKind kind, WallTime wall, Entropy& chance);
  // A statement made elsewhere.
  Made bring(const Facility& fac, const Bytes& body, WallTime wall);
  // The same statement as an earlier one of this facility, brought again.
  std::optional<Made> again(const Facility& fac, WallTime wall, Entropy& chance);

 private:
  Made arrive(const Facility& fac, const Bytes& body, WallTime wall);
  History& history_;
  uint64_t number_ = 0;
  std::map<Facility, std::vector<Bytes>> bodies_;
};

}  // namespace egret::sim
