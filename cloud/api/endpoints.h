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
#include "cloud/http.h"

namespace egret::cloud {

// One request, let in. Lives until the handler has returned: what goes on later keeps its own copy.
struct ApiCall {
  const HttpRequest& http;
  Caller caller;
  std::vector<std::string> names;  // what the {} of the path are, percent-encoding undone; last what the * is, as it came
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
};

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
