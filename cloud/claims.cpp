#include "cloud/claims.h"

#include <algorithm>

#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::cloud {

void add_claim(LedgerRow& row, const Claim& claim) {
  if (claim.n.value == 0) return;
  row.claimed = std::max(row.claimed, claim.n);
  auto same = [&](const Claim& c) { return c.n == claim.n && c.c == claim.c; };
  if (std::any_of(row.claims.begin(), row.claims.end(), same)) return;
  auto at = std::upper_bound(row.claims.begin(), row.claims.end(), claim,
                             [](const Claim& a, const Claim& b) { return a.n < b.n; });
  row.claims.insert(at, claim);
  // Heads of one honest run grow, and a higher one covers the lower: the one below the highest
  // goes.
  if (row.claims.size() > kClaimsPerRowMax) row.claims.erase(row.claims.end() - 2);
}

bool claim_holds(const Claim& claim, const std::optional<Hash>& c) {
  if (mutant(Mutant::claims_without_digest)) return true;
  return c && view(*c).substr(0, claim.c.size()) == view(claim.c);
}

std::vector<Claim> settle_claims(LedgerRow& row,
                                 const std::function<std::optional<Hash>(Seq)>& c_at) {
  std::vector<Claim> broken;
  std::erase_if(row.claims, [&](const Claim& claim) {
    if (claim.n > row.w) return false;
    if (!claim_holds(claim, c_at(claim.n))) broken.push_back(claim);
    return true;
  });
  return broken;
}

}  // namespace egret::cloud
