#include "tests/sim/summary.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <span>

#include "tests/sim/turns.h"

namespace egret::sim {
namespace {

using edge::EventKind;
using edge::State;

std::string json_name(std::string name) {
  for (char& c : name) {
    if (c == ' ' || c == ':' || c == '-' || c == ',') c = '_';
  }
  return name;
}

// Why the driver or the session itself never lets this pair happen; nullptr: it can.
const char* unreachable(State state, EventKind event) {
  const bool answer = event == EventKind::welcome_ok || event == EventKind::welcome_hold;
  if (answer && state != State::greeting && state != State::active) return "no HELLO is out: its answer is late";
  if (event == EventKind::welcome_late && state == State::down) return "nothing comes in without a link";
  const bool connects = event == EventKind::connected || event == EventKind::connect_failed || event == EventKind::identity_refused;
  if (connects && state != State::connecting) return "the link says it once, to a session that asked";
  const bool unsent = event == EventKind::publish_failed && (state == State::connecting || state == State::down);
  if (unsent) return "a frame that did not leave says so before the link is cut, or not at all";
  const bool answers = event == EventKind::ack_doubt || event == EventKind::ack_reencode || event == EventKind::need_hello;
  if (answers && state != State::greeting && state != State::active) return "no frame is out that it could answer";
  return nullptr;
}

constexpr const char* unreachable_crossing =
    "W would have to rise while a GAP PURGED is on its way: once in thousands of seeds";

// The same of what can happen; nullptr: it must.
const char* unreachable(Met met) {
  if (met == Met::no_reason) return "every gap that a site makes has a reason";
  return nullptr;
}

const char* unreachable(Verdict verdict) {
  if (verdict == Verdict::gap_crosses) return unreachable_crossing;
  if (verdict == Verdict::no_prefix) return "a site names c_from unless its disk fails in that moment";
  return nullptr;
}

const char* unreachable(Mark mark) {
  if (mark == Mark::cut_again_at_w) return unreachable_crossing;
  return nullptr;
}

std::string pair_name(size_t i) {
  return fmt::format("({}, {})", edge::name_of(State(i / edge::kEventKinds)), edge::name_of(EventKind(i % edge::kEventKinds)));
}

bool pair_excused(size_t i) {
  return unreachable(State(i / edge::kEventKinds), EventKind(i % edge::kEventKinds)) != nullptr;
}

void print_lines(const char* head, std::span<const uint64_t> counts, const auto& name, bool say_never) {
  fmt::print("{}\n", head);
  for (size_t i = 0; i < counts.size(); i++) {
    fmt::print("  {:<32}{:>12}{}\n", name(i), counts[i], counts[i] == 0 && say_never ? "   <- never happened" : "");
  }
}

uint64_t verdict_met(const Tally& tally, size_t verdict) {
  uint64_t n = 0;
  for (size_t r = 0; r < kRowKinds; r++) n += tally.ledger[verdict * kRowKinds + r];
  return n;
}

const auto kMetName = [](size_t i) { return name_of(static_cast<Met>(i)); };
const auto kTurnName = [](size_t i) { return name_of(static_cast<Turn>(i)); };
const auto kMarkName = [](size_t i) { return name_of(static_cast<Mark>(i)); };

}  // namespace

std::vector<std::string> never_met(const Tally& tally) {
  std::vector<std::string> out;
  for (size_t i = 0; i < kMets; i++) {
    if (tally.n[i] == 0 && !unreachable(static_cast<Met>(i))) out.emplace_back(kMetName(i));
  }
  for (size_t i = 0; i < kTurns; i++) {
    if (tally.turns[i] == 0) out.push_back(fmt::format("turn {}", kTurnName(i)));
  }
  for (size_t i = 0; i < kMarks; i++) {
    if (tally.marks[i] == 0 && !unreachable(static_cast<Mark>(i))) out.push_back(fmt::format("mark {}", kMarkName(i)));
  }
  for (size_t i = 0; i < kSessionPairs; i++) {
    if (tally.session[i] == 0 && !pair_excused(i)) out.push_back(fmt::format("session pair {}", pair_name(i)));
  }
  for (size_t v = 0; v < kVerdicts; v++) {
    const auto verdict = static_cast<Verdict>(v);
    if (verdict_met(tally, v) == 0 && !unreachable(verdict)) out.push_back(fmt::format("verdict {}", name_of(verdict)));
  }
  return out;
}

namespace {

// Every verdict must be met; on which rows is shown, for some pairs are rarer than a short run.
void print_ledger(const Tally& tally) {
  fmt::print("ledger: verdicts on rows {:>14}", "");
  for (size_t r = 0; r < kRowKinds; r++) fmt::print("{:>10}", name_of(static_cast<RowKind>(r)));
  for (size_t i = 0; i < kLedgerPairs; i++) {
    if (i % kRowKinds == 0) fmt::print("\n  {:<37}", name_of(static_cast<Verdict>(i / kRowKinds)));
    fmt::print("{:>10}", tally.ledger[i]);
  }
  fmt::print("\n");
}

}  // namespace

void print_summary(const Tally& tally, bool say_never) {
  print_lines("what happened", tally.n, kMetName, say_never);
  print_lines("turns taken on purpose", tally.turns, kTurnName, say_never);
  print_lines("marks on rare paths", tally.marks, kMarkName, say_never);
  fmt::print("comparisons of each invariant\n ");
  for (size_t i = 1; i < kInvariants; i++) {
    if (tally.checked[i] > 0) fmt::print(" I{} {}", i, tally.checked[i]);
  }
  size_t possible = 0, met = 0;
  for (size_t i = 0; i < kSessionPairs; i++) {
    possible += !pair_excused(i);
    met += !pair_excused(i) && tally.session[i] > 0;
  }
  fmt::print("\nsession: {} of {} (state, event) pairs that can happen\n", met, possible);
  print_ledger(tally);
  for (const std::string& name : say_never ? never_met(tally) : std::vector<std::string>{}) {
    fmt::print("never: {}\n", name);
  }
}

std::string summary_json(const Tally& tally) {
  std::string out;
  for (size_t i = 0; i < kMets; i++) out += fmt::format("{}\"{}\":{}", i > 0 ? "," : "", json_name(kMetName(i)), tally.n[i]);
  for (size_t i = 0; i < kTurns; i++) out += fmt::format(",\"turn_{}\":{}", kTurnName(i), tally.turns[i]);
  for (size_t i = 0; i < kMarks; i++) out += fmt::format(",\"mark_{}\":{}", kMarkName(i), tally.marks[i]);
  for (size_t i = 1; i < kInvariants; i++) out += fmt::format(",\"checked_I{}\":{}", i, tally.checked[i]);
  for (size_t i = 0; i < kLedgerPairs; i++) {
    out += fmt::format(",\"ledger_{}_{}\":{}", name_of(static_cast<Verdict>(i / kRowKinds)), name_of(static_cast<RowKind>(i % kRowKinds)),
                       tally.ledger[i]);
  }
  out += ",\"never\":[";
  const std::vector<std::string> never = never_met(tally);
  for (size_t i = 0; i < never.size(); i++) out += fmt::format("{}\"{}\"", i > 0 ? "," : "", never[i]);
  return out + "]";
}

}  // namespace egret::sim
