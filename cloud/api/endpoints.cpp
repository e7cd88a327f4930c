#include "cloud/api/endpoints.h"

#include <algorithm>

#include "cloud/api/query.h"
#include "cloud/json_text.h"

namespace egret::cloud {
namespace {

// What the {} and the * of a pattern are; nullopt: another path.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> names;
  while (!pattern.empty()) {
    if (pattern == "*") {
      names.emplace_back(path);
      return names;
    }
    if (pattern.front() == '{') {
      pattern.remove_prefix(pattern.find('}') + 1);
      const std::string_view part = path.substr(0, path.find('/'));
      auto name = unescaped(part, false);
      if (part.empty() || !name) return std::nullopt;
      names.push_back(std::move(*name));
      path.remove_prefix(part.size());
      continue;
    }
    const std::string_view exact = pattern.substr(0, pattern.find_first_of("{*"));
    if (!path.starts_with(exact)) return std::nullopt;
    pattern.remove_prefix(exact.size());
    path.remove_prefix(exact.size());
  }
  return path.empty() ? std::optional(std::move(names)) : std::nullopt;
}

// Characters before the first { or *: the more, the more exact.
size_t exactness(const Endpoint& endpoint) {
  const size_t open = endpoint.path.find_first_of("{*");
  return open == endpoint.path.npos ? endpoint.path.npos : 2 * open + (endpoint.path[open] == '{' ? 1 : 0);
}

unsigned status_of(const Error& error) {
  switch (error.code) {
    case Errc::bad_input: return 400;
    case Errc::not_found: return 404;
    case Errc::conflict: return 409;
    case Errc::too_large: return 413;
    case Errc::locked:
    case Errc::disk_full: return 503;
    default: return 500;
  }
}

}  // namespace

Endpoint unaudited(Endpoint endpoint) {
  endpoint.audited = false;
  return endpoint;
}

void Endpoints::add(Endpoint endpoint) { all_.push_back(std::move(endpoint)); }

Endpoints::Found Endpoints::find(const std::string& method, const std::string& path) const {
  Found found;
  size_t best = 0;
  const std::string wanted = method == "HEAD" ? "GET" : method;
  for (const Endpoint& endpoint : all_) {
    auto names = match(endpoint.path, path);
    if (!names) continue;
    const bool known = endpoint.method == "*" || endpoint.method == wanted;
    if (!known) found.allowed += (found.allowed.empty() ? "" : ", ") + endpoint.method;
    if (!known || (found.endpoint != nullptr && exactness(endpoint) <= best)) continue;
    best = exactness(endpoint);
    found.endpoint = &endpoint;
    found.names = std::move(*names);
  }
  return found;
}

HttpResponse json_answer(unsigned status, std::string body) { return {status, "application/json", std::move(body), {}}; }

HttpResponse error_answer(unsigned status, const std::string& text) { return json_answer(status, "{\"error\":" + json_string(text) + "}"); }

HttpResponse error_answer(const Error& error) { return error_answer(status_of(error), error.text); }

HttpResponse answer_of(const Result<std::string>& json) { return json ? json_answer(200, *json) : error_answer(json.error()); }

}  // namespace egret::cloud
