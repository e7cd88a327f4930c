// Phrases: what the agent says to people, in both languages of this house: English and simplified Chinese.
// Promises: a phrase exists in every language, with the same places to fill in (tested). Leaves to others: when it is said.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace egret::agent {

enum class Language : uint8_t { english, chinese };

// `asked` as in --lang; empty: by the environment (LC_ALL, LC_MESSAGES, LANG), as programs do. Unknown ones are English.
Language language_of(std::string_view asked);

enum class Phrase : uint8_t {
  linked,
  not_linked,
  waiting,
  nothing,
  lane_line,
  all_sent,
  totals,
  disk,
  disk_full_in,
  nothing_to_do,
  seconds,
  minutes,
  hours,
  days,
  bytes,
  records,
  one_record,
  lane_critical,
  lane_result,
  lane_telemetry,
  lane_bulk,
  todo_no_link,
  todo_held,
  todo_disk_full,
  todo_budget_full,
  todo_budget_soon,
  todo_parked,
  todo_quarantined,
  todo_shorter,
  page_title,
  page_well,
  page_look,
  page_link,
  page_since,
  page_lane,
  page_count,
  page_size,
  page_oldest,
  page_accepted,
  page_shed,
  page_refused,
  page_quarantined,
  page_disk,
  page_todo,
  page_news,
  page_support,
  page_as_of,
  last_
};
inline constexpr size_t kPhrases = static_cast<size_t>(Phrase::last_);

// For fmt: its places are {0}, {1}, …
const char* text_of(Phrase phrase, Language language);

// "2 h 5 min", "10 KiB".
std::string duration_text(int64_t s, Language language = Language::english);
std::string bytes_text(uint64_t bytes, Language language = Language::english);
std::string records_text(uint64_t n, Language language = Language::english);
// 1,234,567
std::string count_text(uint64_t n);

}  // namespace egret::agent
