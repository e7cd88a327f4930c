// Buggify: rare moments of the code, for the simulator: turns that it takes on purpose, marks on paths that it counts.
// Promises: in every build but the simulator's own (EGRET_SIM) no turn is taken, a mark is nothing, both compile away.
// Leaves to others: how often a turn is taken, and whether a mark was ever met (tests/sim).
#pragma once

#include <cstddef>
#include <cstdint>

namespace egret {

// Each is lawful at any time: what stands at such a place must bear it.
enum class Turn : uint8_t {
  tiny_batch,        // a batch of one item
  codec_errs,        // one bit of what is sent is not as it was read
  dictionary_lost,   // a batch names a dictionary that nobody has
  always_ahead,      // the next batch is made while one is out, backlog or not
  purge_waits,       // what may be purged is not asked for this time
  one_finished,      // one finished epoch a HELLO
  one_block_a_step,  // a re-homing moves one block in a Batch
  merge_early,       // the smallest epoch is merged although there is room in a HELLO
  short_lease,       // the lease is over at once
  no_credit,         // nothing beyond stream 0
  come_back_later,   // RETRY
  no_version,        // VERSION
  count_
};
inline constexpr size_t kTurns = static_cast<size_t>(Turn::count_);

// A test that no longer reaches one of these is a finding.
enum class Mark : uint8_t {
  ahead_taken,           // the batch made ahead was what came next
  ahead_thrown_away,     // it was not
  second_sent,           // it left before the first was answered
  second_landed,         // and was the first when that had been answered
  second_too_early,      // and was judged before the first
  cut_again_at_w,        // a GAP PURGED of ours crossed W
  ack_not_earned,        // ACK OK above the head, or with another digest
  rung_stored,           // BAD_BODY: sent without compression
  rung_single,           // and again: one block alone
  parked_undecodable,    // and again: parked
  frame_halved,          // a frame did not get through
  single_too_large,      // a single block did not get through
  parked_too_large,      // for an hour
  unparked_all,          // the hourly try
  unparked_critical,     // lane 0's own, each minute
  lease_ended,           // a lease ended while linked
  hello_urgent,          // a HELLO that did not wait its turn
  ticket_again_at_once,  // a new ticket, echoed at once
  ticket_waits,          // a new ticket soon after one: no hurry
  run_begins_again,      // the sid was seen in use elsewhere
  claimed_late,          // a WELCOME that is answered no more says that more was claimed than is held
  finished_from_zero,    // the cloud holds another finished list
  borders_wait,          // after a room purge: until S has passed them
  hello_unsaid,          // a HELLO did not leave
  move_resumed,          // a re-homing that a crash cut short goes on
  move_steps,            // a re-homing in several steps
  epochs_merged,         // a small epoch was moved so that a HELLO can list all
  taken_unreadable,      // a re-homing meets a block that cannot be read
  parked_unreadable,     // a parked block cannot be read when its turn comes
  count_
};
inline constexpr size_t kMarks = static_cast<size_t>(Mark::count_);

// What the ledger can say to a BATCH (es1 section 8), and to what kind of row.
enum class Verdict : uint8_t {
  row_missing, duplicate, duplicate_fork, ahead, undecodable, no_dictionary, no_prefix, other_prefix, gap_crosses, block_crosses,
  other_end, joined, appended,
  count_
};
inline constexpr size_t kVerdicts = static_cast<size_t>(Verdict::count_);
enum class RowKind : uint8_t { fresh, open, final, moved, finished, count_ };
inline constexpr size_t kRowKinds = static_cast<size_t>(RowKind::count_);

#ifdef EGRET_SIM
bool turn(Turn t);
void mark(Mark m);
// One pair of a table of states was met: a session's (state, event).
void met_session(size_t state, size_t event);
void met_ledger(Verdict verdict, RowKind row);
#else
constexpr bool turn(Turn) { return false; }
constexpr void mark(Mark) {}
constexpr void met_session(size_t, size_t) {}
constexpr void met_ledger(Verdict, RowKind) {}
#endif

}  // namespace egret
