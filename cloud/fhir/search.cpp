#include "cloud/fhir/search.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>

#include "cloud/fhir/elements.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/gate.h"
#include "cloud/fhir/sources.h"
#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"
#include "schemas/seal.h"

namespace egret::cloud::fhir {
namespace {

// Where a walk goes on: behind a key of a source, or of everything in order.
constexpr uint32_t kInOrder = UINT32_MAX;
struct Cursor {
  uint32_t source = 0;
  Bytes key;
};

bool shown_earlier(const Json& resource, const Source& source, std::string_view base) {
  if (source.chosen == nullptr) return false;
  const Criterion& criterion = *source.chosen;
  const Criterion others{criterion.param, false, {}, {}};
  for (size_t i = 0; i < source.value; i++) {
    const bool named = i < criterion.values.size();
    if (named ? matches_value(resource, criterion, criterion.values[i], base) : matches_value(resource, others, criterion.also[i - criterion.values.size()], base)) return true;
  }
  return false;
}

// Walks the sources of a query.
class Walk {
 public:
  Walk(World& world, const Query& query) : world_(world), query_(query) {}

  // Calls `each` for what matches behind `from`, until it has `most`, or `looks` candidates were looked at.
  Result<void> run(const std::vector<Source>& sources, Cursor from, size_t most, size_t looks, const std::function<void(Json)>& each) {
    size_t taken = 0, looked = 0;
    at_ = std::move(from);
    for (; at_.source < sources.size() && !more_; ++at_.source, at_.key.clear()) {
      const Source& source = sources[at_.source];
      auto walked = source.walk(Bytes(at_.key), [&](ByteView key, Json resource) {
        const bool same = key == at_.key;
        if (!same && (taken >= most || looked >= looks)) {
          more_ = true;
          return false;
        }
        ++looked;
        at_.key = Bytes(key);
        if (!matches_all(resource) || shown_earlier(resource, source, world_.base)) return true;
        ++taken;
        each(std::move(resource));
        return true;
      });
      if (!walked) return walked;
      if (more_) break;
    }
    return {};
  }

  // Is there more behind what was walked, and where?
  bool more() const { return more_; }
  const Cursor& at() const { return at_; }

 private:
  bool matches_all(const Json& resource) const {
    // What was taken back is found by its id alone.
    const bool asked = query_.find("_id") != nullptr || query_.find("identifier") != nullptr || query_.find("status") != nullptr || query_.find("target") != nullptr;
    if (!asked && resource.text_at("status") == "entered-in-error") return false;
    return std::ranges::all_of(query_.criteria, [&](const Criterion& criterion) { return matches(resource, criterion, world_.base); });
  }

  World& world_;
  const Query& query_;
  Cursor at_;
  bool more_ = false;
};

class Search {
 public:
  Search(World& world, Query query) : world_(world), query_(std::move(query)) {}

  Result<Json> run() {
    const auto from = read_cursor();
    if (!from) return from.error();
    if (auto resolved = resolve_patients(world_, query_); !resolved) return std::move(resolved).error();
    const auto sources = sources_of(world_, query_);
    if (!sources) return sources.error();
    if (query_.count_only || query_.total) {
      if (auto counted = count(*sources); !counted) return std::move(counted).error();
    }
    if (!query_.count_only) {
      if (!query_.cursor.empty() && (from->source == kInOrder) != needs_sorting(*sources)) return stranger();
      auto filled = needs_sorting(*sources) ? sorted_page(*sources, *from) : page(*sources, *from);
      if (!filled) return std::move(filled).error();
      if (auto brought = bring_along(); !brought) return std::move(brought).error();
    }
    return bundle();
  }

 private:
  bool needs_sorting(const std::vector<Source>& sources) const {
    return query_.order != Order::none && !(sources.size() == 1 && sources.front().by_date);
  }

  Result<void> count(const std::vector<Source>& sources) {
    Walk walk(world_, query_);
    size_t found = 0;
    std::optional<Error> failed;
    const auto add = [&](const Json& one) {
      const auto hidden = is_restricted(world_, one);
      if (!hidden) failed = hidden.error();
      found += hidden && !*hidden ? 1 : 0;
    };
    if (auto walked = walk.run(sources, {}, SIZE_MAX, kFhirCountedMax, add); !walked) return walked;
    if (failed) return std::move(*failed);
    if (!walk.more()) total_ = found;
    else if (query_.count_only) return Error{Errc::too_large, fmt::format("search: more than {} candidates to count; ask for less", kFhirCountedMax)};
    else query_.ignored.push_back("_total");
    return {};
  }

