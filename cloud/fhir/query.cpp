#include "cloud/fhir/query.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "schemas/limits_fhir.h"

namespace egret::cloud::fhir {
namespace {

Error bad(std::string_view name, std::string_view why) {
  return {Errc::bad_input, fmt::format("search: {}: {}", name, why)};
}

class QueryReader {
 public:
  QueryReader(const Type& type, bool strict) : strict_(strict) {
    out_.type = &type;
    out_.count = kFhirPage;
  }

  Result<Query> read(const Parameters& parameters) {
    for (const auto& [name, value] : parameters) {
      const size_t ignored = out_.ignored.size();
      if (auto taken = take(name, value); !taken) return std::move(taken).error();
      if (ignored == out_.ignored.size() && name != "_cursor") out_.understood.emplace_back(name, value);
    }
    return std::move(out_);
  }

 private:
  // The name is repeated only where it is one of FHIR's shape, and never a value.
  Result<void> unknown(std::string_view name) {
    const bool plain = name.size() <= 64 && std::ranges::all_of(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == ':' || c == '.'; });
    const std::string shown = plain ? std::string(name) : "a parameter";
    if (strict_) return Error{Errc::unsupported, fmt::format("search: {}: not known for {}", shown, out_.type->name)};
    out_.ignored.push_back(shown);
    return {};
  }

  Result<void> take(const std::string& name, const std::string& value) {
    if (name == "_format" || name == "_pretty") return {};
    if (name == "_cursor") {
      out_.cursor = value;
      return {};
    }
    if (name == "_count") return take_count(value);
    if (name == "_sort") return take_sort(value);
    if (name == "_summary") {
      if (value == "count") out_.count_only = true;
      return value == "count" || value == "false" ? Result<void>() : unknown("_summary");
    }
    if (name == "_total") {
      out_.total = value == "accurate";
      return value == "accurate" || value == "estimate" || value == "none" ? Result<void>() : Result<void>(bad(name, "none, estimate or accurate"));
    }
    if (name == "_include") return take_include(value);
    if (name == "_revinclude") {
      out_.with_provenance = out_.with_provenance || value == "Provenance:target";
      return value == "Provenance:target" ? Result<void>() : unknown("_revinclude");
    }
    return take_criterion(name, value);
  }

  Result<void> take_count(const std::string& value) {
    size_t count = 0;
    const auto [stop, failed] = std::from_chars(value.data(), value.data() + value.size(), count);
    if (failed != std::errc{} || stop != value.data() + value.size()) return bad("_count", "a whole number is expected");
    out_.count = std::min(count, kFhirPageMax);
    if (count == 0) out_.count_only = true;  // FHIR R4: the same as _summary=count
    return {};
  }

  Result<void> take_sort(const std::string& value) {
    const Param* date = date_of(*out_.type);
    const bool back = value.starts_with('-');
    if (date == nullptr || std::string_view(value).substr(back) != date->name) return unknown("_sort");
    out_.order = back ? Order::newest_first : Order::oldest_first;
    return {};
  }

  Result<void> take_include(const std::string& value) {
    if (std::ranges::find(out_.type->includes, value) == out_.type->includes.end()) return unknown("_include");
    if (std::ranges::find(out_.includes, value) == out_.includes.end()) out_.includes.push_back(value);
    return {};
  }

  Result<void> take_criterion(const std::string& name, const std::string& value) {
    const size_t colon = std::min(name.find(':'), name.size());
    const Param* param = find_param(*out_.type, std::string_view(name).substr(0, colon));
    if (param == nullptr) return unknown(name);
    Criterion criterion{param, false, {}, {}};
    if (colon != name.size()) {
      // subject:identifier=..., and subject:Patient=id.
      const std::string_view modifier = std::string_view(name).substr(colon + 1);
      criterion.by_identifier = modifier == "identifier" && param->kind == ParamKind::reference;
      const bool typed = param->kind == ParamKind::reference && modifier == param->targets;
      if (!criterion.by_identifier && !typed) return unknown(name);
    }
    auto values = split_values(value);
    if (!values) return std::move(values).error();
    criterion.values = std::move(*values);
    std::erase(criterion.values, "");
    if (criterion.values.empty()) return bad(param->name, "a value is expected");
    for (const std::string& one : criterion.values) {
      if (param->kind == ParamKind::date && !wanted_date(one)) return bad(param->name, "a date of FHIR, with eq, ne, gt, lt, ge, le or no prefix, is expected");
    }
    out_.criteria.push_back(std::move(criterion));
    return {};
  }

  const bool strict_;
  Query out_;
};

}  // namespace

const Criterion* Query::find(std::string_view name) const {
  for (const Criterion& criterion : criteria) {
    if (criterion.param->name == name) return &criterion;
  }
  return nullptr;
}

Result<Query> parse_search(const Type& type, const Parameters& parameters, bool strict) {
  return QueryReader(type, strict).read(parameters);
}

const Param* date_of(const Type& type) {
  for (const Param& param : type.params) {
    if (param.kind == ParamKind::date) return &param;
  }
  return nullptr;
}

}  // namespace egret::cloud::fhir
