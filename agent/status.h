// Status: what the agent says about itself: JSON for programs, plain words for people.
// Promises: one set of facts; no patient data in it.
// Leaves to others: collecting the facts (daemon), asking for them (cli/status).
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/log.h"
#include "agent/phrases.h"
#include "agent/refusals.h"
#include "edge/session.h"

namespace egret::agent {

struct LaneFacts {
  uint64_t records = 0;  // not acknowledged by the cloud
  uint64_t bytes = 0;    // as stored
  int64_t oldest_s = 0;
};
struct NoticeLine {
  int64_t at_ms = 0;  // UTC
  Message message;
};
struct StatusFacts {
  Facility facility;
  int64_t pid = 0, started_ms = 0, now_ms = 0, since_ms = 0;  // UTC
  std::string store_state;  // "open", "reopening"
  edge::SessionStatus session;
  edge::View view;
  std::array<LaneFacts, kStreamCount> lanes;
  int64_t drain_eta_s = -1;  // -1: not known
  uint64_t disk_used_bytes = 0, disk_budget_bytes = 0, disk_free_bytes = 0;
  double disk_days_left = -1;  // -1: not growing
  uint64_t commits = 0, commit_records = 0, reopens = 0, requests = 0, connections = 0;
  std::optional<Message> lost_tail;  // the disk came back shorter than it was
  std::deque<NoticeLine> notices;
  std::vector<Refusals::Reason> refusals;
};

std::string status_json(const StatusFacts& facts);
// What a person should do about it; empty: nothing.
struct Todo {
  std::string en, zh;
};
std::vector<Todo> todo_of(const StatusFacts& facts);
// The JSON of a running agent in plain words. Error: bad_input when it is no such JSON.
Result<std::string> status_text(ByteView json, Language in = Language::english);

}  // namespace egret::agent
