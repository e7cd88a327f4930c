#include "schemas/record_plain.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <map>
#include <memory>

#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "schemas/record_rules.h"
#include "schemas/record_text.h"

namespace egret {
namespace {

using google::protobuf::FieldDescriptor;

constexpr int kWireVarint = 0, kWireBytes = 2;
constexpr size_t kFieldsMax = 64;  // of one message that can be plain
constexpr int kDepthMax = 16;
constexpr int kStatementFieldOffset = v1::Body::kAiResultFieldNumber - int(v1::KIND_AI_RESULT);

struct PlainMessage;

// What the walk needs of a field, without a call into protobuf.
struct PlainField {
  enum class Type : uint8_t { unusual, number, zigzag, truth, name, bytes, message };
  Type type = Type::unusual;
  bool list = false, set = false;
  bool zero_is_absent = false;  // 0 on the wire is a field that is not there
  bool narrow = false;          // 32 bits: a larger number would be cut
  size_t place = 0;             // in MessageRules::fields
  const FieldRules* rules = nullptr;
  const PlainMessage* message = nullptr;
};

struct PlainMessage {
  const MessageRules* rules = nullptr;
  std::vector<PlainField> by_number;  // of the wire; one without rules is no field, or unusual
};

PlainField::Type type_of(const FieldDescriptor& field) {
  using Type = PlainField::Type;
  switch (field.type()) {
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_INT64:
      return Type::number;
    case FieldDescriptor::TYPE_SINT32:
    case FieldDescriptor::TYPE_SINT64:
      return Type::zigzag;
    case FieldDescriptor::TYPE_BOOL:
      return Type::truth;
    case FieldDescriptor::TYPE_ENUM:
      return Type::name;
    case FieldDescriptor::TYPE_STRING:
    case FieldDescriptor::TYPE_BYTES:
      return Type::bytes;
    case FieldDescriptor::TYPE_MESSAGE:
      return Type::message;
    default:
      return Type::unusual;
  }
}

// Statements and fields that are compared with others (check_statement in record.cpp).
bool compared_elsewhere(const FieldDescriptor& field) {
  static constexpr std::array kNames = {
      "egret.v1.Body.telemetry_batch",     "egret.v1.Body.source_document",
      "egret.v1.Body.document_part",       "egret.v1.AiResult.ci_lo",
      "egret.v1.AiResult.t_effective_end", "egret.v1.AiResult.t_infer_end"};
  return std::ranges::count(kNames, field.full_name()) > 0;
}

class PlainTables {
 public:
  static const PlainTables& get() {
    static const PlainTables tables;
    return tables;
  }
  const PlainMessage* body = nullptr;
  const PlainMessage* arrival = nullptr;
  const PlainMessage* result = nullptr;

 private:
  PlainTables() {
    body = add(rules_of<v1::Body>());
    arrival = add(rules_of<v1::Arrival>());
    result = add(rules_of<v1::AiResult>());
  }

  const PlainMessage* add(const MessageRules& rules) {
    std::unique_ptr<PlainMessage>& entry = messages_[&rules];
    if (entry) return entry.get();
    entry = std::make_unique<PlainMessage>();
    PlainMessage* made = entry.get();
    EGRET_INVARIANT(rules.fields.size() <= kFieldsMax,
                    "a message has a bit for each of its fields");
    made->rules = &rules;
    for (const FieldRules& f : rules.fields) {
      const auto number = static_cast<size_t>(f.field->number());
      if (made->by_number.size() <= number) made->by_number.resize(number + 1);
      made->by_number[number] = field_of(f);
    }
    return made;
  }

  PlainField field_of(const FieldRules& f) {
    PlainField out;
    out.type = type_of(*f.field);
    if (f.rule.column() || f.rule.as_object() || compared_elsewhere(*f.field)) return {};
    if (out.type == PlainField::Type::unusual) return {};
    out.list = f.is_list();
    out.set = f.rule.as_set();
    out.zero_is_absent = !out.list && !f.field->has_presence();
    const auto cpp = f.field->cpp_type();
    out.narrow = cpp == FieldDescriptor::CPPTYPE_INT32 || cpp == FieldDescriptor::CPPTYPE_UINT32 ||
                 cpp == FieldDescriptor::CPPTYPE_ENUM;
    out.place = f.index;
    out.rules = &f;
    if (f.message != nullptr) out.message = add(*f.message);
    return out;
  }

