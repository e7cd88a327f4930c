// Log: how both programs write their log: one line a message, on stderr.
// Promises: under systemd's journal each line begins with its priority (<3> error … <7> debug), which the journal takes
// off again and keeps, and has no time of its own; anywhere else time and level stand in front.
// Leaves to others: what is said, and how much of it (spdlog's level).
#pragma once

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace egret {

// sd-daemon(3): "<N>" in front of a line is its syslog priority.
class JournalPriority final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view prefix = prefix_of(message.level);
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JournalPriority>();
  }

  static std::string_view prefix_of(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::critical: return "<2>";
      case spdlog::level::err: return "<3>";
      case spdlog::level::warn: return "<4>";
      case spdlog::level::info: return "<6>";
      default: return "<7>";
    }
  }
};

// systemd names the journal's stream as device:inode. The variable alone does not tell: children inherit it, wherever
// their stderr goes.
inline bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat is {};
  if (stream == nullptr || ::fstat(2, &is) != 0) return false;
  return std::to_string(is.st_dev) + ':' + std::to_string(is.st_ino) == stream;
}

// What is wrong with a service's configuration: as it is for a person, as an error for the journal.
inline void complain_on_stderr(const std::string& text) {
  std::fprintf(stderr, "%s%s\n", stderr_is_the_journal() ? "<3>" : "", text.c_str());
}

// Sets the program's default logger.
inline void log_to_stderr() {
  auto log = spdlog::stderr_logger_mt("egret");
  auto format = std::make_unique<spdlog::pattern_formatter>();
  format->add_flag<JournalPriority>('*');
  format->set_pattern(stderr_is_the_journal() ? "%*%v" : "%Y-%m-%dT%H:%M:%S.%e %l %v");
  log->set_formatter(std::move(format));
  spdlog::set_default_logger(std::move(log));
}

}  // namespace egret
