// The tests of merging with one rule switched off, named by EGRET_RULE_OFF: they must fail. `--every-rule` does so with each of
// the 28 in turn: the tests that bear its number must fail, and so must the property over all of them (`[rules]`) unless the
// rule is about numbers of the wire. Exit 0 when 28 of 28 fell, and all pass when none is off.
#define CATCH_CONFIG_RUNNER
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "schemas/merge_rules.h"

namespace {

using egret::Rule;

// Did these tests fail, and not merely break?
bool fails(const char* rule, const std::string& tests) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const int code = std::system(fmt::format("EGRET_RULE_OFF={} '{}' '{}' -a >/dev/null 2>&1", rule, self, tests).c_str());
  return code != 0;
}

bool on_the_wire(Rule rule) {
  return rule == Rule::same_record || rule == Rule::forked_record || rule == Rule::quarantine;
}

int every_rule() {
  if (fails("none", "*")) {
    fmt::print("with every rule on a test fails: run {} by itself\n", "unit-rules");
    return 1;
  }
  int fell = 0;
  for (int i = 1; i <= egret::kRules; i++) {
    const auto rule = static_cast<Rule>(i);
    const bool named = fails(egret::name_of(rule), fmt::format("[rule {}]", i));
    const bool property = on_the_wire(rule) || fails(egret::name_of(rule), "[rules]");
    fell += named && property;
    fmt::print("rule {:2} {:24} its tests {}, the property {}\n", i, egret::name_of(rule), named ? "fail" : "PASS",
               on_the_wire(rule) ? "is not about it" : property ? "fails" : "PASSES");
  }
  fmt::print("{} of {} switches are found\n", fell, egret::kRules);
  return fell == egret::kRules ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--every-rule") == 0) return every_rule();
  const char* name = std::getenv("EGRET_RULE_OFF");
  for (int i = 0; name && i <= egret::kRules; i++) {
    if (std::strcmp(name, egret::name_of(static_cast<Rule>(i))) == 0) egret::rule_off = static_cast<Rule>(i);
  }
  return Catch::Session().run(argc, argv);
}
