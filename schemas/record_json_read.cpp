#include "schemas/record_json_read.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bitset>
#include <charconv>
#include <cmath>

#include "schemas/limits.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_telemetry.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

namespace ondemand = simdjson::ondemand;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using v1::Series;

constexpr size_t kFieldsMax = 64;  // of one message; a bit each
using Seen = std::bitset<kFieldsMax>;

bool fail(Fault& fault, std::string text, Errc code = Errc::bad_input) {
  fault = {code, "", std::move(text)};
  return false;
}

// The text is no JSON; find_malformed says why, for the error is found again there with its place.
bool fail_syntax(Fault& fault) {
  return fail(fault, "malformed JSON");
}

const char* type_name(ondemand::json_type type) {
  switch (type) {
    case ondemand::json_type::object:
      return "an object";
    case ondemand::json_type::array:
      return "an array";
    case ondemand::json_type::string:
      return "a string";
    case ondemand::json_type::number:
      return "a number";
    case ondemand::json_type::boolean:
      return "true or false";
    default:
      return "null";
  }
}

// Nothing but blanks follows what was read.
bool at_end(ondemand::document& document) {
  const char* at = nullptr;
  return document.current_location().get(at) == simdjson::OUT_OF_BOUNDS;
}

// Is `v` of that type? null has an advice of its own.
bool expect(ondemand::value v, ondemand::json_type wanted, Fault& fault) {
  ondemand::json_type type;
  if (v.type().get(type)) return fail_syntax(fault);
  if (type == wanted) return true;
  if (type == ondemand::json_type::null)
    return fail(fault, fmt::format("null, must be {}: or leave the field out", type_name(wanted)));
  return fail(fault, fmt::format("{}, must be {}", type_name(type), type_name(wanted)));
}

bool read_string(ondemand::value v, std::string_view& text, Fault& fault) {
  if (!expect(v, ondemand::json_type::string, fault)) return false;
  if (v.get_string().get(text)) return fail_syntax(fault);
  if (!simdjson::validate_utf8(text.data(), text.size())) return fail_syntax(fault);
  return true;
}

// The number's characters as they stand.
bool read_number_token(ondemand::value v, std::string_view& token, Fault& fault) {
  if (!expect(v, ondemand::json_type::number, fault)) return false;
  token = trim_blanks(v.raw_json_token());
  return true;
}

bool is_whole(std::string_view token) {
  return token.find_first_of(".eE") == std::string_view::npos;
}

// Edits between two names, to tell a person which one was meant.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t k = 0; k <= b.size(); ++k) row[k] = k;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t k = 1; k <= b.size(); ++k) {
      const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
      const size_t change = diagonal + (lower(a[i - 1]) == lower(b[k - 1]) ? 0 : 1);
      diagonal = std::exchange(row[k], std::min({row[k] + 1, row[k - 1] + 1, change}));
    }
  }
  return row[b.size()];
}

