#include "edge/session.h"

#include <algorithm>

#include "edge/session_impl.h"
#include "schemas/buggify.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

constexpr MonoTime kNever{INT64_MAX};

}  // namespace

Session::Impl::Impl(SessionConfig c, const Reader& r, NewChannel n, Entropy& e, Memory m, View v,
                    Now t)
    : config(std::move(c)),
      reader(&r),
      new_channel(std::move(n)),
      entropy(&e),
      channel(new_channel()),
      memory(std::move(m)),
      view(std::move(v)),
      since(t.mono),
      why("just started"),
      backoff(config.reconnect_max_ms),
      unpark_critical_at(t.mono + kParkRetryCriticalMs),
      unpark_all_at(t.mono + kParkRetryMs),
      now(t) {
  if (memory.frame_limit_bytes != 0) {
    frame_limit = std::clamp(memory.frame_limit_bytes, kFrameBytesFloor, kFrameBytesAgreedMax);
  }
  run_key = memory.next_region_key;
  wake = t.mono + backoff.next(*entropy, memory.herd_window_ms);
}

Session::Session(SessionConfig config, const Reader& reader, NewChannel new_channel,
                 Entropy& entropy, Memory memory, View view, Now now)
    : impl_(std::make_unique<Impl>(std::move(config), reader, std::move(new_channel), entropy,
                                   std::move(memory), std::move(view), now)) {}
Session::Session(const Session& other, const Reader& reader)
    : impl_(std::make_unique<Impl>(*other.impl_)) {
  impl_->reader = &reader;
}
Session::~Session() = default;

Actions Session::step(const Event& event, Now now) {
  Impl& s = *impl_;
  s.now = now;
  if (mutant(Mutant::wall_clock_timers)) s.now.mono = {now.wall.us / 1000 % 1'700'000'000'000};  // the simulator begins there
  s.out.clear();
  Classified c = s.classify(event);
  s.react(event, c);
  return std::move(s.out);
}

MonoTime Session::next_deadline() const {
  return impl_->next_deadline();
}
void Session::set_vitals(const Vitals& vitals) {
  impl_->vitals = vitals;
}

Seq Session::confirmed(StreamKey key) const {
  auto it = impl_->rows.find(key);
  return it == impl_->rows.end() ? Seq{} : it->second.confirmed;
}
Seq Session::safe(StreamKey key) const {
  auto it = impl_->rows.find(key);
  return it == impl_->rows.end() ? Seq{} : it->second.safe;
}

SessionStatus Session::status() const {
  SessionStatus status = impl_->counts;
  status.state = impl_->state;
  status.since = impl_->since;
  status.why = impl_->why;
  status.linked_since = impl_->connected_at;
  status.link_bytes_per_s = impl_->link_rate.bytes_per_s();
  for (const auto& [key, row] : impl_->rows)
    status.rows.push_back({key, row.cursor, row.confirmed, row.safe,
                           row.ahead_is_out() ? row.ahead->last
                           : row.flight       ? row.flight->last
                                              : row.cursor});
  return status;
}

void Session::Impl::react(const Event& event, Classified& c) {
  met_session(static_cast<size_t>(state), static_cast<size_t>(c.kind));
  switch (reaction_to(state, c.kind)) {
    case Reaction::drop:
      if (c.kind == EventKind::stray_frame) counts.stray_frames++;
      return;
    case Reaction::tick:
      return tick();
    case Reaction::greet:
      return on_connected(std::get<Connected>(event));
    case Reaction::fail: {
      const auto* failed = std::get_if<ConnectFailed>(&event);
      return on_connect_failed(failed ? failed->why : std::get<Disconnected>(event).why, false);
    }
    case Reaction::fail_identity:
      return on_connect_failed(std::get<ConnectFailed>(event).why, true);
    case Reaction::lose:
      return on_lost(std::get<Disconnected>(event).why);
    case Reaction::note_sent:
      return on_published(std::get<Published>(event).token);
    case Reaction::note_unsent:
      return on_unsent(std::get<PublishFailed>(event));
    case Reaction::enter:
    case Reaction::apply:
      return on_welcome(c.welcome);
    case Reaction::hold:
      return on_hold(c.welcome);
    case Reaction::heed:
      return on_late_welcome(c.welcome);
    case Reaction::raise:
      return on_ack(c, true);
    case Reaction::raise_only:
      return on_ack(c, false);
    case Reaction::doubt:
      return on_doubt(c.key, *c.row, c.ack);
    case Reaction::reencode:
      return on_reencode(c.key, *c.row, c.ack);
    case Reaction::hello:
      if (c.kind == EventKind::need_hello) need_hello_last = now.mono;
      want_hello();
      return pump();
    case Reaction::look:
      look(std::get<ViewChanged>(event).view);
      return pump();
    case Reaction::look_quietly:
      return look(std::get<ViewChanged>(event).view);
  }
}

