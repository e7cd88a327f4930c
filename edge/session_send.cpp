// Batches out and ACKs in: sized to what gets through, two of a stream in flight at most (es1
// sections 6 and 9).
#include <algorithm>
#include <numeric>

#include "edge/session_impl.h"
#include "schemas/buggify.h"
#include "schemas/mutants.h"

namespace egret::edge {

// Where a row's data ends: the head; for what was moved or finished, the P up to which a GAP PURGED
// is owed.
Seq Session::Impl::end_of(StreamKey key) const {
  if (const StreamView* stream = view.find(key))
    return stream->moved || stream->moving ? stream->purged : stream->head;
  std::optional<FinishedStreamView> finished = reader->finished_stream(key);
  return finished ? finished->purged : Seq{};
}

size_t Session::Impl::frame_cap() const {
  return std::min({config.frame_bytes_max, broker_frame_max, cloud_frame_max});
}

bool Session::Impl::lane_idle(StreamId lane) const {
  return std::none_of(rows.begin(), rows.end(), [&](const auto& r) {
    return r.first.stream == lane && r.second.flight.has_value();
  });
}

uint32_t Session::Impl::flights_on_credit() const {
  uint32_t flying = std::accumulate(given_up.begin(), given_up.end(), 0U);
  for (const auto& [key, row] : rows) {
    flying += row.flight && key.stream != StreamId::critical;
    flying += row.ahead_is_out();
  }
  return flying;
}

bool Session::Impl::may_send(const Row& row) const {
  return row.granted && !row.doubted && !row.moving && !row.stalled;
}

bool Session::Impl::fits(const Flight& flight) const {
  return flight.frame.size() <= std::min(frame_limit, frame_cap());
}

// The oldest epoch of `lane` that has something to send. Gaps owed for finished epochs come first:
// they are small.
Row* Session::Impl::next_row(StreamId lane, StreamKey& key) {
  auto ready = [&](StreamKey k) -> Row* {
    const auto it = rows.find(k);
    const bool found = it != rows.end() && may_send(it->second) && it->second.cursor < end_of(k);
    return found ? &it->second : nullptr;
  };
  for (auto& [k, row] : rows) {
    if (k.stream != lane || view.find(k)) continue;
    key = k;
    if (Row* r = ready(k)) return r;
  }
  for (const EpochView& epoch : view.epochs) {
    key = {epoch.id, lane};
    if (Row* r = ready(key)) return r;
  }
  return nullptr;
}

// The row of `lane` whose next batch is made and may follow the one that the broker has.
Row* Session::Impl::next_second(StreamId lane, StreamKey& key) {
  for (auto& [k, row] : rows) {
    if (k.stream != lane || !row.flight || !row.flight->on_broker || !row.ahead) continue;
    if (row.ahead_is_out() || row.in_step || !may_send(row) || !fits(*row.ahead)) continue;
    EGRET_INVARIANT(row.ahead->first == row.flight->last.next(), "what is made ahead follows what is out");
    key = k;
    return &row;
  }
  return nullptr;
}

void Session::Impl::pump() {
  if (state != State::active) return;
  if (hello_due()) send_hello();
  if (now.mono >= lease_ends || now.mono < pause_until) return;
  for (;;) {
    std::array<bool, kStreamCount> waits{}, may_send{};
    // Looked up once: it reads the store, which may stop answering at any time.
    std::array<Row*, kStreamCount> next{};
    std::array<StreamKey, kStreamCount> keys{};
    const uint32_t flying = flights_on_credit();
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamId lane = static_cast<StreamId>(i);
      const bool idle = lane_idle(lane);
      next[i] = next_row(lane, keys[i]);
      waits[i] = next[i] != nullptr;
      if (!idle) next[i] = next_second(lane, keys[i]);
      may_send[i] = next[i] && (flying - given_up[i] < credit || (i == 0 && idle));
    }
    std::optional<StreamId> lane = lanes.pick(may_send, waits, now.mono);
    if (!lane) break;
    const StreamKey key = keys[static_cast<size_t>(*lane)];
    Row& row = *next[static_cast<size_t>(*lane)];
    if (row.flight) {
      mark(Mark::second_sent);
      publish(key, *row.ahead);
    } else if (build_flight(key, row)) {
      publish(key, *row.flight);
    }
  }
}

