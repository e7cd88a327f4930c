// The session against a scripted cloud: what it sends, believes and asks for (es1 sections 6, 7,
// 9).
#include "edge/session.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "session_rig.h"

using namespace egret;
using namespace egret::edge;

namespace {

// An event of each kind, as it would come in `state`.
Actions& drive(Rig& rig, EventKind kind) {
  switch (kind) {
    case EventKind::timer:
      rig.fire();
      return rig.last;
    case EventKind::connected:
      return rig.step(Connected{0, "b"});
    case EventKind::connect_failed:
      return rig.step(ConnectFailed{false, "refused"});
    case EventKind::identity_refused:
      return rig.step(ConnectFailed{true, "not authorized"});
    case EventKind::disconnected:
      return rig.step(Disconnected{"gone"});
    case EventKind::published:
      return rig.step(Published{rig.published.empty() ? 99 : rig.published.back().token});
    case EventKind::publish_failed:
      return rig.step(PublishFailed{rig.published.empty() ? 99 : rig.published.back().token, false,
                                    "buffer full"});
    case EventKind::welcome_ok:
      return rig.send(FrameType::welcome, rig.welcome());
    case EventKind::welcome_hold: {
      es1::Welcome w = rig.welcome();
      w.set_status(es1::WELCOME_BLOCKED);
      return rig.send(FrameType::welcome, w);
    }
    case EventKind::welcome_late: {
      es1::Welcome w = rig.welcome();
      w.set_hello_nonce("of before");
      for (es1::WelcomeEntry& entry : *w.mutable_entries()) entry.set_claimed(entry.claimed() + 1);
      return rig.send(FrameType::welcome, w);
    }
    case EventKind::ack_ok:
      return rig.send(FrameType::ack, rig.ack());
    case EventKind::ack_doubt:
      return rig.send(FrameType::ack, rig.ack(es1::ACK_FORK));
    case EventKind::ack_reencode:
      return rig.send(FrameType::ack, rig.ack(es1::ACK_BAD_BODY));
    case EventKind::need_hello:
      return rig.step(
          FrameArrived{need_hello_frame(rig.cloud.sid(), rig.last_nonce(FrameType::batch))});
    case EventKind::stray_frame:
      return rig.step(FrameArrived{"E1 not a frame"});
    case EventKind::view_changed:
      return rig.step(ViewChanged{rig.store.view});
    case EventKind::disk_pressed:
      return rig.step(DiskPressed{});
  }
  return rig.last;
}

// What a reaction must be seen to do. Returns false when it was not.
bool seen(Reaction reaction, EventKind kind, State before, const Rig& rig, size_t hellos,
          size_t batches, uint64_t strays) {
  State after = rig.state();
  bool quiet = rig.last.empty();
  switch (reaction) {
    case Reaction::drop:
      return after == before && quiet &&
             (kind != EventKind::stray_frame || rig.session->status().stray_frames > strays);
    case Reaction::tick:  // what is due: connect, give up connecting, repeat the HELLO, greet again
      return before == State::down         ? after == State::connecting
             : before == State::connecting ? after == State::down
             : before == State::held
                 ? after == State::greeting
                 : after == before &&
                       rig.count(FrameType::hello) + rig.count(FrameType::batch) > hellos + batches;
    case Reaction::greet:
      return after == State::greeting && rig.count(FrameType::hello) == hellos + 1;
    case Reaction::fail:
      return after == State::down;
    case Reaction::fail_identity:
      return after == State::down && rig.all<Notice>().size() == 1 &&
             rig.session->next_deadline() - rig.now.mono >= kIdentityBackoffMs / 2;
    case Reaction::lose:
      return after == State::down && rig.all<Notice>().size() == 1;
    case Reaction::note_sent:
    case Reaction::note_unsent:
      return after == before && rig.all<Publish>().empty();
    case Reaction::enter:
      return after == State::active;
    case Reaction::apply:
      return after == State::active;
    case Reaction::hold:
      return after == State::held;
    case Reaction::heed:
      return after == before && static_cast<int>(rig.all<Rehome>().size()) == rig.last_hello().epochs(0).streams_size() && rig.all<Publish>().empty();
    case Reaction::raise:
      return after == State::active && rig.cursor(key_of(5)).value > 0;
    case Reaction::raise_only:
      return after == State::greeting && rig.count(FrameType::batch) == batches &&
             rig.cursor(key_of(5)).value > 0;
    case Reaction::doubt:
      return after == State::active && rig.count(FrameType::batch) == batches;
    case Reaction::reencode:
      return after == State::active && rig.count(FrameType::batch) == batches + 1;
    case Reaction::hello:
      return after == State::active;
    case Reaction::look:
    case Reaction::look_quietly:
      return after == before && rig.all<Publish>().empty();
  }
  return false;
}

}  // namespace

