#include "cloud/merge/identity.h"

#include <algorithm>

namespace egret::cloud {
namespace {

using Pair = std::pair<PatientName, PatientName>;
using Direct = std::map<PatientName, std::set<PatientName>>;

Pair pair_of(const IdentityLink& link) {
  return link.a < link.b ? Pair{link.a, link.b} : Pair{link.b, link.a};
}

// Of what is said about two names, the latest holds; at one time the higher hash.
std::map<Pair, const IdentityLink*> latest(std::span<const IdentityLink> links) {
  std::map<Pair, const IdentityLink*> out;
  for (const IdentityLink& link : links) {
    const IdentityLink*& held = out[pair_of(link)];
    if (!held || std::tie(held->t_us, held->body) < std::tie(link.t_us, link.body)) held = &link;
  }
  return out;
}

std::set<PatientName> reach(const Direct& direct, const PatientName& from) {
  std::set<PatientName> seen{from};
  std::vector<PatientName> open{from};
  while (!open.empty()) {
    const PatientName at = std::move(open.back());
    open.pop_back();
    for (const PatientName& next : direct.at(at)) {
      if (seen.insert(next).second) open.push_back(next);
    }
  }
  return seen;
}

}  // namespace

Identities::Identities(std::span<const IdentityLink> links) {
  Direct direct;
  std::vector<Pair> apart;
  for (const auto& [pair, link] : latest(links)) {
    direct[pair.first];
    direct[pair.second];
    if (!link->same) {
      apart.push_back(pair);
    } else if (pair.first != pair.second) {
      direct[pair.first].insert(pair.second);
      direct[pair.second].insert(pair.first);
    }
  }
  std::set<PatientName> torn;
  for (const Pair& pair : apart) {
    const std::set<PatientName> group = reach(direct, pair.first);
    if (!group.contains(pair.second)) continue;
    contradictions_.push_back(pair);
    torn.insert(group.begin(), group.end());
  }
  for (const auto& [name, next] : direct) {
    if (joined_.contains(name)) continue;
    if (torn.contains(name)) {
      joined_[name] = next;
      joined_[name].insert(name);
      continue;
    }
    const std::set<PatientName> group = reach(direct, name);
    for (const PatientName& each : group) joined_[each] = group;
  }
}

std::vector<PatientName> Identities::names_of(const PatientName& name) const {
  const auto found = joined_.find(name);
  if (found == joined_.end()) return {name};
  return {found->second.begin(), found->second.end()};
}

}  // namespace egret::cloud
