// LogEvent: one thing that a program tells its operators, as a row of the program's table: a stable id, a level, the names of its
// values, what is said, what that means, and what to do.
// Promises: a row with a gap does not compile, nor does a call that names no row or brings another number of values; values are
// of a closed set of types, none of which is free text: what a patient or a producer wrote cannot get into a log.
// Leaves to others: where it is written, and how often (log.h).
#pragma once

#include <boost/core/demangle.hpp>
#include <concepts>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <vector>

#include "schemas/error.h"
#include "schemas/phrase.h"
#include "schemas/types.h"

namespace egret {

enum class LogLevel : uint8_t { debug, info, warn, error, off };
const char* name_of(LogLevel level);

struct LogEvent {
  const char* id;      // [a-z0-9_]; alerts and scripts name it: never given to another
  LogLevel level;
  const char* fields;  // names of the values, in the order of the places: "lane synced holds"
  Phrase text, means, todo;

  consteval LogEvent(const char* name, LogLevel at, const char* values, Phrase says, Phrase meaning, Phrase advice)
      : id(name), level(at), fields(values), text(says), means(meaning), todo(advice) {
    if (!word(name)) throw "an id is one word of a-z, 0-9 and _";
    if (!says.uses_all(count(values))) throw "each place of the text has a field, and each field a place";
    if (meaning.places() != 0 || advice.places() != 0) throw "what it means and what to do hold no values";
  }
  static constexpr bool word(std::string_view name) {
    for (char c : name) {
      if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return !name.empty();
  }
  static constexpr int count(std::string_view names) {
    int n = names.empty() ? 0 : 1;
    for (char c : names) n += c == ' ';
    return n;
  }
};

// A name out of a small alphabet: a facility, an account, a command, a path of the API. Anything else is not shown.
struct Word {
  std::string_view text;
};
// What a broker, the operating system or a library gave as its reason.
struct Told {
  std::string text;
};

class LogValue {
 public:
  template <std::integral T>
  LogValue(T n) : text_(std::to_string(n)) {}
  template <std::same_as<StreamId> T>
  LogValue(T lane) : text_(name_of(lane)), lane_(lane) {}
  template <std::same_as<Hash> T>
  LogValue(const T& hash) : text_(hex(view(hash))) {}
  template <std::same_as<Error> T>
  LogValue(const T& error) : text_(error.text) {}
  template <std::same_as<std::error_code> T>
  LogValue(const T& error) : text_(error.message()) {}
  template <std::same_as<std::filesystem::path> T>
  LogValue(const T& path) : text_(path.string()) {}
  template <std::same_as<Word> T>
  LogValue(const T& word) : text_(plain(word.text)) {}
  template <std::same_as<Told> T>
  LogValue(const T& told) : text_(told.text), told_(true) {}
  // Its type: what an exception says may hold what was being read. An error of the system says what that said.
  template <std::same_as<std::exception> T>
  LogValue(const T& e) : text_(boost::core::demangle(typeid(e).name())) {
    if (const auto* system = dynamic_cast<const std::system_error*>(&e)) text_ += ": " + system->code().message();
  }

  const std::string& text() const { return text_; }
  std::optional<StreamId> lane() const { return lane_; }
  bool told() const { return told_; }

 private:
  static std::string plain(std::string_view text);
  std::string text_;
  std::optional<StreamId> lane_;
  bool told_ = false;
};

// An event and what filled its places, to be said now or later.
struct Message {
  const LogEvent* event = nullptr;
  std::vector<LogValue> values;
  std::string text() const;  // English
};
// `pattern` with {0}, {1}, … filled in.
std::string filled(std::string_view pattern, std::span<const std::string> values);

// The row of `table` that is called `id`; nullptr: none.
template <class Table>
constexpr const LogEvent* find_event(const Table& table, std::string_view id) {
  for (const LogEvent& event : table) {
    if (id == event.id) return &event;
  }
  return nullptr;
}
// What the first argument of log() turns into, at compile time.
template <const auto& kTable, class... Args>
struct EventNamed {
  consteval EventNamed(const char* id) : event(find_event(kTable, id)) {
    if (event == nullptr) throw "no such event in the table";
    if (LogEvent::count(event->fields) != sizeof...(Args)) throw "as many values as the event has fields";
  }
  const LogEvent* event;
};

// ---- for whoever asks what an event means ----

// All of one event in plain words; in English what has no translation.
std::string explained(const LogEvent& event, Language in);
// [{"id","level","fields":[…],"text","means","todo"}]
std::string list_json(std::span<const LogEvent> events);
// One line an event: id, level, text.
std::string list_text(std::span<const LogEvent> events, Language in);

}  // namespace egret