TEST_CASE("each event in each state does what the table says", "[es1 section 6]") {
  for (size_t s = 0; s < kStates; s++) {
    for (size_t e = 0; e < kEventKinds; e++) {
      auto before = static_cast<State>(s);
      auto kind = static_cast<EventKind>(e);
      Rig rig;
      // One batch is in flight when the state under test is entered, so that ACKs have something to
      // answer.
      rig.store.add(key_of(5), {"a", "b"});
      rig.to(State::active);
      bool from_active = before == State::greeting && kind == EventKind::ack_ok;
      if (from_active) {  // the lease ends while a batch is in flight
        rig.wait(kLeaseMs);
        rig.step(TimerFired{});
      } else if (before != State::active) {
        Rig other;
        other.store.add(key_of(5), {"a", "b"});
        other.to(before);
        other.published.insert(other.published.begin(), rig.published.begin(), rig.published.end());
        INFO(name_of(before) << " x " << name_of(kind));
        REQUIRE(other.state() == before);
        size_t hellos = other.count(FrameType::hello), batches = other.count(FrameType::batch);
        uint64_t strays = other.session->status().stray_frames;
        drive(other, kind);
        CHECK(seen(reaction_to(before, kind), kind, before, other, hellos, batches, strays));
        continue;
      }
      if (kind == EventKind::welcome_ok ||
          kind == EventKind::welcome_hold) {  // needs a HELLO outstanding
        rig.wait(kHelloSpacingMs);
        rig.step(TimerFired{});
      }
      INFO(name_of(before) << " x " << name_of(kind));
      REQUIRE(rig.state() == before);
      size_t hellos = rig.count(FrameType::hello), batches = rig.count(FrameType::batch);
      uint64_t strays = rig.session->status().stray_frames;
      drive(rig, kind);
      CHECK(seen(reaction_to(before, kind), kind, before, rig, hellos, batches, strays));
    }
  }
}

TEST_CASE("a HELLO lists every epoch with what is held, and all streams of the one being written",
          "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.to(State::greeting);
  es1::Hello hello = rig.last_hello();
  REQUIRE(hello.epochs_size() == 1);
  CHECK(hello.epochs(0).streams_size() == static_cast<int>(kStreamCount));
  CHECK(hello.epochs(0).streams(1).head() == 2);
  CHECK(rig.published.back().topic == TopicKind::up_control);
}

TEST_CASE("an unanswered HELLO is repeated byte for byte, ever more slowly", "[es1 section 6]") {
  Rig rig;
  rig.to(State::greeting);
  Bytes first = rig.published.back().frame;
  int64_t wanted = kRtoMinMs;
  for (int i = 0; i < 3; i++, wanted *= 2) {
    rig.step(Published{rig.published.back().token});
    MonoTime asked = rig.now.mono;
    rig.fire();
    int64_t waited = rig.now.mono - asked;
    CHECK(waited >= wanted);
    CHECK(waited <= wanted + wanted / 4);
    CHECK(rig.published.back().frame == first);
  }
}

TEST_CASE("a batch is resent as the same bytes until it is acknowledged", "[es1 section 9]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.to(State::active);
  REQUIRE(rig.count(FrameType::batch) == 1);
  Bytes first = rig.published.back().frame;
  rig.step(Published{rig.published.back().token});
  while (rig.count(FrameType::batch) < 2) rig.fire();
  Bytes again;
  for (const Publish& p : rig.published) {
    if (parse_frame(p.frame)->prefix.type == FrameType::batch) again = p.frame;
  }
  CHECK(again == first);
}

