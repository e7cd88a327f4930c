#include "cloud/api/door.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/json_text.h"
#include "cloud/log.h"
#include "schemas/chain.h"

namespace egret::cloud {
namespace {

const std::string& header(const HttpRequest& request, const std::string& name) {
  static const std::string kNone;
  const auto at = request.headers.find(name);
  return at == request.headers.end() ? kNone : at->second;
}

bool on_this_machine(const HttpRequest& request) {
  if (!request.local) return false;
  for (const char* sent_on : {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}) {
    if (!header(request, sent_on).empty()) return false;
  }
  std::string host = header(request, "host");
  if (!host.ends_with(']')) host = host.substr(0, host.rfind(':'));
  return host.empty() || host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

// The token that is shown; nullopt: none is. Another scheme than Bearer is a token that nobody has.
std::optional<std::string> token_in(const HttpRequest& request) {
  const std::string& shown = header(request, "authorization");
  if (shown.empty()) return std::nullopt;
  constexpr std::string_view kBearer = "bearer ";
  const bool bearer = shown.size() > kBearer.size() && std::ranges::equal(shown.substr(0, kBearer.size()), kBearer, {}, [](unsigned char c) { return std::tolower(c); });
  return bearer ? shown.substr(kBearer.size()) : std::string();
}

constexpr const char* kClosed = "the audit log cannot be written, and nothing is shown or changed that would not be in it; the service's log says why";

HttpResponse closed(const Endpoint& endpoint) {
  HttpResponse out = endpoint.refuse ? endpoint.refuse(503, kClosed) : error_answer(503, kClosed);
  if (std::ranges::none_of(out.headers, [](const auto& h) { return h.first == "Retry-After"; })) out.headers.emplace_back("Retry-After", "5");
  return out;
}

// How an entry ends, as the handler and its answer say.
AuditEntry ended(AuditEntry entry, AuditStep step, WallTime at, const AuditNote& note, unsigned status) {
  entry.step = step;
  entry.at = at;
  entry.status = status;
  if (!note.what.empty()) entry.what += ": " + note.what;
  entry.about = note.about;
  std::ranges::sort(entry.about);
  entry.about.erase(std::ranges::unique(entry.about).begin(), entry.about.end());
  return entry;
}

}  // namespace

Door::Door(Endpoints endpoints, std::filesystem::path tokens, bool local_viewer, std::function<WallTime()> now, std::shared_ptr<AuditDesk> audit)
    : endpoints_(std::move(endpoints)), tokens_(std::make_shared<Tokens>(std::move(tokens))), local_viewer_(local_viewer), now_(std::move(now)), audit_(std::move(audit)) {}

Door::Judged Door::judge(const HttpRequest& request) {
  Judged out;
  out.found = endpoints_.find(request.method, request.path);
  const Endpoint* endpoint = out.found.endpoint;
  if (endpoint == nullptr) {
    if (out.found.allowed.empty()) {
      out.refusal = error_answer(404, "there is nothing at this path: GET /api lists what there is");
    } else {
      out.refusal = error_answer(405, "here are only: " + out.found.allowed);
      out.refusal->headers.emplace_back("Allow", out.found.allowed);
    }
    return out;
  }
  const auto refuse = [&](unsigned status, const std::string& text) {
    out.refusal = endpoint->refuse ? endpoint->refuse(status, text) : error_answer(status, text);
    if (status == 401) out.refusal->headers.emplace_back("WWW-Authenticate", "Bearer realm=\"egret\"");
  };
  const auto token = token_in(request);
  const auto known = token ? tokens_->find(*token, now_()) : std::nullopt;
  if (known) {
    out.caller = *known;
    out.still = asked_again(*token, known->role);
  }
  const bool may = known ? endpoint->who.has(known->role) : endpoint->who.open() || (local_viewer_ && endpoint->who.has(Role::viewer) && on_this_machine(request));
  if (token && !known) {
    refuse(401, "this token is nobody's, or it has ended: egret-cloud token list");
  } else if (!may && known) {
    refuse(403, fmt::format("this is for: {}; the token shown is of a {}", endpoint->who.text(), name_of(known->role)));
  } else if (!may) {
    refuse(401, fmt::format("Authorization: Bearer TOKEN is wanted, of: {}; egret-cloud token add makes one", endpoint->who.text()));
  }
  return out;
}

std::function<bool()> Door::asked_again(std::string_view token, Role role) const {
  return [tokens = tokens_, now = now_, hash = sha256(token), role] {
    const auto known = tokens->find(hash, now());
    return known && known->role == role;
  };
}

size_t Door::body_limit(const HttpRequest& head) {
  const Judged judged = judge(head);
  return judged.refusal ? kApiBodyBytesMax : judged.found.endpoint->body_bytes;
}

void Door::answer(const HttpRequest& request, HttpAnswer answer) {
  Judged judged = judge(request);
  const Endpoint* endpoint = judged.found.endpoint;
  if (endpoint == nullptr) return answer(std::move(*judged.refusal));
  const bool changes = endpoint->changes ? endpoint->changes(request) : endpoint->method != "GET";
  AuditEntry entry;
  entry.who = judged.caller.name;
  entry.role = entry.who.empty() ? "" : name_of(judged.caller.role);
  entry.what = endpoint->method + " " + endpoint->path;
  const std::string caller = entry.who.empty() ? "-" : entry.who, role = entry.who.empty() ? "-" : entry.role;
  if (judged.refusal) {
    log("api_refused", Word{caller}, Word{role}, Word{endpoint->method}, Word{endpoint->path}, judged.refusal->status);
    if (audit_) audit_->note(ended(std::move(entry), AuditStep::refused, now_(), {}, judged.refusal->status));
    return answer(std::move(*judged.refusal));
  }
  const HttpAnswer told = [caller, role, endpoint, changes, inner = std::move(answer)](HttpResponse response) {
    const Word who{caller}, as{role}, method{endpoint->method}, path{endpoint->path};
    changes ? log("api_changed", who, as, method, path, response.status) : log("api_read", who, as, method, path, response.status);
    inner(std::move(response));
  };
  if (!audit_ || !endpoint->audited) {
    ApiCall call{request, std::move(judged.caller), std::move(judged.found.names)};
    call.still = std::move(judged.still);
    return endpoint->handler(call, told);
  }
  if (changes) return audit_change(request, std::move(judged), std::move(entry), told);
  audit_read(request, std::move(judged), std::move(entry), told);
}

// Answered at once, and written within kAuditReadMs.
void Door::audit_read(const HttpRequest& request, Judged judged, AuditEntry entry, HttpAnswer answer) {
  if (audit_->closed()) return answer(closed(*judged.found.endpoint));
  ApiCall call{request, std::move(judged.caller), std::move(judged.found.names)};
  call.still = std::move(judged.still);
  const HttpAnswer noted = [audit = audit_, now = now_, note = call.note, entry = std::move(entry), inner = std::move(answer)](HttpResponse response) {
    if (note->keep) audit->note(ended(entry, AuditStep::read, now(), *note, response.status));
    inner(std::move(response));
  };
  judged.found.endpoint->handler(call, noted);
}

// Written before it is begun, and again before it is answered. Nothing of the door is needed for it: the store's thread
// may come to it when the door has gone.
void Door::audit_change(const HttpRequest& request, Judged judged, AuditEntry entry, HttpAnswer answer) {
  const Endpoint* endpoint = judged.found.endpoint;
  entry.step = AuditStep::asked;
  entry.at = now_();
  const auto asked = std::make_shared<HttpRequest>(request);
  const auto go_on = [=, handler = endpoint->handler, refusal = closed(*endpoint), audit = audit_, now = now_, caller = judged.caller, names = judged.found.names](const Result<void>& written) {
    if (!written) return answer(refusal);
    const ApiCall call{*asked, caller, names};
    handler(call, [=, note = call.note](HttpResponse response) {
      // What was done is told, even when it cannot be written how it ended: that it was asked for is in the log.
      audit->write(ended(entry, AuditStep::done, now(), *note, response.status), [=](const Result<void>&) { answer(response); });
    });
  };
  audit_->write(std::move(entry), go_on);
}

std::string to_json(const Endpoints& endpoints) {
  std::string out;
  for (const Endpoint& e : endpoints.all()) {
    out += fmt::format(R"({}{{"method":{},"path":{},"who":{},"does":{}}})", out.empty() ? "" : ",", json_string(e.method), json_string(e.path), json_string(e.who.text()), json_string(e.does));
  }
  return "{\"endpoints\":[" + out + "]}";
}

}  // namespace egret::cloud
