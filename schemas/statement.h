// Statement: how far a region is complete for one site, signed by the region: what `egret-cloud completeness --statement`
// makes and `egret-agent verify-statement` checks without a link.
// Promises: any changed byte breaks the signature; what opens was written whole; each row carries all 32 bytes of the
// chain at its W, so that it can be held against the site's own chain.
// Leaves to others: where keys are (agent, cloud), the site's chain (edge), what is stated (cloud/completeness).
//
// Two lines. The first is the statement, one JSON object; the second {"signer":"64 hex","signature":"128 hex"}: Ed25519 over
// "egret-statement-1" ‖ a zero byte ‖ the first line without its end.
#pragma once

#include <vector>

#include "schemas/error.h"
#include "schemas/gap.h"
#include "schemas/limits.h"
#include "schemas/seal.h"

namespace egret {

inline constexpr size_t kStatementBytesMax = 32 * kMiB;
inline constexpr size_t kStatementRowsMax = 65'536;     // streams of all epochs of a site
inline constexpr size_t kStatementGapsMax = 1'024;      // of one row; more are counted

struct StatedGap {
  Seq first, last;
  GapKind kind = GapKind::none;
  bool unverified = false;
};
struct StatedRow {
  StreamKey key;
  Seq complete_to;  // every number up to it is committed, or in a gap
  Hash c{};         // the chain there
  Seq claimed_to;   // the highest the site has claimed
  bool final = false, moved = false, finished = false, unverified = false;
  std::vector<StatedGap> gaps;
  uint64_t more_gaps = 0;  // left out
};
struct Statement {
  Facility fac;
  WallTime made, last_seen;
  uint64_t gen = 0;  // of the region's store: another after a restore
  uint64_t records = 0, duplicates = 0, quarantined = 0, gap_records = 0;
  std::vector<StatedRow> rows;
};

// Errors: too_large (rows, or bytes).
Result<Bytes> sign_statement(const Statement& statement, const SitePrivateKey& key);
struct OpenedStatement {
  Statement statement;
  SitePublicKey signer;
};
// Errors: too_large, bad_input (no statement; names what), bad_signature (changed, or of another than `signer`).
Result<OpenedStatement> open_statement(ByteView file, const SitePublicKey& signer);

}  // namespace egret