void Session::Impl::enter_state(State next, std::string reason) {
  state = next;
  since = now.mono;
  why = std::move(reason);
}

void Session::Impl::notice(Notice::Kind kind, std::string reason) {
  out.push_back(Notice{kind, std::move(reason)});
}
void Session::Impl::notice(Notice::Kind kind, StreamId lane) {
  out.push_back(Notice{kind, {}, lane});
}
void Session::Impl::remember() {
  out.push_back(Remember{memory});
}

void Session::Impl::tick() {
  switch (state) {
    case State::down:
      if (now.mono < wake) return;
      enter_state(State::connecting, kWhyConnecting);
      wake = now.mono + kConnectTimeoutMs;
      out.push_back(Connect{config.facility + "-" + hex(egret::view(channel->sid()))});
      return;
    case State::connecting:
      if (now.mono < wake) return;
      out.push_back(Disconnect{});
      return on_connect_failed("the broker did not answer in time", false);
    case State::greeting:
      return repeat_hello();
    case State::active:
      return tick_active();
    case State::held:
      if (now.mono < wake) return;
      enter_state(State::greeting, kWhyGreeting);
      return send_hello();
  }
}

void Session::Impl::tick_active() {
  if (now.mono >= lease_ends) {
    mark(Mark::lease_ended);
    enter_state(State::greeting, kWhyLeaseEnded);
    return send_hello();
  }
  if (now.mono >= lease_half) {
    lease_half = kNever;
    want_hello();
  }
  if (now.mono - last_traffic >= kIdleHelloMs) {
    last_traffic = now.mono;
    want_hello();
  }
  if (view.parked_blocks > 0 && now.mono >= unpark_all_at) {
    unpark_all_at = now.mono + kParkRetryMs;
    unpark_critical_at = now.mono + kParkRetryCriticalMs;
    mark(Mark::unparked_all);
    out.push_back(Unpark{std::nullopt});
  } else if (view.parked_blocks > 0 && now.mono >= unpark_critical_at) {
    unpark_critical_at = now.mono + kParkRetryCriticalMs;
    mark(Mark::unparked_critical);
    out.push_back(Unpark{StreamId::critical});
  }
  repeat_hello();
  resend_due();
  pump();
}

void Session::Impl::on_connected(const Connected& event) {
  size_t before = broker_frame_max;
  broker_frame_max = event.frame_bytes_max == 0
                         ? kFrameBytesAgreedMax
                         : std::min(event.frame_bytes_max, kFrameBytesAgreedMax);
  broker = event.broker;
  connected_at = now.mono;
  if (mutant(Mutant::backoff_reset_on_connect)) backoff.link_was_up(kBackoffStableMs);
  if (broker_frame_max > before && view.parked_blocks > 0) out.push_back(Unpark{std::nullopt});
  enter_state(State::greeting, kWhyGreeting);
  send_hello();
}

void Session::Impl::on_connect_failed(const std::string& reason, bool identity) {
  enter_state(State::down, reason);
  int64_t wait = backoff.next(*entropy, memory.herd_window_ms);
  if (identity) {
    wait = kIdentityBackoffMs / 2 + static_cast<int64_t>(entropy->below(kIdentityBackoffMs / 2));
    notice(Notice::Kind::identity_refused, reason);
  }
  wake = now.mono + wait;
}

