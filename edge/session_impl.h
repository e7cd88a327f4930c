// SessionImpl: the session's inside: its state and its steps, shared by session*.cpp only.
// Promises: none to others. Leaves to others: everything session.h says.
#pragma once

#include <optional>

#include "edge/cut.h"
#include "edge/judge.h"
#include "edge/session.h"

namespace egret::edge {

// A batch that has been handed to the link and is not answered yet.
struct Flight {
  Seq first, last;
  Hash c_last{};
  Nonce nonce{};
  Bytes frame;
  uint64_t token = 0;  // 0: not handed to the link
  bool single = false;           // one item: cannot be cut smaller
  std::optional<Seq> purged_to;  // begins with GAP PURGED up to here
  MonoTime sent;
  std::optional<MonoTime> on_broker;  // PUBACK
  MonoTime retry_at;
  int tries = 1;
  Doubling rto{kRtoMinMs, kRtoMaxMs};
};

// One (epoch, stream) as this session knows it.
struct Row {
  Seq cursor;            // the next batch starts after it; moved by ACK and WELCOME
  Seq confirmed;         // W of a solicited WELCOME
  Seq safe;              // S of it
  Seq cursor_at_hello;   // where the cursor was when the outstanding HELLO left
  bool granted = false;  // the last WELCOME of this connection knew it
  bool doubted = false;  // stopped until its WELCOME
  bool moving = false;   // a re-homing was asked for
  bool stalled = false;  // nothing readable now: wait for a newer view
  Rung rung = Rung::normal;
  std::optional<MonoTime> too_large_since;  // its next single block does not get through
  std::optional<Flight> flight;
  // What follows `flight`, made while that is out. It may be out too, once the broker has `flight`: the line carries one
  // batch of a row at a time, the cloud holds two.
  std::optional<Flight> ahead;
  bool in_step = false;  // on this connection a second batch came before the first: one at a time
  bool ahead_is_out() const { return ahead && ahead->token != 0; }
};

struct Greeting {
  Nonce frame_nonce{};
  Bytes hello_nonce;
  Bytes frame;
  uint64_t token = 0;
  MonoTime repeat_at;
  Doubling wait{kHelloTimeoutMs, kHelloTimeoutMaxMs};
};

// What an event turned out to be.
struct Classified {
  EventKind kind = EventKind::stray_frame;
  es1::Welcome welcome;
  es1::Ack ack;
  StreamKey key;       // of the ACK
  Row* row = nullptr;  // and its row, which is there when it is believed
};

struct Session::Impl {
  SessionConfig config;
  const Reader* reader;
  NewChannel new_channel;
  Entropy* entropy;
  std::shared_ptr<Channel> channel;
  Bytes run_key;  // memory.next_region_key when this run began
  Memory memory;
  View view;
  Vitals vitals;

  State state = State::down;
  MonoTime since;
  MonoTime wake;  // of the present state: backoff, connect timeout, held until
  std::string why;
  Backoff backoff;
  MonoTime connected_at;
  std::string broker;
  size_t broker_frame_max = kFrameBytesAgreedMax;
  size_t cloud_frame_max = kFrameBytesMax;
  size_t frame_limit = kFrameBytesStart;
  MonoTime grow_again;  // a halved limit is not raised before this
  int lost_unacked = 0;  // connections in a row that ended with a batch in the socket, and none acknowledged

  uint64_t hello_no = 0;
  uint64_t ticket = 0;
  MonoTime ticket_at{INT64_MIN / 4};
  std::optional<Greeting> greeting;  // the outstanding HELLO
  int unanswered = 0;                // HELLOs said since a WELCOME was believed
  bool hello_wanted = false;
  bool hello_urgent = false;  // not held back by the spacing: a new ticket, or an epoch the cloud has not heard of
  MonoTime hello_last;
  std::vector<EpochId> greeted_epochs;  // named in the last HELLO
  MonoTime need_hello_last{INT64_MIN / 4};
  size_t acked_since_hello = 0;  // bytes confirmed by ACK since the last HELLO
  MonoTime lease_ends;
  MonoTime lease_half;
  uint32_t credit = 0;
  // Batches that are out and nobody waits for: on credit until a WELCOME is believed, or another of their lane takes their place.
  std::array<uint32_t, kStreamCount> given_up{};
  MonoTime pause_until;
  MonoTime last_traffic;
  uint64_t cloud_finished = 0;  // (i, h_i) as the last WELCOME said
  Bytes cloud_finished_hash;
  bool cloud_finished_known = false;
  MonoTime unpark_critical_at, unpark_all_at;

