#include "cloud/fhir/history.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "cloud/fhir/elements.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/terms.h"
#include "cloud/own_facility.h"
#include "schemas/chain.h"
#include "schemas/limits_fhir.h"
#include "schemas/record.pb.h"

namespace egret::cloud::fhir {
namespace {

// Where a page goes on: below this number of the feed, or this index of a list.
struct Page {
  size_t count = kFhirPage;
  uint64_t before = UINT64_MAX;
  std::optional<int64_t> since_us;
};

Result<uint64_t> number_in(const std::string& name, const std::string& text) {
  uint64_t out = 0;
  const auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc{} || stop != text.data() + text.size()) return Error{Errc::bad_input, fmt::format("history: {}: a whole number is expected", name)};
  return out;
}

Result<Page> page_of(const Parameters& parameters) {
  Page out;
  for (const auto& [name, value] : parameters) {
    if (name == "_count" || name == "_before") {
      const auto number = number_in(name, value);
      if (!number) return number.error();
      if (name == "_count") out.count = std::max<uint64_t>(1, std::min<uint64_t>(*number, kFhirPageMax));
      else out.before = *number;
    } else if (name == "_since") {
      const auto span = span_of(value);
      if (!span) return Error{Errc::bad_input, "history: _since: an instant is expected"};
      out.since_us = span->from_us;
    } else if (name != "_format" && name != "_pretty") {
      return Error{Errc::bad_input, "history: _count and _since are known"};
    }
  }
  return out;
}

bool is_recent(const Page& page, const Json& resource) {
  const auto at = page.since_us ? span_of(last_updated_of(resource)) : std::nullopt;
  return !page.since_us || !at || at->from_us >= *page.since_us;
}

Json entry(const World& world, Json resource) {
  const std::string type = resource.text_at("resourceType"), id = resource.text_at("id"), version = version_of(resource);
  const bool first = version == "1" || version.starts_with("1-");
  Json request = Json::object({{"method", first ? "POST" : "PUT"}, {"url", first ? type : type + "/" + id}});
  Json response = Json::object({{"status", first ? "201" : "200"}, {"etag", etag_of(version)}, {"lastModified", last_updated_of(resource)}});
  return Json::object({{"fullUrl", fmt::format("{}/{}/{}", world.base, type, id)}, {"resource", std::move(resource)}, {"request", std::move(request)}, {"response", std::move(response)}});
}

Response bundle(const World& world, const std::string& address, const Page& page, Json entries, std::optional<size_t> total, std::optional<uint64_t> next) {
  Parameters parameters{{"_count", std::to_string(page.count)}};
  if (page.since_us) parameters.emplace_back("_since", instant({*page.since_us}));
  Parameters own = parameters;
  if (page.before != UINT64_MAX) own.emplace_back("_before", std::to_string(page.before));
  Json links = Json::array({Json::object({{"relation", "self"}, {"url", address + "?" + encode_query(own)}})});
  if (next) {
    parameters.emplace_back("_before", std::to_string(*next));
    links.push(Json::object({{"relation", "next"}, {"url", address + "?" + encode_query(parameters)}}));
  }
  Json out = Json::object({{"resourceType", "Bundle"}, {"meta", Json::object({{"lastUpdated", instant(world.now)}})}, {"type", "history"}});
  if (total) out.set("total", Json::number(static_cast<int64_t>(*total)));
  out.set("link", std::move(links));
  out.set("entry", std::move(entries));
  Response response;
  response.body = std::move(out);
  return response;
}

// The versions of `type` that the records of one block made.
class BlockVersions {
 public:
  BlockVersions(World& world, const Type& type) : world_(world), type_(type) {}

