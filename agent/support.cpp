#include "agent/support.h"

#include <openssl/crypto.h>
#include <rocksdb/version.h>
#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "agent/host.h"
#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent {
namespace {

namespace fs = std::filesystem;

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// The value of `name` in a file of NAME=value or NAME: value lines; empty: it has none.
std::string value_in(const char* file, std::string_view name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name) || line.size() <= name.size() + 1) continue;
    std::string value = line.substr(name.size() + 1);
    std::erase(value, '"');
    return value.substr(std::min(value.find_first_not_of(' '), value.size()));
  }
  return "";
}

std::string versions() {
  return fmt::format(R"({{"egret":"{}","openssl":{},"rocksdb":"{}.{}.{}","zstd":"{}"}})", EGRET_VERSION, as_json(OpenSSL_version(OPENSSL_VERSION)), ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH,
                     ZSTD_versionString());
}

std::string machine() {
  utsname kernel{};
  ::uname(&kernel);
  const ClockTrust clock = clock_trust();
  std::ifstream uptime("/proc/uptime");
  double up_s = 0;
  uptime >> up_s;
  return fmt::format(R"({{"system":{},"kernel":{},"architecture":{},"processors":{},"memory":{},"memory_available":{},"up_s":{:.0f},"clock_synchronised":{},"clock_error_ms":{}}})",
                     as_json(value_in("/etc/os-release", "PRETTY_NAME")), as_json(kernel.release), as_json(kernel.machine), ::sysconf(_SC_NPROCESSORS_ONLN), as_json(value_in("/proc/meminfo", "MemTotal")),
                     as_json(value_in("/proc/meminfo", "MemAvailable")), up_s, clock.synced, clock.error_ms);
}

// What the agent itself makes in its state folder. Others' files are counted: their names may say anything.
bool is_ours(const std::string& name) {
  constexpr std::array kNames = {"store", "ballast", "witness", "memory", "site.key"};
  constexpr std::array kBegin = {"store.", "witness.", "memory."};
  return std::ranges::any_of(kNames, [&](std::string_view one) { return name == one; }) || std::ranges::any_of(kBegin, [&](std::string_view one) { return name.starts_with(one) && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == name.npos; });
}

uint64_t bytes_of(const fs::path& at) {
  std::error_code failed;
  if (!fs::is_directory(at, failed)) {
    const uint64_t size = fs::is_regular_file(at, failed) ? fs::file_size(at, failed) : 0;
    return failed ? 0 : size;
  }
  uint64_t bytes = 0;
  for (fs::directory_iterator it(at, failed), end; !failed && it != end; it.increment(failed)) {
    std::error_code gone;
    const uint64_t size = it->is_regular_file(gone) ? it->file_size(gone) : 0;
    if (!gone) bytes += size;
  }
  return bytes;
}

std::string disk(const fs::path& state_dir) {
  struct statfs facts {};
  if (state_dir.empty() || ::statfs(state_dir.c_str(), &facts) != 0) return "null";
  std::string files;
  size_t others = 0;
  std::error_code failed;
  for (fs::directory_iterator it(state_dir, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (is_ours(name)) {
      files += fmt::format("{}{}:{}", files.empty() ? "" : ",", as_json(name), bytes_of(it->path()));
    } else {
      others++;
    }
  }
  const auto mib = [&](uint64_t blocks) { return blocks * static_cast<uint64_t>(facts.f_bsize) / kMiB; };
  return fmt::format(R"({{"file_system":"{:#x}","size_mib":{},"free_mib":{},"inodes_free":{},"bytes":{{{}}},"other_files":{}}})", static_cast<unsigned long>(facts.f_type), mib(facts.f_blocks), mib(facts.f_bavail),
                     facts.f_ffree, files, others);
}

// Settings that are as they should be, and where the others stand; never what stands there.
std::string configuration(const CheckedConfig& checked) {
  std::string settings, mistakes;
  for (const auto& [key, literal] : checked.settings) settings += fmt::format("{}{}:{}", settings.empty() ? "" : ",", as_json(key), as_json(literal));
  for (const Mistake& m : checked.mistakes) mistakes += fmt::format("{}{}", mistakes.empty() ? "" : ",", m.line);
  return fmt::format(R"({{"file":{},"settings":{{{}}},"lines_with_mistakes":[{}]}})", as_json(checked.config.file.string()), settings, mistakes);
}

// For a person: a line a member.
std::string indented(std::string_view json) {
  std::string out;
  int depth = 0;
  bool text = false;
  const auto line = [&] { out += '\n' + std::string(static_cast<size_t>(std::max(depth, 0)) * 2, ' '); };
  for (size_t at = 0; at < json.size(); at++) {
    const char c = json[at];
    if (text) {
      out += c;
      if (c == '\\' && at + 1 < json.size()) out += json[++at];
      text = c != '"';
      continue;
    }
    text = c == '"';
    const bool empty = (c == '{' || c == '[') && at + 1 < json.size() && (json[at + 1] == '}' || json[at + 1] == ']');
    if (empty) {
      out += {c, json[++at]};
      continue;
    }
    if (c == '}' || c == ']') depth--, line();
    if (c != ' ' && c != '\n') out += c;
    if (c == '{' || c == '[') depth++, line();
    if (c == ',') line();
    if (c == ':') out += ' ';
  }
  return out + '\n';
}

}  // namespace

CheckedConfig config_for_support(const fs::path& file) {
  CheckedConfig checked = read_config(file);
  for (Mistake& mistake : checked.mistakes) mistake.value.clear();
  return checked;
}

std::string support_of_agent(const StatusFacts& facts) {
  std::string lines;
  for (const std::string& line : last_log_lines()) lines += (lines.empty() ? "" : ",") + as_json(line);
  return fmt::format(R"({{"status":{},"log":[{}]}})", status_json(facts), lines);
}

std::string support_file(const CheckedConfig& checked, ByteView findings, ByteView agent, WallTime made) {
  return indented(fmt::format(R"({{"egret_support":1,"made":"{:%Y-%m-%dT%H:%M:%SZ}","versions":{},"findings":{},"configuration":{},"machine":{},"disk":{},"agent":{}}})",
                              fmt::gmtime(static_cast<std::time_t>(made.us / 1'000'000)), versions(), findings, configuration(checked), machine(), disk(checked.config.state_dir), agent));
}

}  // namespace egret::agent
