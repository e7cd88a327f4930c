// Fuzz entry: cloud.toml of any bytes: complete, or mistakes that name what is wrong.
#include "cloud/config.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

void run(ByteView input) {
  const CheckedCloudConfig checked = parse_cloud_config(input, "cloud.toml");
  for (const ConfigMistake& mistake : checked.mistakes) {
    require(!mistake.message.empty() && mistake.value.size() <= 80,
            "a mistake says what is wrong, in short");
    require(!text_of(mistake).empty(), "a mistake can be told");
  }
  if (!checked.mistakes.empty()) return;
  const CloudConfig& c = checked.config;
  require(check(c.broker).has_value() || !c.broker.ca_file.empty() ||
              !c.broker.certificate_file.empty() || !c.broker.key_file.empty(),
          "a config without mistakes names a broker");
  require(c.lease_s >= 30 && c.safe_age_h >= 1 && c.broker_queue_messages >= 16,
          "a config without mistakes is within its limits");
}

std::vector<Bytes> seeds() {
  return {example_cloud_config("state", "mqtt://127.0.0.1"),
          "[broker]\nuri = \"mqtt://b\"\nqueue_messages = 1\n",
          "lease_s = 1e3\n[safe]\npolicy = 'never'\nage_h = -1\n",
          "listen = ''\n[[broker]]\nuri = 1\n"};
}

const fuzz::Registered registered({"cloud_config", run, seeds});

}  // namespace
