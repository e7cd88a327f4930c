#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "schemas/record.pb.h"
#include "schemas/record_json.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using v1::Series;

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void object(const Message& message, const MessageRules& rules) {
    out_ += '{';
    bool first = true;
    if (rules.descriptor == v1::AiResult::descriptor())
      derived_id(static_cast<const v1::AiResult&>(message), first);
    for (const auto& f : rules.fields) {
      if (f.rule.column() || !is_there(message, f)) continue;
      key(f.name, first);
      f.is_object_list() ? labels(message, f)
      : f.is_list()      ? list(message, f)
                         : single(message, f, -1);
    }
    if (rules.descriptor == Series::descriptor())
      points(static_cast<const Series&>(message), first);
    out_ += '}';
  }

  Facility facility;

 private:
  void key(std::string_view name, bool& first) {
    if (!std::exchange(first, false)) out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
  }

  // A reader of the export should not have to know how it is derived.
  void derived_id(const v1::AiResult& result, bool& first) {
    if (!result.logical_id().empty()) return;
    key("logical_id", first);
    append_json_string(out_, text_of(logical_id_of(facility, result)));
  }

  void list(const Message& message, const FieldRules& f) {
    const int size = message.GetReflection()->FieldSize(message, f.field);
    for (int i = 0; i < size; ++i) {
      out_ += i == 0 ? '[' : ',';
      single(message, f, i);
    }
    out_ += ']';
  }

  void labels(const Message& message, const FieldRules& f) {
    const Reflection& r = *message.GetReflection();
    out_ += '{';
    bool first = true;
    for (int i = 0; i < r.FieldSize(message, f.field); ++i) {
      const auto& label = static_cast<const v1::Label&>(r.GetRepeatedMessage(message, f.field, i));
      key(label.key(), first);
      append_json_string(out_, label.value());
    }
    out_ += '}';
  }

  // The value of a singular field (item -1) or one item of a list.
  void single(const Message& m, const FieldRules& f, int item) {
    const Reflection& r = *m.GetReflection();
    const bool one = item < 0;
    switch (f.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return message(one ? r.GetMessage(m, f.field) : r.GetRepeatedMessage(m, f.field, item), f);
      case FieldDescriptor::CPPTYPE_STRING:
        return bytes(one ? r.GetString(m, f.field) : r.GetRepeatedString(m, f.field, item), f);
      case FieldDescriptor::CPPTYPE_ENUM:
        return enumeration(
            one ? r.GetEnumValue(m, f.field) : r.GetRepeatedEnumValue(m, f.field, item), f);
      case FieldDescriptor::CPPTYPE_BOOL:
        out_ += r.GetBool(m, f.field) ? "true" : "false";
        return;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return floating(one ? r.GetDouble(m, f.field) : r.GetRepeatedDouble(m, f.field, item));
      case FieldDescriptor::CPPTYPE_UINT64:
        return whole(one ? r.GetUInt64(m, f.field) : r.GetRepeatedUInt64(m, f.field, item));
      case FieldDescriptor::CPPTYPE_UINT32:
        return whole(one ? r.GetUInt32(m, f.field) : r.GetRepeatedUInt32(m, f.field, item));
      case FieldDescriptor::CPPTYPE_INT32:
        return whole(one ? r.GetInt32(m, f.field) : r.GetRepeatedInt32(m, f.field, item));
      default:
        return whole(one ? r.GetInt64(m, f.field) : r.GetRepeatedInt64(m, f.field, item));
    }
  }

  void message(const Message& m, const FieldRules& f) {
    if (!f.message->as_time) return object(m, *f.message);
    const auto& time = static_cast<const v1::Time&>(m);
    const TimeValue value{time.us(), time.tz_min()};
    append_json_string(out_, can_be_written(value) ? time_to_text(value) : "");
  }

  void bytes(const std::string& value, const FieldRules& f) {
    switch (f.rule.format()) {
      case v1::DECIMAL:
        if (!is_decimal(value))
          return append_json_string(out_, value);  // only of a body that nobody checked
        out_ += value;
        return;
      case v1::UUID:
        return append_json_string(out_, value.size() == 16 ? uuid_to_text(value) : hex(value));
      case v1::SHA256:
        return append_json_string(out_, hex(value));
      case v1::BASE64:
        return append_json_string(out_, bytes_to_base64(value));
      default:
        return append_json_string(out_, value);
    }
  }

  void enumeration(int number, const FieldRules& f) {
    const auto name = f.names->name_of(number);
    name.empty() ? whole(number) : append_json_string(out_, name);
  }

  void floating(double value) { out_ += std::isfinite(value) ? double_to_text(value) : "null"; }

  template <class Integer>
  void whole(Integer value) {
    out_ += std::to_string(value);
  }

  void points(const Series& series, bool& first) {
    key("points", first);
    out_ += '[';
    uint64_t t = 0;
    for (int i = 0; i < series.t_ns_size(); ++i) {
      t += series.t_ns(i);
      out_ += fmt::format("{}[{},", i == 0 ? "" : ",", t);
      const uint32_t flags = i < series.flags_size() ? series.flags(i) : 0;
      (flags & Series::FLAG_NO_RECORDED_VALUE) != 0 ? void(out_ += "null") : point_value(series, i);
      const bool historical = (flags & Series::FLAG_HISTORICAL) != 0;
      const bool estimated = (flags & Series::FLAG_ESTIMATED) != 0;
      if (historical || estimated) {
        out_ += historical && estimated ? ",[\"historical\",\"estimated\"]"
                : historical            ? ",[\"historical\"]"
                                        : ",[\"estimated\"]";
      }
      out_ += ']';
    }
    out_ += ']';
  }

  void point_value(const Series& s, int i) {
    if (i < s.f64_size()) return floating(s.f64(i));
    if (i < s.i64_size()) return whole(s.i64(i));
    if (i < s.histogram_size()) return object(s.histogram(i), rules_of<v1::Histogram>());
    if (i < s.exp_histogram_size()) return object(s.exp_histogram(i), rules_of<v1::ExpHistogram>());
    if (i < s.state_size()) return append_json_string(out_, s.state(i));
    out_ += "null";
  }

  std::string& out_;
};

}  // namespace

Result<std::string> json_from_body(ByteView bytes) {
  v1::Body body;
  if (!body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::bad_input, fmt::format("record: {} bytes that are no Body", bytes.size())};
  }
  if (!v1::Kind_IsValid(body.kind()) || body.kind() == v1::KIND_UNSPECIFIED) {
    return Error{Errc::unknown_kind, fmt::format("kind: {}: this program knows 1 to {}",
                                                 int(body.kind()), int(v1::Kind_MAX))};
  }
  std::string out;
  out.reserve(bytes.size() * 2);
  Writer writer(out);
  writer.facility = body.facility_id();
  writer.object(body, rules_of<v1::Body>());
  return out;
}

Result<std::string> json_from_arrival(ByteView bytes) {
  v1::Arrival arrival;
  if (!arrival.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::bad_input,
                 fmt::format("arrival: {} bytes that are no Arrival", bytes.size())};
  }
  std::string out;
  Writer(out).object(arrival, rules_of<v1::Arrival>());
  return out;
}

}  // namespace egret
