#include "cloud/fhir/bundle.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/fhir/elements.h"
#include "cloud/fhir/fetch.h"
#include "cloud/merge/conditional.h"
#include "schemas/limits_fhir.h"
#include "schemas/record_text.h"

namespace egret::cloud::fhir {
namespace {

// The same refusal, and which entry it is about.
Response at_entry(Response refused, size_t entry) {
  if (!refused.body) return refused;
  Json* issues = refused.body->find("issue");
  if (issues == nullptr || issues->items().empty()) return refused;
  Json& first = issues->items().front();
  first.set("diagnostics", fmt::format("Bundle.entry[{}]: {}", entry, first.text_at("diagnostics")));
  return refused;
}

std::string status_text(unsigned status) {
  switch (status) {
    case 200: return "200 OK";
    case 201: return "201 Created";
    case 304: return "304 Not Modified";
    case 400: return "400 Bad Request";
    case 403: return "403 Forbidden";
    case 404: return "404 Not Found";
    case 412: return "412 Precondition Failed";
    default: return std::to_string(status);
  }
}

// The steps of a PATCH entry: a Binary with a JSON Patch.
Result<Json> steps_in(const Json& resource) {
  if (resource.text_at("resourceType") != "Binary" || resource.text_at("contentType") != "application/json-patch+json")
    return Error{Errc::bad_input, "resource: a Binary of application/json-patch+json is expected"};
  const auto bytes = bytes_from_base64(resource.text_at("data"));
  if (!bytes) return Error{Errc::bad_input, "resource.data: base64 is expected"};
  return parse_json(*bytes);
}

int turn_of(std::string_view method) {
  return method == "POST" ? 0 : method == "PUT" || method == "PATCH" ? 1 : 2;
}

}  // namespace

std::optional<Response> BundleRun::read_entry(const Json& from, Entry& entry) const {
  const Json* request = from.find("request");
  if (request == nullptr) return refusal(400, Issue::required, "request: is missing");
  entry.method = request->text_at("method");
  if (entry.method != "GET" && entry.method != "POST" && entry.method != "PUT" && entry.method != "PATCH")
    return refusal(400, Issue::not_supported, "request.method: GET, POST, PUT or PATCH");
  std::string_view url = request->text_at("url");
  if (url.starts_with(world_.base + "/")) url.remove_prefix(world_.base.size() + 1);
  entry.address = url;
  entry.full_url = from.text_at("fullUrl");
  entry.if_match = request->text_at("ifMatch");
  if (entry.method == "GET") return std::nullopt;
  const size_t mark = std::min(url.find('?'), url.size());
  const auto path = parse_path(url.substr(0, mark));
  const auto condition = parse_query(entry.method == "POST" ? std::string_view(request->text_at("ifNoneExist")) : url.substr(std::min(mark + 1, url.size())));
  if (!path || !condition) return refusal(path ? condition.error() : path.error());
  entry.condition = *condition;
  entry.type = path->empty() ? nullptr : find_type(path->front());
  if (entry.type == nullptr) return refusal(404, Issue::not_supported, "request.url: the facade has no such type");
  const size_t named = entry.method == "POST" || !entry.condition.empty() ? 1 : 2;
  if (path->size() != named) return refusal(400, Issue::value, "request.url: Type for POST, Type/id or Type?search for PUT and PATCH");
  if (named == 2) entry.id = path->back();
  const Json* resource = from.find("resource");
  if (resource == nullptr) return refusal(400, Issue::required, "resource: is missing");
  entry.resource = *resource;
  return std::nullopt;
}

std::optional<Response> BundleRun::read_entries() {
  if (bundle_.text_at("resourceType") != "Bundle") return refusal(400, Issue::structure, "a Bundle is expected");
  const std::string& type = bundle_.text_at("type");
  if (type != "transaction" && type != "batch") return refusal(400, Issue::not_supported, "Bundle.type: transaction or batch");
  transaction_ = type == "transaction";
  const Json* entries = bundle_.find("entry");
  if (entries == nullptr) return std::nullopt;
  if (!entries->is(Json::Kind::array)) return refusal(400, Issue::structure, "Bundle.entry: a list is expected");
  if (entries->items().size() > kFhirEntriesMax) return refusal(413, Issue::too_long, fmt::format("Bundle: more than {} entries", with_commas(kFhirEntriesMax)));
  for (size_t i = 0; i < entries->items().size(); i++) {
    Entry entry;
    auto wrong = read_entry(entries->items()[i], entry);
    if (wrong && transaction_) return at_entry(std::move(*wrong), i);
    if (wrong) entry.done = std::move(*wrong);
    entries_.push_back(std::move(entry));
  }
  return std::nullopt;
}

// Which resource each entry of a transaction means: known before anything is decided.
std::optional<Response> BundleRun::find_identities(Writes& writes) {
  std::vector<std::string> identities(entries_.size());
  for (size_t i = 0; i < entries_.size(); i++) {
    Entry& entry = entries_[i];
    if (entry.method == "GET") continue;
    const std::string type(entry.type->name);
    if (!entry.condition.empty()) {
      const auto there = writes.matches(*entry.type, entry.condition);
      if (!there) return at_entry(refusal(there.error()), i);
      if (there->size() > 1) return at_entry(refusal(412, Issue::duplicate, "several resources match the condition"), i);
      entry.id = there->empty() ? "" : there->front().text_at("id");
    }
    identities[i] = entry.id.empty() && !entry.condition.empty() ? type + "?" + encode_query(entry.condition) : entry.id.empty() ? "" : type + "/" + entry.id;
    if (entry.id.empty() && entry.method == "PUT") entry.id = entry.resource.text_at("id");
    if (entry.id.empty() && entry.method != "PATCH") entry.id = writes.new_id();
    if (!entry.full_url.empty()) names_.emplace_back(entry.full_url, type + "/" + entry.id);
  }
  if (const auto same = same_identity(identities))
    return refusal(400, Issue::duplicate, fmt::format("Bundle.entry[{}] and Bundle.entry[{}] are about one resource; nothing was stored", same->first, same->second));
  std::vector<std::string> urls;
  for (const auto& [url, now] : names_) urls.push_back(url);
  std::ranges::sort(urls);
  if (std::ranges::adjacent_find(urls) != urls.end()) return refusal(400, Issue::duplicate, "Bundle: two entries have one fullUrl; nothing was stored");
  std::ranges::sort(names_);
  return std::nullopt;
}

// References inside a resource: to entries of the same Bundle, and those that are a search.
std::optional<Response> BundleRun::resolve(Json& value, Writes& writes) {
  for (Json& item : value.items()) {
    if (auto wrong = resolve(item, writes)) return wrong;
  }
  for (Json::Member& member : value.members()) {
    if (member.first != "reference" || !member.second.is(Json::Kind::string)) {
      if (auto wrong = resolve(member.second, writes)) return wrong;
      continue;
    }
    const std::string text = member.second.text();
    const auto name = std::ranges::lower_bound(names_, std::pair(text, std::string()));
    if (name != names_.end() && name->first == text) {
      member.second = Json(name->second);
      continue;
    }
    if (text.starts_with("urn:uuid:") || text.starts_with("urn:oid:")) return refusal(400, Issue::value, "a reference names no entry of the Bundle");
    const size_t mark = text.find('?');
    const Type* type = mark == std::string::npos ? nullptr : find_type(std::string_view(text).substr(0, mark));
    if (type == nullptr) continue;
    const auto condition = parse_query(std::string_view(text).substr(mark + 1));
    const auto there = condition ? writes.matches(*type, *condition) : Result<std::vector<Json>>(condition.error());
    if (!there) return refusal(there.error());
    if (there->size() != 1) return refusal(412, there->empty() ? Issue::not_found : Issue::duplicate, "a reference that is a search does not match one resource");
    member.second = Json(std::string(type->name) + "/" + there->front().text_at("id"));
  }
  return std::nullopt;
}

WrittenOr BundleRun::run(Entry& entry, Writes& writes) const {
  if (entry.method == "POST") return writes.create(*entry.type, std::move(entry.resource), entry.condition, entry.id);
  if (entry.method == "PUT") {
    if (entry.condition.empty()) return writes.update(*entry.type, entry.id, std::move(entry.resource), entry.if_match);
    // In a transaction the id that others refer to is the one that it gets.
    if (transaction_ && entry.resource.is(Json::Kind::object)) entry.resource.set("id", entry.id);
    return writes.update_where(*entry.type, entry.condition, std::move(entry.resource), entry.if_match);
  }
  const auto steps = steps_in(entry.resource);
  if (!steps) return refusal(steps.error());
  if (entry.condition.empty()) return writes.patch(*entry.type, entry.id, *steps, entry.if_match);
  return writes.patch_where(*entry.type, entry.condition, *steps, entry.if_match);
}

std::optional<Response> BundleRun::decide(Writes& writes) {
  if (auto wrong = read_entries()) return wrong;
  if (transaction_) {
    if (auto wrong = find_identities(writes)) return wrong;
    for (size_t i = 0; i < entries_.size(); i++) {
      if (auto wrong = resolve(entries_[i].resource, writes)) return at_entry(std::move(*wrong), i);
    }
  }
  std::vector<size_t> order(entries_.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  if (transaction_) std::ranges::stable_sort(order, {}, [&](size_t i) { return turn_of(entries_[i].method); });
  for (const size_t i : order) {
    Entry& entry = entries_[i];
    if (entry.method == "GET" || entry.done) continue;
    entry.done = run(entry, writes);
    if (transaction_ && !*entry.done) return at_entry(entry.done->error(), i);
  }
  return std::nullopt;
}

Response BundleRun::answer(const ReadEntry& read, std::string_view prefer) const {
  Json out = Json::object({{"resourceType", "Bundle"}, {"type", transaction_ ? "transaction-response" : "batch-response"}});
  Json entries = Json::array();
  for (const Entry& entry : entries_) {
    const Response one = !entry.done ? read(entry.address) : *entry.done ? answer_to(world_, **entry.done, prefer) : entry.done->error();
    Json response = Json::object({{"status", status_text(one.status)}, {"location", one.location}, {"etag", one.etag}});
    if (one.body && one.status < 300) response.set("lastModified", last_updated_of(*one.body));
    else if (entry.done && *entry.done) response.set("lastModified", last_updated_of((*entry.done)->resource));
    Json answered = Json::object();
    if (one.status < 300 && one.body) answered.set("resource", *one.body);
    if (one.status >= 300 && one.body) response.set("outcome", *one.body);
    answered.set("response", std::move(response));
    entries.push(std::move(answered));
  }
  out.set("entry", std::move(entries));
  Response response;
  response.body = std::move(out);
  return response;
}

}  // namespace egret::cloud::fhir