  Result<void> page(const std::vector<Source>& sources, const Cursor& from) {
    Walk walk(world_, query_);
    if (auto walked = walk.run(sources, from, query_.count, kFhirLooksMax, [&](Json found) { page_.push_back(std::move(found)); }); !walked) return walked;
    if (walk.more()) next_ = walk.at();
    return {};
  }

  std::string sort_key(const Json& resource) const {
    const auto dates = elements_at(resource, date_of(*query_.type)->path);
    int64_t us = kTimeMaxUs;
    for (const Json* date : dates) {
      const auto span = span_of(date->is(Json::Kind::string) ? date->text() : date->text_at("start"));
      if (span) us = std::min(us, span->from_us);
    }
    const uint64_t sortable = static_cast<uint64_t>(us) ^ (uint64_t{1} << 63);
    Bytes key;
    put_u64(key, query_.order == Order::newest_first ? ~sortable : sortable);
    return key + resource.text_at("id");
  }

  // Everything that matches, brought into order; for what is bounded.
  Result<void> sorted_page(const std::vector<Source>& sources, const Cursor& from) {
    Walk walk(world_, query_);
    std::map<std::string, Json> found;
    if (auto walked = walk.run(sources, {}, SIZE_MAX, kFhirCountedMax, [&](Json one) { found.emplace(sort_key(one), std::move(one)); }); !walked) return walked;
    if (walk.more()) return Error{Errc::too_large, fmt::format("search: more than {} candidates to sort; ask for less", kFhirCountedMax)};
    for (auto at = found.upper_bound(from.key); at != found.end(); ++at) {
      if (page_.size() == query_.count) {
        next_ = Cursor{kInOrder, std::prev(at)->first};
        break;
      }
      page_.push_back(std::move(at->second));
    }
    return {};
  }

  // ---- what comes along ----

  Result<void> bring(const Ref& ref) {
    if (included_.size() >= kFhirIncludedMax || find_type(ref.type) == nullptr) return {};
    if (!there_.insert(ref.type + "/" + ref.id).second) return {};
    auto found = fetch(world_, ref.type, ref.id, ref.version);
    if (!found) return std::move(found).error();
    if (*found) included_.push_back(std::move(**found));
    return {};
  }

  Result<void> bring_provenance(const Json& of) {
    const Type& type = *find_type("Provenance");
    Query query;
    query.type = &type;
    query.criteria.push_back({find_param(type, "target"), false, {of.text_at("resourceType") + "/" + of.text_at("id")}, {}});
    const auto sources = sources_of(world_, query);
    if (!sources) return sources.error();
    Walk walk(world_, query);
    return walk.run(*sources, {}, kFhirIncludedMax - std::min(kFhirIncludedMax, included_.size()), kFhirLooksMax, [&](Json one) {
      if (there_.insert("Provenance/" + one.text_at("id")).second) included_.push_back(std::move(one));
    });
  }

  Result<void> bring_along() {
    for (const Json& one : page_) there_.insert(one.text_at("resourceType") + "/" + one.text_at("id"));
    for (const Json& one : page_) {
      for (const std::string& include : query_.includes) {
        const Param* param = find_param(*query_.type, std::string_view(include).substr(include.find(':') + 1));
        for (const Json* element : elements_at(one, param->path)) {
          const auto ref = reference_in(element->text_at("reference"), world_.base);
          if (!ref) continue;
          if (auto brought = bring(*ref); !brought) return brought;
        }
      }
      if (!query_.with_provenance) continue;
      if (auto brought = bring_provenance(one); !brought) return brought;
    }
    return {};
  }

  // ---- cursors and links ----

  Result<Bytes> seal(ByteView position) {
    const auto key = world_.key();
    if (!key) return key.error();
    const std::string query = encode_query(query_.understood);
    Bytes text = "fhir cursor";
    for (const ByteView part : {query_.type->name, ByteView(query), position}) text.append(1, '\0').append(part);
    return Bytes(view(hmac_sha256(view(*key), text)).substr(0, 16));
  }

  static Error stranger() { return {Errc::bad_input, "search: _cursor: of another search or another store; begin anew"}; }

  Result<Cursor> read_cursor() {
    if (query_.cursor.empty()) return Cursor{};
    const auto bytes = bytes_from_hex(query_.cursor);
    if (!bytes || bytes->size() < 16 + sizeof(uint32_t)) return stranger();
    const ByteView position = ByteView(*bytes).substr(16);
    const auto sealed = seal(position);
    if (!sealed) return sealed.error();
    if (*sealed != ByteView(*bytes).substr(0, 16)) return stranger();
    return Cursor{get_u32(position, 0), Bytes(position.substr(sizeof(uint32_t)))};
  }

