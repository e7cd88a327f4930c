// Json: a JSON text as a tree that keeps what was written: digits of numbers, order of members.
// Promises: text, size and number of values are bounded before anything is kept; a key twice is refused; an error names a
// place and a rule, never a value; what is built here holds no null and nothing empty. Leaves to others: what a resource
// may hold (check.h), syntax (schemas/record_json_syntax).
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/error.h"
#include "schemas/types.h"

namespace egret::cloud::fhir {

class Json {
 public:
  enum class Kind : uint8_t { null, boolean, number, string, array, object };
  using Member = std::pair<std::string, Json>;

  Json() = default;
  Json(std::string_view text) : kind_(Kind::string), text_(text) {}
  Json(const std::string& text) : Json(std::string_view(text)) {}
  Json(const char* text) : Json(std::string_view(text)) {}
  static Json null() { return {}; }
  static Json boolean(bool value);
  static Json number(std::string digits);
  static Json number(int64_t value) { return number(std::to_string(value)); }
  // What is listed is moved in. Items and members whose value is empty are left out.
  struct Item;
  struct Field;
  static Json array(std::initializer_list<Item> items = {});
  static Json object(std::initializer_list<Field> members = {});

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  // Of a string its characters, of a number its digits, of a boolean "true" or "false".
  const std::string& text() const { return text_; }
  const std::vector<Json>& items() const { return items_; }
  std::vector<Json>& items() { return items_; }
  const std::vector<Member>& members() const { return members_; }
  std::vector<Member>& members() { return members_; }

  // nullptr: it is no object, or has no such member.
  const Json* find(std::string_view name) const;
  Json* find(std::string_view name);
  // The characters of a string member; "" when it is none.
  const std::string& text_at(std::string_view name) const;

  // Adds a member, or replaces it; an empty value is not added.
  Json& set(std::string_view name, Json value);
  void remove(std::string_view name);
  // An empty value is not added.
  Json& push(Json item);

  // "", [], {} and null.
  bool empty() const;
  // Order of members does not count, digits do.
  bool operator==(const Json& other) const;

 private:
  explicit Json(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::null;
  std::string text_;
  std::vector<Json> items_;
  std::vector<Member> members_;
};

// A list in braces can only be looked at; what these hold can be taken.
struct Json::Item {
  template <std::convertible_to<Json> Value>
  Item(Value&& item) : value(std::forward<Value>(item)) {}
  mutable Json value;
};
struct Json::Field {
  Field(std::string_view member, Json with) : name(member), value(std::move(with)) {}
  std::string_view name;
  mutable Json value;
};

// Errors: bad_input ("malformed JSON at byte 17: ...", a key twice), too_large (kFhirRequestBytesMax, kFhirValuesMax).
Result<Json> parse_json(ByteView text);
std::string write_json(const Json& json);

}  // namespace egret::cloud::fhir
