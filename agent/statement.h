// StatementCheck: a region's signed statement held against the site's own chain.
// Promises: a row is proven only when the site itself has the same 32 bytes of the chain at that number; what the site can
// no longer tell is said to be so, never counted as proven; nothing is written.
// Leaves to others: the signature (schemas/statement), opening the store (cli).
#pragma once

#include <string>
#include <vector>

#include "edge/view.h"
#include "schemas/statement.h"

namespace egret::agent {

enum class RowVerdict : uint8_t {
  proven,     // the same chain up to the number stated
  forgotten,  // the site has deleted its part, with the borders: it was proven to it when it did
  differs,    // another chain: the statement is not about what this site wrote
  too_far,    // more is stated than this site ever wrote
  unknown,    // an epoch that this store never had: a replaced disk, or another agent of the site
};
const char* name_of(RowVerdict verdict);
struct RowCheck {
  StreamKey key;
  Seq complete_to;
  RowVerdict verdict = RowVerdict::unknown;
  uint64_t lacks = 0;  // records that the site has written and the statement does not reach
};
struct StatementCheck {
  std::vector<RowCheck> rows;
  uint64_t lacks = 0;  // of all, and of streams that the statement does not name
  bool holds() const;  // nothing differs, is too far, or is unknown
};
// Errors: wrong_facility.
Result<StatementCheck> check_statement(const Statement& statement, const Facility& fac, const edge::View& view, const edge::Reader& reader);

}  // namespace egret::agent
