// Of what the tested code logs, the latest lines are shown where a case fails, and nothing otherwise.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "schemas/log.h"

namespace {

constexpr size_t kLinesShown = 20;

class LogOfFailures : public Catch::TestEventListenerBase {
 public:
  using TestEventListenerBase::TestEventListenerBase;
  void testRunStarting(const Catch::TestRunInfo&) override { egret::keep_log_only(); }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (stats.totals.assertions.failed == 0) return;
    const std::vector<std::string> lines = egret::last_log_lines();
    stream << "the log's latest lines, this case's last:\n";
    for (size_t i = lines.size() - std::min(lines.size(), kLinesShown); i < lines.size(); i++) stream << "  " << lines[i] << '\n';
  }

 private:
  std::ostream& stream = Catch::cout();
};
CATCH_REGISTER_LISTENER(LogOfFailures)

}  // namespace
