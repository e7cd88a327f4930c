// HELLO out and WELCOME in: the handshake, heartbeat, probe and audit of es1 5.4 and 5.5.
#include <algorithm>

#include "edge/session_impl.h"
#include "schemas/buggify.h"
#include "schemas/mutants.h"

namespace egret::edge {
namespace {

Bytes wire_digest(const Hash& c) {
  return Bytes(egret::view(c).substr(0, kDigestWireBytes));
}

void describe(es1::HelloStream& wire, StreamId id, const StreamView& stream) {
  wire.set_stream(static_cast<uint32_t>(id));
  wire.set_purged(stream.purged.value);
  wire.set_border(stream.border.value);
  wire.set_head(stream.head.value);
  wire.set_c_head(wire_digest(stream.c_head));
  wire.set_moved(stream.moved);
}

}  // namespace

Classified Session::Impl::classify(const Event& event) {
  Classified c;
  struct Kind {
    EventKind operator()(const TimerFired&) { return EventKind::timer; }
    EventKind operator()(const Connected&) { return EventKind::connected; }
    EventKind operator()(const ConnectFailed& e) {
      return e.identity_refused ? EventKind::identity_refused : EventKind::connect_failed;
    }
    EventKind operator()(const Disconnected&) { return EventKind::disconnected; }
    EventKind operator()(const Published&) { return EventKind::published; }
    EventKind operator()(const PublishFailed&) { return EventKind::publish_failed; }
    EventKind operator()(const FrameArrived&) { return EventKind::stray_frame; }
    EventKind operator()(const ViewChanged&) { return EventKind::view_changed; }
    EventKind operator()(const DiskPressed&) { return EventKind::disk_pressed; }
  };
  if (const auto* arrived = std::get_if<FrameArrived>(&event))
    return classify_frame(arrived->frame);
  c.kind = std::visit(Kind{}, event);
  return c;
}

Classified Session::Impl::classify_frame(ByteView bytes) {
  Classified c;
  Result<ParsedFrame> parsed = parse_frame(bytes);
  if (!parsed || parsed->prefix.sid != channel->sid()) return c;
  if (parsed->prefix.type == FrameType::need_hello) {
    bool ours = greeting && greeting->frame_nonce == parsed->prefix.nonce;
    for (const auto& [key, row] : rows)
      for (const auto* flight : {&row.flight, &row.ahead})
        ours |= *flight && (*flight)->token != 0 && (*flight)->nonce == parsed->prefix.nonce;
    if (ours && now.mono - need_hello_last >= kNeedHelloSpacingMs) c.kind = EventKind::need_hello;
    return c;
  }
  Result<Opened> opened = channel->open(bytes);
  if (!opened) return c;
  if (opened->prefix.type == FrameType::welcome && c.welcome.ParseFromString(opened->body)) {
    bool current = greeting && c.welcome.hello_nonce() == greeting->hello_nonce;
    const bool believed = current || (greeting && mutant(Mutant::old_welcome_believed));
    c.kind = !believed ? EventKind::welcome_late
             : c.welcome.status() == es1::WELCOME_OK ? EventKind::welcome_ok : EventKind::welcome_hold;
  } else if (opened->prefix.type == FrameType::ack && c.ack.ParseFromString(opened->body)) {
    classify_ack(c);
  }
  return c;
}

// An answer that is not OK is believed of a batch that is out, and of no other.
void Session::Impl::classify_ack(Classified& c) {
  if (c.ack.stream() >= kStreamCount) return;
  c.key = {{c.ack.epoch()}, static_cast<StreamId>(c.ack.stream())};
  const auto found = rows.find(c.key);
  if (found == rows.end()) return;
  c.row = &found->second;
  if (c.ack.status() == es1::ACK_OK) {
    c.kind = EventKind::ack_ok;
    return;
  }
  bool answers = c.row->flight && egret::view(c.row->flight->nonce) == c.ack.nonce();
  answers |= c.row->ahead_is_out() && egret::view(c.row->ahead->nonce) == c.ack.nonce();
  if (!answers) return;
  const bool reread = c.ack.status() == es1::ACK_BAD_BODY || c.ack.status() == es1::ACK_NEED_DICT;
  c.kind = reread ? EventKind::ack_reencode : EventKind::ack_doubt;
}

void Session::Impl::want_hello(bool urgent) {
  hello_wanted = true;
  hello_urgent |= urgent;
}

MonoTime Session::Impl::hello_earliest() const {
  if (greeting) return greeting->repeat_at;  // one HELLO in flight
  return hello_urgent ? now.mono : hello_last + kHelloSpacingMs;
}

bool Session::Impl::hello_due() const {
  return hello_wanted && now.mono >= hello_earliest();
}

void Session::Impl::send_hello() {
  Greeting g;
  g.wait.reset(std::min(ack_time.rto_ms(), kHelloTimeoutMs));
  g.hello_nonce.resize(8);
  entropy->fill(reinterpret_cast<uint8_t*>(g.hello_nonce.data()), g.hello_nonce.size());
  greeting = std::move(g);
  hello_no++;
  if (hello_urgent) mark(Mark::hello_urgent);
  hello_wanted = hello_urgent = false;
  hello_last = last_traffic = now.mono;
  acked_since_hello = 0;
  for (auto& [key, row] : rows) row.cursor_at_hello = row.cursor;
  Bytes body;
  make_hello().SerializeToString(&body);
  Sealed sealed = channel->seal(FrameType::hello, body);
  greeting->frame_nonce = sealed.nonce;
  greeting->frame = std::move(sealed.frame);
  say_hello();
}

void Session::Impl::say_hello() {
  unanswered++;
  greeting->token = next_token++;
  greeting->repeat_at = now.mono + kConnectTimeoutMs;  // PUBACK brings the real one
  out.push_back(Publish{TopicKind::up_control, greeting->token, greeting->frame});
}

void Session::Impl::repeat_hello() {
  if (!greeting || now.mono < greeting->repeat_at) return;
  if (key_may_be_gone()) return start_new_run(kWhyKeyGone);
  if (state == State::active && hello_wanted) return send_hello();
  say_hello();
}

// A region that does not open what was sealed to an old key of its own cannot say so.
bool Session::Impl::key_may_be_gone() const {
  return !memory.next_region_key.empty() && memory.next_region_key != run_key && unanswered >= kUnansweredBeforeNextKey &&
         !mutant(Mutant::old_key_kept);
}

es1::Hello Session::Impl::make_hello() {
  es1::Hello hello;
  hello.set_hello_nonce(greeting->hello_nonce);
  hello.set_hello_no(hello_no);
  hello.set_ticket(ticket);
  hello.set_proto_min(kProtocolVersion);
  hello.set_proto_max(kProtocolVersion);
  hello.set_store_id(Bytes(egret::view(view.store_id)));
  hello.set_agent_version(config.agent_version);
  hello.set_wall_us(now.wall.us);
  hello.set_mono_ms(static_cast<uint64_t>(now.mono.ms));
  hello.set_boot_id(Bytes(egret::view(config.boot_id)));
  hello.set_packet_limit_bytes(static_cast<uint32_t>(frame_cap()));
  hello.set_link_bytes_per_s(static_cast<uint64_t>(link_rate.bytes_per_s()));
  hello.set_disk_used_permille(vitals.disk_used_permille);
  hello.set_disk_hours_left(vitals.disk_hours_left);
  hello.set_certificate_ends_s(vitals.certificate_ends_s);
  hello.set_accepted_total(view.counters.accepted);
  hello.set_shed_total(view.counters.shed);
  hello.set_refused_total(view.counters.refused);
  hello.set_parked(view.parked_blocks);
  hello.set_w_falls_total(counts.w_falls);
  list_epochs(hello);
  size_t overhead = kFramePrefixBytes + kHelloClearBytes + kTagBytes + kSignatureBytes + 64;
  size_t used = hello.ByteSizeLong() + overhead;
  fill_finished(hello, kHelloBytesMax - std::min(used, kHelloBytesMax));
  return hello;
}

void Session::Impl::list_epochs(es1::Hello& hello) {
  greeted_epochs.clear();
  uint64_t waiting = 0;
  int64_t oldest_us = 0;
  size_t skip = view.epochs.size() > kListedEpochsMax ? view.epochs.size() - kListedEpochsMax : 0;
  for (const EpochView& epoch : view.epochs) {
    if (skip >
        0) {  // only while Buffer has not merged small old ones yet: the newest must be listed
      skip--;
      continue;
    }
    greeted_epochs.push_back(epoch.id);
    es1::HelloEpoch* e = hello.add_epochs();
    e->set_epoch(epoch.id.value);
    e->set_final(epoch.final);
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamView& stream = epoch.streams[i];
      // All streams of the epoch being written: the cloud then has their rows before their first
      // record.
      if (stream.empty() && epoch.final) continue;
      es1::HelloStream* s = e->add_streams();
      describe(*s, static_cast<StreamId>(i), stream);
      StreamKey key{epoch.id, static_cast<StreamId>(i)};
      auto row = rows.find(key);
      Seq from = std::max(stream.purged, row == rows.end() ? Seq{} : row->second.cursor);
      if (stream.moved || from >= stream.head) continue;
      waiting += span(from, stream.head);
      int64_t since_us = reader->waiting(key, from).since.us;
      if (since_us > 0 && (oldest_us == 0 || since_us < oldest_us)) oldest_us = since_us;
    }
  }
  hello.set_waiting_records(waiting);
  if (oldest_us > 0 && now.wall.us > oldest_us) {
    hello.set_oldest_unsynced_ms(static_cast<uint64_t>((now.wall.us - oldest_us) / 1000));
  }
}

