// Record schema: the JSON Schema (2020-12) of what record_json.h reads, made from the rules of
// record.proto. Promises: every limit in it is the one that the reader applies; the same rules give
// the same text. Leaves to others: the file schemas/record.schema.json (a test keeps it fresh),
// checks that JSON Schema cannot say (sizes in bytes, keys stated twice, rules that compare
// values).
#pragma once

#include <functional>
#include <string>

namespace egret {

// `comment_of`: the comment above a message or field of record.proto by its full name, for
// descriptions; may be empty.
std::string record_schema_json(
    const std::function<std::string(const std::string& full_name)>& comment_of);

}  // namespace egret