// The batch that follows `after` in a row, sized to what gets through.
std::optional<Cut> Session::Impl::cut(StreamKey key, const Row& row, Seq after) {
  const StreamView* stream = view.find(key);
  CutOrder order;
  order.key = key;
  order.after = after;
  order.head = end_of(key);
  if (stream && !stream->moved && !stream->moving) {
    order.c_head = stream->c_head;
  } else if (std::optional<Hash> c = reader->c_at(key, order.head)) {
    order.c_head = *c;
  }
  order.frame_bytes = std::min(frame_limit, frame_cap());
  if (key.stream != StreamId::critical && link_rate.bytes_per_s() > 0) {
    size_t on_link = static_cast<size_t>(link_rate.bytes_per_s() * kBatchOnLinkMs / 1000);
    order.frame_bytes =
        std::clamp(on_link, std::min(kFrameBytesFloor, order.frame_bytes), order.frame_bytes);
  }
  double& ratio_now = ratio[static_cast<size_t>(key.stream)];
  order.raw_bytes = static_cast<size_t>(static_cast<double>(order.frame_bytes) * ratio_now);
  order.rung = row.rung;
  order.zstd_level = config.zstd_level;
  std::optional<Cut> made = cut_batch(*reader, order);
  if (made && made->raw_bytes > 0 && row.rung == Rung::normal) {
    double seen = static_cast<double>(made->raw_bytes) / static_cast<double>(made->body.size() + 1);
    ratio_now = std::clamp(ratio_now + (seen - ratio_now) / 4, 1.0, 64.0);
  }
  return made;
}

Flight Session::Impl::make_flight(const Cut& cut) {
  Flight flight;
  flight.first = cut.first;
  flight.last = cut.last;
  flight.c_last = cut.c_last;
  flight.single = cut.items == 1;
  flight.purged_to = cut.purged_to;
  flight.rto.reset(ack_time.rto_ms());
  Sealed sealed = channel->seal(FrameType::batch, cut.body);
  flight.nonce = sealed.nonce;
  flight.frame = std::move(sealed.frame);
  return flight;
}

// The next batch of a row. False: nothing could be cut; the row then waits for a newer view.
bool Session::Impl::build_flight(StreamKey key, Row& row) {
  if (take_ahead(row)) return true;
  std::optional<Cut> made = cut(key, row, row.cursor);
  row.stalled = !made || made->items == 0;
  if (!row.stalled) {
    row.flight = make_flight(*made);
    return true;
  }
  if (made && made->unreadable && !mutant(Mutant::unreadable_stops)) {
    out.push_back(MarkCorrupt{key, *made->unreadable});
    notice(Notice::Kind::corrupt_block, key.stream);
  }
  return false;
}

bool Session::Impl::take_ahead(Row& row) {
  if (!row.ahead) return false;
  Flight flight = std::move(*row.ahead);
  row.ahead.reset();
  bool next = flight.first == row.cursor.next() && row.rung == Rung::normal && fits(flight);
  mark(next ? Mark::ahead_taken : Mark::ahead_thrown_away);
  if (!next) return false;
  row.flight = std::move(flight);
  return true;
}

// While a batch of a backlog is out, the next one is made, so that link and cloud need not wait for
// it.
void Session::Impl::build_ahead(StreamKey key, Row& row) {
  Seq after = row.flight->last;
  bool backlog = after < end_of(key) && (reader->waiting(key, after).bytes >= frame_limit / 2 || turn(Turn::always_ahead));
  if (state != State::active || row.ahead || row.rung != Rung::normal || !backlog) return;
  std::optional<Cut> made = cut(key, row, after);
  if (made && made->items > 0) row.ahead = make_flight(*made);
}

void Session::Impl::publish(StreamKey key, Flight& flight) {
  given_up[static_cast<size_t>(key.stream)] = 0;
  flight.token = next_token++;
  flight.sent = now.mono;
  flight.on_broker.reset();
  // Until PUBACK the bytes may still sit in the socket; a PUBACK that never comes is a link that
  // hangs.
  flight.retry_at = now.mono + 2 * kConnectTimeoutMs;
  last_traffic = now.mono;
  counts.frames_sent++;
  counts.bytes_sent += flight.frame.size();
  lanes.sent(key.stream, flight.frame.size(), now.mono);
  TopicKind topic = key.stream == StreamId::critical ? TopicKind::up_control : TopicKind::up_bulk;
  out.push_back(Publish{topic, flight.token, flight.frame});
}

void Session::Impl::resend_due() {
  for (auto& [key, row] : rows) {
    if (!row.flight || now.mono < row.flight->retry_at) continue;
    Flight& flight = *row.flight;
    if (mutant(Mutant::never_resent)) {
      flight.retry_at = {INT64_MAX};
      continue;
    }
    bool passed_before = flight.frame.size() <= memory.largest_acked_bytes;
    int enough = passed_before ? kTriesBeforeDoubt : kTriesBeforeTooLarge;
    if (flight.on_broker && flight.tries >= enough && flight.frame.size() > kFrameBytesFloor) {
      flight_too_large(key, row, false);
      continue;
    }
    flight.tries++;
    if (flight.tries > 2) want_hello();
    counts.frames_resent++;
    publish(key, flight);
  }
}

