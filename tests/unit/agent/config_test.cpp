#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "agent/config.h"

namespace egret::agent {
namespace {

const std::string kKey(64, 'a');
std::string minimal() {
  return "facility = \"clinic-1\"\nregion_key = \"" + kKey +
         "\"\n[broker]\nuri = \"mqtts://broker.example\"\n";
}
CheckedConfig parse(const std::string& text) {
  return parse_config(text, "/etc/egret/agent.toml");
}

// A mistake that names this line, key and value, and whose message says what is allowed.
bool named(const CheckedConfig& checked, uint32_t line, const std::string& key,
           const std::string& value, const std::string& allowed) {
  for (const auto& m : checked.mistakes) {
    std::string whole = text_of(m);
    if (m.line == line && m.key == key && m.value == value && m.file == "agent.toml" &&
        m.message.find(allowed) != std::string::npos && whole.find(key) != std::string::npos &&
        whole.find("agent.toml:" + std::to_string(line)) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE(
    "what is not said has its default, and paths start at the state directory or the file's "
    "folder") {
  auto checked = parse(minimal() + "ca_file = \"ca.pem\"\n");
  REQUIRE(checked.mistakes.empty());
  const Config& c = checked.config;
  CHECK(c.facility == "clinic-1");
  CHECK(c.state_dir == "/var/lib/egret-agent");
  CHECK(c.site_key_file == "/var/lib/egret-agent/site.key");
  CHECK(c.doors.unix_socket == "/var/lib/egret-agent/agent.sock");
  CHECK(c.broker.ca_file == "/etc/egret/ca.pem");
  CHECK(c.broker.password_file.empty());
  CHECK(c.buffer.budget_mb == 4096);
  CHECK(c.doors.http == "127.0.0.1:8477");
  CHECK(c.region_key.point[31] == 0xaa);
}

TEST_CASE(
    "twenty mistakes in one file are twenty messages with file, line, key, value and what is "
    "allowed") {
  std::string file =
      "facility = \"Clinic One\"\n"     // 1 bad characters
      "region_key = \"abc\"\n"          // 2 too short
      "state_dir = 7\n"                 // 3 wrong type
      "site_key_file = \"\"\n"          // 4 empty path
      "facilty = \"x\"\n"               // 5 unknown, near
      "colour = \"red\"\n"              // 6 unknown, far
      "log = \"debug\"\n"               // 7 a section as a value
      "[broker]\n"                      // 8
      "uri = \"http://broker\"\n"       // 9 wrong scheme
      "password_file = true\n"          // 10 wrong type
      "ca_file = 3.5\n"                 // 11 wrong type
      "cert_file = [\"a\"]\n"           // 12 wrong type
      "key_file = 2020-01-01\n"         // 13 wrong type
      "frame_kb_max = 4\n"              // 14 too small
      "password = \"secret\"\n"         // 15 unknown
      "[doors]\n"                       // 16
      "unix_socket = {path = \"x\"}\n"  // 17 a table
      "http = \"0.0.0.0:8477\"\n"       // 18 not loopback
      "connections_max = 0\n"           // 19 too small
      "[buffer]\n"                      // 20
      "budget_mb = \"4096\"\n"          // 21 text for a number
      "zstd_level = 20\n"               // 22 too large
      "budget_gb = 4\n"                 // 23 unknown
      "[store]\n"                       // 24 unknown section
      "x = 1\n";
  auto checked = parse(file);
  CHECK(named(checked, 1, "facility", "'Clinic One'", "a-z, 0-9 and -"));
  CHECK(named(checked, 2, "region_key", "'abc'", "64 hexadecimal digits"));
  CHECK(named(checked, 3, "state_dir", "7", "a path (text in quotes)"));
  CHECK(named(checked, 4, "site_key_file", "''", "a path (text in quotes)"));
  CHECK(named(checked, 5, "facilty", "'x'", "did you mean facility?"));
  CHECK(named(checked, 6, "colour", "'red'", "allowed here: facility, region_key, state_dir"));
  CHECK(named(checked, 7, "log", "'debug'", "a table [log]"));
  CHECK(named(checked, 9, "broker.uri", "'http://broker'",
              "mqtt://host[:port] or mqtts://host[:port]"));
  CHECK(named(checked, 10, "broker.password_file", "true", "a path"));
  CHECK(named(checked, 11, "broker.ca_file", "3.5", "a path"));
  CHECK(named(checked, 12, "broker.cert_file", "[ 'a' ]", "a path"));
  CHECK(named(checked, 13, "broker.key_file", "2020-01-01", "a path"));
  CHECK(named(checked, 14, "broker.frame_kb_max", "4", "from 8 to 1024"));
  CHECK(named(checked, 15, "broker.password", "(not shown)",
              "allowed here: broker.uri, broker.password_file"));
  CHECK(named(checked, 17, "doors.unix_socket", "a table", "a path"));
  CHECK(named(checked, 18, "doors.http", "'0.0.0.0:8477'", "a loopback address and port"));
  CHECK(named(checked, 19, "doors.connections_max", "0", "from 1 to 4096"));
  CHECK(named(checked, 21, "buffer.budget_mb", "'4096'", "from 32 to 1048576"));
  CHECK(named(checked, 22, "buffer.zstd_level", "20", "from 0 to 19"));
  CHECK(named(checked, 23, "buffer.budget_gb", "4", "did you mean buffer.budget_mb?"));
  CHECK(named(checked, 24, "store", "a table", "no such setting"));
  CHECK(checked.mistakes.size() == 21);
}

TEST_CASE("settings that are missing are named with the line of their section") {
  auto checked = parse("[broker]\nframe_kb_max = 64\n");
  CHECK(named(checked, 1, "facility", "", "is missing; 1 to 32 characters"));
  CHECK(named(checked, 1, "region_key", "", "is missing; 64 hexadecimal"));
  CHECK(named(checked, 1, "broker.uri", "", "is missing; mqtt://"));
  CHECK(checked.mistakes.size() == 3);
}

TEST_CASE("settings that contradict each other are mistakes") {
  auto lonely = parse(minimal() + "cert_file = \"site.pem\"\n");
  CHECK(named(lonely, 5, "broker.cert_file", "'site.pem'", "come together"));
  auto clear = parse("facility = \"a\"\nregion_key = \"" + kKey +
                     "\"\n[broker]\nuri = \"mqtt://b\"\nca_file = \"x\"\n");
  CHECK(named(clear, 5, "broker.ca_file", "'x'", "mqtts"));
  auto shut = parse(minimal() + "[doors]\nunix_socket = \"\"\nhttp = \"\"\n");
  REQUIRE(shut.mistakes.size() == 1);
  CHECK(shut.mistakes[0].message.find("must be open") != std::string::npos);
  auto deep = parse(minimal() + "[doors]\nunix_socket = \"/" + std::string(120, 'd') + "\"\n");
  REQUIRE(deep.mistakes.size() == 1);
  CHECK(deep.mistakes[0].message.find("at most 107 characters") != std::string::npos);
}

TEST_CASE("a file that is not TOML is one mistake with its line") {
  auto checked = parse("facility = \"a\"\nregion_key = \n");
  REQUIRE(checked.mistakes.size() == 1);
  CHECK(checked.mistakes[0].line == 2);
  CHECK(checked.mistakes[0].message.find("not TOML") == 0);
  auto twice = parse(minimal() + "uri = \"mqtt://b\"\n");
  REQUIRE(twice.mistakes.size() == 1);
  CHECK(twice.mistakes[0].line == 5);
}

TEST_CASE("a file that is not there is one mistake that says what to do") {
  auto checked = read_config("/nonexistent/agent.toml");
  REQUIRE(checked.mistakes.size() == 1);
  CHECK(text_of(checked.mistakes[0]).find("egret-agent init") != std::string::npos);
}

TEST_CASE(
    "the example file is accepted once the settings without a default are given, and says every "
    "default") {
  std::string example = example_config({{"facility", *literal_for("facility", "clinic-1")},
                                        {"region_key", *literal_for("region_key", kKey)},
                                        {"broker.uri", *literal_for("broker.uri", "mqtt://b")}});
  REQUIRE(parse(example).mistakes.empty());
  // Every commented setting, taken as written, is a valid one with the same outcome.
  std::string spoken;
  std::istringstream lines(example);
  for (std::string line; std::getline(lines, line);) {
    bool setting = line.starts_with("#") && !line.starts_with("# ");
    spoken += (setting ? line.substr(1) : line) + "\n";
  }
  auto defaults = parse(example).config, said = parse(spoken).config;
  REQUIRE(parse(spoken).mistakes.empty());
  CHECK(said.buffer.budget_mb == defaults.buffer.budget_mb);
  CHECK(said.doors.unix_socket == defaults.doors.unix_socket);
  CHECK(said.log_level == defaults.log_level);
  CHECK(spoken.find("zstd_level = 3") != std::string::npos);
}

TEST_CASE("a literal is quoted so that no text can break out of it") {
  CHECK(literal_for("buffer.budget_mb", "64") == "64");
  CHECK(!literal_for("nonsense", "64"));
  std::string tricky = "a\"\nfacility = \"b";
  std::string file = "state_dir = " + *literal_for("state_dir", tricky) + "\n" + minimal();
  auto checked = parse(file);
  REQUIRE(checked.mistakes.empty());
  CHECK(checked.config.facility == "clinic-1");
}

TEST_CASE("the example that is installed is the one that init writes") {
  std::vector<std::pair<std::string, std::string>> values;
  for (auto [key, text] : {std::pair{"facility", std::string("clinic-1")},
                           {"region_key", std::string(64, '0')},
                           {"broker.uri", std::string("mqtts://broker.example.org:8883")},
                           {"broker.password_file", std::string("agent.password")},
                           {"doors.unix_socket", std::string("/run/egret-agent/agent.sock")}}) {
    values.emplace_back(key, *literal_for(key, text));
  }
  std::ifstream file(std::string(EGRET_SOURCE_DIR) + "/packaging/examples/agent.toml");
  std::ostringstream text;
  text << file.rdbuf();
  CHECK(text.str() == example_config(values));
  CHECK(parse(text.str()).mistakes.empty());
}

TEST_CASE("only loopback addresses may be listened on") {
  CHECK(parse_loopback("127.0.0.1:0")->port == 0);
  CHECK(parse_loopback("[::1]:8477")->host == "::1");
  CHECK(parse_loopback("localhost:1")->host == "127.0.0.1");
  for (const char* bad : {"", "8477", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "10.0.0.1:80",
                          "[::]:80", "example.org:80", "127.0.0.1:80x"}) {
    CHECK(!parse_loopback(bad));
  }
}

}  // namespace egret::agent
