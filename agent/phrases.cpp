#include "agent/phrases.h"

#include <algorithm>
#include <cstdlib>

#include "agent/log.h"
#include "schemas/limits.h"

namespace egret::agent {

Language language_of(std::string_view asked) {
  std::string from(asked);
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (from.empty() && value != nullptr) from = value;
  }
  return from.rfind("zh", 0) == 0 ? Language::chinese : Language::english;
}

Phrase phrase_of(StreamId lane) { return words::lanes[static_cast<size_t>(lane)]; }

std::string count_text(uint64_t n) {
  std::string digits = std::to_string(n), out;
  for (size_t i = 0; i < digits.size(); i++) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string shown(Records records, Language in) { return records.n == 1 ? said(words::one_record, in, count_text(1)) : said(words::records, in, count_text(records.n)); }

std::string shown(Lasting time, Language in) {
  const auto u = static_cast<uint64_t>(std::max<int64_t>(time.s, 0));
  if (u < 60) return said(words::seconds, in, u);
  if (u < 3600) return said(words::minutes, in, u / 60);
  if (u < 48 * 3600) return said(words::hours, in, u / 3600, u % 3600 / 60);
  return said(words::days, in, u / 86400);
}

std::string shown(Size size, Language in) {
  if (size.bytes < 10 * kKiB) return said(words::bytes, in, size.bytes);
  if (size.bytes < 10 * kMiB) return fmt::format("{} KiB", size.bytes / kKiB);
  return fmt::format("{} MiB", size.bytes / kMiB);
}

std::string shown(StreamId lane, Language in) { return phrase_of(lane).in(in); }

std::string shown(const Told& why, Language in) {
  for (const Phrase& reason : words::reasons) {
    if (why.text == reason.in(Language::english)) return reason.in(in);
  }
  return why.text;
}

std::string said(const Message& message, Language in) {
  std::vector<std::string> values;
  for (const LogValue& value : message.values) values.push_back(value.lane() ? shown(*value.lane(), in) : value.told() ? shown(Told{value.text()}, in) : value.text());
  return filled(message.event->text.in(in), values);
}

}  // namespace egret::agent
