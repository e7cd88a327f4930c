#include "cloud/fhir/fetch.h"

#include <charconv>

namespace egret::cloud::fhir {
namespace {

Found derived(Sight& sight, std::string_view type, std::string_view id, std::string_view version) {
  const auto unit = unit_in(id);
  const auto hash = hash_in(id);
  Found out{std::optional<Json>()};
  if (type == "Observation" && unit) return observation(sight, {unit->fac, unit->unit}, version);
  if (type == "DiagnosticReport" && unit) out = report(sight, {unit->fac, unit->unit});
  if (type == "Provenance" && unit) out = provenance(sight, *unit);
  if (type == "Device" && hash) out = device(sight, *hash);
  if (type == "Patient" && hash) out = patient(sight, *hash);
  // Of these only the version that is current can be made.
  if (out && *out && !version.empty() && version_of(**out) != version) out = std::optional<Json>();
  return out;
}

Found stored(Sight& sight, std::string_view type, std::string_view id, std::string_view version) {
  uint32_t number = 0;
  if (!version.empty()) {
    const auto [stop, failed] = std::from_chars(version.data(), version.data() + version.size(), number);
    if (failed != std::errc{} || stop != version.data() + version.size() || number == 0) return std::optional<Json>();
  }
  const auto found = find_stored(sight.kv, type, id, number);
  if (!found) return found.error();
  if (!*found) return std::optional<Json>();
  auto json = load(sight.reader, (*found)->place);
  if (!json && json.error().code == Errc::not_found) return std::optional<Json>();
  if (!json) return std::move(json).error();
  return std::optional<Json>(std::move(*json));
}

}  // namespace

Found fetch(Sight& sight, std::string_view type, std::string_view id, std::string_view version) {
  if (!is_id(id)) return std::optional<Json>();
  return is_derived_id(type, id) ? derived(sight, type, id, version) : stored(sight, type, id, version);
}

bool is_derived_id(std::string_view type, std::string_view id) {
  if (type == "Observation" || type == "DiagnosticReport" || type == "Provenance") return unit_in(id).has_value();
  return (type == "Device" || type == "Patient") && hash_in(id).has_value();
}

Result<std::vector<Json>> history_of(Sight& sight, std::string_view type, std::string_view id) {
  const auto unit = unit_in(id);
  if (type == "Observation" && unit) return observation_history(sight, {unit->fac, unit->unit});
  std::vector<Json> out;
  if (is_derived_id(type, id)) {
    auto one = derived(sight, type, id, {});
    if (!one) return std::move(one).error();
    if (*one) out.push_back(std::move(**one));
    return out;
  }
  const auto versions = versions_of(sight.kv, type, id);
  if (!versions) return versions.error();
  for (auto version = versions->rbegin(); version != versions->rend(); ++version) {
    auto json = load(sight.reader, version->place);
    if (!json && json.error().code == Errc::not_found) continue;
    if (!json) return std::move(json).error();
    out.push_back(std::move(*json));
  }
  return out;
}

std::string version_of(const Json& resource) {
  const Json* meta = resource.find("meta");
  return meta == nullptr ? "" : meta->text_at("versionId");
}

std::string last_updated_of(const Json& resource) {
  const Json* meta = resource.find("meta");
  return meta == nullptr ? "" : meta->text_at("lastUpdated");
}

}  // namespace egret::cloud::fhir
