#include "cloud/fhir/terms.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "schemas/chain.h"
#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

constexpr int64_t kSecondUs = 1'000'000, kMinuteUs = 60 * kSecondUs, kDayUs = 86'400 * kSecondUs;

void add_tokens(const Json& element, std::vector<Token>& out) {
  if (element.is(Json::Kind::string) || element.is(Json::Kind::boolean)) {
    out.push_back({"", element.text()});
    return;
  }
  if (const Json* codings = element.find("coding")) {
    for (const Json& coding : codings->items()) out.push_back({coding.text_at("system"), coding.text_at("code")});
    return;
  }
  const std::string& code = element.text_at("code").empty() ? element.text_at("value") : element.text_at("code");
  if (!code.empty()) out.push_back({element.text_at("system"), code});
}

std::string without_escapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

size_t bare(std::string_view text, char what) {
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\') ++i;
    else if (text[i] == what) return i;
  }
  return std::string_view::npos;
}

std::optional<int64_t> start_of(std::string_view text) {
  const auto time = time_from_text(text);
  return time ? std::optional(time->us) : std::nullopt;
}

bool digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Span> year_or_month(std::string_view text) {
  if (!digits(text.substr(0, 4)) || (text.size() == 7 && (text[4] != '-' || !digits(text.substr(5))))) return std::nullopt;
  const int year = std::stoi(std::string(text.substr(0, 4))), month = text.size() == 7 ? std::stoi(std::string(text.substr(5))) : 0;
  if (text.size() == 7 && month == 0) return std::nullopt;
  const bool december = month == 12 || month == 0;
  const auto from = start_of(fmt::format("{:04}-{:02}-01T00:00:00Z", year, std::max(month, 1)));
  const auto to = start_of(fmt::format("{:04}-{:02}-01T00:00:00Z", year + (december ? 1 : 0), december ? 1 : month + 1));
  if (!from || !to) return std::nullopt;
  return Span{*from, *to};
}

std::optional<Span> span_in(const Json& element) {
  if (element.is(Json::Kind::string)) return span_of(element.text());
  // A Period, open where an end is not there.
  const auto start = span_of(element.text_at("start")), end = span_of(element.text_at("end"));
  if (!start && !end) return std::nullopt;
  return Span{start ? start->from_us : kTimeMinUs, end ? end->to_us : kTimeMaxUs};
}

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

bool matches_reference(const Json& element, const Param& param, const std::string& value, std::string_view base) {
  const auto there = reference_in(element.text_at("reference"), base);
  auto wanted = reference_in(value, base);
  if (!wanted && is_id(value)) wanted = Ref{std::string(param.targets), value, ""};
  if (!wanted) return element.text_at("reference") == value;
  return there && there->type == wanted->type && there->id == wanted->id && (wanted->version.empty() || there->version == wanted->version);
}

bool matches_element(const Json& element, const Param& param, const std::string& value, std::string_view base) {
  switch (param.kind) {
    case ParamKind::reference: return matches_reference(element, param, value, base);
    case ParamKind::string: return element.is(Json::Kind::string) && folded(element.text()).starts_with(folded(without_escapes(value)));
    case ParamKind::date: {
      const auto wanted = wanted_date(value);
      const auto span = span_in(element);
      return wanted && span && wanted->is(*span);
    }
    case ParamKind::token: {
      std::vector<Token> tokens;
      add_tokens(element, tokens);
      const WantedToken wanted = wanted_token(value);
      return std::ranges::any_of(tokens, [&](const Token& token) { return wanted.is(token); });
    }
  }
  return false;
}

Term hashed(const Type& type, const Param& param, std::string_view form, std::string_view value) {
  Bytes name(type.name);
  for (const std::string_view part : {std::string_view(param.name), form, value}) name.append(1, '\0').append(part);
  return take<sizeof(Term)>(view(sha256(name)));
}

void add_terms(const Json& resource, const Type& type, const Param& param, std::vector<Term>& out) {
  for (const Json* element : elements_at(resource, param.path)) {
    if (param.kind == ParamKind::reference) {
      if (const auto ref = reference_in(element->text_at("reference"))) out.push_back(hashed(type, param, "ref", ref->type + "/" + ref->id));
      if (const Json* id = element->find("identifier")) out.push_back(hashed(type, param, "code", id->text_at("value")));
    }
    if (param.kind != ParamKind::token) continue;
    std::vector<Token> tokens;
    add_tokens(*element, tokens);
    for (const Token& token : tokens) out.push_back(hashed(type, param, "code", token.code));
  }
}

}  // namespace

std::vector<Token> tokens_at(const Json& resource, const Param& param) {
  std::vector<Token> out;
  for (const Json* element : elements_at(resource, param.path)) add_tokens(*element, out);
  return out;
}

bool WantedToken::is(const Token& token) const {
  return (!system || *system == token.system) && (code.empty() || code == token.code);
}

