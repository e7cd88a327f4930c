// Query: what follows the '?' of an address, as names and values.
// Promises: percent-encoding is undone; an unknown name, one that comes twice, or a value that is missing is a mistake that
// names what is known. Leaves to others: what values mean.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "schemas/error.h"

namespace egret::cloud {

using Query = std::map<std::string, std::string, std::less<>>;
// Errors: bad_input.
Result<Query> query_of(std::string_view text, std::initializer_list<std::string_view> known);
// Percent-encoding undone; nullopt when it is broken. `plus`: a + is a space, as in queries.
std::optional<std::string> unescaped(std::string_view text, bool plus);
// A whole number; `fallback` when it was not given. Errors: bad_input (names the range).
Result<uint64_t> number_in(const Query& query, std::string_view name, uint64_t fallback, uint64_t min, uint64_t max);

// A JSON object of texts, each at most kNoteBytesMax. Errors: bad_input (names what is known, or the limit).
Result<Query> texts_in(const std::string& body, std::initializer_list<std::string_view> known);
// What a person says of a change, as its body has it: {"note":"…"}; an empty body: nothing. Errors: bad_input.
Result<std::string> note_in(const std::string& body);

}  // namespace egret::cloud
