#include "cloud/fhir/exchange.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <ctime>

#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> unescaped(std::string_view text, bool form) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '+' && form) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1, low = high < 0 ? -1 : hex_digit(text[i + 2]);
      if (low < 0) return Error{Errc::bad_input, "address: a % without two hex digits"};
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  if (!is_plain_text(out, false)) return Error{Errc::bad_input, "address: not UTF-8, or a control character"};
  return out;
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kPlain = "-._~:/$,|";  // beside letters and digits; what FHIR's own values are full of
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || kPlain.find(c) != std::string_view::npos) out += c;
    else out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

tm utc_of(WallTime at) {
  const time_t seconds = at.us / 1'000'000;
  tm out{};
  gmtime_r(&seconds, &out);
  return out;
}

}  // namespace

const char* code_of(Issue issue) {
  switch (issue) {
    case Issue::invalid: return "invalid";
    case Issue::structure: return "structure";
    case Issue::required: return "required";
    case Issue::value: return "value";
    case Issue::not_supported: return "not-supported";
    case Issue::not_found: return "not-found";
    case Issue::deleted: return "deleted";
    case Issue::too_long: return "too-long";
    case Issue::too_costly: return "too-costly";
    case Issue::conflict: return "conflict";
    case Issue::duplicate: return "duplicate";
    case Issue::forbidden: return "forbidden";
    case Issue::processing: return "processing";
    case Issue::exception: return "exception";
    case Issue::transient: return "transient";
    case Issue::informational: return "informational";
  }
  return "unknown";
}

Json outcome(Issue issue, const std::string& text, const char* severity) {
  Json one = Json::object({{"severity", severity}, {"code", code_of(issue)}, {"diagnostics", text}});
  return Json::object({{"resourceType", "OperationOutcome"}, {"issue", Json::array({std::move(one)})}});
}

Response refusal(unsigned status, Issue issue, const std::string& text) {
  Response out;
  out.status = status;
  out.body = outcome(issue, text);
  return out;
}

Response refusal(const Error& error) {
  switch (error.code) {
    case Errc::bad_input: return refusal(400, Issue::invalid, error.text);
    case Errc::too_large: return refusal(413, Issue::too_long, error.text);
    case Errc::not_found: return refusal(404, Issue::not_found, error.text);
    case Errc::conflict: return refusal(409, Issue::conflict, error.text);
    case Errc::wrong_facility: return refusal(403, Issue::forbidden, error.text);
    case Errc::locked: return refusal(503, Issue::transient, error.text);
    case Errc::disk_full: return refusal(507, Issue::transient, "the store is full; nothing was written");
    case Errc::unknown_outcome: return refusal(503, Issue::transient, "the store did not say whether it was written; ask before writing again");
    default: return refusal(500, Issue::exception, "the store failed; nothing of this request is known to be written");
  }
}

Result<Parameters> parse_query(std::string_view query) {
  Parameters out;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.empty()) continue;
    if (out.size() == kFhirParametersMax) return Error{Errc::too_large, fmt::format("search: more than {} parameters", kFhirParametersMax)};
    if (part.size() > kFhirParameterBytesMax) return Error{Errc::too_large, fmt::format("search: a parameter of {} bytes, at most {}", part.size(), kFhirParameterBytesMax)};
    const size_t equals = std::min(part.find('='), part.size());
    auto name = unescaped(part.substr(0, equals), true), value = unescaped(part.substr(std::min(equals + 1, part.size())), true);
    if (!name || !value) return name ? value.error() : name.error();
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

std::string encode_query(const Parameters& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += '&';
    out += escaped(name) + "=" + escaped(value);
  }
  return out;
}

Result<std::vector<std::string>> parse_path(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    auto part = unescaped(path.substr(0, end), false);
    if (!part) return std::move(part).error();
    if (!part->empty()) out.push_back(std::move(*part));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

std::optional<std::string> tag_in(std::string_view header) {
  if (header.starts_with("W/")) header.remove_prefix(2);
  if (header.size() < 2 || header.front() != '"' || header.back() != '"') return std::nullopt;
  return std::string(header.substr(1, header.size() - 2));
}

std::string etag_of(const std::string& version) {
  return "W/\"" + version + "\"";
}

std::string http_date(WallTime at) {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const tm utc = utc_of(at);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string instant(WallTime at) {
  const tm utc = utc_of(at);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                     utc.tm_min, utc.tm_sec, at.us / 1000 % 1000);
}

}  // namespace egret::cloud::fhir
