// The file for support, and why records were refused: what may be in them, and what may not.
#include "agent/support.h"

#include <simdjson.h>
#include <catch2/catch.hpp>
#include <fstream>

#include "agent/cli/doctor.h"
#include "tests/unit/agent/scratch.h"
#include "tests/unit/agent/status_facts.h"

namespace egret::agent {

TEST_CASE("a refusal is kept as its code and a field of the schema, never as what a producer wrote", "[support]") {
  CHECK(known_field("ai_result.prob") == "ai_result.prob");
  CHECK(known_field("ai_result.findings[3].code") == (known_field("ai_result.findings.code")));
  CHECK(known_field("") == "");
  for (const char* planted : {"Zhang San", "ai_result.Zhang", "ai_result[Zhang", "Zhang.prob", "ai_result..prob", "."}) {
    INFO(planted);
    CHECK(known_field(planted).find("Zhang") == std::string::npos);
  }
  Refusals refusals;
  for (int i = 0; i < 3; i++) refusals.add("bad_input", "ai_result.Zhang", 5);
  refusals.add("too_large", "", 6);
  REQUIRE(refusals.list().size() == 2);
  CHECK(refusals.list()[0].records == 3);
  CHECK(refusals.list()[0].field == "(another)");
  CHECK(refusals.list()[1].code == "too_large");
}

TEST_CASE("reasons are bounded: what comes after a hundred of them counts as one", "[support]") {
  Refusals refusals;
  for (int i = 0; i < 500; i++) refusals.add(("code" + std::to_string(i)).c_str(), "", i);
  CHECK(refusals.list().size() == Refusals::kReasonsKept + 1);
  CHECK(refusals.list()[0].code == "others");
  CHECK(refusals.list()[0].records == 500 - Refusals::kReasonsKept);
}

TEST_CASE("the support file is JSON, with the settings that are right, and nothing of what stands where a mistake is", "[support]") {
  Scratch dir;
  const std::filesystem::path file = dir.path() / "agent.toml";
  std::ofstream(file) << "facility = \"clinic-1\"\nregion_key = \"" << std::string(64, 'a') << "\"\nstate_dir = \"" << dir.path().string() << "\"\npassword = \"hush-1\"\n"
                      << "[broker]\nuri = \"mqtts://clinic-1:hush-2@broker.example\"\n";
  std::ofstream(dir.path() / "Zhang San.pdf") << "x";
  StatusFacts facts = well();
  facts.refusals.push_back({"bad_input", "ai_result.prob", 7, 1});
  const CheckedConfig checked = config_for_support(file);
  const std::string text = support_file(checked, cli::to_json(cli::look_on_this_server(checked)), support_of_agent(facts), WallTime{1'800'000'000'000'000});
  simdjson::dom::parser parser;
  simdjson::dom::element s;
  REQUIRE(parser.parse(text).get(s) == simdjson::SUCCESS);
  CHECK(std::string_view(s["made"]) == "2027-01-15T08:00:00Z");
  CHECK(std::string_view(s["configuration"]["settings"]["facility"]).find("clinic-1") != std::string_view::npos);
  CHECK(simdjson::dom::array(s["configuration"]["lines_with_mistakes"]).size() == 2);
  CHECK(std::string_view(s["findings"].at(0)["id"]) == "config_mistake");
  CHECK(std::string_view(s["agent"]["status"]["refusals"].at(0)["field"]) == "ai_result.prob");
  CHECK(std::string_view(s["versions"]["egret"]) == EGRET_VERSION);
  CHECK(uint64_t(s["disk"]["other_files"]) == 2);
  for (const char* planted : {"hush-1", "hush-2", "Zhang"}) {
    INFO(planted);
    CHECK(text.find(planted) == std::string::npos);
  }
}

TEST_CASE("a password in the wrong place is not repeated by what is said about it", "[config]") {
  const CheckedConfig checked = parse_config("facility = \"clinic-1\"\npassword = \"hush\"\n[broker]\nuri = \"mqtts://u:hush@broker\"\npasswort = \"hush\"\n", "agent.toml");
  CHECK(checked.mistakes.size() >= 3);
  for (const Mistake& mistake : checked.mistakes) CHECK(text_of(mistake).find("hush") == std::string::npos);
}

}  // namespace egret::agent