// A key may be anything, a patient's name too: only what looks like a field of ours is repeated.
std::string quoted_key(std::string_view key) {
  const bool like_ours = !key.empty() && key.size() <= 32 &&
                         std::all_of(key.begin(), key.end(),
                                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  return like_ours ? fmt::format("\"{}\"", key) : fmt::format("of {} characters", key.size());
}

bool unknown_field(const MessageRules& rules, std::string_view key, Fault& fault) {
  std::string text = "unknown field " + quoted_key(key);
  const FieldRules* near = nullptr;
  size_t best = 3;
  for (const auto& f : rules.fields) {
    if (f.rule.column() || key.size() > 40) continue;
    if (const size_t d = distance(key, f.name); d < best) {
      best = d;
      near = &f;
    }
  }
  if (near != nullptr) text += fmt::format(", did you mean \"{}\"?", near->name);
  return fail(fault, std::move(text));
}

class Reader {
 public:
  // Nanoseconds in one unit of the times of points.
  uint64_t time_unit_ns = 1;
  // Times before the year 2000 are a mistaken unit.
  bool times_are_recent = false;

  bool object(ondemand::value v, Message& message, const MessageRules& rules, Fault& fault) {
    if (!expect(v, ondemand::json_type::object, fault)) return false;
    ondemand::object members;
    if (v.get_object().get(members)) return fail_syntax(fault);
    return this->members(members, message, rules, fault);
  }

  bool members(ondemand::object& members, Message& message, const MessageRules& rules,
               Fault& fault) {
    if (rules.descriptor == Series::descriptor())
      return series(members, static_cast<Series&>(message), fault);
    Seen seen;
    for (auto member : members) {
      std::string_view key;
      ondemand::value v;
      if (!key_and_value(member, key, v, fault)) return false;
      const FieldRules* f = rules.find(key);
      if (f == nullptr) return unknown_field(rules, key, fault);
      if (!once(seen, *f, fault) || !field(v, message, *f, fault)) return false;
    }
    return true;
  }

  // One member of an object into its field.
  bool field(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    if (f.is_object_list()) return labels(v, message, f, fault) || within(fault, f.name);
    if (f.is_list()) return list(v, message, f, fault) || within(fault, f.name);
    const auto* oneof = f.field->real_containing_oneof();
    if (oneof != nullptr && message.GetReflection()->HasOneof(message, oneof)) {
      return fail(fault, fmt::format("two answers where one is allowed: {}", oneof->name())) ||
             within(fault, f.name);
    }
    return single(v, message, f, fault) || within(fault, f.name);
  }

  static bool within(Fault& fault, std::string_view name) {
    fault.within(name);
    return false;
  }

  static bool key_and_value(simdjson::simdjson_result<ondemand::field>& member,
                            std::string_view& key, ondemand::value& v, Fault& fault) {
    if (member.error() || member.unescaped_key().get(key) || member.value().get(v))
      return fail_syntax(fault);
    return true;
  }

  static bool once(Seen& seen, const FieldRules& f, Fault& fault) {
    if (!seen.test(f.index)) {
      seen.set(f.index);
      return true;
    }
    return fail(fault, "the field is there twice") || within(fault, f.name);
  }

 private:
  bool list(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    if (!expect(v, ondemand::json_type::array, fault)) return false;
    ondemand::array items;
    if (v.get_array().get(items)) return fail_syntax(fault);
    size_t count = 0;
    for (auto item : items) {
      ondemand::value inner;
      if (item.get(inner)) return fail_syntax(fault);
      if (count == f.rule.max_items()) {
        return fail(fault, fmt::format("more than {} items", with_commas(f.rule.max_items())));
      }
      if (!single(inner, message, f, fault)) {
        fault.within(fmt::format("[{}]", count));
        return false;
      }
      ++count;
    }
    return count > 0 || fail(fault, "empty: leave the field out");
  }

  // {"key": "value"} into a list of Label.
  bool labels(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    if (!expect(v, ondemand::json_type::object, fault)) return false;
    ondemand::object members;
    if (v.get_object().get(members)) return fail_syntax(fault);
    const Reflection& r = *message.GetReflection();
    size_t count = 0;
    for (auto member : members) {
      std::string_view key;
      ondemand::value inner;
      if (!key_and_value(member, key, inner, fault)) return false;
      if (count++ == f.rule.max_items())
        return fail(fault, fmt::format("more than {} names", f.rule.max_items()));
      for (int i = 0; i < r.FieldSize(message, f.field); ++i) {
        const auto& other =
            static_cast<const v1::Label&>(r.GetRepeatedMessage(message, f.field, i));
        if (other.key() == key) return fail(fault, fmt::format("name {} is there twice", count));
      }
      auto& label = static_cast<v1::Label&>(*r.AddMessage(&message, f.field));
      std::string_view value;
      if (!check_bytes(f.message->fields[0], key, fault) || !read_string(inner, value, fault) ||
          !check_bytes(f.message->fields[1], value, fault)) {
        fault.text = fmt::format("name {}: {}", count, fault.text);
        return false;
      }
      label.set_key(std::string(key));
      label.set_value(std::string(value));
    }
    return count > 0 || fail(fault, "empty: leave the field out");
  }

  // One value: into a singular field, or as a new item of a list.
  bool single(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    const Reflection& r = *message.GetReflection();
    switch (f.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message& inner =
            f.is_list() ? *r.AddMessage(&message, f.field) : *r.MutableMessage(&message, f.field);
        return f.message->as_time ? time(v, static_cast<v1::Time&>(inner), fault)
                                  : object(v, inner, *f.message, fault);
      }
      case FieldDescriptor::CPPTYPE_STRING:
        return bytes(v, message, f, fault);
      case FieldDescriptor::CPPTYPE_ENUM:
        return enumeration(v, message, f, fault);
      case FieldDescriptor::CPPTYPE_BOOL:
        return boolean(v, message, f, fault);
      default:
        return number(v, message, f, fault);
    }
  }

  static bool time(ondemand::value v, v1::Time& time, Fault& fault) {
    std::string_view text;
    if (!read_string(v, text, fault)) return false;
    const auto value = time_from_text(text);
    if (!value || !can_be_written(*value)) {
      return fail(fault,
                  fmt::format("{} bytes, allowed a time like 2026-03-01T08:30:00.123456+08:00",
                              text.size()));
    }
    time.set_us(value->us);
    time.set_tz_min(value->tz_min);
    return true;
  }

  static bool decode_text(std::string_view text, const FieldRules& f, std::string& out,
                          Fault& fault) {
    std::optional<Bytes> decoded;
    switch (f.rule.format()) {
      case v1::UUID:
        decoded = uuid_from_text(text);
        break;
      case v1::SHA256:
        decoded = bytes_from_hex(text);
        break;
      case v1::BASE64:
        decoded = bytes_from_base64(text);
        break;
      default:
        decoded = Bytes(text);
    }
    const bool fixed = f.rule.format() == v1::SHA256 && decoded && decoded->size() != 32;
    if (!decoded || fixed)
      return fail(fault, fmt::format("{} bytes, allowed {}", with_commas(text.size()), f.allowed));
    out = std::move(*decoded);
    return check_bytes(f, out, fault);
  }

  static bool bytes(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    std::string value;
    std::string_view text;
    if (f.rule.format() == v1::DECIMAL) {
      if (!read_number_token(v, text, fault)) return false;
      value = text;
      if (!check_bytes(f, value, fault)) return false;
    } else {
      if (!read_string(v, text, fault) || !decode_text(text, f, value, fault)) return false;
    }
    const Reflection& r = *message.GetReflection();
    f.is_list() ? r.AddString(&message, f.field, std::move(value))
                : r.SetString(&message, f.field, std::move(value));
    return true;
  }

  static bool enumeration(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    std::string_view text;
    if (!read_string(v, text, fault)) return false;
    const int number = f.names->number_of(text);
    if (number == 0) {
      const bool kind = f.field->enum_type() == v1::Kind_descriptor();
      return fail(fault, fmt::format("none of {}", f.allowed),
                  kind ? Errc::unknown_kind : Errc::bad_input);
    }
    const Reflection& r = *message.GetReflection();
    f.is_list() ? r.AddEnumValue(&message, f.field, number)
                : r.SetEnumValue(&message, f.field, number);
    return true;
  }

  static bool boolean(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    if (!expect(v, ondemand::json_type::boolean, fault)) return false;
    const auto token = trim_blanks(v.raw_json_token());
    if (token != "true" && token != "false") return fail_syntax(fault);
    message.GetReflection()->SetBool(&message, f.field, token == "true");
    return true;
  }

  static bool number(ondemand::value v, Message& message, const FieldRules& f, Fault& fault) {
    std::string_view token;
    if (!read_number_token(v, token, fault)) return false;
    if (!is_decimal(token)) return fail(fault, "not a number of at most 64 characters");
    switch (f.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return floating(token, message, f, fault);
      case FieldDescriptor::CPPTYPE_UINT64:
        return whole<uint64_t>(token, message, f, fault);
      case FieldDescriptor::CPPTYPE_UINT32:
        return whole<uint32_t>(token, message, f, fault);
      case FieldDescriptor::CPPTYPE_INT32:
        return whole<int32_t>(token, message, f, fault);
      default:
        return whole<int64_t>(token, message, f, fault);
    }
  }

  static bool floating(std::string_view token, Message& message, const FieldRules& f,
                       Fault& fault) {
    double value = 0;
    if (!double_of(token, value)) return fail(fault, "not a number that a double holds");
    const Reflection& r = *message.GetReflection();
    f.is_list() ? r.AddDouble(&message, f.field, value) : r.SetDouble(&message, f.field, value);
    return true;
  }

  static bool double_of(std::string_view token, double& value) {
    const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
    return read.ec == std::errc{} && read.ptr == token.data() + token.size() &&
           std::isfinite(value);
  }

  template <class Integer>
  static bool whole(std::string_view token, Message& message, const FieldRules& f, Fault& fault) {
    if (!is_whole(token)) return fail(fault, shown(f, token) + "must be a whole number");
    Integer value = 0;
    const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
    if (read.ec != std::errc{} || read.ptr != token.data() + token.size()) {
      return fail(fault, fmt::format("{}outside of {}", shown(f, token),
                                     f.allowed.empty() ? "64 bits" : f.allowed));
    }
    const bool huge =
        std::is_same_v<Integer, uint64_t> && static_cast<uint64_t>(value) > uint64_t{INT64_MAX};
    if (!check_number(f, huge ? INT64_MAX : static_cast<int64_t>(value), huge, fault)) return false;
    put(message, f, value);
    return true;
  }

  static void put(Message& m, const FieldRules& f, uint64_t v) {
    const Reflection& r = *m.GetReflection();
    f.is_list() ? r.AddUInt64(&m, f.field, v) : r.SetUInt64(&m, f.field, v);
  }
  static void put(Message& m, const FieldRules& f, int64_t v) {
    m.GetReflection()->SetInt64(&m, f.field, v);
  }
  static void put(Message& m, const FieldRules& f, uint32_t v) {
    m.GetReflection()->SetUInt32(&m, f.field, v);
  }
  static void put(Message& m, const FieldRules& f, int32_t v) {
    m.GetReflection()->SetInt32(&m, f.field, v);
  }

  // ---- a series: its points are one field of JSON and many columns of the message ----

  struct JsonPoint {
    enum class What { nothing, whole, floating, text, object } what = What::nothing;
    uint64_t t_ns = 0;
    uint32_t flags = 0;
    int64_t whole = 0;
    double floating = 0;
    std::string text;
    v1::Histogram histogram;
    v1::ExpHistogram exp_histogram;
  };

  bool series(ondemand::object& members, Series& series, Fault& fault) {
    const MessageRules& rules = rules_of<Series>();
    if (!find_kind(members, series, fault)) return false;
    Seen seen;
    std::vector<JsonPoint> points;
    for (auto member : members) {
      std::string_view key;
      ondemand::value v;
      if (!key_and_value(member, key, v, fault)) return false;
      const FieldRules* f = rules.find(key == "points" ? "t_ns" : key);
      if (f == nullptr || (f->rule.column() && key != "points"))
        return unknown_field(rules, key, fault);
      if (!once(seen, *f, fault)) return false;
      const bool read =
          key == "points" ? this->points(v, series, points, fault) : field(v, series, *f, fault);
      if (!read) return false;
    }
    if (points.empty()) return fail(fault, "missing") || within(fault, "points");
    return fill(series, points, fault);
  }

  // What a point may be depends on the kind, which may stand behind the points.
  static bool find_kind(ondemand::object& members, Series& series, Fault& fault) {
    ondemand::value v;
    ondemand::raw_json_string raw;
    if (members.find_field_unordered("kind").get(v) == simdjson::SUCCESS &&
        v.get_raw_json_string().get(raw) == simdjson::SUCCESS) {
      for (const auto& value : rules_of<Series>().find("kind")->names->values) {
        if (raw.is_equal(value.name.c_str()))
          series.set_kind(static_cast<Series::SeriesKind>(value.number));
      }
    }
    bool reset = false;
    return members.reset().get(reset) == simdjson::SUCCESS || fail_syntax(fault);
  }

  bool points(ondemand::value v, const Series& series, std::vector<JsonPoint>& out, Fault& fault) {
    if (!expect(v, ondemand::json_type::array, fault)) return within(fault, "points");
    ondemand::array items;
    if (v.get_array().get(items)) return fail_syntax(fault);
    for (auto item : items) {
      ondemand::value inner;
      if (item.get(inner)) return fail_syntax(fault);
      out.emplace_back();
      if (!point(inner, series, out.back(), fault)) {
        fault.within("points", out.size() - 1);
        return false;
      }
    }
    return !out.empty() || fail(fault, "empty: leave the series out") || within(fault, "points");
  }

  bool point(ondemand::value v, const Series& series, JsonPoint& point, Fault& fault) {
    if (!expect(v, ondemand::json_type::array, fault)) return false;
    ondemand::array items;
    if (v.get_array().get(items)) return fail_syntax(fault);
    size_t count = 0;
    for (auto item : items) {
      ondemand::value inner;
      if (item.get(inner)) return fail_syntax(fault);
      const size_t place = count++;
      const bool read = place == 0   ? point_time(inner, point, fault)
                        : place == 1 ? point_value(inner, series, point, fault)
                        : place == 2 ? point_flags(inner, point, fault)
                                     : fail(fault, "more than [time, value, flags]");
      if (!read) return false;
    }
    return count >= 2 || fail(fault, "must be [time, value] or [time, value, flags]");
  }

  bool point_time(ondemand::value v, JsonPoint& point, Fault& fault) const {
    constexpr uint64_t kYear2000Ns = 946'684'800'000'000'000;
    const auto latest =
        static_cast<uint64_t>(rules_of<Series>().find("start_ns")->rule.range().max());
    std::string_view token;
    uint64_t t = 0;
    if (!read_number_token(v, token, fault)) return false;
    const auto read = std::from_chars(token.data(), token.data() + token.size(), t);
    const bool whole =
        is_whole(token) && read.ptr == token.data() + token.size() && read.ec == std::errc{};
    if (!whole || t > latest / time_unit_ns ||
        (times_are_recent && t * time_unit_ns < kYear2000Ns)) {
      return fail(fault, fmt::format("time: allowed whole {} since 1970, {} to 2200", unit_name(),
                                     times_are_recent ? "from the year 2000" : "from 0"));
    }
    point.t_ns = t * time_unit_ns;
    return true;
  }

  const char* unit_name() const {
    switch (time_unit_ns) {
      case 1:
        return "nanoseconds (or set time_unit)";
      case 1'000:
        return "microseconds";
      case 1'000'000:
        return "milliseconds";
      default:
        return "seconds";
    }
  }

  bool point_value(ondemand::value v, const Series& series, JsonPoint& point, Fault& fault) {
    ondemand::json_type type;
    if (v.type().get(type)) return fail_syntax(fault);
    if (type == ondemand::json_type::null) {
      point.flags |= Series::FLAG_NO_RECORDED_VALUE;
      return trim_blanks(v.raw_json_token()) == "null" || fail_syntax(fault);
    }
    switch (series.kind()) {
      case Series::SERIES_KIND_HISTOGRAM:
        point.what = JsonPoint::What::object;
        return object(v, point.histogram, rules_of<v1::Histogram>(), fault);
      case Series::SERIES_KIND_EXP_HISTOGRAM:
        point.what = JsonPoint::What::object;
        return object(v, point.exp_histogram, rules_of<v1::ExpHistogram>(), fault);
      case Series::SERIES_KIND_STATE:
      case Series::SERIES_KIND_EVENT:
        return point_text(v, point, fault);
      default:
        return point_number(v, point, fault);
    }
  }

  static bool point_text(ondemand::value v, JsonPoint& point, Fault& fault) {
    std::string_view text;
    if (!read_string(v, text, fault) ||
        !check_bytes(*rules_of<Series>().find("state"), text, fault))
      return false;
    point.what = JsonPoint::What::text;
    point.text = text;
    return true;
  }

  static bool point_number(ondemand::value v, JsonPoint& point, Fault& fault) {
    std::string_view token;
    if (!read_number_token(v, token, fault)) return false;
    if (!is_decimal(token)) return fail(fault, "not a number of at most 64 characters");
    const char* end = token.data() + token.size();
    if (is_whole(token) && std::from_chars(token.data(), end, point.whole).ec == std::errc{}) {
      point.what = JsonPoint::What::whole;
      point.floating = static_cast<double>(point.whole);
      return true;
    }
    point.what = JsonPoint::What::floating;
    return double_of(token, point.floating) || fail(fault, "not a number that a double holds");
  }

  bool point_flags(ondemand::value v, JsonPoint& point, Fault& fault) {
    if (!expect(v, ondemand::json_type::array, fault)) return false;
    ondemand::array items;
    if (v.get_array().get(items)) return fail_syntax(fault);
    for (auto item : items) {
      ondemand::value inner;
      std::string_view text;
      if (item.get(inner)) return fail_syntax(fault);
      if (!read_string(inner, text, fault)) return false;
      const uint32_t flag = text == "historical"  ? Series::FLAG_HISTORICAL
                            : text == "estimated" ? Series::FLAG_ESTIMATED
                                                  : 0;
      if (flag == 0) return fail(fault, "flags: none of historical or estimated");
      if ((point.flags & flag) != 0) return fail(fault, "flags: one is there twice");
      point.flags |= flag;
    }
    return true;
  }

  template <class Value, class Take>
  static bool set(Series& series, std::vector<JsonPoint>& points, Take take, Fault& fault) {
    std::vector<TimedPoint<Value>> timed;
    timed.reserve(points.size());
    for (auto& p : points) timed.push_back({p.t_ns, take(p), p.flags});
    const auto written = set_points(series, std::move(timed));
    return written || fail(fault, written.error().text);
  }

  static bool fill(Series& series, std::vector<JsonPoint>& points, Fault& fault) {
    switch (series.kind()) {
      case Series::SERIES_KIND_HISTOGRAM:
        return set<v1::Histogram>(
            series, points, [](JsonPoint& p) { return std::move(p.histogram); }, fault);
      case Series::SERIES_KIND_EXP_HISTOGRAM:
        return set<v1::ExpHistogram>(
            series, points, [](JsonPoint& p) { return std::move(p.exp_histogram); }, fault);
      case Series::SERIES_KIND_STATE:
      case Series::SERIES_KIND_EVENT:
        return set<std::string>(
            series, points, [](JsonPoint& p) { return std::move(p.text); }, fault);
      default:
        break;
    }
    const bool floating = std::any_of(points.begin(), points.end(), [](const JsonPoint& p) {
      return p.what == JsonPoint::What::floating;
    });
    if (floating)
      return set<double>(series, points, [](JsonPoint& p) { return p.floating; }, fault);
    return set<int64_t>(series, points, [](JsonPoint& p) { return p.whole; }, fault);
  }
};

