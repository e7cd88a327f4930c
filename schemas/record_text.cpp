#include "schemas/record_text.h"

#include <openssl/evp.h>
#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "schemas/limits.h"

namespace egret {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The parts of a JSON number; ok is false when it is not one.
struct NumberParts {
  bool ok = false;
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  int exponent = 0;
};

std::string_view take_digits(std::string_view& rest) {
  const auto end = std::find_if_not(rest.begin(), rest.end(), is_digit);
  const auto digits = rest.substr(0, static_cast<size_t>(end - rest.begin()));
  rest.remove_prefix(digits.size());
  return digits;
}

bool take(std::string_view& rest, char c) {
  if (rest.empty() || rest.front() != c) return false;
  rest.remove_prefix(1);
  return true;
}

NumberParts parts_of(std::string_view rest) {
  NumberParts n;
  n.negative = take(rest, '-');
  n.whole = take_digits(rest);
  if (n.whole.empty() || (n.whole.size() > 1 && n.whole.front() == '0')) return n;
  if (take(rest, '.')) {
    n.fraction = take_digits(rest);
    if (n.fraction.empty()) return n;
  }
  if (take(rest, 'e') || take(rest, 'E')) {
    const bool minus = take(rest, '-');
    if (!minus) take(rest, '+');
    const auto digits = take_digits(rest);
    if (digits.empty()) return n;
    // More digits than fit say one thing only: far outside.
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), n.exponent);
    if (read.ec != std::errc{}) n.exponent = 1'000'000;
    if (minus) n.exponent = -n.exponent;
  }
  n.ok = rest.empty();
  return n;
}

// |value| = 0.digits * 10^scale, digits without zeros at either end; no digits: zero.
struct Magnitude {
  std::string digits;
  int scale = 0;
};

Magnitude magnitude_of(const NumberParts& n) {
  Magnitude m{std::string(n.whole) + std::string(n.fraction),
              static_cast<int>(n.whole.size()) + n.exponent};
  const size_t zeros = std::min(m.digits.find_first_not_of('0'), m.digits.size());
  m.digits.erase(0, zeros);
  m.scale -= static_cast<int>(zeros);
  m.digits.erase(m.digits.find_last_not_of('0') + 1);
  if (m.digits.empty()) m.scale = 0;
  return m;
}

int compare(const Magnitude& a, const Magnitude& b) {
  if (a.digits.empty() || b.digits.empty()) return int(!a.digits.empty()) - int(!b.digits.empty());
  if (a.scale != b.scale) return a.scale < b.scale ? -1 : 1;
  return a.digits.compare(b.digits);
}

// The two digits at `at`, or -1.
int two_digits(std::string_view text, size_t at) {
  if (at + 2 > text.size() || !is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// "Z" or "+08:00" in minutes.
std::optional<int32_t> offset_from_text(std::string_view text) {
  if (text == "Z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const int hours = two_digits(text, 1);
  const int minutes = two_digits(text, 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

constexpr int64_t kMinuteUs = 60'000'000;

}  // namespace

bool is_decimal(std::string_view text) {
  if (text.size() > kDecimalCharsMax) return false;
  const NumberParts n = parts_of(text);
  return n.ok && std::abs(n.exponent) <= kDecimalExponentMax;
}

int compare_decimal(std::string_view text, int64_t bound) {
  const std::string bound_text = std::to_string(bound);
  const NumberParts a = parts_of(text);
  const NumberParts b = parts_of(bound_text);
  const Magnitude ma = magnitude_of(a);
  const Magnitude mb = magnitude_of(b);
  const bool minus_a = a.negative && !ma.digits.empty();  // -0 is 0
  const bool minus_b = b.negative;
  if (minus_a != minus_b) return minus_a ? -1 : 1;
  return minus_a ? compare(mb, ma) : compare(ma, mb);
}

bool is_dicom_uid(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  while (true) {
    const auto part = take_digits(text);
    if (part.empty() || (part.size() > 1 && part.front() == '0')) return false;
    if (text.empty()) return true;
    if (!take(text, '.')) return false;
  }
}

bool is_ucum(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_name(std::string_view text) {
  if (text.empty() || !(is_letter(text.front()) || text.front() == '_')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) ||
           std::string_view("_.:/-").find(c) != std::string_view::npos;
  });
}

bool is_media_type(std::string_view text) {
  const auto token = [](std::string_view part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
      return is_letter(c) || is_digit(c) ||
             std::string_view("!#$&-^_.+").find(c) != std::string_view::npos;
    });
  };
  const auto parameters = text.find(';');
  if (parameters != std::string_view::npos) {
    const auto tail = text.substr(parameters);
    if (!std::all_of(tail.begin(), tail.end(), [](char c) { return c >= ' ' && c < '\x7f'; }))
      return false;
    text = text.substr(0, parameters);
  }
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const auto slash = text.find('/');
  return slash != std::string_view::npos && token(text.substr(0, slash)) &&
         token(text.substr(slash + 1));
}

bool is_plain_text(std::string_view text, bool lines) {
  bool control = false;  // no early end: so the compiler takes many characters at once
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    const bool line = lines & ((u == '\n') | (u == '\r') | (u == '\t'));
    control |= ((u < 0x20) | (u == 0x7f)) & !line;
  }
  return !control && simdjson::validate_utf8(text.data(), text.size());
}

