// Fuzz entry: agent.toml of any bytes: complete, or mistakes that name what is wrong; never both,
// never a crash.
#include "agent/config.h"
#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::agent;
using fuzz::require;

namespace {

void run(ByteView input) {
  const CheckedConfig checked = parse_config(input, "agent.toml");
  for (const Mistake& mistake : checked.mistakes) {
    require(!mistake.message.empty() && mistake.value.size() <= 80,
            "a mistake says what is wrong, in short");
    require(!text_of(mistake).empty(), "a mistake can be told");
  }
  if (checked.mistakes.empty()) {
    const Config& c = checked.config;
    require(valid_facility(c.facility) && !c.broker.uri.empty() && !c.state_dir.empty(),
            "a config without mistakes is complete");
    require(c.buffer.budget_mb >= int64_t(kDiskBudgetBytesMin / kMiB) &&
                c.broker.frame_kb_max >= int64_t(kFrameBytesFloor / kKiB),
            "a config without mistakes is within its limits");
    require(c.doors.http.empty() || parse_loopback(c.doors.http),
            "a door listens on this machine only");
  }
  if (const auto address = parse_loopback(input))
    require(!address->host.empty(), "an address has a host");
}

std::vector<Bytes> seeds() {
  const std::string good = example_config({{"facility", "\"clinic-7\""},
                                           {"region_key", "\"" + std::string(64, '7') + "\""},
                                           {"broker.uri", "\"mqtt://broker.example\""}});
  return {good,
          "facility = 7\n[broker]\nuri = 'x'\nuri2 = {a=[1,2]}\n",
          "[buffer]\nbudget_mb = 99999999999999999999\n",
          "a = [[[[\n",
          "[doors]\nhttp = \"[::1]:8477\"\nconnections_max = 1_0\n",
          "127.0.0.1:8477",
          "[::1]:1"};
}

const fuzz::Registered registered({"agent_config", run, seeds});

}  // namespace
