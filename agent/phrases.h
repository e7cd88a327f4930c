// Phrases: what the agent says to people in status and on the clinic's page, and how it says times, sizes and lanes.
// Promises: both languages (schemas/phrase.h); as many values as a phrase has places, or it does not compile.
// Leaves to others: when it is said. Each other speaker has its phrases beside it, and says them with `said`.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "edge/why.h"
#include "schemas/event.h"
#include "schemas/phrase.h"
#include "schemas/types.h"

namespace egret::agent {

// `asked` as in --lang; empty: by the environment (LC_ALL, LC_MESSAGES, LANG), as programs do. Unknown ones are English.
Language language_of(std::string_view asked);

// Values that are told otherwise in each language.
struct Lasting {
  int64_t s = 0;
};
struct Size {
  uint64_t bytes = 0;
};
struct Records {
  uint64_t n = 0;
};
// 1,234,567
std::string count_text(uint64_t n);
std::string shown(Lasting time, Language in = Language::english);  // "2 h 5 min"
std::string shown(Size size, Language in = Language::english);     // "10 KiB"
std::string shown(Records records, Language in = Language::english);
std::string shown(StreamId lane, Language in = Language::english);
// The agent's own reasons are translated; what a broker or the system says is told as it is.
std::string shown(const Told& why, Language in = Language::english);
template <class T>
const T& shown(const T& as_it_is, Language) {
  return as_it_is;
}

template <class... Args>
struct PhraseFor {
  consteval PhraseFor(const Phrase& of) : phrase(of) {
    if (of.places() != sizeof...(Args)) throw "as many values as the phrase has places";
  }
  Phrase phrase;
};
// The phrase with its places filled in.
template <class... Args>
std::string said(PhraseFor<std::type_identity_t<Args>...> what, Language in, const Args&... args) {
  return fmt::format(fmt::runtime(what.phrase.in(in)), shown(args, in)...);
}

Phrase phrase_of(StreamId lane);

namespace words {

inline constexpr Phrase linked{"linked to the cloud for {0}", "已连接区域云 {0}"};
inline constexpr Phrase not_linked{"NOT linked for {0}: {1}", "未连接，已 {0}：{1}"};
inline constexpr Phrase waiting{"waiting to be confirmed:", "等待确认："};
inline constexpr Phrase nothing{"nothing", "无"};
inline constexpr Phrase lane_line{"{0}, {1}, oldest {2}", "{0}，{1}，最早 {2}前"};
inline constexpr Phrase all_sent{"all sent in about {0}", "约 {0}后全部发出"};
inline constexpr Phrase totals{"accepted {0}; shed {1}; refused {2}; kept by the region with a reason {3}", "已接收 {0}；已舍弃 {1}；已拒收 {2}；区域注明原因留存 {3}"};
inline constexpr Phrase disk{"disk: {0} of {1} used", "磁盘：已用 {0}，上限 {1}"};
inline constexpr Phrase disk_full_in{", full in {0} days at this rate", "，按此速度 {0} 天后写满"};
inline constexpr Phrase nothing_to_do{"nothing to do", "无需处理"};

inline constexpr Phrase seconds{"{0} s", "{0} 秒"};
inline constexpr Phrase minutes{"{0} min", "{0} 分钟"};
inline constexpr Phrase hours{"{0} h {1} min", "{0} 小时 {1} 分钟"};
inline constexpr Phrase days{"{0} days", "{0} 天"};
inline constexpr Phrase bytes{"{0} bytes", "{0} 字节"};
inline constexpr Phrase records{"{0} records", "{0} 条记录"};
inline constexpr Phrase one_record{"{0} record", "{0} 条记录"};
inline constexpr Phrase lanes[] = {{"critical", "危急"}, {"result", "结果"}, {"telemetry", "遥测"}, {"bulk", "大件"}};  // by StreamId
static_assert(std::size(lanes) == kStreamCount);

// Reasons that are this side's own (edge/why.h).
inline constexpr Phrase reasons[] = {
    {edge::kWhyConnecting, "正在连接消息代理"},
    {edge::kWhyGreeting, "正在向区域云问候"},
    {edge::kWhyLeaseEnded, "租期已结束：正在再次向区域云问候"},
    {edge::kWhyBusy, "区域云繁忙，请求稍后再来"},
    {edge::kWhyStopped, "区域管理员已停止本机构"},
    {edge::kWhyVersion, "区域云不支持本代理所知的 es1 版本：请更新代理"},
    {edge::kWhyKeyGone, "区域旧密钥无人应答，且区域已公布新密钥"},
    {edge::kWhyKeysElsewhere, "本次运行的密钥在别处被使用"},
};

inline constexpr Phrase todo_no_link{"no link for {0}: run egret-agent doctor; nothing is lost while the disk has room", "已断开 {0}：请运行 egret-agent doctor；磁盘有空间时不会丢失数据"};
inline constexpr Phrase todo_held{"the cloud holds this site back: {0}", "区域云暂停了本机构：{0}"};
inline constexpr Phrase todo_disk_full{"the disk is full ({0} free): new records are refused until there is room, what was accepted is kept: make room on this file system",
                                       "磁盘已满（剩余 {0}）：有空间之前拒收新记录，已接收的会保留；请清理该文件系统"};
inline constexpr Phrase todo_budget_full{"the disk budget is used up: new records are refused until there is room, what was accepted is kept: restore the link or raise buffer.budget_mb",
                                         "磁盘配额已用尽：有空间之前拒收新记录，已接收的会保留；请恢复网络或提高 buffer.budget_mb"};
inline constexpr Phrase todo_budget_soon{"the disk budget is full in under 3 days: restore the link or raise buffer.budget_mb", "磁盘配额将在 3 天内用尽：请恢复网络或提高 buffer.budget_mb"};
inline constexpr Phrase todo_parked{"{0} blocks are parked: tell the cloud's operators; they are kept here", "{0} 个数据块已搁置：请通知区域管理员；数据保留在本机"};
inline constexpr Phrase todo_quarantined{"{0} records were refused by the region and are kept there with a reason: ask for egret-cloud quarantine ls",
                                         "{0} 条记录被区域拒收，已注明原因并留存：请向区域索取 egret-cloud quarantine ls"};

inline constexpr Phrase doctor_ok{"ok", "正常"};
inline constexpr Phrase doctor_warn{"warn", "注意"};
inline constexpr Phrase doctor_fail{"fail", "故障"};

inline constexpr Phrase support_written{"written: {0}. It holds no patient data and no keys; look at it before you send it", "已写入：{0}。其中不含患者数据和密钥；发送前请过目"};

inline constexpr Phrase page_well{"All is well. Nothing to do.", "一切正常，无需处理。"};
inline constexpr Phrase page_look{"Please look at this.", "请处理以下事项。"};
inline constexpr Phrase page_lane{"Waits to be confirmed", "等待确认"};
inline constexpr Phrase page_count{"Records", "记录"};
inline constexpr Phrase page_size{"Size", "大小"};
inline constexpr Phrase page_oldest{"Oldest", "最早"};
inline constexpr Phrase page_accepted{"Accepted", "已接收"};
inline constexpr Phrase page_shed{"Shed", "已舍弃"};
inline constexpr Phrase page_refused{"Refused at the door", "入口拒收"};
inline constexpr Phrase page_quarantined{"Refused by the region, kept there", "区域拒收并留存"};
inline constexpr Phrase page_disk{"Disk", "磁盘"};
inline constexpr Phrase page_todo{"What to do", "需要做什么"};
inline constexpr Phrase page_refusals{"Why records were refused at the door since {0} (UTC)", "自 {0}（UTC）起入口拒收的原因"};
inline constexpr Phrase page_field{"Field", "字段"};
inline constexpr Phrase page_reason{"Reason", "原因"};
inline constexpr Phrase refused_bad_input{"not as the record's schema asks", "不符合记录格式"};
inline constexpr Phrase refused_unknown_kind{"a kind of record that is not known", "未知的记录类型"};
inline constexpr Phrase refused_too_large{"too large", "过大"};
inline constexpr Phrase refused_lane_full{"the disk budget is nearly used up: telemetry waits", "磁盘配额即将用尽：遥测需等待"};
inline constexpr Phrase refused_disk_full{"the disk budget is used up", "磁盘配额已用尽"};
inline constexpr Phrase refused_store_failed{"the store was being opened again", "存储正在重新打开"};
inline constexpr Phrase refused_others{"other reasons", "其他原因"};
inline constexpr Phrase page_news{"What happened", "发生了什么"};
inline constexpr Phrase page_support{"File for support (no patient data)", "支持文件（不含患者数据）"};
inline constexpr Phrase page_as_of{"As of {0} (UTC). This page looks again every 10 seconds.", "截至 {0}（UTC）。本页每 10 秒刷新。"};

}  // namespace words
}  // namespace egret::agent