// A parser and the padded copy it needs, kept between records of a thread.
class Parser {
 public:
  // Calls `read(root object)`; the text must end after it.
  template <class Read>
  Result<void> parse(ByteView json, size_t bytes_max, Read read) {
    if (json.size() > bytes_max) {
      return Error{Errc::too_large, fmt::format("{} bytes of JSON, at most {}",
                                                with_commas(json.size()), with_commas(bytes_max))};
    }
    copy_.reserve(json.size() + simdjson::SIMDJSON_PADDING);
    copy_.assign(json);
    Fault fault;
    if (parse_copy(read, fault)) return {};
    // A rule that is broken and a text that is broken: the second is the real reason.
    if (auto malformed = find_malformed(json)) return *malformed;
    return fault.error();
  }

 private:
  template <class Read>
  bool parse_copy(Read& read, Fault& fault) {
    ondemand::document document;
    const simdjson::padded_string_view padded(copy_.data(), copy_.size(), copy_.capacity());
    if (parser_.iterate(padded).get(document)) return fail_syntax(fault);
    ondemand::value root;
    ondemand::json_type type;
    if (document.type().get(type)) return fail_syntax(fault);
    if (type != ondemand::json_type::object)
      return fail(fault, fmt::format("{}, must be an object", type_name(type)));
    if (document.get_value().get(root)) return fail_syntax(fault);
    ondemand::object members;
    if (root.get_object().get(members)) return fail_syntax(fault);
    return read(members, fault) && (at_end(document) || fail_syntax(fault));
  }