WantedToken wanted_token(std::string_view text) {
  const size_t bar = bare(text, '|');
  if (bar == std::string_view::npos) return {std::nullopt, without_escapes(text)};
  return {without_escapes(text.substr(0, bar)), without_escapes(text.substr(bar + 1))};
}

std::optional<Span> span_of(std::string_view text) {
  if (text.size() == 4 || text.size() == 7) return year_or_month(text);
  if (text.size() == 10) {
    const auto from = start_of(std::string(text) + "T00:00:00Z");
    return from ? std::optional(Span{*from, *from + kDayUs}) : std::nullopt;
  }
  if (text.size() < 17) return std::nullopt;
  // Minutes alone are allowed in a search.
  const bool minutes = text[16] == 'Z' || text[16] == '+' || text[16] == '-';
  const auto from = start_of(minutes ? std::string(text.substr(0, 16)) + ":00" + std::string(text.substr(16)) : std::string(text));
  if (!from) return std::nullopt;
  int64_t width = minutes ? kMinuteUs : kSecondUs;
  if (!minutes && text.size() > 19 && text[19] == '.') {
    for (size_t i = 20; i < text.size() && text[i] >= '0' && text[i] <= '9'; i++) width = std::max<int64_t>(width / 10, 1);
  }
  return Span{*from, *from + width};
}

bool WantedDate::is(const Span& of) const {
  switch (compare) {
    case Compare::eq: return of.from_us >= span.from_us && of.to_us <= span.to_us;
    case Compare::ne: return of.from_us < span.from_us || of.to_us > span.to_us;
    case Compare::gt: return of.to_us > span.to_us;
    case Compare::lt: return of.from_us < span.from_us;
    case Compare::ge: return of.to_us > span.from_us;
    case Compare::le: return of.from_us < span.to_us;
  }
  return false;
}

std::optional<WantedDate> wanted_date(std::string_view text) {
  constexpr std::pair<std::string_view, Compare> kPrefixes[] = {{"eq", Compare::eq}, {"ne", Compare::ne}, {"gt", Compare::gt},
                                                                {"lt", Compare::lt}, {"ge", Compare::ge}, {"le", Compare::le}};
  WantedDate out;
  for (const auto& [prefix, compare] : kPrefixes) {
    if (!text.starts_with(prefix)) continue;
    out.compare = compare;
    text.remove_prefix(prefix.size());
    break;
  }
  const auto span = span_of(text);
  if (!span) return std::nullopt;
  out.span = *span;
  return out;
}

bool matches_value(const Json& resource, const Criterion& criterion, const std::string& value, std::string_view base) {
  const Param& param = *criterion.param;
  return std::ranges::any_of(elements_at(resource, param.path), [&](const Json* element) {
    if (!criterion.by_identifier) return matches_element(*element, param, value, base);
    const Json* id = element->find("identifier");
    return id != nullptr && wanted_token(value).is({id->text_at("system"), id->text_at("value")});
  });
}

bool matches(const Json& resource, const Criterion& criterion, std::string_view base) {
  const Criterion others{criterion.param, false, {}, {}};
  if (std::ranges::any_of(criterion.also, [&](const std::string& value) { return matches_value(resource, others, value, base); })) return true;
  return std::ranges::any_of(criterion.values, [&](const std::string& value) { return matches_value(resource, criterion, value, base); });
}

std::vector<Term> terms_of(const Json& resource, const Type& type) {
  std::vector<Term> out;
  for (const Param& param : type.params) add_terms(resource, type, param, out);
  for (const Param& param : common_params()) {
    if (param.name != "_id") add_terms(resource, type, param, out);
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  if (out.size() > kFhirTermsMax) out.resize(kFhirTermsMax);
  return out;
}

std::optional<Term> term_of(const Type& type, const Criterion& criterion, const std::string& value, std::string_view base) {
  const Param& param = *criterion.param;
  if (criterion.by_identifier || param.kind == ParamKind::token) {
    const std::string code = wanted_token(value).code;
    return code.empty() ? std::nullopt : std::optional(hashed(type, param, "code", code));
  }
  if (param.kind != ParamKind::reference) return std::nullopt;
  auto wanted = reference_in(value, base);
  if (!wanted && is_id(value)) wanted = Ref{std::string(param.targets), value, ""};
  return wanted ? std::optional(hashed(type, param, "ref", wanted->type + "/" + wanted->id)) : std::nullopt;
}

Result<std::vector<std::string>> split_values(std::string_view text) {
  std::vector<std::string> out;
  for (;;) {
    if (out.size() == kFhirOrValuesMax) return Error{Errc::too_large, fmt::format("search: more than {} values in one parameter", kFhirOrValuesMax)};
    const size_t comma = bare(text, ',');
    out.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return out;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace egret::cloud::fhir
