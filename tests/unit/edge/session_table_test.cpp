// The state table of the session: complete, and the same as in schemas/es1.md.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "edge/session_table.h"

using namespace egret::edge;

namespace {

std::string table_as_markdown() {
  std::ostringstream out;
  out << "| event |";
  for (size_t s = 0; s < kStates; s++) out << ' ' << name_of(static_cast<State>(s)) << " |";
  out << "\n|---|";
  for (size_t s = 0; s < kStates; s++) out << "---|";
  out << '\n';
  for (size_t e = 0; e < kEventKinds; e++) {
    out << "| " << name_of(static_cast<EventKind>(e)) << " |";
    for (size_t s = 0; s < kStates; s++) {
      out << ' ' << name_of(reaction_to(static_cast<State>(s), static_cast<EventKind>(e))) << " |";
    }
    out << '\n';
  }
  return out.str();
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  size_t from = text.find(begin);
  size_t to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  from += begin.size() + 1;
  return text.substr(from, to - from);
}

}  // namespace

TEST_CASE("schemas/es1.md shows the session's table as it is in the code", "[es1 section 6]") {
  std::ifstream file(std::string(EGRET_SOURCE_DIR) + "/schemas/es1.md");
  std::stringstream text;
  text << file.rdbuf();
  INFO("put this between the two marks in schemas/es1.md:\n" << table_as_markdown());
  CHECK(between(text.str(), "<!-- state table: begin -->", "<!-- state table: end -->") ==
        table_as_markdown());
}

TEST_CASE("every state, event and reaction has a name of its own", "[es1 section 6]") {
  for (size_t a = 0; a < kEventKinds; a++) {
    for (size_t b = 0; b < a; b++) {
      CHECK(std::string(name_of(static_cast<EventKind>(a))) != name_of(static_cast<EventKind>(b)));
    }
  }
  for (size_t a = 0; a <= static_cast<size_t>(Reaction::look_quietly); a++) {
    for (size_t b = 0; b < a; b++) {
      CHECK(std::string(name_of(static_cast<Reaction>(a))) != name_of(static_cast<Reaction>(b)));
    }
  }
}
