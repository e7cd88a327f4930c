#include "cloud/fhir/answer.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/fhir/bundle.h"
#include "cloud/fhir/capability.h"
#include "cloud/fhir/catch_up.h"
#include "cloud/fhir/fetch.h"
#include "cloud/fhir/gate.h"
#include "cloud/fhir/history.h"
#include "cloud/fhir/search.h"
#include "cloud/fhir/terms.h"
#include "cloud/fhir/write.h"
#include "schemas/limits_fhir.h"

namespace egret::cloud::fhir {
namespace {

Response not_there() {
  return refusal(404, Issue::not_found, "there is no such resource");
}

Response no_such_type() {
  return refusal(404, Issue::not_supported, "the facade has no such type; see metadata");
}

bool is_strict(const Request& request) {
  return request.prefer.find("handling=strict") != std::string::npos;
}

class Answering {
 public:
  Answering(const Request& request, World& world) : request_(request), world_(world) {}

  Response run() {
    const auto path = parse_path(request_.path);
    if (!path) return refusal(path.error());
    path_ = *path;
    if (request_.method == "GET" && path_.size() == 1 && path_[0] == "metadata") return metadata();
    const auto whole = world_.views_whole();
    if (!whole) return refusal(whole.error());
    if (auto ready = *whole ? Result<void>() : catch_up(world_.views, false); !ready) return refusal(ready.error());
    if (path_.empty() && request_.method == "POST") return bundle();
    if (path_.empty()) return refusal(405, Issue::not_supported, "GET metadata, or POST a Bundle");
    const Type* type = find_type(path_[0]);
    if (type == nullptr) return no_such_type();
    if (request_.method == "GET") return let_out(world_, get(*type));
    if (request_.method == "POST" && path_.size() == 2 && path_[1] == "_search") return let_out(world_, posted_search(*type));
    const bool one = path_.size() == 2, all = path_.size() == 1;
    if ((request_.method == "POST" && all) || (request_.method == "PUT" && (one || all)) || (request_.method == "PATCH" && (one || all))) return write(*type);
    return refusal(405, Issue::not_supported, "the facade does not do that here; see metadata");
  }

 private:
  // Decides, stores, and brings the views up to date; anew when somebody else has written meanwhile.
  std::optional<Response> store(const std::function<std::optional<Response>(Writes&)>& decided_by) {
    for (int i = 0; i < kFhirWriteTries; i++) {
      const auto head = head_of(world_);
      if (!head) return refusal(head.error());
      if (auto ready = catch_up(world_.views, true); !ready) return refusal(ready.error());
      Writes writes(world_);
      if (auto refused = decided_by(writes)) return refused;
      if (writes.decided().empty()) return std::nullopt;
      const auto kept = keep(world_, *head, writes.decided());
      if (!kept && kept.error().code == Errc::conflict) continue;
      if (!kept) return refusal(kept.error());
      // It is stored whatever comes of this; who asks next finds it.
      (void)catch_up(world_.views, true);
      return std::nullopt;
    }
    return refusal(503, Issue::transient, "others are writing, too; try again");
  }

  Response write(const Type& type) {
    const bool patches = request_.method == "PATCH";
    if (!has_type(patches ? "application/json-patch+json" : "application/fhir+json") && (patches || !has_type("application/json")))
      return refusal(415, Issue::not_supported, patches ? "application/json-patch+json is expected" : "application/fhir+json is expected");
    const auto body = parse_json(request_.body);
    const auto condition = parse_query(request_.method == "POST" ? request_.if_none_exist : request_.query);
    if (!body || !condition) return refusal(body ? condition.error() : body.error());
    const std::string id = path_.size() == 2 ? path_[1] : "";
    if (id.empty() && condition->empty() && request_.method != "POST") return refusal(400, Issue::required, "an id, or a search, is expected in the address");
    std::optional<Written> done;
    auto refused = store([&](Writes& writes) -> std::optional<Response> {
      auto written = request_.method == "POST" ? writes.create(type, *body, *condition)
                     : patches                 ? id.empty() ? writes.patch_where(type, *condition, *body, request_.if_match) : writes.patch(type, id, *body, request_.if_match)
                     : id.empty()              ? writes.update_where(type, *condition, *body, request_.if_match)
                                               : writes.update(type, id, *body, request_.if_match);
      if (!written) return std::move(written).error();
      done = std::move(*written);
      return std::nullopt;
    });
    return refused ? std::move(*refused) : answer_to(world_, *done, request_.prefer);
  }

