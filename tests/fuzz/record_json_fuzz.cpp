// Fuzz entry: the JSON door takes any bytes; what it accepts checks, is written and read again as
// the same body.
#include "schemas/record_json.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using fuzz::require;

namespace {

void check_accepted(const NewBody& made) {
  const auto checked = check_body(made.bytes, "clinic-7");
  require(checked && checked->key == made.key && checked->lane == made.lane,
          "what is accepted checks");
  const auto written = json_from_body(made.bytes);
  require(written.has_value(), "what is accepted can be written");
  const auto again = body_from_json(*written, "clinic-7");
  require(again && again->bytes == made.bytes, "what is written is read as the same body");
}

void run(ByteView bytes) {
  for (const JsonForm form : {JsonForm::document, JsonForm::lines, JsonForm::automatic}) {
    (void)records_from_json(bytes, form, "clinic-7", [](const JsonOutcome& outcome) {
      if (outcome.result) check_accepted(*outcome.result);
    });
  }
  if (const auto bodies = telemetry_from_json(bytes, "clinic-7")) {
    for (const auto& body : *bodies) {
      require(check_body(body.bytes, "clinic-7").has_value(), "telemetry that is accepted checks");
    }
  }
  const bool written = json_from_body(bytes).has_value();
  require(written || !check_body(bytes, "clinic-7"), "a body that checks can be written");
}

std::vector<Bytes> seeds() {
  return {
      R"({"sens":2,"purpose":["quality"],"agent_event":{"boot_id":"62626262-6262-6262-6262-626262626262","counter":1,"name":"a","severity":"info"}})",
      "{}\n\n[1]\n{\"sens\":2}"};
}

const fuzz::Registered registered({"record_json", run, seeds});

}  // namespace
