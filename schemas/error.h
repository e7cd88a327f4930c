// Error: what the outside world can cause, as a value: a closed list of codes and one sentence for a person.
// Promises: the sentence names the field, the limit and the size met, and never holds a patient's data.
// Leaves to others: which HTTP status or exit code a code becomes (agent/doors, cli).
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

namespace egret {

enum class Errc {
  bad_input = 1,       // a value is missing, of the wrong type, or against its rule
  too_large,           // over a limit of limits.h
  unknown_kind,        // well formed, but not of a kind or version this program knows
  lane_full,           // telemetry over its share (429)
  disk_full,           // no room for a result (507)
  store_failed,        // a write or sync failed (503)
  corrupt,             // stored bytes are not what was written
  not_found,
  bad_frame,           // prefix, length or tag
  bad_signature,
  unknown_session,
  unsupported,         // version, suite, codec or dictionary not known here
  conflict,            // compare-and-set lost
  unknown_outcome,     // a commit whose fate nobody can tell
  newer_format,        // the store was written by a newer program (exit 78)
  locked,              // another process holds it
  config,              // a setting is wrong: file, line and key are in the text
  link,                // network, broker
  wrong_facility,      // a statement of another facility than the one that sent it
};

struct Error {
  Errc code = Errc::bad_input;
  std::string text;
};

template <class T>
using Result = boost::system::result<T, Error>;

// result::value() on an error: only main() catches it.
[[noreturn]] inline void throw_exception_from_error(const Error& e, const boost::source_location&) {
  throw std::runtime_error(e.text);
}

// An invariant on the path of durability: a wrong purge must stop the program, not continue. On in every build.
[[noreturn]] void invariant_failed(const char* what, const char* file, int line);
#define EGRET_INVARIANT(condition, what) \
  ((condition) ? void(0) : ::egret::invariant_failed(what, __FILE__, __LINE__))

}  // namespace egret
