// cloud.toml: every mistake is named with file, line, key, value and what is allowed, all at once.
#include "cloud/config.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using namespace egret::cloud;

namespace {

struct Mistake {
  const char* line;      // of the file
  const char* key;
  const char* shown;     // the value as it is shown
  const char* allowed;   // part of what is said to be allowed
};

// Twenty, no two alike. They stand in three files, since a table and a value cannot share a name.
const std::vector<std::vector<Mistake>> kFiles{
    {
        {"state_dir = 7", "state_dir", "7", "a folder is allowed"},
        {"listen = \"8478\"", "listen", "\"8478\"", "host:port"},
        {"lease_s = 29", "lease_s", "29", "from 30 to 3600"},
        {"herd_window_s = 301", "herd_window_s", "301", "from 0 to 300"},
        {"lease = 60", "lease", "60", "no such setting"},
        {"broker.uri = \"http://broker\"", "broker.uri", "\"http://broker\"", "mqtt://host"},
        {"broker.user = true", "broker.user", "true", "a name is allowed"},
        {"broker.shared = \"maybe\"", "broker.shared", "\"maybe\"", "yes or no"},
        {"broker.queue_messages = 15", "broker.queue_messages", "15", "from 16 to 10000000"},
        {"broker.password = \"x\"", "broker.password", "(not shown)", "no such setting"},
        {"safe.policy = \"never\"", "safe.policy", "\"never\"", "default, backup, age or commit"},
        {"safe.age_h = 0", "safe.age_h", "0", "from 1 to 8760"},
        {"log.level = \"loud\"", "log.level", "\"loud\"", "debug, info, warn or error"},
    },
    {
        {"state_dir = \"\"", "state_dir", "\"\"", "a folder is allowed"},
        {"lease_s = \"120\"", "lease_s", "\"120\"", "from 30 to 3600"},
        {"herd_window_s = 1.5", "herd_window_s", "1.5", "from 0 to 300"},
        {"broker = \"mqtt://broker\"", "broker", "\"mqtt://broker\"", "no such setting"},
        {"safe.age_h = -1", "safe.age_h", "-1", "from 1 to 8760"},
        {"log.level = 3", "log.level", "3", "debug, info, warn or error"},
    },
};

const char* kFine = "broker.uri = \"mqtt://broker.example\"\n";

std::string joined(const std::vector<Mistake>& file) {
  std::string text;
  for (const Mistake& m : file) text += std::string(m.line) + "\n";
  return text;
}

}  // namespace

TEST_CASE("twenty mistakes in a set of configurations give twenty messages", "[config]") {
  size_t messages = 0;
  for (const auto& file : kFiles) {
    const CheckedCloudConfig checked = parse_cloud_config(joined(file), "cloud.toml");
    messages += checked.mistakes.size();
    for (size_t i = 0; i < file.size(); ++i) {
      const Mistake& m = file[i];
      INFO(m.line);
      const auto said = std::find_if(checked.mistakes.begin(), checked.mistakes.end(), [&](const ConfigMistake& c) { return c.key == m.key; });
      REQUIRE(said != checked.mistakes.end());
      CHECK(said->file == "cloud.toml");
      CHECK(said->line == i + 1);
      CHECK(said->value == m.shown);
      CHECK(said->message.find(m.allowed) != std::string::npos);
      CHECK(text_of(*said).rfind("cloud.toml:" + std::to_string(i + 1) + ": " + m.key + ": " + m.shown + ": ", 0) == 0);
    }
  }
  // The second file has no broker.uri: that is the twentieth.
  CHECK(messages == 20);
}

TEST_CASE("a file that is no TOML is named with its line", "[config]") {
  const CheckedCloudConfig checked = parse_cloud_config("lease_s = 60\nlease_s = = 3\n", "cloud.toml");
  REQUIRE(checked.mistakes.size() == 1);
  CHECK(checked.mistakes[0].line == 2);
}

TEST_CASE("a file that is not there is one message, not a crash", "[config]") {
  CHECK(read_cloud_config("/nowhere/cloud.toml").mistakes.size() == 1);
}

TEST_CASE("the example that init writes is a right configuration with every default", "[config]") {
  const CheckedCloudConfig checked = parse_cloud_config(example_cloud_config("/var/lib/egret-cloud", "mqtts://broker.example"), "/etc/egret/cloud.toml");
  REQUIRE(checked.mistakes.empty());
  const CheckedCloudConfig bare = parse_cloud_config(kFine, "/etc/egret/cloud.toml");
  REQUIRE(bare.mistakes.empty());
  CHECK(checked.config.lease_s == bare.config.lease_s);
  CHECK(checked.config.safe_age_h == 72);
  CHECK(checked.config.listen == bare.config.listen);
  CHECK(checked.config.state_dir == "/var/lib/egret-cloud");
}

