// Conditional: what a write with a condition does, as a pure function of what is there: rules 25 and 26.
// Promises: one answer for one state; two entries for one identity are found before anything is written.
// Leaves to others: looking and writing under one lock (the store's), searching, words of the protocol (the facade).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace egret::cloud {

// [25] The first two entries of one transaction that mean the same identity; empty names mean none. Such a transaction
// is refused as a whole.
std::optional<std::pair<size_t, size_t>> same_identity(std::span<const std::string> identities);

enum class Wanted : uint8_t {
  create_if_none,  // If-None-Exist: a repeat is no second one
  update_one,      // PUT ?search: the one that matches, or a new one
  update_match,    // If-Match: only on the version that was seen
};
enum class Done : uint8_t {
  create,
  update,
  nothing,  // it is there already
  refuse,   // 412: several match, or another version is current
};
// [26] `matches`: how many are there. `current`, `seen`: versions, for update_match.
Done decide(Wanted wanted, size_t matches, uint64_t current = 0, uint64_t seen = 0);

}  // namespace egret::cloud