void Session::Impl::fill_finished(es1::Hello& hello, size_t room) {
  es1::FinishedPart* part = hello.mutable_finished();
  part->set_count(view.finished_count);
  part->set_hash(wire_digest(view.finished_hash));
  part->set_offset(view.finished_count);
  if (!cloud_finished_known) return;
  std::optional<Hash> ours = reader->finished_hash(cloud_finished);
  bool continues =
      cloud_finished <= view.finished_count && ours && wire_digest(*ours) == cloud_finished_hash;
  uint64_t offset = continues ? cloud_finished : 0;
  if (!continues) mark(Mark::finished_from_zero);
  size_t entries = turn(Turn::one_finished) ? 1 : kFinishedPerHelloMax;
  part->set_offset(offset);
  for (Bytes& entry : reader->finished(offset, entries, room - std::min<size_t>(room, 4096))) {
    part->add_entries(std::move(entry));
  }
}

bool Session::Impl::sid_in_use_elsewhere(const es1::Welcome& welcome) const {
  if (welcome.hello_no_seen() > hello_no) return true;
  return welcome.hello_no_seen() == hello_no && !welcome.hello_no_nonce().empty() &&
         welcome.hello_no_nonce() != greeting->hello_nonce;
}

// What every WELCOME says, whatever its status: the next answer may come after the region went back
// or changed its key, and not know any more what this one says. False: a new run has begun.
bool Session::Impl::take_news(const es1::Welcome& welcome) {
  unanswered = 0;
  for (auto& [key, row] : rows) row.granted = false;
  for (const es1::WelcomeEntry& entry : welcome.entries()) apply_entry(entry);
  given_up.fill(0);  // what it makes us recall, too: it is the region's word about all that was out
  if (sid_in_use_elsewhere(welcome)) {
    start_new_run(kWhyKeysElsewhere);
    return false;
  }
  greeting.reset();
  int64_t herd = static_cast<int64_t>(std::min<uint64_t>(welcome.herd_window_ms(), kBackoffMaxMs));
  Bytes next = next_key_after(welcome);
  if (herd != memory.herd_window_ms || next != memory.next_region_key) {
    memory.herd_window_ms = herd;
    memory.next_region_key = std::move(next);
    remember();
  }
  return true;
}

