// What a log says, how often, and what cannot get into it.
#include "schemas/log.h"

#include <catch2/catch.hpp>

#include "schemas/log_limit.h"

namespace egret {
namespace {

constexpr LogEvent kEvent{"disk_lost", LogLevel::warn, "lane synced holds", {"lane {0} was synced to {1} and holds {2}"}, {"It came back shorter."}, {"Look at the disk."}};
constexpr LogEvent kReason{"store_failed", LogLevel::error, "why", {"the store failed: {0}"}, {"A write failed."}, {"Look at the disk."}};
constexpr WallTime kAt{1'800'000'000'123'456};

Message lost() { return {&kEvent, {LogValue(StreamId::result), LogValue(uint64_t{9}), LogValue(7)}}; }
Message failed(const std::string& why) { return {&kReason, {LogValue(Error{Errc::store_failed, why})}}; }

template <class T>
concept Loggable = requires(const T& value) { LogValue(value); };

}  // namespace

TEST_CASE("a line names its time, level, event, and each value", "[log]") {
  CHECK(logfmt(lost(), kAt, 0) == "time=2027-01-15T08:00:00.123Z level=warn event=disk_lost msg=\"lane result was synced to 9 and holds 7\" lane=result synced=9 holds=7");
  CHECK(logfmt(lost(), kAt, 3).ends_with(" holds=7 left_out=3"));
}

TEST_CASE("whatever a reason holds, a line stays one line, and its values can be told apart", "[log]") {
  const std::string line = logfmt(failed("no \"room\" = none\nlevel=info\\\x01\x7f"), kAt, 0);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.ends_with(R"(why="no \"room\" = none\nlevel=info\\  ")"));
  CHECK(logfmt(failed(""), kAt, 0).ends_with("why=\"\""));
}

TEST_CASE("the journal gets fields", "[log]") {
  const std::vector<std::string> fields = journal_fields(lost(), "egret-agent", 2);
  CHECK(fields == std::vector<std::string>{"MESSAGE=lane result was synced to 9 and holds 7", "PRIORITY=4", "SYSLOG_IDENTIFIER=egret-agent", "EGRET_EVENT=disk_lost", "EGRET_LANE=result", "EGRET_SYNCED=9", "EGRET_HOLDS=7",
                                           "EGRET_LEFT_OUT=2"});
  CHECK(journal_fields(failed("a\nb"), "x", 0)[4] == "EGRET_WHY=a\nb");
}

TEST_CASE("free text is no value of a log", "[log]") {
  STATIC_REQUIRE(Loggable<int>);
  STATIC_REQUIRE(Loggable<StreamId>);
  STATIC_REQUIRE(Loggable<Error>);
  STATIC_REQUIRE(Loggable<Word>);
  STATIC_REQUIRE_FALSE(Loggable<std::string>);
  STATIC_REQUIRE_FALSE(Loggable<std::string_view>);
  STATIC_REQUIRE_FALSE(Loggable<const char*>);
  STATIC_REQUIRE_FALSE(Loggable<char[6]>);
  CHECK(LogValue(Word{"GET"}).text() == "GET");
  CHECK(LogValue(Word{"/api/sites/{fac}"}).text() == "/api/sites/{fac}");
  CHECK(LogValue(Word{"Zhang San, born 1951"}).text() == "(not shown)");
  CHECK(LogValue(Word{"张三"}).text() == "(not shown)");
  const std::runtime_error planted("Zhang San");
  CHECK(LogValue(static_cast<const std::exception&>(planted)).text() == "std::runtime_error");
  const std::system_error system(std::make_error_code(std::errc::no_space_on_device));
  CHECK(LogValue(static_cast<const std::exception&>(system)).text().find("No space left") != std::string::npos);
}

TEST_CASE("what is told too often is left out and counted, and told again when it is quiet", "[log]") {
  LogLimit limit;
  MonoTime now{1'000};
  int told = 0;
  for (int i = 0; i < 1'000; i++) told += limit.take(now);
  CHECK(told == kLogBurst);
  CHECK(limit.left_out() == 1'000 - kLogBurst);
  CHECK_FALSE(limit.quiet(now));
  for (int i = 0; i < 100; i++) told += limit.take(now + 1'000);
  CHECK(told == kLogBurst + kLogPerS);
  CHECK(limit.quiet(now + 11'000));
  CHECK(limit.take(now + 11'000));
  CHECK(limit.tell_left_out() == 1'000 + 100 - kLogBurst - kLogPerS);
  CHECK(limit.left_out() == 0);
}

TEST_CASE("a flood of one event does not silence another, and the latest lines are kept", "[log]") {
  for (int i = 0; i < 500; i++) write_log(failed("flood"));
  write_log(lost());
  const std::vector<std::string> lines = last_log_lines();
  CHECK(lines.size() <= kLogLinesKept);
  CHECK(lines.back().find("event=disk_lost") != std::string::npos);
  CHECK(std::ranges::count_if(lines, [](const std::string& line) { return line.find("flood") != std::string::npos; }) <= kLogBurst + 10);
}

TEST_CASE("what an event means can be asked for", "[log]") {
  CHECK(explained(kReason, Language::chinese) == "store_failed  (error)\n  the store failed: {0}\nA write failed.\n  -> Look at the disk.\n");
  CHECK(list_json(std::span(&kEvent, 1)) == R"([{"id":"disk_lost","level":"warn","fields":["lane","synced","holds"],"text":"lane {0} was synced to {1} and holds {2}","means":"It came back shorter.","todo":"Look at the disk."}])"
                                            "\n");
  CHECK(find_event(std::span(&kReason, 1), "none") == nullptr);
}

}  // namespace egret