TEST_CASE("the status says which batch is on its way until it is answered", "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.to(State::active);
  auto row = [&] {
    for (const RowStatus& r : rig.session->status().rows) {
      if (r.key == key_of(5)) return r;
    }
    return RowStatus{};
  };
  CHECK(row().cursor == Seq{0});
  CHECK(row().sent == Seq{2});
  rig.send(FrameType::ack, rig.ack());
  CHECK(row().cursor == Seq{2});
  CHECK(row().sent == Seq{2});
}

TEST_CASE("an ACK moves the cursor and never asks for a purge", "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.to(State::active);
  rig.send(FrameType::ack, rig.ack());
  CHECK(rig.cursor(key_of(5)) == Seq{2});
  CHECK(rig.all<Purge>().empty());
  CHECK(rig.session->confirmed(key_of(5)) == Seq{0});
}

TEST_CASE("a WELCOME asks for a purge up to the smaller of W and S", "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.store.add(key_of(5), {"c"});
  rig.start();
  rig.to_active({{key_of(5), {3}}}, {{key_of(5), {2}}});
  std::vector<Purge> purges = rig.all<Purge>();
  REQUIRE(purges.size() == 1);
  CHECK(purges[0].upto.at(0).to == Seq{2});
  CHECK(purges[0].upto.at(0).safe == Seq{2});
}

TEST_CASE("a WELCOME with an old nonce changes nothing", "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), {"a"});
  rig.start();
  rig.to_greeting();
  es1::Welcome old = rig.welcome({{key_of(5), {1}}}, {{key_of(5), {1}}});
  old.set_hello_nonce("12345678");
  rig.send(FrameType::welcome, old);
  CHECK(rig.state() == State::greeting);
  CHECK(rig.last.empty());
}

TEST_CASE("another digest at W means re-homing, and that row stops", "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome({{key_of(5), {2}}});
  w.mutable_entries(1)->set_c("sixteen bytes ..");
  rig.send(FrameType::welcome, w);
  REQUIRE(rig.all<Rehome>().size() == 1);
  CHECK(rig.all<Rehome>()[0].key == key_of(5));
  CHECK(rig.count(FrameType::batch) == 0);
}

TEST_CASE("a claim beyond our head means that we have gone back in time", "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome();
  w.mutable_entries(1)->set_claimed(9);
  rig.send(FrameType::welcome, w);
  CHECK(rig.all<Rehome>().size() == 1);
}

TEST_CASE("a gap in the cloud where data is held sends that data again before a purge",
          "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome({{key_of(5), {2}}}, {{key_of(5), {2}}});
  es1::SeqRange* gap = w.mutable_entries(1)->add_gaps();
  gap->set_first(1);
  gap->set_last(2);
  rig.send(FrameType::welcome, w);
  REQUIRE(rig.all<RehomeBlocks>().size() == 1);
  size_t moved = 0, purged = 0;
  for (size_t i = 0; i < rig.last.size(); i++) {
    if (std::holds_alternative<RehomeBlocks>(rig.last[i])) moved = i;
    if (std::holds_alternative<Purge>(rig.last[i])) purged = i;
  }
  CHECK(moved < purged);
}

TEST_CASE("a cloud that went back gets what is kept once more, and the purged range as a gap",
          "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a", "b"});
  rig.store.add(key_of(5), {"c"});
  StreamView& stream = rig.store.at(key_of(5));
  stream.c_purged = rig.store.items(key_of(5))[0].c_end;
  stream.purged = stream.border = {2};
  rig.start();
  rig.to_active();  // W = 0
  es1::Batch batch = rig.last_batch();
  CHECK(batch.first() == 1);
  CHECK(batch.last() == 3);
  REQUIRE(batch.items_size() == 2);
  CHECK(batch.items(0).gap() == es1::GAP_PURGED);
  CHECK(batch.items(0).count() == 2);
  CHECK(batch.c_from().empty());  // below B nothing is known
}