void Session::Impl::on_welcome(const es1::Welcome& welcome) {
  bool first = state == State::greeting;
  if (!take_news(welcome)) return;
  take_terms(welcome);
  ask_purges();
  if (first) {
    enter_state(State::active, "linked");
    notice(Notice::Kind::linked);
  }
  look(view);
  pump();
}

void Session::Impl::take_terms(const es1::Welcome& welcome) {
  if (welcome.ticket() != ticket) {
    ticket = welcome.ticket();
    // At once: two agents under one identity that greet in turn would never be heard with the
    // current one.
    bool at_once = now.mono - ticket_at >= kHelloSpacingMs;
    mark(at_once ? Mark::ticket_again_at_once : Mark::ticket_waits);
    want_hello(at_once);
    ticket_at = now.mono;
  }
  int64_t lease = welcome.lease_ms() == 0
                      ? kLeaseMs
                      : static_cast<int64_t>(std::min<uint64_t>(welcome.lease_ms(), kLeaseMaxMs));
  lease_ends = now.mono + lease;
  lease_half = now.mono + lease / 2;
  credit = std::min(welcome.credit(), kCreditMax);
  if (welcome.max_batch_bytes() > 0) {
    cloud_frame_max =
        std::clamp<size_t>(welcome.max_batch_bytes(), kFrameBytesFloor, kFrameBytesAgreedMax);
  }
  counts.quarantined = welcome.quarantined_total();
  bool known = mutant(Mutant::finished_believed_once) && cloud_finished_known &&
               cloud_finished == view.finished_count;
  if (!known) {
    cloud_finished = welcome.finished_count();
    cloud_finished_hash = welcome.finished_hash();
    cloud_finished_known = true;
    if (cloud_finished != view.finished_count ||
        cloud_finished_hash != wire_digest(view.finished_hash))
      want_hello();
  }
}

// A region with one key names none: the one that it has just answered to is alive.
Bytes Session::Impl::next_key_after(const es1::Welcome& welcome) const {
  if (mutant(Mutant::next_key_forgotten)) return {};
  if (welcome.next_region_key().size() == sizeof(Key32)) return welcome.next_region_key();
  return mutant(Mutant::answering_key_forgotten) ? Bytes{} : run_key;
}

