#include "agent/doors/answers.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "schemas/chain.h"

namespace egret::agent {
namespace {

namespace asio = boost::asio;

constexpr size_t kKeptMax = 1'024;
constexpr size_t kKeptBytesMax = 4 << 20;

// The request by its content: another body under the same key is another request, and nothing of it
// is lost.
Hash name_of(const HttpRequest& request) {
  std::string all;
  for (const std::string* part : {&request.path, &request.query, &request.media_type,
                                  &request.prefer, &request.idempotency_key}) {
    all += *part + '\n';
  }
  return sha256(all + std::string(view(sha256(request.body))));
}

}  // namespace

struct Answers::Entry {
  explicit Entry(asio::io_context& io) : ready(io, asio::steady_timer::time_point::max()) {}
  asio::steady_timer ready;  // of those who wait for the first
  std::optional<HttpResponse> answer;
};

asio::awaitable<HttpResponse> Answers::once(HttpRequest request, HttpHandler make) {
  if (request.idempotency_key.empty()) {
    HttpResponse answer = co_await make(std::move(request));
    co_return answer;
  }
  Hash name = name_of(request);
  if (auto known = entries_.find(name); known != entries_.end()) {
    std::shared_ptr<Entry> first = known->second;
    boost::system::error_code woken;
    while (!first->answer)
      co_await first->ready.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    co_return *first->answer;
  }
  auto entry = std::make_shared<Entry>(io_);
  entries_[name] = entry;
  try {
    entry->answer = co_await make(std::move(request));
  } catch (...) {
    entry->answer = http_error(503, "store_failed", "the same request, sent before, failed",
                               "send it again in a moment");
    entry->ready.cancel();
    entries_.erase(name);
    throw;
  }
  entry->ready.cancel();
  keep(name, *entry->answer);
  co_return *entry->answer;
}

void Answers::keep(const Hash& name, const HttpResponse& answer) {
  if (!answer.settled || answer.body.size() > kKeptBytesMax) {
    entries_.erase(name);
    return;
  }
  kept_.push_back(name);
  kept_bytes_ += answer.body.size();
  while (kept_.size() > kKeptMax || kept_bytes_ > kKeptBytesMax) {
    auto oldest = entries_.find(kept_.front());
    kept_bytes_ -= oldest->second->answer->body.size();
    entries_.erase(oldest);
    kept_.pop_front();
  }
}

}  // namespace egret::agent
