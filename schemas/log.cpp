#include "schemas/log.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>

#include "schemas/log_limit.h"

namespace egret {
namespace {

// systemd names the journal's stream as device:inode. The variable alone does not tell: children inherit it, wherever
// their stderr goes.
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat is {};
  if (stream == nullptr || ::fstat(2, &is) != 0) return false;
  return std::to_string(is.st_dev) + ':' + std::to_string(is.st_ino) == stream;
}
bool journal_takes_fields() { return ::access("/run/systemd/journal/socket", W_OK) == 0; }

int priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::error: return 3;
    case LogLevel::warn: return 4;
    case LogLevel::info: return 6;
    default: return 7;
  }
}
// sd-daemon(3): "<N>" in front of a line is its syslog priority.
std::string priority_prefix(LogLevel level) { return fmt::format("<{}>", priority_of(level)); }

std::string value_text(std::string_view text) {
  const bool bare = !text.empty() && text.find_first_of(" \"=\\") == text.npos && std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (bare) return std::string(text);
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out + '"';
}

// Calls each(name, value) for every field.
template <class Each>
void each_field(const Message& message, const Each& each) {
  std::string_view names = message.event->fields;
  for (const LogValue& value : message.values) {
    const size_t end = std::min(names.find(' '), names.size());
    each(names.substr(0, end), value.text());
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

class Log {
 public:
  void begin(const char* program) {
    program_ = program;
    if (stderr_is_the_journal()) to_ = journal_takes_fields() ? To::journal : To::journal_stream;
  }
  void keep_only() { to_ = To::nowhere; }
  void level(LogLevel least) { least_ = least; }

  void take(Message message, MonoTime now, WallTime at) {
    std::lock_guard held(lock_);
    if (message.event->level < least_) return;
    Often& one = of_[message.event];
    if (!one.limit.take(now)) {
      one.latest = std::move(message);
      return;
    }
    write(message, at, one.limit.tell_left_out());
  }
  void tend(MonoTime now, WallTime at) {
    std::lock_guard held(lock_);
    for (auto& [event, one] : of_) {
      if (one.limit.left_out() > 0 && one.limit.quiet(now)) write(one.latest, at, one.limit.tell_left_out() - 1);
    }
  }
  std::vector<std::string> lines() {
    std::lock_guard held(lock_);
    return {kept_.begin(), kept_.end()};
  }

 private:
  enum class To : uint8_t { stderr_lines, journal_stream, journal, nowhere };
  struct Often {
    LogLimit limit;
    Message latest;  // of those left out
  };

  void write(const Message& message, WallTime at, uint64_t left_out) {
    const std::string line = logfmt(message, at, left_out);
    kept_.push_back(line);
    if (kept_.size() > kLogLinesKept) kept_.pop_front();
    if (to_ == To::nowhere) return;
    if (to_ == To::journal) return send(message, left_out);
    // The journal has a time of its own.
    const std::string text = (to_ == To::journal_stream ? priority_prefix(message.event->level) + line.substr(line.find(' ') + 1) : line) + '\n';
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  }
  void send(const Message& message, uint64_t left_out) {
    const std::vector<std::string> fields = journal_fields(message, program_, left_out);
    std::vector<iovec> parts;
    for (const std::string& field : fields) parts.push_back({const_cast<char*>(field.data()), field.size()});
    ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  }

  std::mutex lock_;
  const char* program_ = "egret";
  To to_ = To::stderr_lines;
  LogLevel least_ = LogLevel::info;
  std::map<const LogEvent*, Often> of_;
  std::deque<std::string> kept_;
};

Log& the_log() {
  static Log* log = new Log;  // whoever ends last may still write
  return *log;
}
MonoTime mono_now() { return {std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()}; }
WallTime wall_now() { return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count()}; }

}  // namespace

void begin_log(const char* program) { the_log().begin(program); }
void keep_log_only() { the_log().keep_only(); }
void set_log_level(LogLevel least) { the_log().level(least); }

LogLevel log_level_of(std::string_view name) {
  for (LogLevel level : {LogLevel::debug, LogLevel::warn, LogLevel::error}) {
    if (name == name_of(level)) return level;
  }
  return LogLevel::info;
}

void write_log(Message message) { the_log().take(std::move(message), mono_now(), wall_now()); }
void tend_log() { the_log().tend(mono_now(), wall_now()); }
std::vector<std::string> last_log_lines() { return the_log().lines(); }

std::string logfmt(const Message& message, WallTime at, uint64_t left_out) {
  const std::time_t s = at.us / 1'000'000;
  std::string out = fmt::format("time={:%Y-%m-%dT%H:%M:%S}.{:03}Z level={} event={} msg={}", fmt::gmtime(s), at.us / 1000 % 1000, name_of(message.event->level), message.event->id, value_text(message.text()));
  each_field(message, [&](std::string_view name, const std::string& value) { out += fmt::format(" {}={}", name, value_text(value)); });
  if (left_out > 0) out += fmt::format(" left_out={}", left_out);
  return out;
}

std::vector<std::string> journal_fields(const Message& message, std::string_view program, uint64_t left_out) {
  std::vector<std::string> out{"MESSAGE=" + message.text(), fmt::format("PRIORITY={}", priority_of(message.event->level)), fmt::format("SYSLOG_IDENTIFIER={}", program), fmt::format("EGRET_EVENT={}", message.event->id)};
  each_field(message, [&](std::string_view name, const std::string& value) {
    std::string field = "EGRET_";
    for (char c : name) field += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    out.push_back(field + '=' + value);
  });
  if (left_out > 0) out.push_back(fmt::format("EGRET_LEFT_OUT={}", left_out));
  return out;
}

bool log_goes_to_journal() { return stderr_is_the_journal(); }

}  // namespace egret