  // Newest first. A block that cannot be read has none; `verify` says which.
  Result<std::vector<Json>> of(ByteView block) {
    std::vector<Json> out;
    const auto name = numbered_of(block);
    const auto entries = name ? world_.reader.block(name->fac, name->key, name->seq) : Result<std::vector<StoredEntry>>(Error{Errc::corrupt, ""});
    if (!entries) return out;
    for (size_t i = entries->size(); i-- > 0;) {
      const StoredEntry& entry = (*entries)[i];
      const auto parts = entry.kind == EntryKind::applied ? split_record(entry.record) : Result<RecordView>(Error{Errc::not_found, ""});
      v1::Body body;
      if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) continue;
      if (auto added = add(name->fac, body, sha256(parts->body), out); !added) return std::move(added).error();
    }
    return out;
  }

 private:
  Result<void> add(const Facility& fac, const v1::Body& body, const Hash& content, std::vector<Json>& out) {
    if (body.has_source_document()) {
      const auto ref = fac == kRegionFacility && body.source_document().media_type() == kDocumentType ? document_named(body.source_document().phi().name()) : std::nullopt;
      if (!ref || ref->type != type_.name) return {};
      return add(fetch(world_, ref->type, ref->id, ref->version), out);
    }
    if (type_.name != "Observation") return {};
    for (const Stated& stated : statements_in(body, content)) {
      if (std::holds_alternative<Successor>(stated.statement)) continue;
      if (auto added = add(observation_by(world_, stated.about, content), out); !added) return added;
    }
    return {};
  }

  static Result<void> add(Found found, std::vector<Json>& out) {
    if (!found) return std::move(found).error();
    if (*found) out.push_back(std::move(**found));
    return {};
  }

  World& world_;
  const Type& type_;
};

}  // namespace

Response instance_history(World& world, const Type& type, const std::string& id, const Parameters& parameters) {
  const auto page = page_of(parameters);
  if (!page) return refusal(page.error());
  auto versions = history_of(world, type.name, id);
  if (!versions) return refusal(versions.error());
  if (versions->empty()) return refusal(404, Issue::not_found, "there is no such resource");
  std::erase_if(*versions, [&](const Json& one) { return !is_recent(*page, one); });
  // Counted from the oldest, so that what comes meanwhile moves nothing.
  const size_t from = page->before == UINT64_MAX ? 0 : versions->size() - std::min<size_t>(versions->size(), page->before);
  const size_t to = std::min(versions->size(), from + page->count);
  Json entries = Json::array();
  for (size_t i = from; i < to; i++) entries.push(entry(world, std::move((*versions)[i])));
  const auto next = to < versions->size() ? std::optional<uint64_t>(versions->size() - to) : std::nullopt;
  return bundle(world, fmt::format("{}/{}/{}/_history", world.base, type.name, id), *page, std::move(entries), versions->size(), next);
}

Response type_history(World& world, const Type& type, const Parameters& parameters) {
  const auto page = page_of(parameters);
  if (!page) return refusal(page.error());
  Json entries = Json::array();
  std::optional<uint64_t> next;
  size_t looked = 0;
  std::optional<Error> failed;
  BlockVersions versions(world, type);
  auto scanned = world.kv.scan_back(kFeedSpace, feed_key(1), page->before == UINT64_MAX ? end_of_space() : feed_key(page->before), [&](ByteView key, ByteView block) {
    // A page ends between blocks: what a block made comes with it.
    if (entries.items().size() >= page->count || looked >= kFhirLooksMax) {
      next = get_u64(key, 0) + 1;
      return false;
    }
    auto made = versions.of(block);
    if (!made) failed = made.error();
    if (!made) return false;
    looked += 1 + made->size();
    for (Json& one : *made) {
      if (is_recent(*page, one)) entries.push(entry(world, std::move(one)));
    }
    return true;
  });
  if (!scanned) return refusal(scanned.error());
  if (failed) return refusal(*failed);
  return bundle(world, fmt::format("{}/{}/_history", world.base, type.name), *page, std::move(entries), std::nullopt, next);
}

}  // namespace egret::cloud::fhir
