// Phrase: one sentence in both languages of this house, English and simplified Chinese, with places to fill in: {0}, {1}, …
// Promises: what has other places in one language than in the other, or is not translated, does not compile. A program that
// speaks English only gives that alone.
// Leaves to others: who says it, when, and what fills the places.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace egret {

enum class Language : uint8_t { english, chinese };

class Phrase {
 public:
  consteval Phrase(const char* en, const char* zh) : en_(en), zh_(zh) {
    if (!agree(en, zh)) throw "a phrase says the same in both languages, with the same places";
  }
  consteval Phrase(const char* en) : en_(en), zh_(nullptr) {
    if (used_in(en) < 0 || en[0] == 0) throw "places are {0} to {9}";
  }
  constexpr const char* in(Language language) const { return language == Language::chinese && zh_ != nullptr ? zh_ : en_; }
  constexpr bool in_both() const { return zh_ != nullptr; }
  // How many values it takes: one more than its highest place.
  constexpr int places() const { return std::bit_width(static_cast<unsigned>(used_in(en_))); }
  constexpr bool uses_all(int values) const { return used_in(en_) == (1 << values) - 1; }

  // One bit a place; -1: something else stands in braces.
  static constexpr int used_in(std::string_view text) {
    int seen = 0;
    for (size_t at = 0; at < text.size(); at++) {
      if (text[at] == '}') return -1;
      if (text[at] != '{') continue;
      if (at + 2 >= text.size() || text[at + 1] < '0' || text[at + 1] > '9' || text[at + 2] != '}') return -1;
      seen |= 1 << (text[at + 1] - '0');
      at += 2;
    }
    return seen;
  }
  static constexpr bool agree(std::string_view en, std::string_view zh) {
    bool letters = false;
    for (char c : en) {
      if (static_cast<unsigned char>(c) >= 0x80) return false;
      letters = letters || (c >= 'a' && c <= 'z');
    }
    const bool translated = en != zh || !letters || en.find(' ') == en.npos;
    return !en.empty() && !zh.empty() && translated && used_in(en) >= 0 && used_in(en) == used_in(zh);
  }

 private:
  const char* en_;
  const char* zh_;
};

}  // namespace egret
