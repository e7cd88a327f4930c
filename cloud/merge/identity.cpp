#include "cloud/merge/identity.h"

#include <algorithm>

#include "schemas/merge_rules.h"

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
    if (!held || comes_after(link, *held)) held = &link;
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

// In a torn group a name is joined with those that are said to be the same as it, unless two of those are said to differ:
// then it cannot be said which of them it is.
std::set<PatientName> joined_directly(const PatientName& name, const std::set<PatientName>& next, const std::vector<Pair>& apart) {
  std::set<PatientName> out = next;
  for (const Pair& pair : apart) {
    if (!next.contains(pair.first) || !next.contains(pair.second)) continue;
    out.erase(pair.first);
    out.erase(pair.second);
  }
  out.insert(name);
  return out;
}

}  // namespace

bool comes_after(const IdentityLink& a, const IdentityLink& b) {
  return std::tie(a.t_us, a.body) > std::tie(b.t_us, b.body);
}

Identities::Identities(std::span<const IdentityLink> links) {
  if (off(Rule::linked_patients)) return;
  Direct direct;
  std::vector<Pair> apart;
  for (const auto& [pair, link] : latest(links)) {
    if (pair.first == pair.second) continue;  // says nothing
    direct[pair.first];
    direct[pair.second];
    if (!link->same) {
      apart.push_back(pair);
    } else {
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
      joined_[name] = joined_directly(name, next, apart);
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
