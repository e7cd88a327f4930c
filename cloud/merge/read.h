// Read: the statements that a record makes, and about which results.
// Promises: made from the body alone; a result's own facility versions, retracts and succeeds, any facility reviews.
// Leaves to others: bodies of a newer schema and kinds that say nothing about results (none is the answer).
#pragma once

#include <vector>

#include "cloud/merge/statement.h"

namespace egret::cloud {

// A result's name: who owns it, and its logical id.
struct ResultName {
  Facility fac;
  Uuid id{};
  auto operator<=>(const ResultName&) const = default;
};

struct Stated {
  ResultName about;
  Statement statement;
};

// `content` is SHA-256(body).
std::vector<Stated> statements_in(const v1::Body& body, const Hash& content);

}  // namespace egret::cloud
