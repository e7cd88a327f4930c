// What the agent says to people, in both languages.
#include "agent/phrases.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "agent/doors/page.h"
#include "agent/notices.h"
#include "agent/status.h"
#include "tests/unit/agent/status_facts.h"

namespace egret::agent {
namespace {

StatusFacts troubled() {
  StatusFacts f = well();
  f.session.state = edge::State::down;
  f.session.why = "<script>planted()</script>";
  f.session.quarantined = 3;
  f.view.parked_blocks = 2;
  f.view.counters.accepted = 1'234'567;
  f.lanes[0] = {1, 300, 12};
  f.drain_eta_s = 150;
  f.lost_tail = message("disk_lost_lanes");
  f.disk_free_bytes = 1;
  f.disk_days_left = 2;
  f.notices.push_back({f.now_ms - 60'000, message("link_lost", Told{"a \"quoted\" & <b>bold</b> thing"})});
  f.refusals.push_back({"bad_input", "ai_result.prob", 1'234, f.now_ms});
  return f;
}

}  // namespace

// A phrase for which this is false does not compile.
TEST_CASE("a phrase has both languages, with the same places to fill in", "[phrases]") {
  CHECK(Phrase::agree("linked for {0}: {1}", "已连接 {0}：{1}"));
  CHECK(Phrase::agree("{0} after {1}", "{1} 之后 {0}"));
  CHECK(Phrase::agree("KiB", "KiB"));
  CHECK_FALSE(Phrase::agree("", "无"));
  CHECK_FALSE(Phrase::agree("nothing", ""));
  CHECK_FALSE(Phrase::agree("not translated", "not translated"));
  CHECK_FALSE(Phrase::agree("无", "无"));
  CHECK_FALSE(Phrase::agree("linked for {0}", "已连接"));
  CHECK_FALSE(Phrase::agree("linked for {0}", "已连接 {1}"));
  CHECK_FALSE(Phrase::agree("linked for {}", "已连接 {}"));
  CHECK_FALSE(Phrase::agree("linked for {0", "已连接 {0"));
}

TEST_CASE("the language is what is asked for, or what the environment says", "[phrases]") {
  struct Env {
    ~Env() {
      for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) unsetenv(name);
    }
  } clean;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) unsetenv(name);
  CHECK(language_of("") == Language::english);
  CHECK(language_of("zh") == Language::chinese);
  setenv("LANG", "zh_CN.UTF-8", 1);
  CHECK(language_of("") == Language::chinese);
  CHECK(language_of("en") == Language::english);
  setenv("LC_ALL", "C.UTF-8", 1);
  CHECK(language_of("") == Language::english);
}

TEST_CASE("status in Chinese says what it says in English", "[phrases][status]") {
  const std::string json = status_json(troubled());
  const std::string text = status_text(json, Language::chinese).value();
  for (const char* said : {"未连接，已 2 小时 5 分钟", "危急       1 条记录，300 字节，最早 12 秒前", "遥测       无", "约 2 分钟后全部发出", "已接收 1,234,567 条记录", "2 个数据块已搁置", "3 条记录被区域拒收", "磁盘已满"}) {
    INFO(said);
    CHECK(text.find(said) != std::string::npos);
  }
  const auto lines = [](const std::string& of) { return std::ranges::count(of, '\n'); };
  CHECK(lines(text) == lines(status_text(json).value()));
}

TEST_CASE("a notice is kept as an event with its values, and told in the language of whoever asks", "[phrases]") {
  CHECK(said(message("rehomed", StreamId::telemetry), Language::english).find("lane telemetry is sent again") != std::string::npos);
  CHECK(said(message("rehomed", StreamId::telemetry), Language::chinese).find("通道 遥测 中") != std::string::npos);
  CHECK(said(message("held", Told{edge::kWhyBusy}), Language::chinese).find("区域云繁忙") != std::string::npos);
  CHECK(said(message("held", Told{"as a broker says"}), Language::chinese).find("as a broker says") != std::string::npos);
}

TEST_CASE("each kind of notice of a session is an event of its own", "[phrases]") {
  std::set<std::string> ids;
  for (int kind = 0; kind <= int(edge::Notice::Kind::corrupt_block); kind++) {
    const Message told = message_of({edge::Notice::Kind(kind), "why", StreamId::bulk});
    CHECK(ids.insert(told.event->id).second);
    CHECK((told.event->fields[0] == 0 || said(told, Language::english).find("why") != std::string::npos || said(told, Language::english).find("lane bulk") != std::string::npos));
  }
}

TEST_CASE("the clinic's page says all of it in both languages, and nothing that others wrote is markup", "[phrases][page]") {
  const std::string page = clinic_page(status_json(troubled())).value();
  for (const char* said : {"Please look at this.", "请处理以下事项。", "NOT linked for 2 h 5 min", "2 blocks are parked", "2 个数据块已搁置", "1,234,567", "2 min", "危急", "2027-01-15 07:59:00", "egret-clinic-1-support.json", "the link is lost: a ", "连接已断开：a ", "not as the record", "不符合记录格式", "ai_result.prob", "1,234"}) {
    INFO(said);
    CHECK(page.find(said) != std::string::npos);
  }
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("<b>") == std::string::npos);
  CHECK(page.find("&lt;script&gt;planted()") != std::string::npos);
  CHECK(clinic_page_policy().find("default-src 'none'") == 0);
  CHECK(clinic_page(status_json(well())).value().find("All is well") != std::string::npos);
  CHECK(clinic_page("{").error().code == Errc::bad_input);
  CHECK(clinic_page("{}").error().code == Errc::bad_input);
}

}  // namespace egret::agent
