// Record JSON syntax: is a text JSON at all (RFC 8259), and where do the elements of an array begin
// and end. Promises: every value is looked at, nothing is skipped; depth is bounded by
// kJsonDepthMax; an error holds a place and a rule, never a part of the text. Leaves to others:
// what the JSON says (record_json_read.h).
#pragma once

#include <simdjson.h>

#include <optional>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret {

// The error of a text that is not exactly one JSON value; nullopt when it is one.
std::optional<Error> find_malformed(ByteView text);

// Has everything of the document been read? (simdjson before 3.1 has no call for it.)
bool at_end(simdjson::ondemand::document& document);

// The elements of an array, as views into `text`, whose first character that is no blank is '['.
// Brackets and commas are checked; the elements themselves are not. Errors: bad_input, too_large
// (over `items_max`).
Result<std::vector<ByteView>> split_array(ByteView text, size_t items_max);

// Without JSON's blanks at both ends.
ByteView trim_blanks(ByteView text);

// Appends `text` as a JSON string.
void append_json_string(std::string& out, std::string_view text);

}  // namespace egret