  std::string address(const Parameters& parameters) const {
    const std::string query = encode_query(parameters);
    return fmt::format("{}/{}{}{}", world_.base, query_.type->name, query.empty() ? "" : "?", query);
  }

  Result<Json> links() {
    Json out = Json::array();
    out.push(Json::object({{"relation", "self"}, {"url", address(query_.understood)}}));
    if (!next_) return out;
    Bytes position;
    put_u32(position, next_->source);
    position += next_->key;
    const auto sealed = seal(position);
    if (!sealed) return sealed.error();
    Parameters parameters = query_.understood;
    parameters.emplace_back("_cursor", hex(*sealed + position));
    out.push(Json::object({{"relation", "next"}, {"url", address(parameters)}}));
    return out;
  }

  Json entry(Json resource, const char* mode) const {
    Json out = Json::object();  // not from a list, which is copied
    out.set("fullUrl", fmt::format("{}/{}/{}", world_.base, resource.text_at("resourceType"), resource.text_at("id")));
    out.set("resource", std::move(resource));
    out.set("search", Json::object({{"mode", mode}}));
    return out;
  }

  Result<Json> bundle() {
    auto links_there = links();
    if (!links_there) return links_there;
    Json entries = Json::array();
    for (Json& one : page_) entries.push(entry(std::move(one), "match"));
    for (Json& one : included_) entries.push(entry(std::move(one), "include"));
    if (!query_.ignored.empty()) {
      std::string names;
      for (const std::string& name : query_.ignored) names += (names.empty() ? "" : ", ") + name;
      Json told = outcome(Issue::not_supported, "left out of the search: " + names, "warning");
      entries.push(Json::object({{"resource", std::move(told)}, {"search", Json::object({{"mode", "outcome"}})}}));
    }
    Json out = Json::object({{"resourceType", "Bundle"}, {"meta", Json::object({{"lastUpdated", instant(world_.now)}})}, {"type", "searchset"}});
    if (total_) out.set("total", Json::number(static_cast<int64_t>(*total_)));
    out.set("link", std::move(*links_there));
    out.set("entry", std::move(entries));
    return out;
  }

  World& world_;
  Query query_;
  std::vector<Json> page_, included_;
  std::set<std::string> there_;
  std::optional<size_t> total_;
  std::optional<Cursor> next_;
};

}  // namespace

Response search(World& world, const Type& type, const Parameters& parameters, bool strict) {
  auto query = parse_search(type, parameters, strict);
  if (!query && query.error().code == Errc::unsupported) return refusal(400, Issue::not_supported, query.error().text);
  if (!query) return refusal(query.error());
  auto bundle = Search(world, std::move(*query)).run();
  // A request that is not too long, but would cost too much.
  if (!bundle && bundle.error().code == Errc::too_large) return refusal(403, Issue::too_costly, bundle.error().text);
  if (!bundle) return refusal(bundle.error());
  Response out;
  out.body = std::move(*bundle);
  return out;
}

namespace {

Result<Query> condition_of(World& world, const Type& type, const Parameters& parameters) {
  auto query = parse_search(type, parameters, true);
  if (!query && query.error().code == Errc::unsupported) return Error{Errc::bad_input, query.error().text};
  if (!query) return query;
  if (query->criteria.empty() || query->criteria.size() != parameters.size()) return Error{Errc::bad_input, "condition: search parameters that say what must be are expected"};
  if (auto resolved = resolve_patients(world, *query); !resolved) return std::move(resolved).error();
  return query;
}

}  // namespace

Result<bool> satisfies(World& world, const Type& type, const Parameters& parameters, const Json& resource) {
  const auto query = condition_of(world, type, parameters);
  if (!query) return query.error();
  return std::ranges::all_of(query->criteria, [&](const Criterion& criterion) { return matches(resource, criterion, world.base); });
}

Result<std::vector<Json>> matches_of(World& world, const Type& type, const Parameters& parameters) {
  const auto query = condition_of(world, type, parameters);
  if (!query) return query.error();
  const auto sources = sources_of(world, *query);
  if (!sources) return sources.error();
  std::vector<Json> out;
  Walk walk(world, *query);
  auto walked = walk.run(*sources, {}, 2, kFhirCountedMax, [&](Json one) { out.push_back(std::move(one)); });
  if (!walked) return std::move(walked).error();
  if (walk.more() && out.size() < 2) return Error{Errc::bad_input, fmt::format("condition: more than {} candidates; ask for less", kFhirCountedMax)};
  return out;
}

}  // namespace egret::cloud::fhir
