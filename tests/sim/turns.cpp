#include "tests/sim/turns.h"

namespace egret {
namespace {

sim::Turns* turns = nullptr;

}  // namespace

bool turn(Turn t) {
  return turns && turns->taken(t);
}

void mark(Mark m) {
  if (turns) turns->tally().marks[static_cast<size_t>(m)]++;
}

void met_session(size_t state, size_t event) {
  if (turns) turns->tally().session[state * edge::kEventKinds + event]++;
}

void met_ledger(Verdict verdict, RowKind row) {
  if (turns) turns->tally().ledger[static_cast<size_t>(verdict) * kRowKinds + static_cast<size_t>(row)]++;
}

namespace sim {

Turns::Turns(uint64_t seed, const TurnRates& rates, Tally& tally) : chance_(seed), rates_(rates), tally_(tally) {
  turns = this;
}

Turns::~Turns() {
  turns = nullptr;
}

bool Turns::taken(Turn t) {
  const uint16_t rate = rates_[static_cast<size_t>(t)];
  if (rate == 0 || stopped_ || chance_.below(1000) >= rate) return false;
  tally_.turns[static_cast<size_t>(t)]++;
  return true;
}

const char* name_of(Turn turn) {
  static constexpr const char* kNames[] = {
      "tiny_batch", "codec_errs", "dictionary_lost", "always_ahead", "purge_waits", "one_finished",
      "one_block_a_step", "merge_early", "short_lease", "no_credit", "come_back_later", "no_version"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kTurns);
  return kNames[static_cast<size_t>(turn)];
}

const char* name_of(Verdict verdict) {
  static constexpr const char* kNames[] = {"row_missing", "duplicate", "duplicate_fork", "ahead", "undecodable", "no_dictionary",
                                           "no_prefix", "other_prefix", "gap_crosses", "block_crosses", "other_end", "joined",
                                           "appended"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kVerdicts);
  return kNames[static_cast<size_t>(verdict)];
}

const char* name_of(RowKind row) {
  static constexpr const char* kNames[] = {"fresh", "open", "final", "moved", "finished"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kRowKinds);
  return kNames[static_cast<size_t>(row)];
}

const char* name_of(Mark mark) {
  static constexpr const char* kNames[] = {
      "ahead_taken", "ahead_thrown_away", "second_sent", "second_landed", "second_too_early", "cut_again_at_w", "ack_not_earned", "rung_stored", "rung_single",
      "parked_undecodable", "frame_halved", "single_too_large", "parked_too_large", "unparked_all", "unparked_critical",
      "lease_ended", "hello_urgent", "ticket_again_at_once", "ticket_waits", "run_begins_again", "claimed_late", "finished_from_zero",
      "borders_wait", "hello_unsaid", "move_resumed", "move_steps", "epochs_merged", "taken_unreadable",
      "parked_unreadable"};
  static_assert(sizeof(kNames) / sizeof(kNames[0]) == kMarks);
  return kNames[static_cast<size_t>(mark)];
}

}  // namespace sim
}  // namespace egret
