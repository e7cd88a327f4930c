// Endpoints: the table of what the region's API answers: method, path, for whom, and who does it. One declaration: the door
// (door.h), `GET /api`, the documentation and the matrix test read it.
// Promises: the most exact path wins; a path that is known by another method is told which.
// Leaves to others: who is asking (door.h), answering (handlers).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cloud/api/limits.h"
#include "cloud/api/tokens.h"
#include "cloud/audit.h"
#include "cloud/http.h"

namespace egret::cloud {

// What a handler says of its answer, for the audit log, before it gives it.
struct AuditNote {
  std::string what;                  // more exact than the endpoint: "search Observation"; no value of an address
  std::vector<AuditSubject> about;   // what is shown, or was changed
  bool keep = true;                  // false: nothing of the region was shown
};

// One request, let in. Lives until the handler has returned: what goes on later keeps its own copy.
struct ApiCall {
  const HttpRequest& http;
  Caller caller;
  std::vector<std::string> names;  // what the {} of the path are, percent-encoding undone; last what the * is, as it came
  std::shared_ptr<AuditNote> note = std::make_shared<AuditNote>();
  // For an answer that goes on: is the token that was shown still one of this role? From any thread. Empty: none was shown.
  std::function<bool()> still = {};
};
using ApiHandler = std::function<void(const ApiCall& call, HttpAnswer answer)>;

struct Endpoint {
  std::string method;  // GET (HEAD with it), POST, ...; "*": the handler tells them apart
  std::string path;    // /api/results/{facility}/{id}; a * at the end is the rest, whatever it is
  Roles who;
  std::string does;    // a sentence for the reference
  ApiHandler handler;
  size_t body_bytes = kApiBodyBytesMax;
  // How 401 and 403 are said; none: as JSON.
  std::function<HttpResponse(unsigned status, const std::string& text)> refuse = {};
  bool audited = true;  // false: who asks learns nothing of a record; what is refused is in the log all the same
  // Does this request change something? None: all but GET do.
  std::function<bool(const HttpRequest& request)> changes = {};
};

// The same, whose answers are no reading of records: probes, and counts of sites that pages ask for again and again.
Endpoint unaudited(Endpoint endpoint);

class Endpoints {
 public:
  void add(Endpoint endpoint);
  const std::vector<Endpoint>& all() const { return all_; }

  struct Found {
    const Endpoint* endpoint = nullptr;  // none: see `allowed`
    std::vector<std::string> names;
    std::string allowed;                 // methods that the path has; empty: there is no such path
  };
  Found find(const std::string& method, const std::string& path) const;

 private:
  std::vector<Endpoint> all_;
};

// {"error":text}.
HttpResponse json_answer(unsigned status, std::string body);
HttpResponse error_answer(unsigned status, const std::string& text);
// 400, 404, 409, 413 or 500, by its code.
HttpResponse error_answer(const Error& error);
HttpResponse answer_of(const Result<std::string>& json);

}  // namespace egret::cloud
