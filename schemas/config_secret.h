// What a mistake in a configuration may not repeat: passwords belong into files that settings name, and some write them beside.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace egret {

inline constexpr const char* kNotShown = "(not shown)";

// `known`: the key is one of the settings, none of which is a secret; `text`: its value, which may be an address with a password.
inline bool may_hide_a_secret(std::string key, bool known, const std::string& text) {
  const size_t address = text.find("://");
  if (address != text.npos && text.find('@', address) != text.npos) return true;
  if (known) return false;
  std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::any_of(std::array{"pass", "pw", "secret", "token", "credential"}, [&](const char* word) { return key.find(word) != key.npos; });
}

}  // namespace egret
