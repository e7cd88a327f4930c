#include "cloud/fhir/write.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/fhir/fetch.h"
#include "cloud/fhir/gate.h"
#include "cloud/fhir/patch.h"
#include "cloud/fhir/review.h"
#include "cloud/fhir/search.h"
#include "cloud/merge/conditional.h"
#include "cloud/own_facility.h"
#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

uint64_t number_of(const std::string& version) {
  return std::strtoull(version.c_str(), nullptr, 10);
}

Response several() {
  return refusal(412, Issue::duplicate, "several resources match the condition");
}

// Without what the server itself says of a version.
Json without_version(Json resource) {
  if (Json* meta = resource.find("meta")) {
    meta->remove("versionId");
    meta->remove("lastUpdated");
    if (meta->empty()) resource.remove("meta");
  }
  return resource;
}

Json numbered(const Json& resource, const std::string& id, uint32_t version, WallTime now) {
  Json meta = Json::object({{"versionId", std::to_string(version)}, {"lastUpdated", instant(now)}});
  if (const Json* stated = resource.find("meta")) {
    for (const Json::Member& member : stated->members()) meta.set(member.first, member.second);
  }
  Json out = Json::object({{"resourceType", resource.text_at("resourceType")}, {"id", id}, {"meta", std::move(meta)}});
  for (const Json::Member& member : resource.members()) {
    if (out.find(member.first) == nullptr) out.members().push_back(member);
  }
  return out;
}

std::optional<Response> fault_of(const Json& resource, const Type& type) {
  const auto fault = find_fault(resource, type);
  return fault ? std::optional(refusal(*fault)) : std::nullopt;
}

}  // namespace

std::string Writes::new_id() {
  Uuid id{};
  world_.entropy.fill(id.data(), id.size());
  id[6] = (id[6] & 0x0f) | 0x40;
  id[8] = (id[8] & 0x3f) | 0x80;
  return egret::text_of(id);
}

Result<std::optional<Json>> Writes::current(const Type& type, const std::string& id) {
  for (auto version = decided_.versions.rbegin(); version != decided_.versions.rend(); ++version) {
    if (version->type == type.name && version->id == id) return std::optional<Json>(version->resource);
  }
  return fetch(world_, type.name, id);
}

Result<std::vector<Json>> Writes::matches(const Type& type, const Parameters& condition) {
  auto committed = matches_of(world_, type, condition);
  if (!committed) return committed;
  std::vector<Json> out;
  const auto is_newer = [&](const Json& one) {
    return std::ranges::any_of(decided_.versions, [&](const NewVersion& v) { return v.type == type.name && v.id == one.text_at("id"); });
  };
  for (Json& one : *committed) {
    if (!is_newer(one)) out.push_back(std::move(one));
  }
  const std::vector<NewVersion>& made = decided_.versions;
  for (size_t i = made.size(); i-- > 0;) {
    const NewVersion& version = made[i];
    const bool later = std::any_of(made.begin() + static_cast<ptrdiff_t>(i) + 1, made.end(), [&](const NewVersion& v) { return v.type == version.type && v.id == version.id; });
    if (version.type != type.name || later) continue;
    const auto fits = satisfies(world_, type, condition, version.resource);
    if (!fits) return fits.error();
    if (*fits) out.push_back(version.resource);
  }
  return out;
}

WrittenOr Writes::put(const Type& type, const std::string& id, Json resource, const std::optional<Json>& before) {
  if (before && without_version(*before) == without_version(numbered(without_version(resource), id, 1, {}))) return Written{200, *before};
  const auto version = static_cast<uint32_t>(before ? number_of(fhir::version_of(*before)) + 1 : 1);
  Json made = numbered(without_version(std::move(resource)), id, version, world_.now);
  if (write_json(made).size() > kFhirResourceBytesMax)
    return refusal(413, Issue::too_long, fmt::format("{}: larger than {} bytes", type.name, with_commas(kFhirResourceBytesMax)));
  decided_.versions.push_back({std::string(type.name), id, version, made});
  return Written{before ? 200u : 201u, std::move(made)};
}

WrittenOr Writes::create(const Type& type, Json resource, const Parameters& condition, const std::string& id) {
  if (auto fault = fault_of(resource, type)) return std::move(*fault);
  if (type.name == "Provenance") {
    auto review = review_in(resource);
    if (!review) return refusal(review.error());
    if (*review) return state(std::move(**review));
  }
  if (!condition.empty()) {
    auto there = matches(type, condition);
    if (!there) return refusal(there.error());
    switch (decide(Wanted::create_if_none, there->size())) {
      case Done::nothing: {
        const auto hidden = is_restricted(world_, there->front());
        if (!hidden) return refusal(hidden.error());
        if (*hidden) return restricted_refusal();
        return Written{200, std::move(there->front())};
      }
      case Done::refuse: return several();
      default: break;
    }
  }
  return put(type, id.empty() ? new_id() : id, std::move(resource), std::nullopt);
}

