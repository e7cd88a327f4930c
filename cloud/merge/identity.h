// Identity: which identifiers name one patient, as a pure function of the set of links that were stated.
// Promises: nothing is rewritten, so every link can be undone; a "not the same" is never overruled by a detour over
// others; an unknown identifier is itself. Leaves to others: who may state a link, where identifiers lie sealed.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "schemas/types.h"

namespace egret::cloud {

// system|value, as an opaque name: sealed or hashed where it is stored.
using PatientName = std::string;

struct IdentityLink {
  PatientName a, b;
  bool same = true;
  int64_t t_us = 0;  // when it was decided, as it says
  Hash body{};       // breaks ties
};

// Of what is said about one pair, is `a` the later word? One order, so that every reader ends with the same.
bool comes_after(const IdentityLink& a, const IdentityLink& b);

class Identities {
 public:
  explicit Identities(std::span<const IdentityLink> links);
  // Every name of this patient, itself included, sorted.
  std::vector<PatientName> names_of(const PatientName& name) const;
  // Pairs that are said to be different and yet are joined over others; their whole group stays unjoined but for
  // what is said of two names directly. For a worklist.
  const std::vector<std::pair<PatientName, PatientName>>& contradictions() const { return contradictions_; }

 private:
  std::map<PatientName, std::set<PatientName>> joined_;
  std::vector<std::pair<PatientName, PatientName>> contradictions_;
};

}  // namespace egret::cloud