  std::map<StreamKey, Row> rows;
  Lanes lanes;
  AckTime ack_time;
  LinkRate link_rate;
  std::array<double, kStreamCount> ratio{4, 4, 4, 4};  // raw over compressed, as lately seen
  uint64_t next_token = 1;
  SessionStatus counts;
  Actions out;
  Now now;

  Impl(SessionConfig c, const Reader& r, NewChannel n, Entropy& e, Memory m, View v, Now t);

  // session.cpp: dispatch, connection, states
  void react(const Event& event, Classified& c);
  void enter_state(State next, std::string reason);
  void tick();
  void tick_active();
  void on_connected(const Connected& event);
  void on_connect_failed(const std::string& reason, bool identity);
  void on_lost(const std::string& reason);
  void on_published(uint64_t token);
  void on_unsent(const PublishFailed& event);
  MonoTime next_deadline() const;
  void start_new_run(std::string reason);
  void notice(Notice::Kind kind, std::string why = {});
  void notice(Notice::Kind kind, StreamId lane);
  void remember();

  // session_hello.cpp: HELLO out, WELCOME in
  Classified classify(const Event& event);
  Classified classify_frame(ByteView frame);
  void want_hello(bool urgent = false);
  bool hello_due() const;
  MonoTime hello_earliest() const;
  void send_hello();
  void repeat_hello();
  void say_hello();
  bool key_may_be_gone() const;
  Bytes next_key_after(const es1::Welcome& welcome) const;
  es1::Hello make_hello();
  void list_epochs(es1::Hello& hello);
  void fill_finished(es1::Hello& hello, size_t room);
  void on_welcome(const es1::Welcome& welcome);
  void on_hold(const es1::Welcome& welcome);
  void on_late_welcome(const es1::Welcome& welcome);
  void leave(Row& row, StreamKey key);
  bool take_news(const es1::Welcome& welcome);
  bool sid_in_use_elsewhere(const es1::Welcome& welcome) const;
  void take_terms(const es1::Welcome& welcome);
  void apply_entry(const es1::WelcomeEntry& entry);
  void apply_same(Row& row, const es1::WelcomeEntry& entry, StreamKey key);
  void rehome_listed_gaps(const es1::WelcomeEntry& entry, StreamKey key);
  void ask_purges();

  // session_send.cpp: batches out, ACK in
  void pump();
  Row* next_row(StreamId lane, StreamKey& key);
  bool lane_idle(StreamId lane) const;
  uint32_t flights_on_credit() const;
  Row* next_second(StreamId lane, StreamKey& key);
  bool may_send(const Row& row) const;
  bool fits(const Flight& flight) const;
  bool build_flight(StreamKey key, Row& row);
  bool take_ahead(Row& row);
  void build_ahead(StreamKey key, Row& row);
  std::optional<Cut> cut(StreamKey key, const Row& row, Seq after);
  Flight make_flight(const Cut& cut);
  void publish(StreamKey key, Flight& flight);
  void on_ack(const Classified& c, bool send_on);
  void on_doubt(StreamKey key, Row& row, const es1::Ack& ack);
  void on_reencode(StreamKey key, Row& row, const es1::Ack& ack);
  void came_too_early(Row& row);
  void land(Row& row);
  void recall(StreamKey key, Row& row, ByteView answered = {});
  void raise(Row& row, Seq w);
  void single_lost(StreamKey key, Row& row);
  void park_too_large(StreamKey key, Row& row, Seq first);
  void flight_too_large(StreamKey key, Row& row, bool unsent);
  void resend_due();
  void grow_frame_limit(size_t acked_bytes);
  void halve_frame_limit(size_t size);
  void look(const View& newer);
  Seq end_of(StreamKey key) const;
  void classify_ack(Classified& c);
  size_t frame_cap() const;
};

}  // namespace egret::edge