TEST_CASE("the re-encode ladder ends with the block parked, and the stream moves on",
          "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), {Bytes(300, 'a')});
  rig.to(State::active);
  CHECK(rig.last_batch().codec() == static_cast<uint32_t>(CodecId::zstd));
  rig.send(FrameType::ack, rig.ack(es1::ACK_BAD_BODY));
  CHECK(rig.last_batch().codec() == static_cast<uint32_t>(CodecId::stored));
  rig.send(FrameType::ack, rig.ack(es1::ACK_BAD_BODY));
  rig.send(FrameType::ack, rig.ack(es1::ACK_BAD_BODY));
  REQUIRE(rig.all<Park>().size() == 1);
  CHECK(rig.all<Park>()[0].first == Seq{1});
  CHECK(rig.all<Park>()[0].reason == GapReason::undecodable);
}

TEST_CASE("a sid that is in use elsewhere begins a new run", "[es1 section 6]") {
  Rig rig;
  rig.to(State::greeting);
  es1::Welcome w = rig.welcome();
  w.set_hello_no_seen(w.hello_no_seen() + 3);
  rig.send(FrameType::welcome, w);
  CHECK(rig.runs == 2);
  CHECK(rig.state() == State::greeting);
  CHECK(parse_frame(rig.published.back().frame)->prefix.sid == ClearChannel(2).sid());
}

TEST_CASE("the finished list is sent from where the cloud's copy agrees", "[es1 section 7]") {
  Rig rig;
  rig.store.finished_list = {"one", "two", "three"};
  rig.store.view.finished_count = 3;
  rig.store.view.finished_hash = *rig.store.finished_hash(3);
  rig.start();
  rig.to_greeting();
  CHECK(rig.last_hello().finished().entries_size() == 0);
  CHECK(rig.last_hello().finished().count() == 3);
  CHECK(rig.last_hello().finished().hash() == view(rig.store.view.finished_hash).substr(0, kDigestWireBytes));
  es1::Welcome w = rig.welcome();
  w.set_finished_count(1);
  w.set_finished_hash(Bytes(view(*rig.store.finished_hash(1)).substr(0, kDigestWireBytes)));
  rig.send(FrameType::welcome, w);
  rig.wait(kHelloSpacingMs);
  rig.step(TimerFired{});
  CHECK(rig.last_hello().finished().offset() == 1);
  CHECK(rig.last_hello().finished().entries_size() == 2);
  w = rig.welcome();
  w.set_finished_count(1);
  w.set_finished_hash("another list's..");
  rig.send(FrameType::welcome, w);
  rig.wait(kHelloSpacingMs);
  rig.step(TimerFired{});
  CHECK(rig.last_hello().finished().offset() == 0);
  CHECK(rig.last_hello().finished().entries_size() == 3);
}

TEST_CASE("a new ticket is echoed at once, and a second one within 5 s is not", "[es1 section 6]") {
  Rig rig;
  rig.to(State::active);
  const size_t hellos = rig.count(FrameType::hello);
  CHECK(rig.last_hello().ticket() == 7);
  es1::Welcome w = rig.welcome();
  w.set_ticket(8);
  rig.send(FrameType::welcome, w);
  CHECK(rig.count(FrameType::hello) == hellos);
  rig.wait(kHelloSpacingMs);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::hello) == hellos + 1);
  CHECK(rig.last_hello().ticket() == 8);
}

TEST_CASE("an epoch the cloud has not heard of is told at once, and its data waits for the answer",
          "[es1 section 6]") {
  Rig rig;
  rig.to(State::active);
  rig.send(FrameType::welcome, rig.welcome());  // of the HELLO that echoed the ticket
  size_t hellos = rig.count(FrameType::hello);
  rig.store.add(key_of(9, StreamId::critical), {"urgent"});
  rig.step(ViewChanged{rig.store.view});
  CHECK(rig.count(FrameType::hello) == hellos + 1);
  CHECK(rig.count(FrameType::batch) == 0);
  rig.send(FrameType::welcome, rig.welcome());
  CHECK(rig.count(FrameType::batch) == 1);
  CHECK(rig.published.back().topic == TopicKind::up_control);
}