std::optional<Bytes> bytes_from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out(text.size() / 2, '\0');
  for (size_t i = 0; i < out.size(); ++i) {
    uint8_t byte = 0;
    const char* first = text.data() + 2 * i;
    const auto read = std::from_chars(first, first + 2, byte, 16);
    if (read.ec != std::errc{} || read.ptr != first + 2) return std::nullopt;
    out[i] = static_cast<char>(byte);
  }
  return out;
}

std::optional<Bytes> uuid_from_text(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return std::nullopt;
    if (!dash) digits += text[i];
  }
  return bytes_from_hex(digits);
}

std::string uuid_to_text(ByteView uuid16) {
  std::string text = hex(uuid16);
  for (const size_t at : {8, 13, 18, 23}) text.insert(at, 1, '-');
  return text;
}

std::optional<Bytes> bytes_from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return Bytes();
  size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes out(text.size() / 4 * 3, '\0');
  const int decoded = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  if (decoded < 0) return std::nullopt;
  out.resize(out.size() - padding);
  // OpenSSL is lenient about blanks and stray bits; one text a value is what makes it a value.
  if (bytes_to_base64(out) != text) return std::nullopt;
  return out;
}

std::string bytes_to_base64(ByteView bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(bytes.data()),
                                      static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(written));
  return out;
}

std::optional<TimeValue> time_from_text(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const int century = two_digits(text, 0), years = two_digits(text, 2), mon = two_digits(text, 5),
            day_no = two_digits(text, 8), hour = two_digits(text, 11),
            minute = two_digits(text, 14), second = two_digits(text, 17);
  if (std::min({century, years, mon, day_no, hour, minute, second}) < 0) return std::nullopt;
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const year_month_day date{year{century * 100 + years}, month{static_cast<unsigned>(mon)},
                            day{static_cast<unsigned>(day_no)}};
  if (!date.ok() || date.year() < year{1}) return std::nullopt;
  std::string_view rest = text.substr(19);
  int64_t micros = 0;
  if (take(rest, '.')) {
    const auto digits = take_digits(rest);
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    std::string padded(digits);
    padded.resize(6, '0');
    std::from_chars(padded.data(), padded.data() + 6, micros);
  }
  const auto offset = offset_from_text(rest);
  if (!offset) return std::nullopt;
  const int64_t local_s = (int64_t{sys_days(date).time_since_epoch().count()} * 24 + hour) * 3600 +
                          minute * 60 + second;
  const TimeValue time{local_s * 1'000'000 + micros - *offset * kMinuteUs, *offset};
  return time.us >= kTimeMinUs && time.us <= kTimeMaxUs ? std::optional(time) : std::nullopt;
}

bool can_be_written(TimeValue time) {
  if (time.us < kTimeMinUs || time.us > kTimeMaxUs || std::abs(time.tz_min) > 1439) return false;
  const int64_t local = time.us + time.tz_min * kMinuteUs;
  return local >= kTimeMinUs && local <= kTimeMaxUs;
}

std::string time_to_text(TimeValue time) {
  using namespace std::chrono;
  const sys_time<microseconds> local{microseconds(time.us + time.tz_min * kMinuteUs)};
  const auto midnight = floor<days>(local);
  const year_month_day date{midnight};
  const hh_mm_ss clock{local - midnight};
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int(date.year()), unsigned(date.month()),
                  unsigned(date.day()), clock.hours().count(), clock.minutes().count(),
                  clock.seconds().count());
  if (const auto micros = clock.subseconds().count(); micros != 0) {
    text += fmt::format(".{:06}", micros);
    text.erase(text.find_last_not_of('0') + 1);
  }
  if (time.tz_min == 0) return text + "Z";
  const int minutes = std::abs(time.tz_min);
  return text +
         fmt::format("{}{:02}:{:02}", time.tz_min < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string double_to_text(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string with_commas(uint64_t value) {
  std::string text = std::to_string(value);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

}  // namespace egret
