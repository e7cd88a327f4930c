// Client: one HTTP request to a running agent, over its unix socket or loopback port.
// Promises: blocks at most the time given; an error says what keeps it from asking, and what to
// do.
// Leaves to others: what is asked (the commands).
#pragma once

#include <chrono>
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
  std::string method = "GET", path = {}, content_type = {}, body = {}, idempotency_key = {},
              prefer = {};
  std::chrono::seconds time{10};
};
// Errors: link (nobody answers, or not in time), config.
Result<Answer> ask_agent(const Where& where, const Ask& ask);
// The message and advice of an error answer; its text as it is when it is none.
std::string error_text_of(const Answer& answer);
// Answers that will be others in a while: 429, 503, 507.
bool try_later(const Answer& answer);

}  // namespace egret::agent::cli