  Response bundle() {
    if (!has_type("application/fhir+json") && !has_type("application/json")) return refusal(415, Issue::not_supported, "application/fhir+json is expected");
    const auto body = parse_json(request_.body);
    if (!body) return refusal(body.error());
    std::optional<BundleRun> run;
    auto refused = store([&](Writes& writes) {
      run.emplace(world_, *body);
      return run->decide(writes);
    });
    if (refused) return std::move(*refused);
    return run->answer([&](const std::string& address) { return read_entry(address); }, request_.prefer);
  }

  Response read_entry(const std::string& address) {
    Request request = request_;
    request.method = "GET";
    const size_t mark = std::min(address.find('?'), address.size());
    request.path = address.substr(0, mark);
    request.query = address.substr(std::min(mark + 1, address.size()));
    request.if_none_match.clear();
    return Answering(request, world_).run();
  }

  bool has_type(std::string_view type) const {
    const std::string_view stated = request_.content_type;
    return stated.starts_with(type) && (stated.size() == type.size() || stated[type.size()] == ';' || stated[type.size()] == ' ');
  }

  Response metadata() {
    Response out;
    out.body = capability_statement(world_.base);
    return out;
  }

  Response get(const Type& type) {
    const auto parameters = parse_query(request_.query);
    if (!parameters) return refusal(parameters.error());
    if (path_.size() == 1) return search(world_, type, *parameters, is_strict(request_));
    if (path_.size() == 2 && path_[1] == "_history") return type_history(world_, type, *parameters);
    if (path_.size() == 2) return read(type, path_[1], "");
    if (path_.size() == 3 && path_[2] == "_history") return instance_history(world_, type, path_[1], *parameters);
    if (path_.size() == 4 && path_[2] == "_history") return read(type, path_[1], path_[3]);
    return not_there();
  }

  Response posted_search(const Type& type) {
    if (!request_.content_type.starts_with("application/x-www-form-urlencoded"))
      return refusal(415, Issue::not_supported, "_search: application/x-www-form-urlencoded is expected");
    auto parameters = parse_query(request_.query);
    const auto more = parse_query(request_.body);
    if (!parameters || !more) return refusal(parameters ? more.error() : parameters.error());
    parameters->insert(parameters->end(), more->begin(), more->end());
    if (parameters->size() > kFhirParametersMax) return refusal(413, Issue::too_long, fmt::format("search: more than {} parameters", kFhirParametersMax));
    return search(world_, type, *parameters, is_strict(request_));
  }

  Response read(const Type& type, const std::string& id, const std::string& version) {
    auto found = fetch(world_, type.name, id, version);
    if (!found) return refusal(found.error());
    if (!*found) return not_there();
    Response out;
    out.etag = etag_of(version_of(**found));
    if (const auto at = span_of(last_updated_of(**found))) out.last_modified = http_date({at->from_us});
    if (!request_.if_none_match.empty() && request_.if_none_match == out.etag) {
      out.status = 304;
      return out;
    }
    out.body = std::move(**found);
    return out;
  }

  const Request& request_;
  World& world_;
  std::vector<std::string> path_;
};

}  // namespace

Response answer(const Request& request, World& world) {
  if (request.path.size() + request.query.size() > kFhirParametersMax * kFhirParameterBytesMax) return refusal(414, Issue::too_long, "the address is too long");
  return Answering(request, world).run();
}

bool only_reads(const Request& request) {
  return request.method == "GET" || (request.method == "POST" && request.path.ends_with("/_search"));
}

bool reads_one(const Request& request) {
  const auto path = parse_path(request.path);
  if (request.method != "GET" || !path || path->size() < 2) return false;
  const bool one = path->size() == 2 && is_id((*path)[1]), version = path->size() == 4 && (*path)[2] == "_history";
  return one || version;
}

}  // namespace egret::cloud::fhir
