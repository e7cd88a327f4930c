// Client: one HTTP request to a running agent, over its unix socket or loopback port.
// Promises: blocks at most the time given; an error says whether nobody answers.
// Leaves to others: what is asked (the commands).
#pragma once

#include <string>
#include <string_view>

#include "agent/config.h"
#include "schemas/error.h"

namespace egret::agent::cli {

// Where the agent listens: --socket, --url or the configuration's.
struct Where {
  std::string socket, url, config = "/etc/egret/agent.toml";
};
struct Answer {
  unsigned status = 0;
  std::string body;
};
struct Ask {
  std::string method = "GET", path, content_type, body, idempotency_key, prefer;
};
// Errors: link (nobody answers; the text says how to start the agent), config.
Result<Answer> ask_agent(const Where& where, const Ask& ask);

}  // namespace egret::agent::cli