  ondemand::parser parser_;
  std::string copy_;
};

Parser& parser() {
  thread_local Parser instance;
  return instance;
}

// "ms" -> 1,000,000; 0: none of them.
uint64_t unit_of(std::string_view name) {
  return name == "ns"   ? 1
         : name == "us" ? 1'000
         : name == "ms" ? 1'000'000
         : name == "s"  ? 1'000'000'000
                        : 0;
}

bool read_time_unit(ondemand::object& members, Reader& reader, Fault& fault) {
  ondemand::value v;
  ondemand::raw_json_string raw;
  if (members.find_field_unordered("time_unit").get(v) == simdjson::SUCCESS &&
      v.get_raw_json_string().get(raw) == simdjson::SUCCESS) {
    for (const char* name : {"ns", "us", "ms", "s"}) {
      if (raw.is_equal(name)) reader.time_unit_ns = unit_of(name);
    }
  }
  bool reset = false;
  return members.reset().get(reset) == simdjson::SUCCESS || fail_syntax(fault);
}

// The members of a POST of telemetry: some are Body's, some its batch's.
bool read_telemetry(ondemand::object& members, v1::Body& body, Fault& fault) {
  Reader reader;
  reader.times_are_recent = true;
  if (!read_time_unit(members, reader, fault)) return false;
  const MessageRules& envelope = rules_of<v1::Body>();
  const MessageRules& batch = rules_of<v1::TelemetryBatch>();
  Seen seen_envelope;
  Seen seen_batch;
  bool seen_unit = false;
  for (auto member : members) {
    std::string_view key;
    ondemand::value v;
    if (!Reader::key_and_value(member, key, v, fault)) return false;
    if (key == "time_unit") {
      std::string_view unit;
      if (std::exchange(seen_unit, true)) return fail(fault, "time_unit: the field is there twice");
      if (!read_string(v, unit, fault)) return Reader::within(fault, key);
      if (unit_of(unit) == 0) return fail(fault, "time_unit: none of ns, us, ms or s");
    } else if (key == "resource" || key == "series") {
      const FieldRules& f = *batch.find(key);
      if (!Reader::once(seen_batch, f, fault) ||
          !reader.field(v, *body.mutable_telemetry_batch(), f, fault))
        return false;
    } else if (key == "sens" || key == "purpose" || key == "facility_id") {
      const FieldRules& f = *envelope.find(key);
      if (!Reader::once(seen_envelope, f, fault) || !reader.field(v, body, f, fault)) return false;
    } else {
      return fail(fault, fmt::format("unknown field {}, allowed sens, purpose, facility_id, "
                                     "time_unit, resource and series",
                                     quoted_key(key)));
    }
  }
  return true;
}

}  // namespace

Result<void> read_body_json(ByteView json, v1::Body& body) {
  return parser().parse(json, kJsonDocumentBytesMax, [&](ondemand::object& members, Fault& fault) {
    Reader reader;
    return reader.members(members, body, rules_of<v1::Body>(), fault);
  });
}

Result<void> read_telemetry_json(ByteView json, v1::Body& body) {
  return parser().parse(json, kTelemetryRequestBytesMax,
                        [&](ondemand::object& members, Fault& fault) {
                          return read_telemetry(members, body, fault);
                        });
}

}  // namespace egret
