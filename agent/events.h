// Events: what the agent tells in its log, and, where it is a notice, in status and on the clinic's page: one table.
// Promises: each in both languages, with what it means and what to do; ids are never given to another.
// Leaves to others: when (their callers, through agent/log.h).
#pragma once

#include "schemas/event.h"

namespace egret::agent {

inline constexpr Phrase kNothingToDo{"Nothing to do.", "无需处理。"};
inline constexpr Phrase kLookAtRoad{"Run egret-agent doctor; it looks at everything between this server and the region. Nothing is lost while the disk has room.",
                                    "请运行 egret-agent doctor，它会检查本服务器与区域之间的每一环节。磁盘有空间时不会丢失数据。"};
inline constexpr Phrase kTellRegion{"Tell the region's operators; records are kept here.", "请通知区域管理员；记录保留在本机。"};
inline constexpr Phrase kLookAtDisk{"Look at the disk and its file system (dmesg, SMART, df), and at the owner and mode of state_dir.", "请检查磁盘和文件系统（dmesg、SMART、df），以及 state_dir 的所有者和权限。"};

inline constexpr LogEvent kEvents[] = {
    // ---- start and end ----
    {"ready", LogLevel::info, "facility socket http",
     {"ready: facility={0} socket={1} http={2}", "就绪：机构={0} 套接字={1} http={2}"},
     {"The store is open and the doors take records.", "存储已打开，入口开始接收记录。"},
     kNothingToDo},
    {"stopping", LogLevel::info, "", {"stopping", "正在停止"},
     {"The agent was told to stop; what was accepted is on the disk.", "代理收到停止指令；已接收的数据都在磁盘上。"},
     kNothingToDo},
    {"cannot_start", LogLevel::error, "why", {"cannot start: {0}", "无法启动：{0}"},
     {"The store, a key or a door could not be opened; no records are taken.", "存储、密钥或入口无法打开；不接收记录。"},
     {"Mend what the message names, then start the agent again; egret-agent doctor looks at all of it.", "请按消息所述修复后重新启动代理；egret-agent doctor 会检查全部环节。"}},
    {"config_mistake", LogLevel::error, "why", {"configuration: {0}", "配置：{0}"},
     {"The agent does not run with a configuration that has a mistake.", "配置有误时代理不运行。"},
     {"Mend that line; egret-agent check-config tells every mistake at once.", "请修改该行；egret-agent check-config 会一次列出所有错误。"}},
    {"ended_by_error", LogLevel::error, "what", {"the agent ends: {0}", "代理终止：{0}"},
     {"Something happened that has no handling; systemd starts the agent again, and what was accepted is on the disk.", "发生了未处理的情况；systemd 会重新启动代理，已接收的数据都在磁盘上。"},
     {"Send the file of egret-agent support to the makers of Egret.", "请把 egret-agent support 生成的文件发给 Egret 的开发者。"}},

    // ---- the link ----
    {"linked", LogLevel::info, "", {"the cloud has answered", "区域云已应答"},
     {"Records are being sent.", "正在发送记录。"}, kNothingToDo},
    {"link_lost", LogLevel::warn, "why", {"the link is lost: {0}", "连接已断开：{0}"},
     {"The connection to the broker ended; the agent connects again by itself, with growing pauses.", "与消息代理的连接已断开；代理会自动重连，间隔逐渐加长。"}, kLookAtRoad},
    {"identity_refused", LogLevel::warn, "why", {"the broker does not accept this site: {0}", "消息代理不接受本机构：{0}"},
     {"The broker knows no such user, or password or certificate are wrong.", "消息代理不认识此用户，或密码、证书有误。"},
     {"Check broker.password_file, the certificate, and the broker's list of users: the user is the facility.", "请检查 broker.password_file、证书和消息代理的用户列表：用户名即机构名。"}},
    {"held", LogLevel::warn, "why", {"the cloud holds this site back: {0}", "区域云暂停了本机构：{0}"},
     {"The region asked this site to wait; records are kept and sent later.", "区域要求本机构等待；记录会保留并稍后发送。"},
     {"When it lasts for more than an hour, ask the region's operators.", "若持续超过一小时，请询问区域管理员。"}},
    {"version_unknown", LogLevel::warn, "why", {"this agent and the cloud have no common version: {0}", "本代理与区域云没有共同版本：{0}"},
     {"The region no longer, or not yet, speaks the protocol of this agent.", "区域不再支持或尚未支持本代理的协议版本。"},
     {"Update the agent.", "请更新代理。"}},
    {"new_run", LogLevel::warn, "why", {"a new run has begun: {0}", "已开始新的运行：{0}"},
     {"The agent made new keys for its talk with the region; nothing is lost.", "代理为与区域的通信生成了新密钥；没有数据丢失。"},
     {"When it comes again and again, look whether two machines run with the same site key.", "若反复出现，请检查是否有两台机器使用同一站点密钥。"}},

    // ---- what is sent again, and what does not get through ----
    {"cloud_went_back", LogLevel::warn, "lane", {"the cloud is complete to a lower number than before in lane {0}: sending again what is kept", "区域云在通道 {0} 中的完整位置比之前低：正在重发保留的数据"},
     {"The region came back from a backup; this site still holds what it lacks.", "区域从备份恢复；本机构仍保留其缺少的数据。"}, kNothingToDo},
    {"rehomed", LogLevel::warn, "lane", {"the cloud holds another history of an epoch: what is still held of lane {0} is sent again under a new one", "区域云持有某时期的另一历史：通道 {0} 中保留的数据以新编号重发"},
     {"This server's disk, or the region's store, came back older than it was.", "本服务器的磁盘或区域的存储恢复成了较旧的状态。"}, kNothingToDo},
    {"gap_resent", LogLevel::warn, "lane", {"the cloud has a gap where this site still holds data in lane {0}: sending it under a new number", "区域云有缺口而本机构在通道 {0} 中仍有数据：以新编号发送"},
     {"What the region had named as lost was found here.", "区域标为丢失的数据在本机找到。"}, kNothingToDo},
    {"parked_unreadable", LogLevel::warn, "lane", {"the cloud cannot read a block of lane {0}: it is kept here, named as a gap, and tried again later", "区域云无法读取通道 {0} 的一个数据块：保留在本机，标为缺口，稍后重试"},
     {"The region answered that it cannot decode it, in every form that this agent knows.", "区域回复：以本代理所知的各种形式都无法解码。"}, kTellRegion},
    {"parked_too_large", LogLevel::warn, "lane", {"a block of lane {0} is larger than this broker lets through: it is kept here and named as a gap", "通道 {0} 的一个数据块超过消息代理的上限：保留在本机并标为缺口"},
     {"The broker's largest packet is smaller than one block.", "消息代理的最大报文小于一个数据块。"},
     {"Ask for a larger packet limit at the broker (packaging/mosquitto/egret.conf), then run egret-agent queue unpark.", "请提高消息代理的报文上限（packaging/mosquitto/egret.conf），然后运行 egret-agent queue unpark。"}},
    {"block_corrupt", LogLevel::warn, "lane", {"a block of lane {0} could not be read back: it is named as a gap", "通道 {0} 的一个数据块无法读回：标为缺口"},
     {"The disk returned other bytes than were written.", "磁盘返回的数据与写入的不一致。"}, kLookAtDisk},

    // ---- the disk and the store ----
    {"store_failed", LogLevel::warn, "why", {"the store failed ({0}): opening it again", "存储失败（{0}）：正在重新打开"},
     {"A write or read of the disk failed. What had its 2xx is on the disk; producers are told to send the rest again.", "磁盘读写失败。已应答 2xx 的数据在磁盘上；其余数据由生产者重发。"}, kLookAtDisk},
    {"store_not_opened", LogLevel::error, "why", {"the store cannot be opened: {0}: trying again", "存储无法打开：{0}：正在重试"},
     {"Until it opens, records are refused with 503.", "打开之前以 503 拒收记录。"}, kLookAtDisk},
    {"store_set_aside", LogLevel::warn, "why kept_as", {"the store could not be opened ({0}): it is kept as {1}, a fresh one has taken over", "存储无法打开（{0}）：保留为 {1}，已启用新存储"},
     {"It is damaged. New records are taken in the fresh one; the damaged one is read back beside the normal work.", "存储已损坏。新记录写入新存储；损坏的存储会在正常工作的同时读回。"}, kLookAtDisk},
    {"rescue_done", LogLevel::warn, "records unreadable kept_as", {"{0} records of the damaged store were recovered, {1} blocks of it could not be read; it is kept as {2} and may be deleted", "从损坏的存储恢复 {0} 条记录，{1} 个数据块无法读取；保留为 {2}，可以删除"},
     {"What could be read of the damaged store is in the new one and is sent.", "损坏存储中可读的数据已进入新存储并发送。"},
     {"Delete the folder when the region is complete.", "区域数据完整后可删除该文件夹。"}},
    {"rescue_given_up", LogLevel::warn, "store times kept_as",
     {"reading {0} has ended the agent {1} times: it is kept as {2} and left alone; the records in it that the cloud does not have are NOT recovered: copy the folder away and ask for help",
      "读取 {0} 已使代理终止 {1} 次：保留为 {2}，不再读取；其中区域云没有的记录尚未恢复：请复制该文件夹并求助"},
     {"The damage is of a kind that this version cannot read.", "此类损坏本版本无法读取。"},
     {"Copy the folder to another disk and send the file of egret-agent support to the makers of Egret.", "请把该文件夹复制到另一磁盘，并把 egret-agent support 生成的文件发给 Egret 的开发者。"}},
    {"rescue_waits", LogLevel::warn, "store why", {"{0} still holds records that are not recovered: {1}; it is tried again", "{0} 中仍有未恢复的记录：{1}；将重试"},
     {"The damaged store could not be read to its end this time.", "这次未能读完损坏的存储。"}, kLookAtDisk},
    {"rescue_needs_room", LogLevel::warn, "store needed_mib free_mib", {"{0} still holds records that are not recovered: the disk needs {1} MiB of room for it and has {2}; it is tried again", "{0} 中仍有未恢复的记录：磁盘需要 {1} MiB 空间，现有 {2} MiB；将重试"},
     {"Recovering writes the records once more before the old ones may go.", "恢复时会先再写一份记录，旧的才能删除。"},
     {"Make room on this file system.", "请清理该文件系统。"}},
    {"disk_lost_records", LogLevel::warn, "lane synced holds", {"the disk has lost records that were synced: lane {0} was synced to {1} and holds {2} now", "磁盘丢失了已落盘的记录：通道 {0} 曾落盘至 {1}，现有 {2}"},
     {"The disk came back shorter than it was: an old snapshot, another disk, or a disk that confirms writes it has not made.", "磁盘恢复后数据变少：旧快照、换了磁盘，或磁盘确认了未完成的写入。"},
     {"Look at what was done to this server's disk; the region is told of the range, and what it has is safe.", "请查明对本服务器磁盘做过什么；区域已得知该范围，其已有数据是安全的。"}},
    {"disk_lost_lanes", LogLevel::warn, "", {"the disk has lost records that were synced: lanes of the last run hold fewer than were synced", "磁盘丢失了已落盘的记录：上次运行的通道少于已落盘的数量"},
     {"The disk came back shorter than it was: an old snapshot, another disk, or a disk that confirms writes it has not made.", "磁盘恢复后数据变少：旧快照、换了磁盘，或磁盘确认了未完成的写入。"},
     {"Look at what was done to this server's disk; the region is told of the range, and what it has is safe.", "请查明对本服务器磁盘做过什么；区域已得知该范围，其已有数据是安全的。"}},
    {"state_not_kept", LogLevel::warn, "why", {"a small file of the agent's state cannot be written: {0}", "代理的状态小文件无法写入：{0}"},
     {"The agent goes on; after a restart it knows less of its last run (it may take longer to send).", "代理继续运行；重启后对上次运行所知较少（发送可能变慢）。"}, kLookAtDisk},
    {"witness_failed", LogLevel::warn, "why", {"the witness file fails: {0}", "见证文件失败：{0}"},
     {"It is how the agent notices that the disk came back shorter than it was; without it that goes unnoticed here.", "代理靠它发现磁盘数据变少；没有它本机无法发现。"}, kLookAtDisk},

    {"metrics_otlp", LogLevel::warn, "why", {"metrics: the OTLP receiver takes nothing: {0}", "指标：OTLP 接收方不接收：{0}"},
     {"Nobody receives this agent's metrics by OTLP; records are not touched.", "本代理的 OTLP 指标无人接收；记录不受影响。"},
     {"Look at metrics.otlp in agent.toml and at its receiver.", "请检查 agent.toml 中的 metrics.otlp 及其接收方。"}},
    {"metrics_otlp_again", LogLevel::info, "", {"metrics: the OTLP receiver takes them again", "指标：OTLP 接收方恢复接收"},
     {"What was not taken meanwhile is not sent again; each set says all.", "期间未被接收的不再重发；每组数据都是完整的。"}, kNothingToDo},

    // ---- the doors ----
    {"request_failed", LogLevel::error, "what", {"a request could not be answered: {0}", "一个请求无法应答：{0}"},
     {"A fault of the agent; its producer was told 500 and still has its records.", "代理的故障；生产者得到 500，仍持有其记录。"},
     {"Send the file of egret-agent support to the makers of Egret.", "请把 egret-agent support 生成的文件发给 Egret 的开发者。"}},
};
static_assert([] {
  for (const LogEvent& event : kEvents) {
    if (!event.text.in_both() || !event.means.in_both() || !event.todo.in_both() || find_event(kEvents, event.id) != &event) return false;
  }
  return true;
}(), "each event has both languages and an id of its own");

}  // namespace egret::agent
