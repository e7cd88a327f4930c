// Fuzz entry: the check on the way to a commit takes any bytes; its short way says yes to nothing
// that the long one refuses, and gives the same answer.
#include <cstdlib>

#include "schemas/record_json.h"
#include "schemas/record_plain.h"

using namespace egret;

namespace {

void compare(ByteView bytes) {
  if (const auto plain = plain_body(bytes, "clinic-7")) {
    const auto checked = check_body_by_message(bytes, "clinic-7");
    if (!checked || checked->opaque || checked->schema != kRecordSchema) std::abort();
    if (checked->key.kind != plain->kind || checked->lane != plain->lane) std::abort();
  }
  if (plain_arrival(bytes) && !check_arrival_by_message(bytes)) std::abort();
}

}  // namespace

// Input: bytes of a body or an arrival; or JSON, a zero byte and edits of the body made of it: what
// (1), where (2), with (1).
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.empty() || input[0] != '{' ? 0 : std::min(input.find('\0'), size);
  const auto made = end > 0 ? body_from_json(input.substr(0, end), "clinic-7")
                            : Result<NewBody>(Error{Errc::bad_input, ""});
  if (!made) {
    compare(input);
    return 0;
  }
  Bytes body = made->bytes;
  compare(body);
  for (size_t i = end + 1; i + 4 <= size && !body.empty(); i += 4) {
    const size_t at = (size_t(data[i + 1]) << 8 | data[i + 2]) % body.size();
    switch (data[i] % 4) {
      case 0:
        body[at] = static_cast<char>(data[i + 3]);
        break;
      case 1:
        body.erase(at, 1 + data[i + 3] % 16);
        break;
      case 2:
        body.insert(at, body.substr(at, 1 + data[i + 3] % 64));
        break;
      default:
        body.insert(at, 1, static_cast<char>(data[i + 3]));
    }
    compare(body);
  }
  return 0;
}
