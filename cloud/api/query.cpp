#include "cloud/api/query.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "cloud/api/limits.h"
#include "schemas/record_text.h"

namespace egret::cloud {

std::optional<std::string> unescaped(std::string_view text, bool plus) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      out += plus && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const auto byte = i + 2 < text.size() ? bytes_from_hex(text.substr(i + 1, 2)) : std::nullopt;
    if (!byte) return std::nullopt;
    out += (*byte)[0];
    i += 2;
  }
  return out;
}

Result<Query> query_of(std::string_view text, std::initializer_list<std::string_view> known) {
  Query out;
  std::string names;
  for (std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  const Error unknown{Errc::bad_input, names.empty() ? "no parameter is known here" : "known here: " + names + ", each once and with a value"};
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    if (equals == part.npos || out.size() == kApiParametersMax || std::ranges::find(known, name) == known.end() || out.contains(name)) return unknown;
    auto value = unescaped(part.substr(equals + 1), true);
    if (!value) return Error{Errc::bad_input, std::string(name) + ": its percent-encoding is broken"};
    out.emplace(name, std::move(*value));
  }
  return out;
}

Result<uint64_t> number_in(const Query& query, std::string_view name, uint64_t fallback, uint64_t min, uint64_t max) {
  const auto at = query.find(name);
  if (at == query.end()) return fallback;
  uint64_t out = 0;
  const char* end = at->second.data() + at->second.size();
  const auto [stop, failed] = std::from_chars(at->second.data(), end, out);
  if (failed != std::errc{} || stop != end || out < min || out > max) return Error{Errc::bad_input, fmt::format("{}: a whole number from {} to {}", name, min, max)};
  return out;
}

Result<Query> texts_in(const std::string& body, std::initializer_list<std::string_view> known) {
  std::string names;
  for (std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  const Error unknown{Errc::bad_input, "the body is a JSON object of texts; known here: " + names + ", each once"};
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(body).get_object().get(object) != simdjson::SUCCESS) return unknown;
  Query out;
  for (const auto& [name, value] : object) {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS || std::ranges::find(known, name) == known.end() || out.contains(name)) return unknown;
    if (text.size() > kNoteBytesMax) return Error{Errc::bad_input, fmt::format("{}: {} bytes, at most {}", name, text.size(), kNoteBytesMax)};
    out.emplace(name, text);
  }
  return out;
}

Result<std::string> note_in(const std::string& body) {
  if (body.empty()) return std::string();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  std::string_view note;
  if (parser.parse(body).get(root) != simdjson::SUCCESS || root["note"].get_string().get(note) != simdjson::SUCCESS) return Error{Errc::bad_input, "the body is {\"note\":\"…\"}, or empty"};
  if (note.size() > kNoteBytesMax) return Error{Errc::bad_input, fmt::format("note: at most {} bytes", kNoteBytesMax)};
  return std::string(note);
}

}  // namespace egret::cloud
