#include "cloud/merge/recall.h"

#include <algorithm>

#include "schemas/merge_rules.h"

namespace egret::cloud {

bool RecallScope::touches(const Facility& of, const Version& version) const {
  if (!fac.empty() && of != fac) return false;
  return from_us <= version.t_us && version.t_us < to_us && std::ranges::binary_search(models, version.model);
}

std::vector<uint64_t> recalls_of(const Facility& fac, std::span<const Statement> statements, std::span<const Recall> recalls) {
  std::vector<uint64_t> out;
  if (off(Rule::recall)) return out;
  for (const Recall& recall : recalls) {
    if (recall.undone) continue;
    const bool touched = std::ranges::any_of(statements, [&](const Statement& s) {
      const auto* version = std::get_if<Version>(&s);
      return version && recall.scope.touches(fac, *version);
    });
    if (touched) out.push_back(recall.id);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

}  // namespace egret::cloud
