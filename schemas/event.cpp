#include "schemas/event.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/record_json_syntax.h"

namespace egret {
namespace {

constexpr size_t kWordCharsMax = 200;

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warn: return "warn";
    case LogLevel::error: return "error";
    case LogLevel::off: break;
  }
  return "off";
}

std::string LogValue::plain(std::string_view text) {
  constexpr std::string_view kAlso = "._:@/{}$*+,-[]";
  const bool fine = text.size() <= kWordCharsMax && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kAlso.find(c) != kAlso.npos;
  });
  return fine ? std::string(text) : "(not shown)";
}

std::string filled(std::string_view pattern, std::span<const std::string> values) {
  std::string out;
  for (size_t at = 0; at < pattern.size(); at++) {
    const size_t place = pattern[at] == '{' && at + 2 < pattern.size() ? static_cast<size_t>(pattern[at + 1] - '0') : values.size();
    if (place >= values.size()) {
      out += pattern[at];
      continue;
    }
    out += values[place];
    at += 2;
  }
  return out;
}

std::string Message::text() const {
  std::vector<std::string> texts;
  for (const LogValue& value : values) texts.push_back(value.text());
  return filled(event->text.in(Language::english), texts);
}

std::string explained(const LogEvent& event, Language in) {
  return fmt::format("{}  ({})\n  {}\n{}\n  -> {}\n", event.id, name_of(event.level), event.text.in(in), event.means.in(in), event.todo.in(in));
}

std::string list_json(std::span<const LogEvent> events) {
  std::string out;
  for (const LogEvent& event : events) {
    std::string fields = json_text(event.fields);
    for (size_t at = fields.find(' '); at != fields.npos; at = fields.find(' ', at)) fields.replace(at, 1, "\",\"");
    const auto in_english = [](const Phrase& phrase) { return json_text(phrase.in(Language::english)); };
    out += fmt::format(R"({}{{"id":"{}","level":"{}","fields":[{}],"text":{},"means":{},"todo":{}}})", out.empty() ? "[" : ",\n", event.id, name_of(event.level),
                       event.fields[0] == 0 ? "" : fields, in_english(event.text), in_english(event.means), in_english(event.todo));
  }
  return out + "]\n";
}

std::string list_text(std::span<const LogEvent> events, Language in) {
  std::string out;
  for (const LogEvent& event : events) out += fmt::format("{:24} {:6} {}\n", event.id, name_of(event.level), event.text.in(in));
  return out;
}

}  // namespace egret
