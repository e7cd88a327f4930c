#include "cloud/merge/conditional.h"

#include <map>

#include "schemas/merge_rules.h"

namespace egret::cloud {

std::optional<std::pair<size_t, size_t>> same_identity(std::span<const std::string> identities) {
  if (off(Rule::one_entry_an_identity)) return std::nullopt;
  std::map<std::string, size_t> first;
  for (size_t i = 0; i < identities.size(); i++) {
    if (identities[i].empty()) continue;
    const auto [at, fresh] = first.emplace(identities[i], i);
    if (!fresh) return std::pair{at->second, i};
  }
  return std::nullopt;
}

Done decide(Wanted wanted, size_t matches, uint64_t current, uint64_t seen) {
  if (off(Rule::conditional_write)) return wanted == Wanted::create_if_none ? Done::create : Done::update;
  if (matches > 1) return Done::refuse;
  switch (wanted) {
    case Wanted::create_if_none:
      return matches == 0 ? Done::create : Done::nothing;
    case Wanted::update_one:
      return matches == 0 ? Done::create : Done::update;
    case Wanted::update_match:
      return matches == 1 && current == seen ? Done::update : Done::refuse;
  }
  return Done::refuse;
}

}  // namespace egret::cloud
