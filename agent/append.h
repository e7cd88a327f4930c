// Append: how a request waits for the writer.
// Promises: ends after the sync with a place for each record, or with the error of it; the thread
// is free meanwhile.
// Leaves to others: groups and syncs (Writer), what is answered (doors).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/writer.h"

namespace egret::agent {

// The writer's Post hands its jobs to `io`. Errors: store_failed (also: its queue is full),
// disk_full.
boost::asio::awaitable<Result<edge::Places>> append_synced(boost::asio::io_context& io,
                                                           Writer& writer, edge::Unit unit);

}  // namespace egret::agent