// The same statement is one record, however often it comes.
WrittenOr Writes::state(NewBody body) {
  const std::string id = id_of(take<sizeof(Uuid)>(view(body.key.content)), kRegionFacility);
  const auto there = world_.kv.get(kNaturalSpace, natural_key(kRegionFacility, body.key));
  if (!there) return refusal(there.error());
  if (!*there) decided_.statements.push_back(std::move(body));
  return Written{*there ? 200u : 201u, Json::object({{"resourceType", "Provenance"}, {"id", id}}), id};
}

WrittenOr Writes::update(const Type& type, const std::string& id, Json resource, const std::string& if_match) {
  if (!is_id(id)) return refusal(400, Issue::value, fmt::format("{}: an id is 1 to 64 of letters, digits, - and .", type.name));
  if (is_derived_id(type.name, id))
    return refusal(403, Issue::forbidden, fmt::format("{}: made from what a site states; the site alone changes it, and people answer with a review", type.name));
  if (auto fault = fault_of(resource, type)) return std::move(*fault);
  if (resource.text_at("id") != id) return refusal(400, Issue::value, fmt::format("{}.id: is not the one of the address", type.name));
  const auto before = current(type, id);
  if (!before) return refusal(before.error());
  const auto hidden = *before ? is_restricted(world_, **before) : Result<bool>(false);
  if (!hidden) return refusal(hidden.error());
  if (*hidden) return restricted_refusal();
  if (!if_match.empty()) {
    const auto seen = tag_in(if_match);
    const uint64_t now = *before ? number_of(fhir::version_of(**before)) : 0;
    if (!seen || decide(Wanted::update_match, *before ? 1 : 0, now, number_of(*seen)) != Done::update)
      return refusal(412, Issue::conflict, fmt::format("{}: another version is current than If-Match names", type.name));
  }
  return put(type, id, std::move(resource), *before);
}

WrittenOr Writes::update_where(const Type& type, const Parameters& condition, Json resource, const std::string& if_match) {
  auto there = matches(type, condition);
  if (!there) return refusal(there.error());
  const std::string stated = resource.text_at("id");
  switch (decide(Wanted::update_one, there->size())) {
    case Done::refuse: return several();
    case Done::create: {
      const std::string id = stated.empty() ? new_id() : stated;
      if (resource.is(Json::Kind::object)) resource.set("id", id);
      return update(type, id, std::move(resource), if_match);
    }
    default: break;
  }
  const std::string id = there->front().text_at("id");
  if (!stated.empty() && stated != id) return refusal(400, Issue::value, fmt::format("{}.id: is not the one that matches", type.name));
  if (resource.is(Json::Kind::object)) resource.set("id", id);
  return update(type, id, std::move(resource), if_match);
}

WrittenOr Writes::patch(const Type& type, const std::string& id, const Json& steps, const std::string& if_match) {
  const auto before = is_id(id) ? current(type, id) : Result<std::optional<Json>>(std::optional<Json>());
  if (!before) return refusal(before.error());
  if (!*before) return refusal(404, Issue::not_found, "there is no such resource");
  auto after = patched(**before, steps);
  if (!after && after.error().code == Errc::conflict) return refusal(422, Issue::processing, after.error().text);
  if (!after) return refusal(after.error());
  return update(type, id, std::move(*after), if_match);
}

WrittenOr Writes::patch_where(const Type& type, const Parameters& condition, const Json& steps, const std::string& if_match) {
  const auto there = matches(type, condition);
  if (!there) return refusal(there.error());
  if (there->empty()) return refusal(404, Issue::not_found, "no resource matches the condition");
  if (there->size() > 1) return several();
  return patch(type, there->front().text_at("id"), steps, if_match);
}

Response answer_to(World& world, const Written& stated, std::string_view prefer) {
  Written written = stated;
  if (!stated.made_as.empty()) {
    auto made = fetch(world, "Provenance", stated.made_as);
    if (!made) return refusal(made.error());
    // A review of what nobody has yet waits for it.
    if (*made) written.resource = std::move(**made);
  }
  Response out;
  out.status = written.status;
  const std::string version = fhir::version_of(written.resource);
  out.etag = etag_of(version);
  if (const auto at = span_of(last_updated_of(written.resource))) out.last_modified = http_date({at->from_us});
  out.location = fmt::format("{}/{}/{}/_history/{}", world.base, written.resource.text_at("resourceType"), written.resource.text_at("id"), version);
  if (prefer.find("return=minimal") != std::string_view::npos) return out;
  if (prefer.find("return=OperationOutcome") != std::string_view::npos) out.body = outcome(Issue::informational, written.status == 201 ? "created" : "stored", "information");
  else out.body = written.resource;
  return out;
}

}  // namespace egret::cloud::fhir
