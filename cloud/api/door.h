// Door: who asks the region's API, and whether they may: before any handler, and before a body is read.
// Promises: an endpoint's handler runs only for a caller that its row of the table names; a token that is wrong is refused
// even where none would be needed; each refusal says what would be let in and nothing of what is behind; a refusal, and
// what changes something, is logged with the token's name, endpoint and status, never an address that was asked for; with a
// desk nothing is shown or changed that is not in the audit log, as audit_desk.h says.
// Leaves to others: what is answered (the handlers), TLS (a proxy in front).
//
// Without a token: on the machine itself, viewer (setting api.anonymous). "On the machine itself" is a loopback peer that
// asks for a loopback host and was not sent on by a proxy: a web page that another host's name leads here is not, nor is
// what a proxy on this machine passes on.
#pragma once

#include "cloud/api/audit_desk.h"
#include "cloud/api/endpoints.h"

namespace egret::cloud {

class Door {
 public:
  // `local_viewer`: who is on the machine itself and shows no token is a viewer.
  Door(Endpoints endpoints, std::filesystem::path tokens, bool local_viewer, std::function<WallTime()> now, std::shared_ptr<AuditDesk> audit = nullptr);

  void answer(const HttpRequest& request, HttpAnswer answer);
  // How large the body of a request may be whose header is `head`.
  size_t body_limit(const HttpRequest& head);
  const Endpoints& endpoints() const { return endpoints_; }

 private:
  struct Judged {
    Endpoints::Found found;
    Caller caller;
    std::function<bool()> still;
    std::optional<HttpResponse> refusal;
  };
  // Whether the token stays one of this role; nothing of the door is needed for it.
  std::function<bool()> asked_again(std::string_view token, Role role) const;
  Judged judge(const HttpRequest& request);
  void audit_read(const HttpRequest& request, Judged judged, AuditEntry entry, HttpAnswer answer);
  void audit_change(const HttpRequest& request, Judged judged, AuditEntry entry, HttpAnswer answer);

  Endpoints endpoints_;
  const std::shared_ptr<Tokens> tokens_;
  const bool local_viewer_;
  const std::function<WallTime()> now_;
  const std::shared_ptr<AuditDesk> audit_;
};

// The table as `GET /api` shows it.
std::string to_json(const Endpoints& endpoints);

}  // namespace egret::cloud