TEST_CASE("every line that the example has commented out is a setting and may be uncommented", "[config]") {
  std::string text = example_cloud_config("/var/lib/egret-cloud", "mqtts://broker.example");
  size_t settings = 0;
  for (size_t at = text.find("\n#"); at != std::string::npos; at = text.find("\n#", at + 1)) {
    const size_t end = text.find('\n', at + 1);
    const std::string line = text.substr(at + 2, end - at - 2);
    if (line.empty() || line[0] == ' ') continue;  // words
    text.erase(at + 1, 1);
    ++settings;
  }
  CHECK(settings > 10);
  const CheckedCloudConfig checked = parse_cloud_config(text, "/etc/egret/cloud.toml");
  for (const ConfigMistake& m : checked.mistakes) UNSCOPED_INFO(text_of(m));
  CHECK(checked.mistakes.empty());
}

TEST_CASE("relative paths are taken from the folder of the file", "[config]") {
  const CheckedCloudConfig checked =
      parse_cloud_config("state_dir = \"state\"\nbroker.uri = \"mqtts://b.example\"\nbroker.ca_file = \"../ca.pem\"\n", "/etc/egret/cloud.toml");
  REQUIRE(checked.mistakes.empty());
  CHECK(checked.config.state_dir == "/etc/egret/state");
  CHECK(checked.config.broker.ca_file == "/etc/ca.pem");
}

TEST_CASE("the example that is installed is the one that init writes", "[config]") {
  std::ifstream file(std::string(EGRET_SOURCE_DIR) + "/packaging/examples/cloud.toml");
  std::ostringstream text;
  text << file.rdbuf();
  CHECK(text.str() == example_cloud_config("/var/lib/egret-cloud", "mqtts://broker.example.org:8883"));
}

TEST_CASE("a store in PostgreSQL needs an address, and a password in it is refused without being shown", "[config]") {
  const auto parse = [](const std::string& store) {
    return parse_cloud_config("broker.uri = \"mqtts://b.example\"\n[store]\nkind = \"postgres\"\n" + store, "/etc/egret/cloud.toml");
  };
  const auto fine = parse("url = \"postgresql://egret@db.example:6432/region\"\npassword_file = \"pg\"\n");
  REQUIRE(fine.mistakes.empty());
  CHECK(fine.config.postgres);
  CHECK(fine.config.postgres_password_file == "/etc/egret/pg");
  REQUIRE(parse("").mistakes.size() == 1);
  CHECK(parse("").mistakes[0].key == "store.url");
  for (const char* url : {"postgresql://egret:hush@db.example/region", "postgresql://egret@db.example/region?password=hush"}) {
    const auto told = parse("url = \"" + std::string(url) + "\"\n");
    REQUIRE(told.mistakes.size() == 1);
    CHECK(told.mistakes[0].line == 4);
    CHECK(text_of(told.mistakes[0]).find("hush") == std::string::npos);
  }
}

TEST_CASE("a password that was written where it does not belong is not repeated", "[config]") {
  const char* const wrong[] = {
      "[broker]\nuri = \"mqtts://b.example\"\npassword = \"hush\"\n",
      "[broker]\nuri = \"mqtts://b.example\"\n[store]\nDB_PW = \"hush\"\n",
      "[broker]\nuri = \"mqtts://cloud:hush@b.example\"\n",
      "[broker]\nuri = \"mqtts://b.example\"\n[alerts]\nhook = \"https://egret:hush@h.example/a/path/that/is/so/long/that/it/would/be/cut/where/the/message/ends\"\n",
  };
  for (const char* text : wrong) {
    const CheckedCloudConfig told = parse_cloud_config(text, "/etc/egret/cloud.toml");
    REQUIRE(told.mistakes.size() == 1);
    CAPTURE(text_of(told.mistakes[0]));
    CHECK(told.mistakes[0].value == "(not shown)");
    CHECK(text_of(told.mistakes[0]).find("hush") == std::string::npos);
  }
}

TEST_CASE("when a site counts as silent is a setting, and not sooner than a healthy one speaks twice", "[config]") {
  const auto parse = [](const std::string& more) { return parse_cloud_config(std::string(kFine) + more, "cloud.toml"); };
  CHECK(parse("").config.silent_after_s * 1000 == 15 * 60 * 1000);
  CHECK(parse("lease_s = 60\nsilent_after_s = 60\n").mistakes.empty());
  const auto told = parse("lease_s = 60\nsilent_after_s = 59\n");
  REQUIRE(told.mistakes.size() == 1);
  CHECK(text_of(told.mistakes[0]) == "cloud.toml:3: silent_after_s: 59: less than lease_s (60), within which a healthy site speaks twice");
  // Who has set a long lease before there was the setting is not stopped by it.
  CHECK(parse("lease_s = 1800\n").mistakes.empty());
  CHECK(parse("silent_after_s = 29\n").mistakes.size() == 1);
}
