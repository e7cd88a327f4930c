// Answers: what was answered lately to requests with an Idempotency-Key, so that a repeat is told
// the same and takes nothing in a second time.
// Promises: a repeat (same path, type, key and body) that comes while the first is in hand waits
// for it; only settled answers are kept (HttpResponse::settled), the latest few, in bounded
// memory.
// Leaves to others: repeats that come later or after a restart: they are taken in again, and the
// region keeps one (natural key, es1 section 2).
#pragma once

#include <boost/asio/io_context.hpp>
#include <list>
#include <map>
#include <memory>

#include "agent/doors/http.h"
#include "schemas/types.h"

namespace egret::agent {

class Answers {
 public:
  explicit Answers(boost::asio::io_context& io) : io_(io) {}
  // Made once, whatever `make` is asked for the same request; a request without a key is always
  // made.
  boost::asio::awaitable<HttpResponse> once(HttpRequest request, HttpHandler make);

 private:
  struct Entry;
  void keep(const Hash& name, const HttpResponse& answer);

  boost::asio::io_context& io_;
  std::map<Hash, std::shared_ptr<Entry>> entries_;  // in hand, or kept
  std::list<Hash> kept_;                            // oldest first
  size_t kept_bytes_ = 0;
};

}  // namespace egret::agent
