// Fuzz entry: the check on the way to a commit takes any bytes; its short way says yes to nothing
// that the long one refuses, and gives the same answer.
#include "schemas/record_json.h"
#include "schemas/record_plain.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using fuzz::require;

namespace {

void compare(ByteView bytes) {
  if (const auto plain = plain_body(bytes, "clinic-7")) {
    const auto checked = check_body_by_message(bytes, "clinic-7");
    require(checked && !checked->opaque && checked->schema == kRecordSchema,
            "the long way says yes too");
    require(checked->key.kind == plain->kind && checked->lane == plain->lane,
            "both ways give one answer");
  }
  require(!plain_arrival(bytes) || check_arrival_by_message(bytes),
          "the long way knows this arrival");
}

// Input: bytes of a body or an arrival; or JSON, a zero byte and edits of the body made of it: what
// (1), where (2), with (1).
void run(ByteView input) {
  const size_t end =
      input.empty() || input[0] != '{' ? 0 : std::min(input.find('\0'), input.size());
  const auto made = end > 0 ? body_from_json(input.substr(0, end), "clinic-7")
                            : Result<NewBody>(Error{Errc::bad_input, ""});
  if (!made) {
    return compare(input);
  }
  Bytes body = made->bytes;
  compare(body);
  fuzz::Script edits(input.substr(std::min(end + 1, input.size())));
  while (!edits.over() && !body.empty()) {
    const uint8_t what = edits.u8();
    const size_t at = edits.u16() % body.size();
    const uint8_t with = edits.u8();
    switch (what % 4) {
      case 0:
        body[at] = static_cast<char>(with);
        break;
      case 1:
        body.erase(at, 1 + with % 16);
        break;
      case 2:
        body.insert(at, body.substr(at, 1 + with % 64));
        break;
      default:
        body.insert(at, 1, static_cast<char>(with));
    }
    compare(body);
  }
}

std::vector<Bytes> seeds() {
  const auto made = body_from_json(
      R"({"sens":2,"purpose":["quality"],"agent_event":{"boot_id":"62626262-6262-6262-6262-626262626262","counter":1,"name":"a","severity":"info"}})",
      "clinic-7");
  return {made ? made->bytes : Bytes(), "\x08\x01"};
}

const fuzz::Registered registered({"record_body", run, seeds});

}  // namespace
