#include "schemas/record_schema.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "schemas/record.pb.h"
#include "schemas/record_json_syntax.h"
#include "schemas/record_rules.h"

namespace egret {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using CommentOf = std::function<std::string(const std::string&)>;

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// A JSON object or array under construction, compact.
class Parts {
 public:
  void add(std::string_view key, std::string_view json) {
    parts_.push_back(json_text(key) + ":" + std::string(json));
  }
  void text(std::string_view key, std::string_view value) { add(key, json_text(value)); }
  void number(std::string_view key, int64_t value) { add(key, std::to_string(value)); }
  void item(std::string_view json) { parts_.emplace_back(json); }
  bool empty() const { return parts_.empty(); }
  std::string object() const { return "{" + joined() + "}"; }
  std::string array() const { return "[" + joined() + "]"; }

 private:
  std::string joined() const { return fmt::format("{}", fmt::join(parts_, ",")); }
  std::vector<std::string> parts_;
};

// Two blanks a level; empty brackets and short arrays of scalars stay on their line.
std::string pretty(std::string_view compact) {
  std::string out;
  std::string indent = "\n";
  bool inside_string = false;
  for (size_t i = 0; i < compact.size(); ++i) {
    const char c = compact[i];
    if (c == '"') inside_string = !inside_string;
    if (c == '\\') out += compact[i++];  // an escape, which may be of a quote
    const bool flat = c == '[' && compact.find_first_of("[{", i + 1) > compact.find(']', i);
    if (inside_string) {
      out += compact[i];
    } else if (flat) {
      const size_t end = compact.find(']', i);
      for (; i < end; ++i)
        out += compact[i] == ',' ? std::string(", ") : std::string(1, compact[i]);
      out += ']';
    } else if (c == '{' || c == '[') {
      indent += "  ";
      out += c + indent;
    } else if (c == '}' || c == ']') {
      indent.resize(indent.size() - 2);
      out += indent + c;
    } else {
      out += c;
      if (c == ',') out += indent;
      if (c == ':') out += ' ';
    }
  }
  return out + "\n";
}

// "AiResult.Component" of package egret.v1.
std::string def_name(const Descriptor* d) {
  return d->full_name().substr(d->file()->package().size() + 1);
}
std::string ref(const Descriptor* d) {
  return json_text("#/$defs/" + def_name(d));
}

// The grammar of a format; empty where the type says all.
const char* pattern_of(v1::Format format) {
  switch (format) {
    case v1::UUID:
      return "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
    case v1::SHA256:
      return "^[0-9a-fA-F]{64}$";
    case v1::BASE64:
      return "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
    case v1::DICOM_UID:
      return "^(0|[1-9][0-9]*)([.](0|[1-9][0-9]*))*$";
    case v1::UCUM:
      return "^[!-~]+$";
    case v1::FACILITY:
      return "^[a-z0-9-]+$";
    case v1::NAME:
      return "^[A-Za-z_][A-Za-z0-9_.:/-]*$";
    case v1::MEDIA_TYPE:
      return "^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+ *(;[ -~]*)?$";
    case v1::TEXT:
      return "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]*$";
    default:
      return "^[^\\u0000-\\u001f\\u007f]*$";
  }
}

void add_string(Parts& p, const FieldRules& f) {
  const v1::Format format = f.rule.format();
  if (format == v1::DECIMAL) {
    p.text("type", "number");
    if (f.rule.has_range()) {
      p.number("minimum", f.rule.range().min());
      p.number("maximum", f.rule.range().max());
    }
    return;
  }
  p.text("type", "string");
  if (format == v1::BASE64) p.text("contentEncoding", "base64");
  if (format != v1::UUID && format != v1::SHA256) {
    // Characters, of which there are never more than bytes; x-max-bytes is the rule.
    const size_t coded = format == v1::BASE64 ? (f.max_bytes + 2) / 3 * 4 : f.max_bytes;
    p.number("minLength", 1);
    p.number("maxLength", static_cast<int64_t>(coded));
    p.number("x-max-bytes", static_cast<int64_t>(f.max_bytes));
  }
  p.text("pattern", pattern_of(format));
}

void add_integer(Parts& p, const FieldRules& f) {
  p.text("type", "integer");
  const bool is_unsigned = f.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  p.number("minimum", f.rule.has_range() ? f.rule.range().min() : is_unsigned ? 0 : INT64_MIN);
  if (f.rule.has_range()) {
    p.number("maximum", f.rule.range().max());
  } else {
    p.add("maximum", is_unsigned ? "18446744073709551615" : "9223372036854775807");
  }
}

// One value of a field, lists apart.
void add_value(Parts& p, const FieldRules& f) {
  switch (f.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      p.add("$ref", ref(f.field->message_type()));
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      add_string(p, f);
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      p.text("type", "boolean");
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      p.text("type", "number");
      break;
    case FieldDescriptor::CPPTYPE_ENUM: {
      Parts names;
      for (const auto& value : f.names->values) names.item(json_text(value.name));
      p.add("enum", names.array());
      break;
    }
    default:
      add_integer(p, f);
  }
}

void add_labels(Parts& p, const FieldRules& f) {
  Parts key;
  Parts value;
  add_string(key, f.message->fields[0]);
  add_string(value, f.message->fields[1]);
  p.text("type", "object");
  p.number("minProperties", 1);
  p.number("maxProperties", f.rule.max_items());
  p.add("propertyNames", key.object());
  p.add("additionalProperties", value.object());
}

std::string field_schema(const FieldRules& f, const CommentOf& comment_of) {
  Parts p;
  if (const auto comment = comment_of(f.field->full_name()); !comment.empty())
    p.text("description", comment);
  if (!f.rule.unit().empty()) p.text("x-unit", f.rule.unit());
  if (f.rule.phi()) p.add("x-phi", "true");
  if (f.is_object_list()) {
    add_labels(p, f);
  } else if (f.is_list()) {
    Parts item;
    add_value(item, f);
    p.text("type", "array");
    p.add("items", item.object());
    p.number("minItems", 1);
    p.number("maxItems", f.rule.max_items());
    if (f.rule.as_set()) p.add("uniqueItems", "true");
  } else {
    add_value(p, f);
  }
  return p.object();
}

std::string required_of(const std::vector<const FieldRules*>& fields) {
  Parts names;
  for (const auto* f : fields) names.item(json_text(f->name));
  Parts p;
  p.add("required", names.array());
  return p.object();
}

// Rules between fields, as members of "allOf".
Parts relations_of(const MessageRules& rules) {
  Parts all;
  for (const auto& one : rules.exactly_one) {
    Parts each;
    for (const auto* f : one.fields) each.item(required_of({f}));
    Parts p;
    p.add("oneOf", each.array());
    all.item(p.object());
  }
  for (const auto& needs : rules.needs) {
    Parts condition;
    const bool flag = needs.when->field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    if (flag || needs.enum_value != 0) {
      const std::string value =
          flag ? "true" : json_text(needs.when->names->name_of(needs.enum_value));
      condition.add("properties",
                    fmt::format("{{{}:{{\"const\":{}}}}}", json_text(needs.when->name), value));
    }
    condition.add("required", "[" + json_text(needs.when->name) + "]");
    Parts p;
    p.add("if", condition.object());
    p.add("then", required_of(needs.then));
    all.item(p.object());
  }
  return all;
}

constexpr const char* kTimeSchema =
    R"({"type":"string","format":"date-time",)"
    R"("pattern":"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"})";

// [time, value] or [time, value, flags]; which value depends on the series' kind.
constexpr const char* kPointsSchema =
    R"({"type":"array","minItems":1,"items":{"type":"array","minItems":2,"maxItems":3,"prefixItems":[)"
    R"({"type":"integer","minimum":0,"description":"Since 1970; nanoseconds, or time_unit of a TelemetryRequest."},)"
    R"({"anyOf":[{"type":["number","null"]},{"type":"string","minLength":1,"maxLength":256},)"
    R"({"$ref":"#/$defs/Histogram"},{"$ref":"#/$defs/ExpHistogram"}]},)"
    R"({"type":"array","uniqueItems":true,"items":{"enum":["historical","estimated"]}}]}})";

std::string message_schema(const MessageRules& rules, const CommentOf& comment_of) {
  if (rules.as_time) return kTimeSchema;
  Parts properties;
  Parts required;
  for (const auto& f : rules.fields) {
    if (f.rule.column()) continue;
    properties.add(f.name, field_schema(f, comment_of));
    if (f.rule.required() && !f.rule.filled_in()) required.item(json_text(f.name));
  }
  if (rules.descriptor == v1::Series::descriptor()) {
    properties.add("points", kPointsSchema);
    required.item(json_text("points"));
  }
  Parts p;
  if (const auto comment = comment_of(rules.descriptor->full_name()); !comment.empty())
    p.text("description", comment);
  p.text("type", "object");
  p.add("additionalProperties", "false");
  p.add("properties", properties.object());
  if (!required.empty()) p.add("required", required.array());
  if (const Parts relations = relations_of(rules); !relations.empty())
    p.add("allOf", relations.array());
  return p.object();
}

// Every message that JSON can hold below `rules`, by its name.
void collect(const MessageRules& rules, std::map<std::string, const MessageRules*>& found) {
  if (!found.emplace(def_name(rules.descriptor), &rules).second) return;
  for (const auto& f : rules.fields) {
    if (f.message != nullptr && !f.is_object_list()) collect(*f.message, found);
  }
}

std::string telemetry_request() {
  Parts properties;
  for (const char* name : {"sens", "purpose", "facility_id"}) {
    properties.add(name, fmt::format(R"({{"$ref":"#/$defs/Body/properties/{}"}})", name));
  }
  properties.add(
      "time_unit",
      R"({"enum":["ns","us","ms","s"],"default":"ns","description":"Of every time in points."})");
  for (const char* name : {"resource", "series"}) {
    properties.add(name, fmt::format(R"({{"$ref":"#/$defs/TelemetryBatch/properties/{}"}})", name));
  }
  Parts p;
  p.text("description",
         "What POST /v1/telemetry takes. sens and purpose may be left out: 2, quality.");
  p.text("type", "object");
  p.add("additionalProperties", "false");
  p.add("properties", properties.object());
  p.add("required", R"(["series"])");
  return p.object();
}

}  // namespace

std::string record_schema_json(const CommentOf& comment_of) {
  std::map<std::string, const MessageRules*> messages;
  collect(rules_of<v1::Body>(), messages);
  collect(rules_of<v1::Arrival>(), messages);
  Parts defs;
  for (const auto& [name, rules] : messages) defs.add(name, message_schema(*rules, comment_of));
  defs.add("TelemetryRequest", telemetry_request());
  Parts p;
  p.text("$schema", "https://json-schema.org/draft/2020-12/schema");
  p.text("$id", "urn:egret:record:1");
  p.text("title", "A record of Egret, as POST /v1/records takes it and the export writes it");
  p.text("$comment",
         "Made from schemas/record.proto; do not edit. EGRET_WRITE_SCHEMA=1 unit-schemas "
         "\"[schema]\" writes it.");
  p.add("$ref", json_text("#/$defs/Body"));
  p.add("$defs", defs.object());
  return pretty(p.object());
}

}  // namespace egret