TEST_CASE("one batch a stream is in flight, and credit bounds the rest", "[es1 section 9]") {
  Rig rig;
  for (StreamId s : {StreamId::critical, StreamId::result, StreamId::telemetry, StreamId::bulk}) {
    rig.store.add(key_of(5, s), {"x"});
    rig.store.add(key_of(5, s), {"y"});
  }
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome();
  w.set_credit(2);
  rig.send(FrameType::welcome, w);
  CHECK(rig.count(FrameType::batch) == 3);  // critical has its own
}

TEST_CASE("a batch of a lane that a late answer makes us leave takes its credit until a WELCOME", "[es1 section 9]") {
  Rig rig;
  for (StreamId s : {StreamId::result, StreamId::telemetry}) rig.store.add(key_of(5, s), {"x"});
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome();
  w.set_credit(1);
  rig.send(FrameType::welcome, w);
  es1::Welcome second = rig.welcome();  // the new ticket's HELLO is answered, and none is out
  second.set_credit(1);
  rig.send(FrameType::welcome, second);
  REQUIRE(rig.count(FrameType::batch) == 1);
  es1::Welcome late = w;
  for (es1::WelcomeEntry& e : *late.mutable_entries()) e.set_claimed(e.stream() == uint32_t(StreamId::result) ? 9 : 0);
  late.set_hello_nonce("12345678");
  rig.send(FrameType::welcome, late);
  REQUIRE(rig.all<Rehome>().size() == 1);
  CHECK(rig.count(FrameType::batch) == 1);
  const size_t hellos = rig.count(FrameType::hello);
  rig.fire();
  REQUIRE(rig.count(FrameType::hello) == hellos + 1);  // asked for, so that the lane that waits does not wait for the lease
  es1::Welcome next = rig.welcome();
  next.set_credit(1);
  rig.send(FrameType::welcome, next);
  CHECK(rig.count(FrameType::batch) == 2);
}

TEST_CASE("nothing is sent after the lease has ended until the cloud has answered again",
          "[es1 section 9]") {
  Rig rig;
  rig.to(State::active);
  rig.wait(kLeaseMs);
  rig.step(TimerFired{});
  CHECK(rig.state() == State::greeting);
  rig.store.add(key_of(5), {"late"});
  rig.step(ViewChanged{rig.store.view});
  CHECK(rig.count(FrameType::batch) == 0);
}

TEST_CASE("an oversized frame that was lost with the link halves the limit", "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), rig.noise(40, 1000));
  rig.to(State::active);
  REQUIRE(rig.published.back().frame.size() > kFrameBytesFloor);
  rig.step(Disconnected{"packet too large"});
  REQUIRE(rig.all<Remember>().size() == 1);
  CHECK(rig.all<Remember>()[0].memory.frame_limit_bytes < kFrameBytesStart);
}

TEST_CASE("a size that passed long ago counts no more when three connections in a row break on it",
          "[es1 section 6]") {
  Rig rig;
  rig.memory.largest_acked_bytes = kFrameBytesMax;
  rig.store.add(key_of(5), rig.noise(40, 1000));
  rig.start();
  for (int lost = 1; lost <= 3; lost++) {
    rig.to_active();
    REQUIRE(rig.published.back().frame.size() > kFrameBytesFloor);
    rig.step(Disconnected{"gone"});
    CHECK(rig.all<Remember>().size() == (lost < 3 ? 0 : 1));
  }
  CHECK(rig.all<Remember>().back().memory.frame_limit_bytes < kFrameBytesStart);
}

