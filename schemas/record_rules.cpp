#include "schemas/record_rules.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <map>
#include <memory>

#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// "RECORD_KIND_AI_RESULT" of enum RecordKind -> "ai_result".
std::string json_name(const EnumDescriptor& type, const std::string& value) {
  std::string prefix;
  for (const char c : type.name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  prefix += '_';
  std::string name =
      value.compare(0, prefix.size(), prefix) == 0 ? value.substr(prefix.size()) : value;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string either(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

// What the format allows, for a person, and the most bytes it has (0: no limit of its own).
struct FormatFacts {
  const char* allowed;
  size_t max_bytes;
};
FormatFacts facts_of(v1::Format format) {
  switch (format) {
    case v1::DECIMAL:
      return {"a number of at most 64 characters with an exponent in -300 to 300",
              kDecimalCharsMax};
    case v1::UUID:
      return {"a uuid", 16};
    case v1::SHA256:
      return {"64 hex digits", 32};
    case v1::BASE64:
      return {"base64", 0};
    case v1::DICOM_UID:
      return {"a DICOM uid (digits and dots, at most 64)", 64};
    case v1::UCUM:
      return {"a UCUM unit (1 to 64 printable ASCII characters, no spaces)", 64};
    case v1::FACILITY:
      return {"1 to 32 of a-z, 0-9 and -", kFacilityCharsMax};
    case v1::NAME:
      return {"a letter or _, then letters, digits and _ . : / -", 0};
    case v1::MEDIA_TYPE:
      return {"a media type like text/plain", 0};
    case v1::TEXT:
      return {"text without control characters but line ends and tabs", 0};
    default:
      return {"text without control characters", 0};
  }
}

bool fits_format(v1::Format format, ByteView value) {
  switch (format) {
    case v1::DECIMAL:
      return is_decimal(value);
    case v1::UUID:
      return value.size() == 16;
    case v1::SHA256:
      return value.size() == 32;
    case v1::BASE64:
      return true;
    case v1::DICOM_UID:
      return is_dicom_uid(value);
    case v1::UCUM:
      return is_ucum(value);
    case v1::FACILITY:
      return valid_facility(value);
    case v1::NAME:
      return is_name(value);
    case v1::MEDIA_TYPE:
      return is_media_type(value);
    default:
      return is_plain_text(value, format == v1::TEXT);
  }
}

class Tables {
 public:
  static const Tables& get() {
    static const Tables tables;
    return tables;
  }
  const MessageRules& of(const Descriptor* descriptor) const {
    const auto at = messages_.find(descriptor);
    EGRET_INVARIANT(at != messages_.end(), "a message of record.proto");
    return *at->second;
  }

 private:
  Tables() {
    add(v1::Body::descriptor());
    add(v1::Arrival::descriptor());
  }

  const EnumNames* add(const EnumDescriptor* type) {
    auto& names = enums_[type];
    if (names) return names.get();
    names = std::make_unique<EnumNames>();
    std::vector<std::string> words;
    for (int i = 0; i < type->value_count(); ++i) {
      const auto* value = type->value(i);
      if (value->number() == 0) continue;
      words.push_back(json_name(*type, value->name()));
      names->values.push_back({value->number(), words.back()});
    }
    names->allowed = either(words);
    return names.get();
  }

  const MessageRules* add(const Descriptor* descriptor) {
    if (const auto at = messages_.find(descriptor); at != messages_.end()) return at->second.get();
    auto& rules = *(messages_[descriptor] = std::make_unique<MessageRules>());
    rules.descriptor = descriptor;
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < descriptor->field_count(); ++i) fields.push_back(descriptor->field(i));
    std::sort(fields.begin(), fields.end(),
              [](auto* a, auto* b) { return a->number() < b->number(); });
    rules.by_index.resize(fields.size());
    for (const auto* field : fields) {
      rules.by_index[static_cast<size_t>(field->index())] = rules.fields.size();
      rules.fields.push_back(field_rules(field, rules.fields.size()));
      const auto& rule = rules.fields.back().rule;
      if (rule.required() && !rule.column()) rules.required.push_back(rules.fields.size() - 1);
    }
    add_relations(rules);
    return &rules;
  }

  FieldRules field_rules(const FieldDescriptor* field, size_t index) {
    FieldRules f;
    f.field = field;
    f.name = field->name();
    f.rule = field->options().GetExtension(v1::rule);
    f.index = index;
    if (field->type() == FieldDescriptor::TYPE_MESSAGE) f.message = add(field->message_type());
    if (field->type() == FieldDescriptor::TYPE_ENUM) f.names = add(field->enum_type());
    const FormatFacts facts = facts_of(f.rule.format());
    f.max_bytes = f.rule.max_bytes() != 0 ? f.rule.max_bytes() : facts.max_bytes;
    const bool bytes = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    EGRET_INVARIANT(!bytes || f.max_bytes != 0, field->full_name().c_str());
    EGRET_INVARIANT(!field->is_repeated() || f.rule.max_items() != 0, field->full_name().c_str());
    if (f.names != nullptr) {
      f.allowed = f.names->allowed;
    } else if (f.rule.has_range()) {
      f.allowed = fmt::format("{} to {}", f.rule.range().min(), f.rule.range().max());
    } else if (bytes) {
      f.allowed = facts.allowed;
    }
    return f;
  }

  void add_relations(MessageRules& rules) {
    const auto& options = rules.descriptor->options().GetExtension(v1::message_rule);
    rules.as_time = options.as_time();
    for (int i = 0; i < rules.descriptor->real_oneof_decl_count(); ++i) {
      const auto* oneof = rules.descriptor->oneof_decl(i);
      MessageRules::ExactlyOne one;
      for (int k = 0; k < oneof->field_count(); ++k)
        one.fields.push_back(must_find(rules, oneof->field(k)->name()));
      add_exactly_one(rules, std::move(one));
    }
    for (const auto& declared : options.exactly_one()) {
      MessageRules::ExactlyOne one;
      for (const auto& name : declared.field()) one.fields.push_back(must_find(rules, name));
      add_exactly_one(rules, std::move(one));
    }
    for (const auto& declared : options.needs()) {
      MessageRules::Needs needs;
      needs.when = must_find(rules, declared.field());
      if (!declared.value().empty())
        needs.enum_value = needs.when->names->number_of(declared.value());
      EGRET_INVARIANT(declared.value().empty() || needs.enum_value != 0,
                      "an enum value of the rule");
      for (const auto& name : declared.then()) needs.then.push_back(must_find(rules, name));
      const bool flag = needs.when->field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
      needs.text = fmt::format("missing: {} {}", declared.field(),
                               flag                       ? "is true"
                               : declared.value().empty() ? "is there"
                                                          : "is " + declared.value());
      rules.needs.push_back(std::move(needs));
    }
  }

  static void add_exactly_one(MessageRules& rules, MessageRules::ExactlyOne one) {
    std::vector<std::string> words;
    for (const auto* field : one.fields) words.push_back(field->name);
    one.names = either(words);
    rules.exactly_one.push_back(std::move(one));
  }

  static const FieldRules* must_find(const MessageRules& rules, std::string_view name) {
    const FieldRules* field = rules.find(name);
    EGRET_INVARIANT(field != nullptr, "a field that the rule names");
    return field;
  }

  std::map<const Descriptor*, std::unique_ptr<MessageRules>> messages_;
  std::map<const EnumDescriptor*, std::unique_ptr<EnumNames>> enums_;
};

bool fail(Fault& fault, std::string text, Errc code = Errc::bad_input) {
  fault = {code, "", std::move(text)};
  return false;
}

int64_t integer_of(const Message& message, const FieldRules& f, int item, bool& huge) {
  const Reflection& r = *message.GetReflection();
  const bool list = item >= 0;
  huge = false;
  switch (f.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return list ? r.GetRepeatedInt32(message, f.field, item) : r.GetInt32(message, f.field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return list ? r.GetRepeatedUInt32(message, f.field, item) : r.GetUInt32(message, f.field);
    case FieldDescriptor::CPPTYPE_INT64:
      return list ? r.GetRepeatedInt64(message, f.field, item) : r.GetInt64(message, f.field);
    case FieldDescriptor::CPPTYPE_UINT64: {
      const uint64_t v =
          list ? r.GetRepeatedUInt64(message, f.field, item) : r.GetUInt64(message, f.field);
      huge = v > static_cast<uint64_t>(INT64_MAX);
      return huge ? INT64_MAX : static_cast<int64_t>(v);
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return list ? r.GetRepeatedEnumValue(message, f.field, item)
                  : r.GetEnumValue(message, f.field);
    default:
      return 0;
  }
}

// One value that is there: of a singular field (item -1) or of a list.
bool check_value(const Message& message, const FieldRules& f, int item, Fault& fault) {
  const Reflection& r = *message.GetReflection();
  switch (f.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return check_message(
          item < 0 ? r.GetMessage(message, f.field) : r.GetRepeatedMessage(message, f.field, item),
          *f.message, fault);
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      return check_bytes(f,
                         item < 0 ? r.GetStringReference(message, f.field, &scratch)
                                  : r.GetRepeatedStringReference(message, f.field, item, &scratch),
                         fault);
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      bool huge = false;
      const auto number = static_cast<int>(integer_of(message, f, item, huge));
      if (!f.names->name_of(number).empty()) return true;
      return fail(fault, "not a value of this field, allowed " + f.allowed);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double v =
          item < 0 ? r.GetDouble(message, f.field) : r.GetRepeatedDouble(message, f.field, item);
      return std::isfinite(v) || fail(fault, "not a finite number");
    }
    default: {
      if (!f.rule.has_range()) return true;
      bool huge = false;
      const int64_t value = integer_of(message, f, item, huge);
      return check_number(f, value, huge, fault);
    }
  }
}

// How two items of a set or of labels are ordered: < 0, 0, > 0.
int order_of(const Message& message, const FieldRules& f, int a, int b) {
  const Reflection& r = *message.GetReflection();
  if (!f.is_object_list()) {
    return r.GetRepeatedEnumValue(message, f.field, a) -
           r.GetRepeatedEnumValue(message, f.field, b);
  }
  const auto key = [&](int item) -> const std::string& {
    return static_cast<const v1::Label&>(r.GetRepeatedMessage(message, f.field, item)).key();
  };
  return key(a).compare(key(b));
}

// Sets and labels are in order, each once.
bool check_order(const Message& message, const FieldRules& f, int size, Fault& fault) {
  for (int i = 1; i < size; ++i) {
    const int order = order_of(message, f, i - 1, i);
    if (order == 0) return fail(fault, "one item is there twice");
    if (order > 0) return fail(fault, "not in order: the body was not made by these rules");
  }
  return true;
}

bool check_list(const Message& message, const FieldRules& f, Fault& fault) {
  const int size = message.GetReflection()->FieldSize(message, f.field);
  if (size == 0 && f.rule.required()) return fail(fault, "missing");
  if (static_cast<size_t>(size) > f.rule.max_items()) {
    return fail(fault, fmt::format("{} items, at most {}", with_commas(size),
                                   with_commas(f.rule.max_items())));
  }
  for (int i = 0; i < size; ++i) {
    if (!check_value(message, f, i, fault)) {
      fault.within(f.name, static_cast<size_t>(i));
      return false;
    }
  }
  if ((f.rule.as_set() || f.rule.as_object()) && !check_order(message, f, size, fault)) {
    fault.within(f.name);
    return false;
  }
  return true;
}

// A field that is there.
bool check_field(const Message& message, const FieldRules& f, Fault& fault) {
  if (f.rule.column()) return true;
  if (f.is_list()) {
    if (check_list(message, f, fault)) return true;
    if (fault.path.empty()) fault.within(f.name);
    return false;
  }
  if (check_value(message, f, -1, fault)) return true;
  fault.within(f.name);
  return false;
}

// The fields that a message holds, found in one pass: asking reflection for each field costs most
// of a check.
class Present {
 public:
  Present(const Message& message, const MessageRules& rules) : rules_(rules), fields_(scratch()) {
    message.GetReflection()->ListFields(message, &fields_);
    for (const auto* field : fields_) bits_.set(static_cast<size_t>(field->index()));
  }
  ~Present() { --depth(); }
  Present(const Present&) = delete;
  Present& operator=(const Present&) = delete;
  bool has(const FieldRules& f) const { return bits_.test(static_cast<size_t>(f.field->index())); }
  size_t size() const { return fields_.size(); }
  const FieldRules& operator[](size_t i) const {
    return rules_.fields[rules_.by_index[static_cast<size_t>(fields_[i]->index())]];
  }

 private:
  static constexpr size_t kFieldsMax = 128;  // of one message of record.proto
  static constexpr size_t kDepthMax = 16;
  static size_t& depth() {
    thread_local size_t depth = 0;
    return depth;
  }
  // One list a level of nesting, kept by the thread.
  static std::vector<const FieldDescriptor*>& scratch() {
    thread_local std::array<std::vector<const FieldDescriptor*>, kDepthMax> lists;
    EGRET_INVARIANT(depth() < kDepthMax, "record.proto nests less deeply");
    auto& list = lists[depth()++];
    list.clear();
    return list;
  }
  const MessageRules& rules_;
  std::vector<const FieldDescriptor*>& fields_;
  std::bitset<kFieldsMax> bits_;
};

bool check_relations(const Message& message, const MessageRules& rules, const Present& present,
                     Fault& fault) {
  for (const auto& one : rules.exactly_one) {
    size_t there = 0;
    for (const auto* f : one.fields) there += present.has(*f) ? 1 : 0;
    if (there == 1) continue;
    return fail(fault, fmt::format("{} of {} is there, exactly one must be", there, one.names));
  }
  const Reflection& r = *message.GetReflection();
  for (const auto& needs : rules.needs) {
    if (!present.has(*needs.when)) continue;
    const auto* when = needs.when->field;
    if (when->cpp_type() == FieldDescriptor::CPPTYPE_BOOL && !r.GetBool(message, when)) continue;
    if (needs.enum_value != 0 && r.GetEnumValue(message, when) != needs.enum_value) continue;
    for (const auto* f : needs.then) {
      if (present.has(*f)) continue;
      fail(fault, needs.text);
      fault.within(f->name);
      return false;
    }
  }
  return true;
}

// Insertion sort: these lists have a few dozen items at most, and reflection can only swap.
void sort_list(Message& message, const FieldRules& f) {
  const Reflection& r = *message.GetReflection();
  const int size = std::min(r.FieldSize(message, f.field), static_cast<int>(f.rule.max_items()));
  for (int i = 1; i < size; ++i) {
    for (int k = i; k > 0 && order_of(message, f, k - 1, k) > 0; --k)
      r.SwapElements(&message, f.field, k - 1, k);
  }
}

}  // namespace

std::string_view EnumNames::name_of(int number) const {
  for (const auto& value : values) {
    if (value.number == number) return value.name;
  }
  return {};
}

int EnumNames::number_of(std::string_view name) const {
  for (const auto& value : values) {
    if (value.name == name) return value.number;
  }
  return 0;
}

const FieldRules* MessageRules::find(std::string_view name) const {
  for (const auto& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

const MessageRules& rules_of(const Descriptor* descriptor) {
  return Tables::get().of(descriptor);
}

void Fault::within(std::string_view name) {
  if (path.empty()) {
    path = name;
  } else {
    path = std::string(name) + (path.front() == '[' ? "" : ".") + path;
  }
}

void Fault::within(std::string_view name, size_t index) {
  within(fmt::format("{}[{}]", name, index));
}

Error Fault::error() const {
  return {code, path.empty() ? text : path + ": " + text};
}

bool is_there(const Message& message, const FieldRules& f) {
  const Reflection& r = *message.GetReflection();
  if (f.is_list()) return r.FieldSize(message, f.field) > 0;
  return r.HasField(message, f.field);
}

std::string shown(const FieldRules& f, std::string_view number) {
  constexpr size_t kShownCharsMax = 8;  // too short for a telephone or identity number
  if (!f.rule.show() || number.size() > kShownCharsMax) return "";
  return std::string(number) + ": ";
}

bool check_bytes(const FieldRules& f, ByteView value, Fault& fault) {
  if (value.size() > f.max_bytes && f.rule.format() != v1::UUID && f.rule.format() != v1::SHA256) {
    return fail(fault, fmt::format("{} bytes, at most {}", with_commas(value.size()),
                                   with_commas(f.max_bytes)));
  }
  if (value.empty()) return fail(fault, "empty: leave the field out");
  if (!fits_format(f.rule.format(), value)) {
    return fail(fault, fmt::format("{} bytes, allowed {}", with_commas(value.size()),
                                   facts_of(f.rule.format()).allowed));
  }
  if (f.rule.format() == v1::DECIMAL && f.rule.has_range() &&
      (compare_decimal(value, f.rule.range().min()) < 0 ||
       compare_decimal(value, f.rule.range().max()) > 0)) {
    return fail(fault, fmt::format("{}allowed {}", shown(f, value), f.allowed));
  }
  return true;
}

bool check_number(const FieldRules& f, int64_t value, bool huge, Fault& fault) {
  const auto& range = f.rule.range();
  if (!f.rule.has_range() || (!huge && value >= range.min() && value <= range.max())) return true;
  return fail(fault, fmt::format("{}allowed {}",
                                 shown(f, huge ? "over 2^63" : std::to_string(value)), f.allowed));
}

bool check_message(const Message& message, const MessageRules& rules, Fault& fault) {
  const Present present(message, rules);
  for (size_t i = 0; i < present.size(); ++i) {
    if (!check_field(message, present[i], fault)) return false;
  }
  for (const size_t place : rules.required) {
    const auto& f = rules.fields[place];
    if (present.has(f)) continue;
    fail(fault, f.allowed.empty() ? "missing" : "missing, allowed " + f.allowed);
    fault.within(f.name);
    return false;
  }
  if (rules.as_time) {
    const auto& time = static_cast<const v1::Time&>(message);
    if (!can_be_written({time.us(), time.tz_min()}))
      return fail(fault, "outside the years 0001 to 9999");
  }
  return check_relations(message, rules, present, fault);
}

void canonicalise(Message& message, const MessageRules& rules) {
  const Reflection& r = *message.GetReflection();
  for (const auto& f : rules.fields) {
    if (f.rule.column() || !is_there(message, f)) continue;
    if (f.rule.as_set() || f.rule.as_object()) sort_list(message, f);
    if (f.message == nullptr || f.is_object_list()) continue;
    const int size = f.is_list() ? r.FieldSize(message, f.field) : 1;
    for (int i = 0; i < size; ++i) {
      canonicalise(f.is_list() ? *r.MutableRepeatedMessage(&message, f.field, i)
                               : *r.MutableMessage(&message, f.field),
                   *f.message);
    }
  }
}

}  // namespace egret