  std::map<const MessageRules*, std::unique_ptr<PlainMessage>> messages_;
};

// In as few bytes as it takes, as protobuf writes it; any other form, and the ten bytes of a
// negative number, are unusual.
bool take_varint(ByteView& in, uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < in.size() && i < 9; ++i) {
    const auto byte = static_cast<uint8_t>(in[i]);
    value |= uint64_t(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    in.remove_prefix(i + 1);
    return byte != 0 || i == 0;
  }
  return false;
}

bool take_bytes(ByteView& in, ByteView& value) {
  uint64_t size = 0;
  if (!take_varint(in, size) || size > in.size()) return false;
  value = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

// One message of the wire. Every false means: not plain.
class Walk {
 public:
  explicit Walk(const PlainMessage& message) : message_(message) {}
  bool run(ByteView in, int depth);

  bool has(int number) const {
    const PlainField& f = message_.by_number[static_cast<size_t>(number)];
    return f.rules != nullptr && there_.test(f.place);
  }
  int64_t number(int number) const {
    return numbers_[message_.by_number[static_cast<size_t>(number)].place];
  }
  ByteView facility() const { return facility_; }
  bool critical() const { return critical_; }  // an AiResult that is

 private:
  bool field(ByteView& in, int depth);
  bool value(const PlainField& f, ByteView& in, uint64_t wire, int depth);
  bool packed(const PlainField& f, ByteView in);
  bool integer(const PlainField& f, ByteView& in);
  bool text(const PlainField& f, ByteView value);
  bool submessage(const PlainField& f, ByteView value, int depth);
  bool relations() const;

  const PlainMessage& message_;
  std::bitset<kFieldsMax> there_;
  std::array<int64_t, kFieldsMax> numbers_;  // by place, where it is there; the last one of a list
  std::array<uint16_t, kFieldsMax> items_{};
  ByteView facility_;
  bool critical_ = false;
  Fault ignored_;
};

bool Walk::run(ByteView in, int depth) {
  if (depth > kDepthMax) return false;
  while (!in.empty()) {
    if (!field(in, depth)) return false;
  }
  if (!relations()) return false;
  if (&message_ == PlainTables::get().result)
    critical_ = number(v1::AiResult::kCriticalFieldNumber) != 0;
  return true;
}

bool Walk::field(ByteView& in, int depth) {
  uint64_t tag = 0;
  if (!take_varint(in, tag) || tag >> 3 >= message_.by_number.size()) return false;
  const PlainField& f = message_.by_number[tag >> 3];
  if (f.rules == nullptr || (!f.list && there_.test(f.place))) return false;
  if (f.list && ++items_[f.place] > f.rules->rule.max_items()) return false;
  if (!value(f, in, tag & 7, depth)) return false;
  there_.set(f.place);
  return true;
}

bool Walk::value(const PlainField& f, ByteView& in, uint64_t wire, int depth) {
  const bool whole = f.type == PlainField::Type::bytes || f.type == PlainField::Type::message;
  if (!whole && !f.list) return wire == kWireVarint && integer(f, in);
  ByteView bytes;
  if (wire != kWireBytes || !take_bytes(in, bytes)) return false;
  if (!whole) return packed(f, bytes);
  return f.type == PlainField::Type::bytes ? text(f, bytes) : submessage(f, bytes, depth);
}

// A list of numbers, all of it in one piece.
bool Walk::packed(const PlainField& f, ByteView in) {
  if (there_.test(f.place) || in.empty()) return false;
  items_[f.place] = 0;
  while (!in.empty()) {
    const int64_t before = numbers_[f.place];
    if (++items_[f.place] > f.rules->rule.max_items() || !integer(f, in)) return false;
    if (f.set && items_[f.place] > 1 && numbers_[f.place] <= before) return false;
  }
  return true;
}

bool Walk::integer(const PlainField& f, ByteView& in) {
  uint64_t raw = 0;
  if (!take_varint(in, raw)) return false;
  if ((f.zero_is_absent && raw == 0) || (f.narrow && raw > INT32_MAX)) return false;
  const bool zigzag = f.type == PlainField::Type::zigzag;
  const auto number = static_cast<int64_t>(zigzag ? (raw >> 1) ^ (0 - (raw & 1)) : raw);
  numbers_[f.place] = number;
  switch (f.type) {
    case PlainField::Type::truth:
      return raw <= 1;
    case PlainField::Type::name:
      return !f.rules->names->name_of(static_cast<int>(number)).empty();
    case PlainField::Type::number:
    case PlainField::Type::zigzag:
      return check_number(*f.rules, number, false, ignored_);
    default:
      return false;
  }
}

bool Walk::text(const PlainField& f, ByteView value) {
  if (f.rules->rule.format() == v1::FACILITY) facility_ = value;
  return check_bytes(*f.rules, value, ignored_);
}

bool Walk::submessage(const PlainField& f, ByteView value, int depth) {
  Walk inner(*f.message);
  if (!inner.run(value, depth + 1)) return false;
  critical_ |= inner.critical_;
  return true;
}

// What check_message asks once all fields have been seen.
bool Walk::relations() const {
  const MessageRules& rules = *message_.rules;
  for (const size_t place : rules.required) {
    if (!there_.test(place)) return false;
  }
  for (const auto& one : rules.exactly_one) {
    size_t there = 0;
    for (const auto* f : one.fields) there += there_.test(f->index) ? 1 : 0;
    if (there != 1) return false;
  }
  for (const auto& needs : rules.needs) {
    const size_t when = needs.when->index;
    if (!there_.test(when)) continue;
    if (needs.enum_value != 0 && numbers_[when] != needs.enum_value) continue;
    if (needs.when->field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL && numbers_[when] == 0)
      continue;
    for (const auto* f : needs.then) {
      if (!there_.test(f->index)) return false;
    }
  }
  if (!rules.as_time) return true;
  const bool offset = has(v1::Time::kTzMinFieldNumber);
  return has(v1::Time::kUsFieldNumber) &&
         can_be_written({number(v1::Time::kUsFieldNumber),
                         offset ? static_cast<int32_t>(number(v1::Time::kTzMinFieldNumber)) : 0});
}

}  // namespace

std::optional<PlainBody> plain_body(ByteView body, const Facility& expected) {
  Walk walk(*PlainTables::get().body);
  if (body.size() > kBodyBytesMax || !walk.run(body, 0)) return std::nullopt;
  const int64_t kind = walk.number(v1::Body::kKindFieldNumber);
  const bool known =
      walk.number(v1::Body::kSchemaFieldNumber) == kRecordSchema && walk.facility() == expected;
  // Exactly one statement is there; is it the one that the kind says?
  if (!known || !walk.has(static_cast<int>(kind) + kStatementFieldOffset)) return std::nullopt;
  return PlainBody{static_cast<Kind>(kind),
                   walk.critical() ? StreamId::critical : StreamId::result};
}

bool plain_arrival(ByteView arrival) {
  return arrival.size() <= kArrivalBytesMax && Walk(*PlainTables::get().arrival).run(arrival, 0);
}

}  // namespace egret