TEST_CASE("connections that broke before an ACK came count no more", "[es1 section 6]") {
  Rig rig;
  rig.memory.largest_acked_bytes = kFrameBytesMax;
  const StreamKey key = key_of(5);
  rig.store.add(key, rig.noise(40, 1000));
  rig.start();
  rig.to_active();
  rig.step(Disconnected{"gone"});
  rig.to_active();
  rig.send(FrameType::ack, rig.ack());
  REQUIRE(rig.cursor(key) == Seq{40});
  rig.store.add(key, rig.noise(40, 1000));
  rig.step(ViewChanged{rig.store.view});
  for (int lost = 1; lost <= 3; lost++) {
    if (lost > 1) rig.to_active();
    REQUIRE(rig.published.back().frame.size() > kFrameBytesFloor);
    rig.step(Disconnected{"gone"});
    CHECK(rig.all<Remember>().size() == (lost < 3 ? 0 : 1));
  }
}

TEST_CASE("frames grow beyond their first limit while they are acknowledged", "[es1 section 6]") {
  Rig rig;
  for (int i = 0; i < 12; i++) rig.store.add(key_of(5), rig.noise(40, 1000));
  rig.to(State::active);
  size_t largest = 0;
  for (int i = 0; i < 4; i++) {
    largest = std::max(largest, rig.published.back().frame.size());
    rig.send(FrameType::ack, rig.ack());
  }
  CHECK(largest > kFrameBytesStart);
}

TEST_CASE("a frame that the broker has and nobody answers is too large: soon, or late when its size has passed before",
          "[es1 section 9]") {
  const bool passed_before = GENERATE(false, true);
  Rig rig;
  if (passed_before) rig.memory.largest_acked_bytes = kFrameBytesMax;
  rig.store.add(key_of(5), rig.noise(40, 1000));
  rig.to(State::active);
  size_t answered = 0;
  std::vector<Remember> halved;
  size_t batches = 0;
  // The broker takes everything, the cloud answers HELLOs only.
  for (int turn = 0; halved.empty() && turn < 200; turn++) {
    batches = rig.count(FrameType::batch);
    for (; answered < rig.published.size(); answered++) {
      const Publish sent = rig.published[answered];
      rig.step(Published{sent.token});
      if (parse_frame(sent.frame)->prefix.type == FrameType::hello) rig.send(FrameType::welcome, rig.welcome());
    }
    rig.fire();
    halved = rig.all<Remember>();
  }
  REQUIRE(halved.size() == 1);
  CHECK(halved[0].memory.frame_limit_bytes < kFrameBytesStart);
  CHECK(batches == size_t(passed_before ? kTriesBeforeDoubt : kTriesBeforeTooLarge));
}

TEST_CASE("what could not be sent is sent again soon, and nothing else is", "[es1 section 6]") {
  const size_t failed = GENERATE(0, 1);
  Rig rig;
  for (StreamId s : {StreamId::result, StreamId::telemetry}) rig.store.add(key_of(5, s), {"x"});
  rig.to(State::active);
  REQUIRE(rig.count(FrameType::batch) == 2);
  const StreamId lane = std::array{StreamId::result, StreamId::telemetry}[failed];
  std::vector<Publish> batches;
  for (const Publish& p : rig.published) {
    if (parse_frame(p.frame)->prefix.type == FrameType::batch) batches.push_back(p);
  }
  const Publish& first = rig.last_batch().stream() == uint32_t(lane) ? batches[1] : batches[0];
  rig.step(PublishFailed{first.token, false, "busy"});
  CHECK(rig.count(FrameType::batch) == 2);
  rig.wait(kBackoffFirstMs);
  rig.step(TimerFired{});
  REQUIRE(rig.count(FrameType::batch) == 3);
  CHECK(rig.last_batch().stream() == uint32_t(lane));
}