void Session::Impl::apply_entry(const es1::WelcomeEntry& entry) {
  Verdict verdict = judge(view, *reader, entry);
  if (verdict == Verdict::unknown) return;
  StreamKey key{{entry.epoch()}, static_cast<StreamId>(entry.stream())};
  Row& row = rows[key];
  row.doubted = false;
  if (verdict == Verdict::same) {
    rehome_listed_gaps(entry, key);
    return apply_same(row, entry, key);
  }
  if (verdict == Verdict::elsewhere) return leave(row, key);
  row.flight.reset();
  row.ahead.reset();
  row.cursor = {entry.w()};
  row.granted = row.cursor < end_of(key);
}

// Its numbers stand for something else: what is held goes out under new ones.
void Session::Impl::leave(Row& row, StreamKey key) {
  row.flight.reset();
  row.ahead.reset();
  if (mutant(Mutant::no_rehome) || row.moving) return;
  row.moving = true;
  out.push_back(Rehome{key});
  notice(Notice::Kind::rehomed, key.stream);
}

void Session::Impl::apply_same(Row& row, const es1::WelcomeEntry& entry, StreamKey key) {
  Seq w{entry.w()};
  if (w < row.cursor && w < row.cursor_at_hello) {
    counts.w_falls++;
    notice(Notice::Kind::cloud_went_back, key.stream);
    row.cursor = w;
    recall(key, row);
  } else if (w > row.cursor) {
    row.cursor = w;
    land(row);
  }
  row.granted = true;
  row.confirmed = w;
  row.safe = {entry.s()};
}

// es1 5.5 rule 2: the digest proves history, not possession. What the cloud has as a gap and we
// still hold is sent again under a new number.
void Session::Impl::rehome_listed_gaps(const es1::WelcomeEntry& entry, StreamKey key) {
  if (mutant(Mutant::possession_from_digest)) return;
  for (const es1::SeqRange& gap : entry.gaps()) {
    for (auto [first, last] : reader->held(key, {gap.first()}, {gap.last()})) {
      out.push_back(RehomeBlocks{key, first, last});
      notice(Notice::Kind::gap_resent, key.stream);
    }
  }
}

void Session::Impl::ask_purges() {
  std::vector<PurgeTo> upto;
  if (turn(Turn::purge_waits)) return;
  for (auto& [key, row] : rows) {
    const StreamView* stream = view.find(key);
    if (!row.granted || !stream || stream->moved || row.moving) continue;
    Seq to = mutant(Mutant::purge_to_w) ? row.confirmed : std::min(row.confirmed, row.safe);
    // Nothing new to delete, and no border that waits for S after a room purge.
    if (to <= stream->purged && std::min(row.safe, stream->purged) <= stream->border) continue;
    if (to > stream->head || (to >= stream->border && !reader->c_at(key, to))) continue;
    upto.push_back({key, to, row.safe});
  }
  if (!upto.empty()) out.push_back(Purge{std::move(upto)});
}

// What was claimed was claimed, whenever that is said: the next answer may come after this site has
// given out as many numbers itself, or from a region that has gone back and knows nothing of it.
void Session::Impl::on_late_welcome(const es1::Welcome& welcome) {
  for (const es1::WelcomeEntry& entry : welcome.entries()) {
    if (entry.stream() >= kStreamCount) continue;
    const StreamKey key{{entry.epoch()}, static_cast<StreamId>(entry.stream())};
    const StreamView* stream = view.find(key);
    if (!stream || stream->moved || stream->moving || entry.claimed() <= stream->head.value) continue;
    mark(Mark::claimed_late);
    Row& row = rows[key];
    // The region has not judged what is out, as it has when a HELLO is answered.
    recall(key, row);
    want_hello();
    leave(row, key);
  }
}

void Session::Impl::on_hold(const es1::Welcome& welcome) {
  if (!take_news(welcome)) return;
  ticket = welcome.ticket();
  credit = 0;
  for (auto& [key, row] : rows) {
    recall(key, row);
    row.granted = false;
  }
  int64_t wait = static_cast<int64_t>(std::min<uint64_t>(welcome.retry_after_ms(), kLeaseMaxMs));
  const char* reason = kWhyBusy;
  if (welcome.status() != es1::WELCOME_RETRY) {
    wait = std::max(wait, kHelloTimeoutMaxMs);
    reason = kWhyStopped;
  }
  if (welcome.status() == es1::WELCOME_VERSION) {
    reason = kWhyVersion;
    notice(Notice::Kind::version_unknown, reason);
  }
  wake = now.mono + std::max(wait, kHelloSpacingMs);
  enter_state(State::held, reason);
  notice(Notice::Kind::held, reason);
}

}  // namespace egret::edge
