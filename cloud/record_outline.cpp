#include "cloud/record_outline.h"

#include <google/protobuf/descriptor.h>
#include <spdlog/fmt/fmt.h>

#include "cloud/json_text.h"
#include "schemas/record.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };  // of protobuf
constexpr size_t kVarintBytesMax = 10;

// Takes one off the front; nullopt: there is none.
std::optional<uint64_t> take_varint(ByteView& from) {
  uint64_t out = 0;
  for (size_t i = 0; i < from.size() && i < kVarintBytesMax; i++) {
    const auto byte = static_cast<uint8_t>(from[i]);
    out |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte & 0x80u) continue;
    from.remove_prefix(i + 1);
    return out;
  }
  return std::nullopt;
}

const char* type_of(const FieldDescriptor* known, Wire wire) {
  if (wire == Wire::varint) return "number";
  if (wire != Wire::bytes) return "fixed";
  if (known != nullptr && known->type() == FieldDescriptor::TYPE_MESSAGE) return "message";
  return known != nullptr && known->type() == FieldDescriptor::TYPE_STRING ? "text" : "bytes";
}

class Walk {
 public:
  explicit Walk(ByteView all) : all_(all) { out_.bytes = all.size(); }
  Outline over(const Descriptor* of) {
    message(all_, of, 0);
    return std::move(out_);
  }

 private:
  bool broken(ByteView rest) {
    out_.broken_at = static_cast<uint64_t>(rest.data() - all_.data());
    return false;
  }
  // False: it goes no further.
  bool message(ByteView rest, const Descriptor* of, uint32_t depth) {
    while (!rest.empty()) {
      const ByteView here = rest;
      const auto tag = take_varint(rest);
      if (!tag || *tag >> 3 == 0 || *tag >> 3 > FieldDescriptor::kMaxNumber) return broken(here);
      if (out_.fields.size() == kOutlineFields) {
        out_.more = true;
        return false;
      }
      if (!field(here, rest, of, static_cast<uint32_t>(*tag >> 3), Wire(uint8_t(*tag & 7)), depth)) return false;
    }
    return true;
  }
  bool field(ByteView here, ByteView& rest, const Descriptor* of, uint32_t number, Wire wire, uint32_t depth) {
    const ByteView before = rest;
    std::optional<uint64_t> size = wire == Wire::fixed64 ? 8 : 4;
    if (wire == Wire::varint && !take_varint(rest)) return broken(here);
    if (wire == Wire::varint) size = before.size() - rest.size();
    if (wire == Wire::bytes) size = take_varint(rest);
    if (wire != Wire::varint && wire != Wire::bytes && wire != Wire::fixed64 && wire != Wire::fixed32) return broken(here);
    if (!size || (wire != Wire::varint && *size > rest.size())) return broken(here);
    const FieldDescriptor* known = of == nullptr ? nullptr : of->FindFieldByNumber(static_cast<int>(number));
    const char* type = type_of(known, wire);
    out_.fields.push_back({depth, number, known == nullptr ? "" : known->name(), type, *size});
    if (wire == Wire::varint) return true;
    const ByteView value = rest.substr(0, *size);
    rest.remove_prefix(*size);
    const bool inside = std::string_view(type) == "message" && depth + 1 < kOutlineDepth;
    return !inside || message(value, known->message_type(), depth + 1);
  }

  const ByteView all_;
  Outline out_;
};

std::string json_of(const Outline& outline) {
  std::string fields;
  for (const OutlineField& f : outline.fields)
    fields += fmt::format(R"({}{{"depth":{},"number":{},"name":{},"type":"{}","bytes":{}}})", fields.empty() ? "" : ",", f.depth, f.number, f.name.empty() ? "null" : json_string(f.name), f.type, f.bytes);
  return fmt::format(R"({{"bytes":{},"fields":[{}],"more":{},"broken_at":{}}})", outline.bytes, fields, outline.more, outline.broken_at ? std::to_string(*outline.broken_at) : "null");
}

}  // namespace

RecordOutline outline_of(ByteView record) {
  RecordOutline out;
  const auto parts = split_record(record);
  out.split = parts.has_value();
  out.body = Walk(parts ? parts->body : record).over(parts ? v1::Body::descriptor() : nullptr);
  if (parts) out.arrival = Walk(parts->arrival).over(v1::Arrival::descriptor());
  return out;
}

std::string to_json(const RecordOutline& outline) {
  return fmt::format(R"({{"split":{},"body":{},"arrival":{}}})", outline.split, json_of(outline.body), outline.split ? json_of(outline.arrival) : "null");
}

}  // namespace egret::cloud