TEST_CASE("a single block that the broker refuses as too large waits its time, and after an hour is parked and not sent any more", "[es1 section 9]") {
  Rig rig;
  rig.store.add(key_of(5), rig.noise(1, 20'000));
  rig.to(State::active);
  rig.send(FrameType::welcome, rig.welcome());  // the new ticket's HELLO
  REQUIRE(rig.count(FrameType::batch) == 1);
  rig.wait(rig.session->next_deadline() - rig.now.mono - 1);
  rig.step(PublishFailed{rig.published.back().token, true, "too large"});
  rig.wait(1);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::batch) == 1);
  rig.fire();
  REQUIRE(rig.count(FrameType::batch) == 2);
  rig.wait(kParkRetryMs);
  for (int turn = 0; rig.count(FrameType::batch) == 2 && turn < 20; turn++) {
    if (rig.state() == State::greeting) rig.send(FrameType::welcome, rig.welcome());
    if (rig.count(FrameType::batch) == 2) rig.fire();
  }
  REQUIRE(rig.count(FrameType::batch) == 3);
  rig.step(PublishFailed{rig.published.back().token, true, "too large"});
  REQUIRE(rig.all<Park>().size() == 1);
  rig.wait(kHelloSpacingMs - 1);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::batch) == 3);
  Item& parked = rig.store.items(key_of(5))[0];
  parked.gap = GapKind::parked;
  parked.raw.clear();
  rig.step(ViewChanged{rig.store.view});
  for (int turn = 0; rig.count(FrameType::batch) == 3 && turn < 20; turn++) {
    if (rig.state() == State::greeting) rig.send(FrameType::welcome, rig.welcome());
    if (rig.count(FrameType::batch) == 3) rig.fire();
  }
  REQUIRE(rig.count(FrameType::batch) == 4);
  CHECK(rig.last_batch().items(0).gap() == es1::GapKindWire(GapKind::parked));
}

TEST_CASE("a late answer that makes us leave a lane is asked about soon", "[es1 section 9]") {
  Rig rig;
  rig.store.add(key_of(5), {"x"});
  rig.start();
  rig.to_greeting();
  const es1::Welcome w = rig.welcome();
  rig.send(FrameType::welcome, w);
  rig.send(FrameType::welcome, rig.welcome());  // the new ticket's HELLO is answered, and none is out
  es1::Welcome late = w;
  for (es1::WelcomeEntry& e : *late.mutable_entries()) e.set_claimed(e.stream() == uint32_t(StreamId::result) ? 9 : 0);
  late.set_hello_nonce("12345678");
  rig.send(FrameType::welcome, late);
  REQUIRE(rig.all<Rehome>().size() == 1);
  const size_t hellos = rig.count(FrameType::hello);
  rig.wait(kHelloSpacingMs);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::hello) == hellos + 1);
}

