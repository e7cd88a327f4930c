// Fuzz entry: the JSON door takes any bytes; what it accepts checks, is written and read again as
// the same body.
#include <cstdlib>

#include "schemas/record_json.h"

using namespace egret;

namespace {

void check_accepted(const NewBody& made) {
  const auto checked = check_body(made.bytes, "clinic-7");
  if (!checked || checked->key != made.key || checked->lane != made.lane) std::abort();
  const auto written = json_from_body(made.bytes);
  if (!written) std::abort();
  const auto again = body_from_json(*written, "clinic-7");
  if (!again || again->bytes != made.bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(reinterpret_cast<const char*>(data), size);
  for (const JsonForm form : {JsonForm::document, JsonForm::lines, JsonForm::automatic}) {
    (void)records_from_json(bytes, form, "clinic-7", [](const JsonOutcome& outcome) {
      if (outcome.result) check_accepted(*outcome.result);
    });
  }
  if (const auto bodies = telemetry_from_json(bytes, "clinic-7")) {
    for (const auto& body : *bodies) {
      if (!check_body(body.bytes, "clinic-7")) std::abort();
    }
  }
  if (check_body(bytes, "clinic-7") && !json_from_body(bytes)) std::abort();
  (void)json_from_body(bytes);
  return 0;
}
