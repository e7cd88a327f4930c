// Fuzz entry: what a refused record is made of is told of any bytes: within its limits, in order, as JSON, and without a
// value: text that the record carries is not in it.
#include <simdjson.h>

#include "cloud/record_outline.h"
#include "schemas/record.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

void check(const Outline& outline, size_t bytes) {
  require(outline.bytes <= bytes, "it is of these bytes");
  require(outline.fields.size() <= kOutlineFields, "at most so many fields");
  require(!outline.more || outline.fields.size() == kOutlineFields, "more only where there is no room");
  require(!outline.broken_at || *outline.broken_at < outline.bytes, "where it breaks is in it");
  uint32_t depth = 0;
  for (const OutlineField& field : outline.fields) {
    require(field.depth < kOutlineDepth && field.depth <= depth + 1, "one message deeper at most");
    require(field.bytes <= outline.bytes, "no field is larger than all of it");
    depth = field.depth;
  }
}

void run(ByteView input) {
  const RecordOutline outline = outline_of(input);
  check(outline.body, input.size());
  check(outline.arrival, input.size());
  const std::string json = to_json(outline);
  simdjson::dom::parser parser;
  require(parser.parse(simdjson::padded_string(json)).error() == simdjson::SUCCESS, "it is JSON");
  constexpr ByteView kMark = "Zhang^San";
  require(json.find(kMark) == json.npos, "no value is told");
}

std::vector<Bytes> seeds() {
  const Bytes body = "\x08\x01\x12\x0bZhang^San\x08\x01\x18\xff\xff\xff\xff\x0f";
  const auto record = join_record(body, "\x08\x02");
  return {body, record ? *record : Bytes(), Bytes("\0\0\0\0", 4), "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", ""};
}

const fuzz::Registered registered({"record_outline", run, seeds});

}  // namespace
