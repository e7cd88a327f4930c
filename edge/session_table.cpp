#include "edge/session_table.h"

namespace egret::edge {
namespace {

using R = Reaction;

// Rows: State; columns: EventKind, in the order of the enum.
constexpr Reaction kTable[kStates][kEventKinds] = {
    // down
    {R::tick, R::drop, R::drop, R::drop, R::drop, R::drop, R::drop, R::drop, R::drop, R::heed,
     R::drop, R::drop, R::drop, R::drop, R::drop, R::look_quietly, R::drop},
    // connecting
    {R::tick, R::greet, R::fail, R::fail_identity, R::fail, R::drop, R::drop, R::drop, R::drop,
     R::heed, R::drop, R::drop, R::drop, R::drop, R::drop, R::look_quietly, R::drop},
    // greeting
    {R::tick, R::drop, R::drop, R::drop, R::lose, R::note_sent, R::note_unsent, R::enter, R::hold,
     R::heed, R::raise_only, R::drop, R::drop, R::drop, R::drop, R::look_quietly, R::drop},
    // active
    {R::tick, R::drop, R::drop, R::drop, R::lose, R::note_sent, R::note_unsent, R::apply, R::hold,
     R::heed, R::raise, R::doubt, R::reencode, R::hello, R::drop, R::look, R::hello},
    // held
    {R::tick, R::drop, R::drop, R::drop, R::lose, R::note_sent, R::note_unsent, R::drop, R::drop,
     R::heed, R::drop, R::drop, R::drop, R::drop, R::drop, R::look_quietly, R::drop},
};

}  // namespace

const char* name_of(State state) {
  static constexpr const char* kNames[kStates] = {"down", "connecting", "greeting", "active",
                                                  "held"};
  return kNames[static_cast<size_t>(state)];
}

const char* name_of(EventKind kind) {
  static constexpr const char* kNames[kEventKinds] = {
      "timer",        "connected",   "connect_failed", "identity_refused",
      "disconnected", "published",   "publish_failed", "welcome_ok",
      "welcome_hold", "welcome_late", "ack_ok",        "ack_doubt",
      "ack_reencode", "need_hello",  "stray_frame",    "view_changed",
      "disk_pressed"};
  return kNames[static_cast<size_t>(kind)];
}

const char* name_of(Reaction reaction) {
  static constexpr const char* kNames[] = {
      "drop",       "tick",        "greet",    "fail",  "fail_identity", "lose",
      "note_sent",  "note_unsent", "enter",    "apply", "hold",          "heed",
      "raise",      "raise_only",  "doubt",    "reencode", "hello",      "look",
      "look_quietly"};
  return kNames[static_cast<size_t>(reaction)];
}

Reaction reaction_to(State state, EventKind kind) {
  return kTable[static_cast<size_t>(state)][static_cast<size_t>(kind)];
}

}  // namespace egret::edge