void Session::Impl::on_lost(const std::string& reason) {
  size_t unconfirmed = 0;
  for (auto& [key, row] : rows) {
    for (const auto* flight : {&row.flight, &row.ahead}) {
      if (*flight && (*flight)->token != 0 && !(*flight)->on_broker)
        unconfirmed = std::max(unconfirmed, (*flight)->frame.size());
    }
  }
  // The broker may let less through than it once did.
  if (unconfirmed > 0 && ++lost_unacked >= kLostBeforeDoubt) memory.largest_acked_bytes = 0;
  for (auto& [key, row] : rows) {
    if (row.flight && !row.flight->on_broker) single_lost(key, row);
    row.flight.reset();
    row.ahead.reset();
    row.in_step = false;
    row.granted = false;
    row.doubted = false;
  }
  given_up.fill(0);
  if (unconfirmed > memory.largest_acked_bytes) halve_frame_limit(unconfirmed);
  backoff.link_was_up(now.mono - connected_at);
  greeting.reset();
  credit = 0;
  connected_at = {};
  enter_state(State::down, reason);
  wake = now.mono + backoff.next(*entropy, memory.herd_window_ms);
  notice(Notice::Kind::link_lost, reason);
}

void Session::Impl::on_published(uint64_t token) {
  if (greeting && greeting->token == token) {
    greeting->repeat_at = now.mono + greeting->wait.next(*entropy);
    return;
  }
  for (auto& [key, row] : rows) {
    if (row.ahead_is_out() && row.ahead->token == token) {
      link_rate.measured(row.ahead->frame.size(), now.mono - row.ahead->sent);
      row.ahead->on_broker = now.mono;
      return;
    }
    if (!row.flight || row.flight->token != token) continue;
    Flight& flight = *row.flight;
    if (!flight.on_broker) link_rate.measured(flight.frame.size(), now.mono - flight.sent);
    flight.on_broker = now.mono;
    flight.retry_at = now.mono + flight.rto.next(*entropy);
    if (mutant(Mutant::purge_on_puback)) out.push_back(Purge{{{key, flight.last, flight.last}}});
    build_ahead(key, row);
    return pump();
  }
}

void Session::Impl::on_unsent(const PublishFailed& event) {
  if (greeting && greeting->token == event.token) {
    mark(Mark::hello_unsaid);
    greeting->repeat_at = now.mono + kHelloSpacingMs;
    return;
  }
  for (auto& [key, row] : rows) {
    if (row.ahead_is_out() && row.ahead->token == event.token) {
      if (event.too_large) halve_frame_limit(row.ahead->frame.size());
      return row.ahead.reset();
    }
    if (!row.flight || row.flight->token != event.token) continue;
    if (event.too_large) return flight_too_large(key, row, true);
    row.flight->retry_at = now.mono + kBackoffFirstMs;
    return;
  }
}

MonoTime Session::Impl::next_deadline() const {
  MonoTime at = kNever;
  auto sooner = [&](MonoTime t) { at = std::min(at, t); };
  switch (state) {
    case State::down:
    case State::connecting:
    case State::held:
      return wake;
    case State::greeting:
      return greeting ? greeting->repeat_at : now.mono;
    case State::active:
      break;
  }
  sooner(lease_ends);
  sooner(lease_half);
  sooner(last_traffic + kIdleHelloMs);
  if (greeting) sooner(greeting->repeat_at);
  if (hello_wanted) sooner(hello_earliest());
  if (pause_until > now.mono) sooner(pause_until);
  if (view.parked_blocks > 0) sooner(std::min(unpark_all_at, unpark_critical_at));
  for (const auto& [key, row] : rows) {
    if (row.flight) sooner(row.flight->retry_at);
  }
  return at;
}

void Session::Impl::start_new_run(std::string reason) {
  mark(Mark::run_begins_again);
  channel = new_channel();
  run_key = memory.next_region_key;
  hello_no = 0;
  unanswered = 0;
  greeting.reset();
  for (auto& [key, row] : rows) {
    row.flight.reset();
    row.ahead.reset();
    row.granted = false;
  }
  notice(Notice::Kind::new_run, std::move(reason));
  enter_state(State::greeting, kWhyGreeting);
  send_hello();
}

}  // namespace egret::edge
