// Record rules: the options of record.proto compiled once into tables that every reader and writer
// walks. Promises: one table says what a field may hold, to the JSON reader, the JSON writer, the
// JSON Schema and the check of decoded bodies, so they cannot disagree. Tables are built at first
// use, live for ever and are only read. Leaves to others: rules that need more than one message
// (record.cpp), columns of a Series (record_telemetry.cpp).
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "schemas/error.h"
#include "schemas/rules.pb.h"
#include "schemas/types.h"

namespace egret {

struct MessageRules;

// The values of an enum by their JSON names.
struct EnumNames {
  struct Value {
    int number = 0;
    std::string name;
  };
  std::vector<Value> values;  // without the one that means "not stated"
  std::string allowed;        // "a, b or c"
  // Empty: no such number.
  std::string_view name_of(int number) const;
  // 0: no such name.
  int number_of(std::string_view name) const;
};

struct FieldRules {
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::string name;
  v1::Rule rule;
  size_t max_bytes = 0;  // of a string or bytes field, the format's own limit included
  const MessageRules* message = nullptr;
  const EnumNames* names = nullptr;
  size_t index = 0;     // in MessageRules::fields
  std::string allowed;  // "0 to 1", "a uuid", "at most 64 bytes": ends an error text

  bool is_list() const { return field->is_repeated(); }
  bool is_object_list() const { return rule.as_object(); }
};

struct MessageRules {
  const google::protobuf::Descriptor* descriptor = nullptr;
  bool as_time = false;
  std::vector<FieldRules> fields;  // in order of their numbers
  std::vector<size_t> by_index;    // FieldDescriptor::index() -> place in `fields`
  std::vector<size_t> required;    // places in `fields` of those that must be there; no columns
  struct ExactlyOne {
    std::vector<const FieldRules*> fields;
    std::string names;  // "value or absent_reason"
  };
  std::vector<ExactlyOne> exactly_one;  // real oneofs are among them
  struct Needs {
    const FieldRules* when = nullptr;
    int enum_value = 0;  // 0: whenever it is there, or true
    std::vector<const FieldRules*> then;
    std::string text;  // "missing, for critical is true"
  };
  std::vector<Needs> needs;

  // nullptr: no such field.
  const FieldRules* find(std::string_view name) const;
};

// The table of a message of record.proto.
const MessageRules& rules_of(const google::protobuf::Descriptor* descriptor);
template <class Message>
const MessageRules& rules_of() {
  return rules_of(Message::descriptor());
}

// What is wrong, and where: the path grows at its front on the way out.
struct Fault {
  Errc code = Errc::bad_input;
  std::string path;
  std::string text;

  void within(std::string_view name);                // "prob" -> "ai_result.prob"
  void within(std::string_view name, size_t index);  // -> "components[3].prob"
  Error error() const;                               // "ai_result.prob: 1.7: allowed 0 to 1"
};

// Is it there: a set message, a string with bytes, a list with items, a number that was stated?
bool is_there(const google::protobuf::Message& message, const FieldRules& rules);

// Checks one value of a string or bytes field, or one number (as its text for the error).
bool check_bytes(const FieldRules& rules, ByteView value, Fault& fault);
// `value` is inside rules.rule.range()? `negative` numbers come as they are, unsigned ones over
// INT64_MAX as `huge`.
bool check_number(const FieldRules& rules, int64_t value, bool huge, Fault& fault);
// How a wrong number may be repeated in an error: itself where the rule lets it, else nothing.
std::string shown(const FieldRules& rules, std::string_view number);

// Every rule of every field, but of columns. False: `fault` says what.
bool check_message(const google::protobuf::Message& message, const MessageRules& rules,
                   Fault& fault);

// Sorts sets and labels, which then have one order of bytes. Doubles stay: check_message names
// them.
void canonicalise(google::protobuf::Message& message, const MessageRules& rules);

}  // namespace egret
