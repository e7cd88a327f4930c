#include "cloud/fhir/export_wish.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/fhir/terms.h"

namespace egret::cloud::fhir {
namespace {

// What the guide knows and this server does not: may be named. Any other name could be anything.
constexpr std::string_view kKnownElsewhere[] = {
    "_elements",        "_typeFilter", "_until", "allowPartialManifests", "includeAssociatedData",
    "organizeOutputBy", "patient"};

class WishReader {
 public:
  WishReader(ExportLevel level, bool lenient) : lenient_(lenient) { out_.level = level; }

  Result<ExportWish> read(const Parameters& parameters) {
    for (const auto& [name, value] : parameters) {
      if (auto taken = take(name, value); !taken) return std::move(taken).error();
    }
    if (!typed_) {
      for (const Type& type : types()) {
        if (is_exported(out_.level, type)) out_.types.push_back(&type);
      }
    }
    // Types that were left out, and none that is left: nothing would be exported, which nobody asks
    // for.
    if (out_.types.empty())
      return Error{Errc::unsupported, "export: _type: names no type that is there"};
    return std::move(out_);
  }

 private:
  Result<void> take(const std::string& name, const std::string& value) {
    if (name == "_outputFormat") return take_format(value);
    if (name == "_since") return take_since(value);
    if (name == "_type") return take_types(value);
    if (name == "_format" || name == "_pretty") return {};
    const bool known = std::ranges::find(kKnownElsewhere, name) != std::end(kKnownElsewhere);
    return leave_out(fmt::format("export: {}: not known; _type, _since and _outputFormat are",
                                 known ? name : "a parameter"));
  }

  Result<void> leave_out(const std::string& why) {
    if (!lenient_) return Error{Errc::unsupported, why};
    out_.ignored.push_back(why);
    return {};
  }

  Result<void> take_format(const std::string& value) {
    // A + that was not escaped has become a blank.
    if (value == kExportFormat || value == "application/fhir ndjson" ||
        value == "application/ndjson" || value == "ndjson")
      return {};
    return Error{Errc::bad_input,
                 fmt::format("export: _outputFormat: {} is the only one", kExportFormat)};
  }

  Result<void> take_since(std::string value) {
    std::ranges::replace(value, ' ', '+');  // 2026-03-01T08:30:00+08:00, not escaped
    const auto span = span_of(value);
    const bool instant = value.find('T') != std::string::npos;
    if (!span || !instant || out_.since_us)
      return Error{Errc::bad_input,
                   "export: _since: one instant is expected, as the manifest of the export before "
                   "has it in transactionTime"};
    out_.since_us = span->from_us;
    return {};
  }

  Result<void> take_types(const std::string& value) {
    const auto names = split_values(value);
    if (!names) return names.error();
    typed_ = true;
    for (const std::string& name : *names) {
      const Type* type = find_type(name);
      if (type == nullptr || !is_exported(out_.level, *type)) {
        if (auto left = leave_out(
                "export: _type: names a type that is not there at this level; see metadata");
            !left)
          return left;
      } else if (std::ranges::find(out_.types, type) == out_.types.end()) {
        out_.types.push_back(type);
      }
    }
    return {};
  }

  const bool lenient_;
  bool typed_ = false;
  ExportWish out_;
};

}  // namespace

bool is_exported(ExportLevel level, const Type& type) {
  return level == ExportLevel::system || type.name != "Device";
}

bool prefers(std::string_view header, std::string_view preference) {
  while (!header.empty()) {
    const size_t end = std::min(header.find_first_of(",;"), header.size());
    std::string_view one = header.substr(0, end);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one == preference) return true;
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  return false;
}

Result<ExportWish> parse_export(ExportLevel level, const Parameters& parameters, bool lenient) {
  return WishReader(level, lenient).read(parameters);
}

}  // namespace egret::cloud::fhir
