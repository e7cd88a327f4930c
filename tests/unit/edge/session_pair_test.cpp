// Two batches of a row in flight: when the second leaves, and what becomes of it (es1 section 6).
#include <catch2/catch.hpp>

#include "session_rig.h"

using namespace egret;
using namespace egret::edge;

namespace {

const StreamKey kRow = key_of(5);

struct PairRig : Rig {
  // A backlog of many frames, linked: the first batch is out.
  void start_with_backlog() {
    for (const Bytes& r : noise(60, 20'000)) store.add(kRow, {r});
    to(State::active);
    send(FrameType::welcome, welcome());  // of the HELLO that echoes the ticket
    REQUIRE(batches().size() == 1);
  }
  // And on the broker: the second is out too.
  void start_with_pair() {
    start_with_backlog();
    on_broker(0);
    REQUIRE(batches().size() == 2);
  }
  std::vector<Publish> batches() const {
    std::vector<Publish> out;
    for (const Publish& p : published) {
      if (parse_frame(p.frame)->prefix.type == FrameType::batch) out.push_back(p);
    }
    return out;
  }
  es1::Batch batch(size_t i) const {
    const Publish sent = batches().at(i);
    const Result<ParsedFrame> frame = parse_frame(sent.frame);
    es1::Batch out;
    out.ParseFromArray(frame->sealed.data(), static_cast<int>(frame->sealed.size() - kTagBytes));
    return out;
  }
  void on_broker(size_t i) { step(Published{batches().at(i).token}); }
  void answer(size_t i, es1::AckStatus status, uint64_t w, uint32_t credit = kCreditMax) {
    es1::Ack ack;
    ack.set_nonce(Bytes(egret::view(parse_frame(batches().at(i).frame)->prefix.nonce)));
    ack.set_epoch(kRow.epoch.value);
    ack.set_stream(static_cast<uint32_t>(kRow.stream));
    ack.set_status(status);
    ack.set_w(w);
    if (auto c = store.c_at(kRow, {w})) ack.set_c(Bytes(egret::view(*c).substr(0, kDigestWireBytes)));
    ack.set_credit(credit);
    send(FrameType::ack, ack);
  }
};

}  // namespace

TEST_CASE("a second batch leaves when the broker has the first, a third only when the first is answered", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_backlog();
  rig.step(ViewChanged{rig.store.view});
  CHECK(rig.batches().size() == 1);  // the line carries one at a time
  rig.on_broker(0);
  REQUIRE(rig.batches().size() == 2);
  CHECK(rig.batch(1).first() == rig.batch(0).last() + 1);
  CHECK(rig.batch(1).c_from() == rig.batch(0).c_last());
  for (const RowStatus& row : rig.session->status().rows) {
    if (row.key == kRow) CHECK(row.sent.value == rig.batch(1).last());
  }
  rig.on_broker(1);
  CHECK(rig.batches().size() == 2);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  REQUIRE(rig.batches().size() == 3);
  CHECK(rig.batch(2).first() == rig.batch(1).last() + 1);
}

TEST_CASE("the first is answered before the broker has the second: a third waits for that", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  CHECK(rig.batches().size() == 2);
  rig.on_broker(1);
  CHECK(rig.batches().size() == 3);
}

TEST_CASE("nothing is out any more of a stream that another history has taken", "[es1 section 7]") {
  PairRig rig;
  rig.start_with_pair();
  rig.on_broker(1);
  rig.wait(kHelloSpacingMs);
  rig.step(DiskPressed{});
  es1::Welcome other = rig.welcome();
  for (es1::WelcomeEntry& entry : *other.mutable_entries()) {
    if (entry.stream() == static_cast<uint32_t>(kRow.stream)) entry.set_claimed(1'000'000);  // more than this site has
  }
  rig.send(FrameType::welcome, other);
  REQUIRE(rig.all<Rehome>().size() == 1);
  rig.step(PublishFailed{rig.batches()[1].token, true, "too large"});
  CHECK(rig.all<Remember>().empty());
  rig.answer(1, es1::ACK_GAP, 0);
  CHECK(rig.batches().size() == 2);
}

TEST_CASE("an ACK that reaches the end of the second answers both", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.answer(1, es1::ACK_OK, rig.batch(1).last());
  CHECK(rig.cursor(kRow) == Seq{rig.batch(1).last()});
  REQUIRE(rig.batches().size() == 3);
  CHECK(rig.batch(2).first() == rig.batch(1).last() + 1);
}

TEST_CASE("a second batch that is judged first waits for its turn, and this connection then goes in step", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.on_broker(1);
  const size_t hellos = rig.count(FrameType::hello);
  rig.answer(1, es1::ACK_GAP, 0);
  CHECK(rig.batches().size() == 2);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  REQUIRE(rig.batches().size() == 3);
  CHECK(rig.batches()[2].frame == rig.batches()[1].frame);
  rig.on_broker(2);
  CHECK(rig.batches().size() == 3);
  CHECK(rig.count(FrameType::hello) == hellos);
  SECTION("and the next connection tries again") {
    const Seq w{rig.batch(1).last()};
    rig.answer(2, es1::ACK_OK, w.value);
    rig.step(Disconnected{"gone"});
    rig.to_active({{kRow, w}});
    const size_t before = rig.batches().size();
    rig.on_broker(before - 1);
    CHECK(rig.batches().size() == before + 1);
  }
}

TEST_CASE("GAP behind what the cloud had said is a doubt, whichever batch it answers", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.on_broker(1);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  const size_t sent = rig.batches().size();
  rig.wait(kHelloSpacingMs);
  const size_t hellos = rig.count(FrameType::hello);
  rig.answer(sent - 1, es1::ACK_GAP, 0);
  CHECK(rig.count(FrameType::hello) == hellos + 1);
  CHECK(rig.batches().size() == sent);
}

TEST_CASE("a second batch that cannot be read is cut again when the first is answered", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.answer(1, es1::ACK_BAD_BODY, 0);
  CHECK(rig.batches().size() == 2);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  REQUIRE(rig.batches().size() == 3);
  CHECK(rig.batch(2).first() == rig.batch(1).first());
  CHECK(rig.batch(2).items(0).gap() == es1::GAP_NONE);
}

TEST_CASE("the time of a second batch begins when the first has been answered", "[es1 section 9]") {
  PairRig rig;
  rig.start_with_pair();
  rig.on_broker(1);
  rig.wait(kRtoMinMs - 1);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last());
  const size_t sent = rig.batches().size();
  rig.wait(kRtoMinMs - 1);
  rig.step(TimerFired{});
  CHECK(rig.batches().size() == sent);
}

TEST_CASE("credit is for second batches too", "[es1 section 9]") {
  PairRig rig;
  for (const Bytes& r : rig.noise(60, 20'000)) rig.store.add(kRow, {r});
  rig.start();
  rig.to_greeting();
  es1::Welcome w = rig.welcome();
  w.set_credit(1);
  rig.send(FrameType::welcome, w);
  rig.on_broker(0);
  CHECK(rig.batches().size() == 1);
  rig.answer(0, es1::ACK_OK, rig.batch(0).last(), 2);
  rig.on_broker(1);
  CHECK(rig.batches().size() == 3);
}

TEST_CASE("both batches of a lane that a late answer makes us leave keep their credit until a WELCOME", "[es1 section 9]") {
  const StreamKey other = key_of(5, StreamId::telemetry);
  PairRig rig;
  for (const Bytes& r : rig.noise(60, 20'000)) rig.store.add(kRow, {r});
  rig.start();
  rig.to_greeting();
  const auto greeted = [&] {
    es1::Welcome w = rig.welcome();
    w.set_credit(2);
    rig.send(FrameType::welcome, w);
    return w;
  };
  es1::Welcome late = greeted();
  greeted();  // the HELLO of the new ticket
  rig.on_broker(0);
  REQUIRE(rig.batches().size() == 2);
  for (es1::WelcomeEntry& e : *late.mutable_entries()) e.set_claimed(e.stream() == uint32_t(kRow.stream) ? 999 : 0);
  es1::WelcomeEntry unknown = late.entries(0);  // a lane of a later program
  unknown.set_stream(kStreamCount);
  *late.add_entries() = unknown;
  late.set_hello_nonce("12345678");
  rig.send(FrameType::welcome, late);
  REQUIRE(rig.all<Rehome>().size() == 1);
  rig.store.add(other, {"x"});
  rig.step(ViewChanged{rig.store.view});
  CHECK(rig.batches().size() == 2);
  rig.fire();
  greeted();
  CHECK(rig.batches().size() == 3);
}

TEST_CASE("a second batch that is too large for the broker is cut smaller", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  SECTION("when the broker says so") {
    rig.step(PublishFailed{rig.batches()[1].token, true, "too large"});
    REQUIRE(rig.all<Remember>().size() == 1);
    CHECK(rig.all<Remember>()[0].memory.frame_limit_bytes <= rig.batches()[1].frame.size() / 2);
    rig.answer(0, es1::ACK_OK, rig.batch(0).last());
    REQUIRE(rig.batches().size() == 3);
    CHECK(rig.batch(2).first() == rig.batch(1).first());
  }
  SECTION("when the link is lost over it") {
    rig.step(Disconnected{"gone"});
    REQUIRE(rig.all<Remember>().size() == 1);
    CHECK(rig.all<Remember>()[0].memory.frame_limit_bytes <= rig.batches()[1].frame.size() / 2);
  }
}

TEST_CASE("a forged NEED_HELLO is believed of either batch that is out, and of nothing else", "[es1 section 6]") {
  PairRig rig;
  rig.start_with_pair();
  rig.wait(kHelloSpacingMs);
  const size_t hellos = rig.count(FrameType::hello);
  SECTION("of the second") {
    rig.step(FrameArrived{need_hello_frame(rig.cloud.sid(), parse_frame(rig.batches()[1].frame)->prefix.nonce)});
    CHECK(rig.count(FrameType::hello) == hellos + 1);
  }
  SECTION("of one that was never sent") {
    rig.step(FrameArrived{need_hello_frame(rig.cloud.sid(), Nonce{})});
    CHECK(rig.count(FrameType::hello) == hellos);
  }
}
