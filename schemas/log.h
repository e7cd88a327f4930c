// Log: how both programs write their log.
// Promises: an event (event.h) is a record of fields: for systemd's journal MESSAGE, PRIORITY, EGRET_EVENT and EGRET_<FIELD>;
// anywhere else one line of logfmt on stderr: time, level, event, msg, fields. One event told too often is left out, the count
// is told by the next of its kind, or by the last one when it is quiet again. The latest lines can be asked for.
// Leaves to others: the tables of events (agent/events.h, cloud/events.h), and log() over each (agent/log.h, cloud/log.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/event.h"

namespace egret {

inline constexpr size_t kLogLinesKept = 200;

// `program` is its name in the journal. Call it once, before threads; until then lines go to stderr.
void begin_log(const char* program);
// Lines are written nowhere, and can be asked for: tests, which show them where one fails.
void keep_log_only();
void set_log_level(LogLevel least);
// "debug", "info", "warn", "error", as in both configurations.
LogLevel log_level_of(std::string_view name);

void write_log(Message message);
// Once a second: tells of what was left out when an event is quiet again.
void tend_log();

// The latest kLogLinesKept lines of this run, oldest first, as on stderr.
std::vector<std::string> last_log_lines();

// What one line of logfmt is made of; `left_out`: how many like it were not written.
std::string logfmt(const Message& message, WallTime at, uint64_t left_out);
// The fields of one message for the journal: NAME=value.
std::vector<std::string> journal_fields(const Message& message, std::string_view program, uint64_t left_out);

// Of a service under systemd; else a person may be looking.
bool log_goes_to_journal();

}  // namespace egret