TEST_CASE("a single block that is too large is tried anew before its frame is called too large again", "[es1 section 9]") {
  Rig rig;
  rig.store.add(key_of(5), rig.noise(1, 20'000));
  rig.to(State::active);
  size_t answered = 0;
  std::vector<size_t> batches_at_halving;
  for (int turn = 0; batches_at_halving.size() < 2 && turn < 200; turn++) {
    const size_t batches = rig.count(FrameType::batch);
    for (; answered < rig.published.size(); answered++) {
      const Publish sent = rig.published[answered];
      rig.step(Published{sent.token});
      if (parse_frame(sent.frame)->prefix.type == FrameType::hello) rig.send(FrameType::welcome, rig.welcome());
    }
    rig.fire();
    if (!rig.all<Remember>().empty()) batches_at_halving.push_back(batches);
  }
  REQUIRE(batches_at_halving.size() == 2);
  CHECK(batches_at_halving[0] == size_t(kTriesBeforeTooLarge));
  CHECK(batches_at_halving[1] == size_t(2 * kTriesBeforeTooLarge - 1));  // what is kept counts as the first try
}

TEST_CASE("an ACK of what is in flight moves nothing with another digest", "[es1 section 6]") {
  Rig rig;
  const StreamKey key = key_of(5);
  rig.store.add(key, rig.noise(1, 100));
  rig.to(State::active);
  REQUIRE(rig.count(FrameType::batch) == 1);
  es1::Ack ack = rig.ack();
  ack.set_c("sixteen bytes ..");
  rig.send(FrameType::ack, ack);
  CHECK(rig.cursor(key) == Seq{0});
}

TEST_CASE("only a cloud of another version is called one", "[es1 section 6]") {
  for (const auto status : {es1::WELCOME_BLOCKED, es1::WELCOME_VERSION}) {
    Rig rig;
    rig.start();
    rig.to_greeting();
    es1::Welcome welcome = rig.welcome();
    welcome.set_status(status);
    rig.send(FrameType::welcome, welcome);
    const auto notices = rig.all<Notice>();
    const bool version = std::ranges::any_of(notices, [](const Notice& n) { return n.kind == Notice::Kind::version_unknown; });
    CHECK(version == (status == es1::WELCOME_VERSION));
  }
}

TEST_CASE("without compression a frame is as large as what it carries", "[es1 section 6]") {
  Rig rig;
  rig.zstd_level = 0;
  rig.store.add(key_of(5), {Bytes(10'000, 'a')});
  rig.to(State::active);
  REQUIRE(rig.count(FrameType::batch) == 1);
  CHECK(rig.published.back().frame.size() > 10'000);
}

TEST_CASE("an ACK that comes again late takes nothing back", "[es1 section 6]") {
  Rig rig;
  const StreamKey key = key_of(5);
  rig.store.add(key, rig.noise(1, 100));
  rig.to(State::active);
  const es1::Ack first = rig.ack();
  rig.send(FrameType::ack, first);
  REQUIRE(rig.cursor(key) == Seq{1});
  rig.store.add(key, rig.noise(1, 100));
  rig.step(ViewChanged{rig.store.view});
  rig.send(FrameType::ack, rig.ack());
  REQUIRE(rig.cursor(key) == Seq{2});
  rig.send(FrameType::ack, first);
  CHECK(rig.cursor(key) == Seq{2});
}

TEST_CASE("a block that breaks the link for an hour is parked, and the lane goes on", "[es1 section 6]") {
  Rig rig;
  rig.store.add(key_of(5), rig.noise(1, 20'000));
  rig.start();
  const MonoTime begun = rig.now.mono;
  std::vector<Park> parks;
  while (parks.empty() && rig.now.mono - begun < 3 * kParkRetryMs) {
    rig.to_active();
    rig.step(Disconnected{"gone"});
    parks = rig.all<Park>();
  }
  REQUIRE(parks.size() == 1);
  CHECK(parks[0].reason == GapReason::frame_too_large);
  CHECK(rig.now.mono - begun >= kParkRetryMs);
}

TEST_CASE("a link that breaks at once is tried ever more slowly", "[es1 section 9]") {
  Rig rig;
  rig.start();
  std::vector<int64_t> waits;
  for (int i = 0; i < 16; i++) {
    rig.fire();
    REQUIRE(rig.all<Connect>().size() == 1);
    rig.step(Connected{0, "broker"});
    rig.wait(100);
    rig.step(Disconnected{"reset"});
    waits.push_back(rig.session->next_deadline() - rig.now.mono);
  }
  CHECK(*std::max_element(waits.begin(), waits.begin() + 4) < 16'000);
  CHECK(std::accumulate(waits.end() - 6, waits.end(), int64_t{0}) > 120'000);
}

TEST_CASE("after a lost link the first retry is spread over the herd window", "[es1 section 9]") {
  Rig rig;
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome();
  w.set_herd_window_ms(60'000);
  rig.send(FrameType::welcome, w);
  REQUIRE(rig.all<Remember>().size() == 1);
  CHECK(rig.all<Remember>()[0].memory.herd_window_ms == 60'000);
}

TEST_CASE("a block that cannot be read back is named as a gap and its neighbours flow",
          "[es1 section 7]") {
  Rig rig;
  rig.store.add(key_of(5), {"a"});
  rig.store.add(key_of(5), {"b"});
  rig.store.items(key_of(5))[0].unreadable = true;
  rig.to(State::active);
  REQUIRE(rig.all<MarkCorrupt>().size() == 1);
  CHECK(rig.all<MarkCorrupt>()[0].first == Seq{1});
  Item& gone = rig.store.items(key_of(5))[0];
  gone.unreadable = false;
  gone.gap = GapKind::corrupt;
  gone.raw.clear();
  rig.step(ViewChanged{rig.store.view});
  es1::Batch batch = rig.last_batch();
  REQUIRE(batch.items_size() == 2);
  CHECK(batch.items(0).gap() == es1::GAP_CORRUPT);
  CHECK(batch.items(1).gap() == es1::GAP_NONE);
}
