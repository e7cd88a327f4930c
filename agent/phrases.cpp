#include "agent/phrases.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdlib>

#include "schemas/limits.h"

namespace egret::agent {
namespace {

struct Both {
  Phrase phrase;
  const char* en;
  const char* zh;
};
// In the order of Phrase.
constexpr Both kAll[] = {
    {Phrase::linked, "linked to the cloud for {0}", "已连接区域云 {0}"},
    {Phrase::not_linked, "NOT linked for {0}: {1}", "未连接，已 {0}：{1}"},
    {Phrase::waiting, "waiting to be confirmed:", "等待确认："},
    {Phrase::nothing, "nothing", "无"},
    {Phrase::lane_line, "{0}, {1}, oldest {2}", "{0}，{1}，最早 {2}前"},
    {Phrase::all_sent, "all sent in about {0}", "约 {0}后全部发出"},
    {Phrase::totals, "accepted {0}; shed {1}; refused {2}; kept by the region with a reason {3}", "已接收 {0}；已舍弃 {1}；已拒收 {2}；区域注明原因留存 {3}"},
    {Phrase::disk, "disk: {0} of {1} used", "磁盘：已用 {0}，上限 {1}"},
    {Phrase::disk_full_in, ", full in {0} days at this rate", "，按此速度 {0} 天后写满"},
    {Phrase::nothing_to_do, "nothing to do", "无需处理"},
    {Phrase::seconds, "{0} s", "{0} 秒"},
    {Phrase::minutes, "{0} min", "{0} 分钟"},
    {Phrase::hours, "{0} h {1} min", "{0} 小时 {1} 分钟"},
    {Phrase::days, "{0} days", "{0} 天"},
    {Phrase::bytes, "{0} bytes", "{0} 字节"},
    {Phrase::records, "{0} records", "{0} 条记录"},
    {Phrase::one_record, "{0} record", "{0} 条记录"},
    {Phrase::lane_critical, "critical", "危急"},
    {Phrase::lane_result, "result", "结果"},
    {Phrase::lane_telemetry, "telemetry", "遥测"},
    {Phrase::lane_bulk, "bulk", "大件"},
    {Phrase::todo_no_link, "no link for {0}: run egret-agent doctor; nothing is lost while the disk has room", "已断开 {0}：请运行 egret-agent doctor；磁盘有空间时不会丢失数据"},
    {Phrase::todo_held, "the cloud holds this site back: {0}", "区域云暂停了本机构：{0}"},
    {Phrase::todo_disk_full, "the disk is full ({0} free): new records are refused until there is room, what was accepted is kept: make room on this file system",
     "磁盘已满（剩余 {0}）：有空间之前拒收新记录，已接收的会保留；请清理该文件系统"},
    {Phrase::todo_budget_full, "the disk budget is used up: new records are refused until there is room, what was accepted is kept: restore the link or raise buffer.budget_mb",
     "磁盘配额已用尽：有空间之前拒收新记录，已接收的会保留；请恢复网络或提高 buffer.budget_mb"},
    {Phrase::todo_budget_soon, "the disk budget is full in under 3 days: restore the link or raise buffer.budget_mb", "磁盘配额将在 3 天内用尽：请恢复网络或提高 buffer.budget_mb"},
    {Phrase::todo_parked, "{0} blocks are parked: tell the cloud's operators; they are kept here", "{0} 个数据块已搁置：请通知区域管理员；数据保留在本机"},
    {Phrase::todo_quarantined, "{0} records were refused by the region and are kept there with a reason: ask for egret-cloud quarantine ls",
     "{0} 条记录被区域拒收，已注明原因并留存：请向区域索取 egret-cloud quarantine ls"},
    {Phrase::todo_shorter, "the disk came back shorter than it was: {0}", "磁盘恢复后数据变少：{0}"},
    {Phrase::page_title, "Egret at {0}", "Egret：{0}"},
    {Phrase::page_well, "All is well. Nothing to do.", "一切正常，无需处理。"},
    {Phrase::page_look, "Please look at this.", "请处理以下事项。"},
    {Phrase::page_link, "Link", "连接"},
    {Phrase::page_since, "for {0}", "已 {0}"},
    {Phrase::page_lane, "Waits to be confirmed", "等待确认"},
    {Phrase::page_count, "Records", "记录"},
    {Phrase::page_size, "Size", "大小"},
    {Phrase::page_oldest, "Oldest", "最早"},
    {Phrase::page_accepted, "Accepted", "已接收"},
    {Phrase::page_shed, "Shed", "已舍弃"},
    {Phrase::page_refused, "Refused at the door", "入口拒收"},
    {Phrase::page_quarantined, "Refused by the region, kept there", "区域拒收并留存"},
    {Phrase::page_disk, "Disk", "磁盘"},
    {Phrase::page_todo, "What to do", "需要做什么"},
    {Phrase::page_news, "What happened", "发生了什么"},
    {Phrase::page_support, "File for support (no patient data)", "支持文件（不含患者数据）"},
    {Phrase::page_as_of, "As of {0} (UTC). This page looks again every 10 seconds.", "截至 {0}（UTC）。本页每 10 秒刷新。"},
};
static_assert(std::size(kAll) == kPhrases, "every phrase is in the table");
static_assert([] {
  for (size_t i = 0; i < kPhrases; i++) {
    if (kAll[i].phrase != Phrase(i) || kAll[i].en == nullptr || kAll[i].zh == nullptr) return false;
  }
  return true;
}(), "in its place, and in both languages");

std::string filled(Phrase phrase, Language language, uint64_t a, uint64_t b = 0) { return fmt::format(fmt::runtime(text_of(phrase, language)), a, b); }

}  // namespace

Language language_of(std::string_view asked) {
  std::string from(asked);
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (from.empty() && value != nullptr) from = value;
  }
  return from.rfind("zh", 0) == 0 ? Language::chinese : Language::english;
}

const char* text_of(Phrase phrase, Language language) {
  const Both& both = kAll[static_cast<size_t>(phrase)];
  return language == Language::chinese ? both.zh : both.en;
}

std::string count_text(uint64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); i++) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string records_text(uint64_t n, Language language) { return fmt::format(fmt::runtime(text_of(n == 1 ? Phrase::one_record : Phrase::records, language)), count_text(n)); }

std::string duration_text(int64_t s, Language language) {
  const auto u = static_cast<uint64_t>(std::max<int64_t>(s, 0));
  if (u < 60) return filled(Phrase::seconds, language, u);
  if (u < 3600) return filled(Phrase::minutes, language, u / 60);
  if (u < 48 * 3600) return filled(Phrase::hours, language, u / 3600, u % 3600 / 60);
  return filled(Phrase::days, language, u / 86400);
}

std::string bytes_text(uint64_t bytes, Language language) {
  if (bytes < 10 * kKiB) return filled(Phrase::bytes, language, bytes);
  if (bytes < 10 * kMiB) return fmt::format("{} KiB", bytes / kKiB);
  return fmt::format("{} MiB", bytes / kMiB);
}

}  // namespace egret::agent