void Session::Impl::raise(Row& row, Seq w) {
  row.cursor = w;
  row.rung = Rung::normal;
  row.too_large_since.reset();
  if (!row.flight || row.flight->last > w) return;
  Flight& flight = *row.flight;
  acked_since_hello += flight.frame.size();
  if (flight.on_broker && flight.tries == 1) ack_time.measured(now.mono - *flight.on_broker);
  grow_frame_limit(flight.frame.size());
  land(row);
}

// The cursor has moved: what it covers is answered, and what follows takes its place.
void Session::Impl::land(Row& row) {
  if (row.flight && row.flight->last <= row.cursor) row.flight.reset();
  if (row.flight || !row.ahead_is_out()) return;
  Flight second = std::move(*row.ahead);
  row.ahead.reset();
  if (second.first != row.cursor.next()) return;
  mark(Mark::second_landed);
  // Until now it waited for the first: its time begins here.
  if (second.on_broker) {
    second.on_broker = now.mono;
    second.retry_at = now.mono + second.rto.next(*entropy);
  }
  row.flight = std::move(second);
}

// Nobody waits for what is out of this row any more. What has had no answer may be at the broker still.
void Session::Impl::recall(StreamKey key, Row& row, ByteView answered) {
  const auto silent = [&](const Flight& flight) { return egret::view(flight.nonce) != answered; };
  uint32_t& of_lane = given_up[static_cast<size_t>(key.stream)];
  of_lane += row.flight && key.stream != StreamId::critical && silent(*row.flight);
  of_lane += row.ahead_is_out() && silent(*row.ahead);
  row.flight.reset();
  if (row.ahead_is_out()) row.ahead.reset();
}

// The second batch was judged before the first: several reconcilers take from the broker in turn, or
// the first is lost. The first has its timer; the second waits for its answer.
void Session::Impl::came_too_early(Row& row) {
  mark(Mark::second_too_early);
  row.in_step = true;
  row.ahead->token = 0;
  row.ahead->on_broker.reset();
}

void Session::Impl::on_ack(const Classified& c, bool send_on) {
  const es1::Ack& ack = c.ack;
  const StreamKey key = c.key;
  Row& row = *c.row;
  Seq w{ack.w()};
  if (row.moving || w <= row.cursor) return;
  const StreamView* stream = view.find(key);
  Seq end = end_of(key);
  bool known_c = mutant(Mutant::ack_digest_off) || (row.flight && row.flight->last == w &&
                 egret::view(row.flight->c_last).substr(0, kDigestWireBytes) == ack.c());
  if (w > end ||
      !(known_c || digest_agrees(*reader, key, stream ? stream->border : end, w, ack.c()))) {
    if (send_on) mark(Mark::ack_not_earned);
    if (send_on) on_doubt(key, row, ack);
    return;
  }
  raise(row, w);
  if (!send_on) return;
  if (row.flight && row.flight->on_broker) build_ahead(key, row);
  credit = std::min(ack.credit(), kCreditMax);
  if (ack.pause_ms() > 0)
    pause_until = now.mono + std::min<int64_t>(static_cast<int64_t>(ack.pause_ms()), kLeaseMs);
  // Confirmed, but only a WELCOME lets anything be deleted.
  bool nothing_waits = true;
  for (size_t i = 0; i < kStreamCount; i++) {
    StreamKey k;
    nothing_waits &=
        lane_idle(static_cast<StreamId>(i)) && next_row(static_cast<StreamId>(i), k) == nullptr;
  }
  int64_t spacing = nothing_waits ? kHelloSpacingMs : kPurgeHelloSpacingMs;
  if (acked_since_hello > kPurgeHelloBytes && now.mono - hello_last >= spacing) want_hello();
  pump();
}

// GAP, FORK, or an ACK that we cannot have earned: that stream stops until a WELCOME has judged it.
void Session::Impl::on_doubt(StreamKey key, Row& row, const es1::Ack& ack) {
  bool second = row.ahead_is_out() && egret::view(row.ahead->nonce) == ack.nonce();
  if (second && row.flight && ack.status() == es1::ACK_GAP && Seq{ack.w()} >= row.cursor)
    return came_too_early(row);
  bool crosses = ack.status() == es1::ACK_GAP && row.flight && row.flight->purged_to &&
                 Seq{ack.w()} > row.cursor && Seq{ack.w()} < *row.flight->purged_to;
  recall(key, row, ack.nonce());
  if (crosses) mark(Mark::cut_again_at_w);
  if (crosses) {  // our GAP PURGED item crossed W: cut again from there
    row.cursor = {ack.w()};
  } else {
    row.doubted = true;
    want_hello();
  }
  pump();
}

