// Claims: what edges say they hold, (n, c_n), kept until the ledger reaches n and can compare (es1
// section 6). Promises: at most kClaimsPerRowMax a row; the highest is never forgotten. Leaves to
// others: what a claim that does not hold means (Reconciler: incident FORK).
#pragma once

#include <functional>

#include "cloud/store.h"

namespace egret::cloud {

// Adds the claim; one that is there already changes nothing.
void add_claim(LedgerRow& row, const Claim& claim);

// Takes out the claims at n <= row.w and returns those that do not hold: c(n) differs, or n is no
// border. `c_at` answers for any n <= row.w.
std::vector<Claim> settle_claims(LedgerRow& row,
                                 const std::function<std::optional<Hash>(Seq)>& c_at);

bool claim_holds(const Claim& claim, const std::optional<Hash>& c);

}  // namespace egret::cloud
