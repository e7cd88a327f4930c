// Journal: what happened in one seed: a line an event, a hash over all lines, the first violation.
// Promises: equal seeds give equal hashes; the first violation stands, whatever follows.
// Leaves to others: stopping the seed then (World).
#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <deque>
#include <string>

#include "tests/sim/tally.h"
#include "tests/sim/timeline.h"

namespace egret::sim {

class Journal {
 public:
  Journal(const Timeline& time, bool print) : time_(time), print_(print) {}

  template <class... A>
  void note(fmt::format_string<A...> format, A&&... a) {
    line(fmt::format(format, std::forward<A>(a)...));
  }
  // `invariant` as in es1 section 8: "I9".
  template <class... A>
  void fail(const char* invariant, fmt::format_string<A...> format, A&&... a) {
    if (!violation_.empty()) return;
    violation_ = fmt::format("{}: {}", invariant, fmt::format(format, std::forward<A>(a)...));
    line("VIOLATION " + violation_);
  }
  bool failed() const { return !violation_.empty(); }
  const std::string& violation() const { return violation_; }
  uint64_t hash() const { return hash_; }
  const std::deque<std::string>& last_lines() const { return lines_; }
  Tally tally;

 private:
  static constexpr size_t kKeptLines = 60;
  void line(std::string text) {
    std::string whole = fmt::format("{:>11.3f}  {}", static_cast<double>(time_.now().ms) / 1000, text);
    for (char c : whole) hash_ = (hash_ ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
    if (print_) std::printf("%s\n", whole.c_str());
    lines_.push_back(std::move(whole));
    if (lines_.size() > kKeptLines) lines_.pop_front();
  }
  const Timeline& time_;
  bool print_;
  std::string violation_;
  uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::deque<std::string> lines_;
};

}  // namespace egret::sim