void Session::Impl::on_reencode(StreamKey key, Row& row, const es1::Ack& ack) {
  EGRET_INVARIANT(row.flight, "a second batch is out only while the first is");
  // Of a second batch: it is cut again when its turn comes.
  if (egret::view(row.flight->nonce) != ack.nonce()) return row.ahead.reset();
  Seq first = row.flight->first;
  bool single = row.flight->single;
  recall(key, row, ack.nonce());
  if (row.rung == Rung::single_block && single) {
    row.rung = Rung::normal;
    row.stalled = true;  // until the view shows the gap in its place
    mark(Mark::parked_undecodable);
    out.push_back(Park{key, first, GapReason::undecodable});
    notice(Notice::Kind::parked_unreadable, key.stream);
  } else {
    row.rung = row.rung == Rung::normal ? Rung::stored : Rung::single_block;
    mark(row.rung == Rung::stored ? Mark::rung_stored : Mark::rung_single);
  }
  pump();
}

// This frame does not get through. Cut smaller; a single block is parked when it has been tried for
// an hour.
void Session::Impl::flight_too_large(StreamKey key, Row& row, bool unsent) {
  const Bytes answered(unsent ? egret::view(row.flight->nonce) : ByteView());
  const Seq first = row.flight->first;
  halve_frame_limit(row.flight->frame.size());
  if (!row.flight->single || row.flight->purged_to) {
    recall(key, row, answered);
    return pump();
  }
  mark(Mark::single_too_large);
  if (!row.too_large_since) row.too_large_since = now.mono;
  const bool again = now.mono - *row.too_large_since < kParkRetryMs;
  std::optional<Flight> flight = again ? std::exchange(row.flight, std::nullopt) : std::nullopt;
  recall(key, row, answered);
  if (!flight) return park_too_large(key, row, first);
  flight->retry_at = now.mono + flight->rto.next(*entropy);
  flight->tries = 1;
  flight->on_broker.reset();
  row.flight = std::move(flight);
}

// The link broke with this frame in the socket. A broker may say in this way that it is too large.
void Session::Impl::single_lost(StreamKey key, Row& row) {
  const Flight& flight = *row.flight;
  if (!flight.single || flight.purged_to || flight.frame.size() <= memory.largest_acked_bytes) return;
  if (!row.too_large_since) row.too_large_since = now.mono;
  if (now.mono - *row.too_large_since >= kParkRetryMs) park_too_large(key, row, flight.first);
}

void Session::Impl::park_too_large(StreamKey key, Row& row, Seq first) {
  mark(Mark::parked_too_large);
  row.too_large_since.reset();
  row.stalled = true;
  want_hello();
  out.push_back(Park{key, first, GapReason::frame_too_large});
  notice(Notice::Kind::parked_too_large, key.stream);
}

void Session::Impl::grow_frame_limit(size_t acked_bytes) {
  lost_unacked = 0;
  if (acked_bytes > memory.largest_acked_bytes) {
    memory.largest_acked_bytes = acked_bytes;
    remember();
  }
  size_t cap = frame_cap();
  if (frame_limit < cap && acked_bytes > frame_limit / 2 && now.mono >= grow_again) {
    frame_limit = std::min(frame_limit * 2, cap);
  }
}

void Session::Impl::halve_frame_limit(size_t size) {
  mark(Mark::frame_halved);
  frame_limit = std::max(kFrameBytesFloor, std::min(frame_limit, size) / 2);
  grow_again = now.mono + kFrameGrowRetryMs;
  memory.frame_limit_bytes = frame_limit;
  remember();
}

// Takes what is durable now. Rows of epochs that are gone are forgotten; new epochs are told to the
// cloud.
void Session::Impl::look(const View& newer) {
  if (&newer != &view) view = newer;
  for (auto& [key, row] : rows) {
    row.stalled = false;
    const StreamView* stream = view.find(key);
    if (row.moving && (!stream || stream->moved)) {
      row.moving = false;
      row.granted = false;
      want_hello(true);  // the cloud learns that it moved, and of the epoch it moved to
    }
  }
  std::erase_if(rows, [&](const auto& r) {
    return !view.find(r.first) && !r.second.granted && !r.second.flight && !r.second.moving;
  });
  for (const EpochView& epoch : view.epochs) {
    if (std::find(greeted_epochs.begin(), greeted_epochs.end(), epoch.id) != greeted_epochs.end())
      continue;
    if (state == State::active) want_hello(true);
  }
}

}  // namespace egret::edge
