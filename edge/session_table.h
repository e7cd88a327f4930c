// Session table: what an edge session does on each event in each state, as data (es1 5.4).
// Promises: every (state, event) pair has exactly one entry; schemas/es1.md shows the same table
// and a test holds the two together. Leaves to others: how a reaction is carried out (session.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace egret::edge {

enum class State : uint8_t { down, connecting, greeting, active, held };
inline constexpr size_t kStates = 5;

enum class EventKind : uint8_t {
  timer,             // a deadline has passed
  connected,         // CONNACK and SUBACK of the down topic
  connect_failed,    // refused, subscription refused, timeout
  identity_refused,  // the broker does not accept this site's name
  disconnected,
  published,       // PUBACK
  publish_failed,  // not sent, or refused by the broker
  welcome_ok,      // with the current nonce
  welcome_hold,    // with the current nonce: RETRY, VERSION, BLOCKED
  welcome_late,    // with the nonce of a HELLO that has been answered, or was given up
  ack_ok,
  ack_doubt,     // GAP or FORK
  ack_reencode,  // BAD_BODY or NEED_DICT
  need_hello,
  stray_frame,   // other sid, bad tag, old nonce, undecodable
  view_changed,  // something became durable
  disk_pressed,  // room is short: a newer S would help
};
inline constexpr size_t kEventKinds = 17;

enum class Reaction : uint8_t {
  drop,           // count, nothing else
  tick,           // carry out what is due in this state
  greet,          // first HELLO of the connection -> greeting
  fail,           // down with the reason, backoff
  fail_identity,  // down, alarm, long backoff
  lose,           // down; halve the frame limit if an oversized frame was in the socket
  note_sent,      // the retransmission timer starts here
  note_unsent,    // that frame was not sent: try again
  enter,          // apply 5.5 -> active
  apply,          // apply 5.5, stay
  hold,           // -> held until its time is over
  heed,           // what it says was claimed, and nothing else
  raise,          // ACK OK: cursor up, send on
  raise_only,     // ACK OK while greeting: cursor up if it rises, nothing is sent
  doubt,          // stop that stream, HELLO; or re-cut at W
  reencode,       // next rung of the ladder
  hello,          // say HELLO, data flows on
  look,           // take the new view, send what is due
  look_quietly,   // take the new view
};

const char* name_of(State state);
const char* name_of(EventKind kind);
const char* name_of(Reaction reaction);
Reaction reaction_to(State state, EventKind kind);

}  // namespace egret::edge
