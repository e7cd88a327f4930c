// The tables of what doctor finds and of what the log tells, in both languages.
#include <catch2/catch.hpp>

#include "agent/cli/doctor.h"
#include "agent/log.h"

namespace egret::agent {
namespace {

bool ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}
// Something is said beside the values.
bool words_in(std::string_view english) { return english.find_first_of("abcdefghijklmnopqrstuvwxyz") != english.npos; }

void check_phrase(const Phrase& phrase) {
  const std::vector<std::string> values(10, "1");
  const std::string en = filled(phrase.in(Language::english), values), zh = filled(phrase.in(Language::chinese), values);
  INFO(en << " / " << zh);
  CHECK(ascii(en));
  CHECK(en.find('{') == en.npos);
  CHECK(zh.find('{') == zh.npos);
  CHECK((!words_in(en) || !ascii(zh)));
}

}  // namespace

TEST_CASE("each finding of doctor is told in both languages, with nothing left to fill in, and with what to do when it is not well", "[doctor]") {
  for (const cli::Finding& finding : cli::kFindings) {
    INFO(finding.id);
    check_phrase(finding.message);
    CHECK(finding.todo.has_value() == (finding.level != cli::Level::ok));
    if (finding.todo) check_phrase(*finding.todo);
  }
}

TEST_CASE("each event of the agent is told, explained and advised on in both languages", "[log]") {
  for (const LogEvent& event : kEvents) {
    INFO(event.id);
    check_phrase(event.text);
    check_phrase(event.means);
    check_phrase(event.todo);
  }
}

TEST_CASE("findings fail when one of them does, and their JSON is English with ids", "[doctor]") {
  cli::Findings f;
  f.add("clock_ok", 3);
  CHECK_FALSE(f.failed());
  f.add("clock_unsynchronised");
  CHECK_FALSE(f.failed());
  f.add("dns_unknown", "a \"host\"", "no such name");
  CHECK(f.failed());
  CHECK(f.checks[2].message(Language::chinese) == "a \"host\"：no such name");
  CHECK(cli::to_json(f).find(R"({"check":"dns","id":"dns_unknown","level":"fail","message":"a \"host\": no such name","todo":"check broker.uri)") != std::string::npos);
}

}  // namespace egret::agent
