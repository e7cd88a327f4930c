// DoctorWords: all that doctor finds: one table, a row a finding: id, check, level, what is so, and what to do.
// Promises: both languages; ids stay, for scripts. Leaves to others: looking (doctor_site, doctor_road), showing (doctor).
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "schemas/phrase.h"

namespace egret::agent::cli {

enum class Level : uint8_t { ok, warn, fail };

struct Finding {
  const char* id;
  const char* check;
  Level level;
  Phrase message;
  std::optional<Phrase> todo = {};  // it has the same values as the message

  constexpr int values() const { return std::max(message.places(), todo ? todo->places() : 0); }
};

inline constexpr Finding kFindings[] = {
    {"config_ok", "config", Level::ok, {"{0}", "{0}"}},
    {"config_mistake", "config", Level::fail, {"{0}", "{0}"}, Phrase{"mend that line", "请修改该行"}},

    // ---- on this server ----
    {"state_dir_ok", "state_dir", Level::ok, {"{0}", "{0}"}},
    {"state_dir_missing", "state_dir", Level::fail, {"{0}: {1}", "{0}：{1}"}, Phrase{"run egret-agent init, or name another folder in state_dir", "请运行 egret-agent init，或在 state_dir 中指定其他文件夹"}},
    {"state_dir_no_folder", "state_dir", Level::fail, {"{0}: is not a folder", "{0}：不是文件夹"}, Phrase{"name a folder in state_dir", "请在 state_dir 中指定文件夹"}},
    {"state_dir_not_writable", "state_dir", Level::fail, {"{0}: cannot be written to: {1}", "{0}：无法写入：{1}"},
     Phrase{"run this as the agent's user; chown it to that user; or make its file system writable (now owner {2}, mode {3})", "请以代理的用户运行；或用 chown 把它交给该用户；或使其文件系统可写（当前所有者 {2}，权限 {3}）"}},
    {"state_dir_open", "state_dir", Level::warn, {"{0}: others may look into it", "{0}：其他用户可以查看"}, Phrase{"chmod 700 {0}", "chmod 700 {0}：仅允许代理用户"}},
    {"site_key_ok", "site_key", Level::ok, {"public key {0}", "公钥 {0}"}},
    {"site_key_unusable", "site_key", Level::fail, {"{0}", "{0}"}, Phrase{"run egret-agent init for a new one, or put the key back with mode 600", "请运行 egret-agent init 生成新密钥，或以权限 600 放回原密钥"}},
    {"disk_ok", "disk", Level::ok, {"{0} MiB free, the budget is {1} MiB", "剩余 {0} MiB，配额 {1} MiB"}},
    {"disk_unknown", "disk", Level::fail, {"free space of the state folder is not known: {0}", "无法得知状态文件夹的剩余空间：{0}"}, Phrase{"check that the folder is there", "请检查该文件夹是否存在"}},
    {"disk_full", "disk", Level::fail, {"{0} MiB free, the budget is {1} MiB", "剩余 {0} MiB，配额 {1} MiB"}, Phrase{"make room on this file system", "请清理该文件系统"}},
    {"disk_below_budget", "disk", Level::warn, {"{0} MiB free, the budget is {1} MiB", "剩余 {0} MiB，配额 {1} MiB"}, Phrase{"make room, or lower buffer.budget_mb", "请清理空间，或降低 buffer.budget_mb"}},
    {"clock_ok", "clock", Level::ok, {"synchronised, off by at most {0} ms", "已同步，误差不超过 {0} 毫秒"}},
    {"clock_unsynchronised", "clock", Level::warn, {"not synchronised", "未同步"}, Phrase{"enable systemd-timesyncd or chrony; times are repaired later, nothing is lost", "请启用 systemd-timesyncd 或 chrony；时间会在之后修正，不会丢失数据"}},
    {"clock_off", "clock", Level::warn, {"synchronised, off by at most {0} ms", "已同步，误差不超过 {0} 毫秒"},
     Phrase{"enable systemd-timesyncd or chrony; times are repaired later, nothing is lost", "请启用 systemd-timesyncd 或 chrony；时间会在之后修正，不会丢失数据"}},
    {"certificate_ok", "tls", Level::ok, {"{0}: good for {1} days", "{0}：还有 {1} 天有效"}},
    {"certificate_ends_soon", "tls", Level::warn, {"{0}: ends in {1} days", "{0}：{1} 天后到期"}, Phrase{"renew it", "请更新证书"}},
    {"certificate_ended", "tls", Level::fail, {"{0}: has ended", "{0}：已过期"}, Phrase{"renew it, or set this server's clock if that is wrong", "请更新证书；若本服务器时钟有误，请校准时钟"}},
    {"certificate_unreadable", "tls", Level::fail, {"{0}: {1}: no certificate can be read there", "{0}：{1}：无法读取证书"}, Phrase{"put the PEM file there, readable for the agent's user", "请把 PEM 文件放在该处，并使代理用户可读"}},
    {"agent_linked", "agent", Level::ok, {"runs and is linked to the cloud", "正在运行，已连接区域云"}},
    {"agent_not_linked", "agent", Level::ok, {"runs, and has no link", "正在运行，未连接"}},
    {"agent_silent", "agent", Level::warn, {"{0}", "{0}"}, Phrase{"systemctl start egret-agent", "请启动代理：systemctl start egret-agent"}},

    // ---- on the way to the cloud ----
    {"broker_uri_wrong", "dns", Level::fail, {"{0}", "{0}"}, Phrase{"mend broker.uri", "请修改 broker.uri"}},
    {"dns_ok", "dns", Level::ok, {"{0}", "{0}"}},
    {"dns_unknown", "dns", Level::fail, {"{0}: {1}", "{0}：{1}"}, Phrase{"check broker.uri and the server's name service", "请检查 broker.uri 和本服务器的域名解析"}},
    {"tcp_ok", "tcp", Level::ok, {"{0}", "{0}"}},
    {"tcp_unreachable", "tcp", Level::fail, {"{0}: {1}", "{0}：{1}"}, Phrase{"check firewall, cable, the port in broker.uri, and that the broker runs", "请检查防火墙、网线、broker.uri 中的端口，以及消息代理是否运行"}},
    {"tls_ok", "tls", Level::ok, {"{0}, the broker's certificate is accepted", "{0}，已接受消息代理的证书"}},
    {"tls_no_handshake", "tls", Level::fail, {"no TLS with {0}: {1}", "与 {0} 无法建立 TLS：{1}"}, Phrase{"check that this is the broker's TLS port, and the broker's log", "请检查该端口是否为消息代理的 TLS 端口，并查看消息代理的日志"}},
    {"tls_ca_unusable", "tls", Level::fail, {"broker.ca_file: {0}", "broker.ca_file：{0}"}, Phrase{"put the PEM file of the broker's authority there", "请把签发消息代理证书的机构的 PEM 文件放在该处"}},
    {"tls_pair_unusable", "tls", Level::fail, {"broker.cert_file and broker.key_file: {0}", "broker.cert_file 与 broker.key_file：{0}"},
     Phrase{"put this site's certificate and the key that belongs to it there, readable for the agent's user", "请把本机构的证书及其对应的密钥放在该处，并使代理用户可读"}},
    {"tls_other_name", "tls", Level::fail, {"the broker's certificate is not accepted: {0}", "未接受消息代理的证书：{0}"}, Phrase{"name the broker in broker.uri as its certificate does: {1}", "请在 broker.uri 中使用证书里的名称：{1}"}},
    {"tls_out_of_time", "tls", Level::fail, {"the broker's certificate is not accepted: {0}", "未接受消息代理的证书：{0}"},
     Phrase{"renew the broker's certificate, or set this server's clock if that is wrong", "请更新消息代理的证书；若本服务器时钟有误，请校准时钟"}},
    {"tls_not_trusted", "tls", Level::fail, {"the broker's certificate is not accepted: {0}", "未接受消息代理的证书：{0}"},
     Phrase{"put the certificate of the authority that signed the broker's into broker.ca_file", "请把签发消息代理证书的机构证书放入 broker.ca_file"}},
    {"login_ok", "login", Level::ok, {"the broker accepts this site", "消息代理接受本机构"}},
    {"login_no_password", "login", Level::fail, {"{0}", "{0}"}, Phrase{"put the password there, readable for the agent's user", "请把密码放在该处，并使代理用户可读"}},
    {"login_silent", "login", Level::fail, {"the broker did not answer", "消息代理没有应答"}, Phrase{"check that it is an MQTT broker", "请检查它是否为 MQTT 消息代理"}},
    {"login_refused", "login", Level::fail, {"{0}", "{0}"},
     Phrase{"check broker.password_file, certificate, and the broker's list of users: the user is the facility", "请检查 broker.password_file、证书和消息代理的用户列表：用户名即机构名"}},
    {"login_failed", "login", Level::fail, {"{0}", "{0}"}, Phrase{"check the broker's log", "请查看消息代理的日志"}},
    {"login_failed_plain", "login", Level::fail, {"{0}", "{0}"},
     Phrase{"check the broker's log; if its port wants TLS, write mqtts:// in broker.uri", "请查看消息代理的日志；若其端口要求 TLS，请在 broker.uri 中写 mqtts://"}},
    {"hello_ok", "hello", Level::ok, {"the cloud answered in {0} ms", "区域云在 {0} 毫秒内应答"}},
    {"hello_by_agent", "hello", Level::ok, {"the running agent has the cloud's answer", "运行中的代理已得到区域云的应答"}},
    {"hello_silent", "hello", Level::fail, {"no answer from the cloud within {0} s", "区域云在 {0} 秒内没有应答"},
     Phrase{"in the cloud: check that egret-cloud serve runs and is connected, that region_key here is its key, and register this site: egret-cloud facility add {1} --key {2}; at the broker: that its access rules let this site read its topic",
            "在区域：请检查 egret-cloud serve 正在运行且已连接、本机的 region_key 是其公钥，并登记本机构：egret-cloud facility add {1} --key {2}；在消息代理：请检查其访问规则允许本机构读取自己的主题"}},
    {"hello_closed", "hello", Level::fail, {"the broker closed the connection: {0}", "消息代理关闭了连接：{0}"}, Phrase{"check the broker's log", "请查看消息代理的日志"}},
    {"hello_not_allowed", "hello", Level::fail, {"the broker refuses this site's message: {0}", "消息代理拒收本机构的消息：{0}"},
     Phrase{"check the broker's access rules: the user is the facility (packaging/mosquitto/egret.acl)", "请检查消息代理的访问规则：用户名即机构名（packaging/mosquitto/egret.acl）"}},
    {"hello_held", "hello", Level::fail, {"the cloud answers, but holds this site back", "区域云有应答，但暂停了本机构"},
     Phrase{"ask the cloud's operators (facility blocked, or another protocol version)", "请询问区域管理员（机构被暂停，或协议版本不同）"}},
};
static_assert([] {
  for (const Finding& finding : kFindings) {
    if (!finding.message.in_both() || (finding.todo && !finding.todo->in_both()) || finding.todo.has_value() != (finding.level != Level::ok)) return false;
    for (const Finding& other : kFindings) {
      if (&other != &finding && std::string_view(other.id) == finding.id) return false;
    }
  }
  return true;
}(), "each finding has both languages and an id of its own, and what to do unless all is well");

}  // namespace egret::agent::cli
