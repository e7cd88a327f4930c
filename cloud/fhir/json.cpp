#include "cloud/fhir/json.h"

#include <simdjson.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/limits_fhir.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

namespace ondemand = simdjson::ondemand;

// Makes the tree of a text whose syntax has been checked already.
class Reader {
 public:
  Result<Json> read(ondemand::value from) {
    if (++values_ > kFhirValuesMax) return Error{Errc::too_large, fmt::format("JSON: more than {} values", with_commas(kFhirValuesMax))};
    switch (from.type()) {
      case ondemand::json_type::object: return object(from);
      case ondemand::json_type::array: return array(from);
      case ondemand::json_type::string: return Json(std::string_view(from.get_string()));
      case ondemand::json_type::number: return Json::number(std::string(trim_blanks(from.raw_json_token())));
      case ondemand::json_type::boolean: return Json::boolean(bool(from.get_bool()));
      default: return Json::null();
    }
  }

 private:
  Result<Json> object(ondemand::value from) {
    Json out = Json::object();
    std::vector<std::string_view> names;
    for (auto field : from.get_object()) {
      std::string name(std::string_view(field.unescaped_key()));
      Result<Json> value = read(field.value());
      if (!value) return value;
      out.members().emplace_back(std::move(name), std::move(*value));
    }
    for (const Json::Member& member : out.members()) names.push_back(member.first);
    std::ranges::sort(names);
    if (std::ranges::adjacent_find(names) != names.end()) return Error{Errc::bad_input, "JSON: an object has a name twice"};
    return out;
  }

  Result<Json> array(ondemand::value from) {
    Json out = Json::array();
    for (auto item : from.get_array()) {
      Result<Json> value = read(item.value());
      if (!value) return value;
      out.items().push_back(std::move(*value));
    }
    return out;
  }

  size_t values_ = 0;
};

void write(const Json& json, std::string& out) {
  switch (json.kind()) {
    case Json::Kind::null: out += "null"; return;
    case Json::Kind::boolean:
    case Json::Kind::number: out += json.text(); return;
    case Json::Kind::string: append_json_string(out, json.text()); return;
    case Json::Kind::array: {
      char before = '[';
      for (const Json& item : json.items()) {
        out += std::exchange(before, ',');
        write(item, out);
      }
      out += before == '[' ? "[]" : "]";
      return;
    }
    case Json::Kind::object: {
      char before = '{';
      for (const Json::Member& member : json.members()) {
        out += std::exchange(before, ',');
        append_json_string(out, member.first);
        out += ':';
        write(member.second, out);
      }
      out += before == '{' ? "{}" : "}";
      return;
    }
  }
}

const std::string kNothing;

}  // namespace

Json Json::boolean(bool value) {
  Json out(Kind::boolean);
  out.text_ = value ? "true" : "false";
  return out;
}

Json Json::number(std::string digits) {
  Json out(Kind::number);
  out.text_ = std::move(digits);
  return out;
}

Json Json::array(std::initializer_list<Item> items) {
  Json out(Kind::array);
  out.items_.reserve(items.size());
  for (const Item& item : items) out.push(std::move(item.value));
  return out;
}

Json Json::object(std::initializer_list<Field> members) {
  Json out(Kind::object);
  out.members_.reserve(members.size());
  for (const Field& member : members) out.set(member.name, std::move(member.value));
  return out;
}

const Json* Json::find(std::string_view name) const {
  for (const Member& member : members_) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

Json* Json::find(std::string_view name) {
  return const_cast<Json*>(std::as_const(*this).find(name));
}

const std::string& Json::text_at(std::string_view name) const {
  const Json* value = find(name);
  return value != nullptr && value->is(Kind::string) ? value->text() : kNothing;
}

Json& Json::set(std::string_view name, Json value) {
  if (value.empty()) return *this;
  if (Json* there = find(name)) {
    *there = std::move(value);
  } else {
    members_.emplace_back(name, std::move(value));
  }
  return *this;
}

void Json::remove(std::string_view name) {
  std::erase_if(members_, [&](const Member& member) { return member.first == name; });
}

Json& Json::push(Json item) {
  if (!item.empty()) items_.push_back(std::move(item));
  return *this;
}

bool Json::empty() const {
  return is(Kind::null) || (is(Kind::string) && text_.empty()) || (is(Kind::array) && items_.empty()) || (is(Kind::object) && members_.empty());
}

bool Json::operator==(const Json& other) const {
  if (kind_ != other.kind_ || text_ != other.text_ || items_ != other.items_ || members_.size() != other.members_.size()) return false;
  return std::ranges::all_of(members_, [&](const Member& member) {
    const Json* there = other.find(member.first);
    return there != nullptr && *there == member.second;
  });
}

Result<Json> parse_json(ByteView text) {
  if (text.size() > kFhirRequestBytesMax)
    return Error{Errc::too_large, fmt::format("JSON: {} bytes, at most {}", with_commas(text.size()), with_commas(kFhirRequestBytesMax))};
  if (auto malformed = find_malformed(text)) return std::move(*malformed);
  // In brackets a scalar is read as everything else.
  std::string wrapped;
  wrapped.reserve(text.size() + 2 + simdjson::SIMDJSON_PADDING);
  wrapped.append("[").append(text).append("]");
  ondemand::parser parser;
  ondemand::document document;
  ondemand::array root;
  const simdjson::padded_string_view padded(wrapped.data(), wrapped.size(), wrapped.capacity());
  if (parser.iterate(padded).get(document) || document.get_array().get(root)) return Error{Errc::bad_input, "malformed JSON at byte 0"};
  try {
    Reader reader;
    for (auto item : root) return reader.read(item.value());
  } catch (const simdjson::simdjson_error&) {  // what find_malformed() lets through has none
  }
  return Error{Errc::bad_input, "malformed JSON"};
}

std::string write_json(const Json& json) {
  std::string out;
  write(json, out);
  return out;
}

}  // namespace egret::cloud::fhir
