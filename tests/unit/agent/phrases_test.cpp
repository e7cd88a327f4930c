// What the agent says to people, in both languages.
#include "agent/phrases.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "agent/doors/page.h"
#include "agent/status.h"

namespace egret::agent {
namespace {

// {0}, {1}, … in a phrase.
std::set<std::string> places_in(std::string_view text) {
  std::set<std::string> out;
  for (size_t at = text.find('{'); at != text.npos; at = text.find('{', at + 1)) out.insert(std::string(text.substr(at, text.find('}', at) - at + 1)));
  return out;
}

StatusFacts troubled() {
  StatusFacts f;
  f.facility = "clinic-1";
  f.store_state = "open";
  f.now_ms = 1'800'000'000'000;
  f.since_ms = f.now_ms - 7'500'000;
  f.session.state = edge::State::down;
  f.session.why = "<script>planted()</script>";
  f.session.quarantined = 3;
  f.view.parked_blocks = 2;
  f.view.counters.accepted = 1'234'567;
  f.lanes[0] = {1, 300, 12};
  f.drain_eta_s = 150;
  f.lost_tail = "lane result up to 9";
  f.disk_budget_bytes = uint64_t{4} << 30;
  f.disk_free_bytes = 1;
  f.disk_days_left = 2;
  f.notices.push_back({f.now_ms - 60'000, "a \"quoted\" & <b>bold</b> thing"});
  return f;
}

}  // namespace

TEST_CASE("every phrase is there in both languages, with the same places to fill in", "[phrases]") {
  for (size_t i = 0; i < kPhrases; i++) {
    const std::string_view en = text_of(Phrase(i), Language::english), zh = text_of(Phrase(i), Language::chinese);
    INFO(en);
    CHECK_FALSE(en.empty());
    CHECK_FALSE(zh.empty());
    CHECK(places_in(en) == places_in(zh));
    CHECK(std::ranges::all_of(en, [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  }
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
  for (const char* said : {"未连接，已 2 小时 5 分钟", "1 条记录，300 字节，最早 12 秒前", "约 2 分钟后全部发出", "已接收 1,234,567 条记录", "2 个数据块已搁置", "3 条记录被区域拒收", "磁盘已满"}) {
    INFO(said);
    CHECK(text.find(said) != std::string::npos);
  }
  const auto lines = [](const std::string& of) { return std::ranges::count(of, '\n'); };
  CHECK(lines(text) == lines(status_text(json).value()));
}

TEST_CASE("the clinic's page says all of it in both languages, and nothing that others wrote is markup", "[phrases][page]") {
  const std::string page = clinic_page(status_json(troubled())).value();
  for (const char* said : {"Please look at this.", "请处理以下事项。", "NOT linked for 2 h 5 min", "2 blocks are parked", "2 个数据块已搁置", "1,234,567", "2 min", "2027-01-15 07:59:00", "egret-clinic-1-status.json"}) {
    INFO(said);
    CHECK(page.find(said) != std::string::npos);
  }
  CHECK(page.find("<script") == std::string::npos);
  CHECK(page.find("<b>") == std::string::npos);
  CHECK(page.find("&lt;script&gt;planted()") != std::string::npos);
  CHECK(clinic_page_policy().find("default-src 'none'") == 0);
  StatusFacts well = troubled();
  well = {};
  well.facility = "clinic-1";
  well.session.state = edge::State::active;
  CHECK(clinic_page(status_json(well)).value().find("All is well") != std::string::npos);
  CHECK(clinic_page("{").error().code == Errc::bad_input);
  CHECK(clinic_page("{}").error().code == Errc::bad_input);
}

}  // namespace egret::agent
