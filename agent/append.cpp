#include "agent/append.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace egret::agent {

namespace asio = boost::asio;

asio::awaitable<Result<edge::Places>> append_synced(asio::io_context& io, Writer& writer,
                                                    edge::Unit unit) {
  // Outlives the request: the writer may answer after the client has gone.
  struct Answer {
    explicit Answer(asio::io_context& context)
        : ready(context, asio::steady_timer::time_point::max()) {}
    asio::steady_timer ready;
    Result<edge::Places> result;
  };
  auto answer = std::make_shared<Answer>(io);
  bool taken = writer.append(std::move(unit), [answer](Result<edge::Places> result) {
    answer->result = std::move(result);
    answer->ready.cancel();
  });
  if (!taken) co_return Error{Errc::store_failed, "too much is waiting to be written"};
  boost::system::error_code cancelled;
  co_await answer->ready.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_return std::move(answer->result);
}

}  // namespace egret::agent
