// The rarer turns of a session: what a cloud may say of terms, pauses, keys and runs, and what makes no sense.
#include <catch2/catch.hpp>

#include "edge/buffer.h"
#include "session_rig.h"
#include "tests/sim/kv_memory.h"

using namespace egret;
using namespace egret::edge;

namespace {

const StreamKey kResult = key_of(5);

// Linked, with two blocks of two results of which nothing is confirmed; the first batch is on its way.
void with_data(Rig& rig) {
  rig.store.add(kResult, {"a", "b"});
  rig.store.add(kResult, {"c", "d"});
  rig.to(State::active);
}
size_t published(const Rig& rig) {
  return rig.all<Publish>().size();
}

}  // namespace

TEST_CASE("a timer that fires early changes nothing", "[es1 section 6]") {
  for (State state : {State::down, State::connecting, State::greeting, State::held}) {
    Rig rig;
    rig.to(state);
    const MonoTime due = rig.session->next_deadline();
    REQUIRE(due > rig.now.mono);
    rig.wait(due - rig.now.mono - 1);
    CHECK(rig.step(TimerFired{}).empty());
    CHECK(rig.state() == state);
    CHECK(rig.session->next_deadline() == due);
    rig.wait(1);
    CHECK_FALSE(rig.step(TimerFired{}).empty());
  }
}

TEST_CASE("nothing is confirmed or safe of what the session has never heard of", "[es1 section 7]") {
  Rig rig;
  rig.to(State::active);
  CHECK(rig.session->confirmed(key_of(99)) == Seq{});
  CHECK(rig.session->safe(key_of(99)) == Seq{});
}

TEST_CASE("confirmed and safe are what the last WELCOME said", "[es1 section 7]") {
  Rig rig;
  rig.store.add(kResult, {"a", "b"});
  rig.store.add(kResult, {"c", "d"});
  rig.start();
  rig.to_active({{kResult, {4}}}, {{kResult, {2}}});
  CHECK(rig.session->confirmed(kResult) == Seq{4});
  CHECK(rig.session->safe(kResult) == Seq{2});
}

TEST_CASE("frames that open and make no sense change nothing", "[I20]") {
  Rig rig;
  with_data(rig);
  const uint64_t stray = rig.session->status().stray_frames;
  CHECK(rig.step(FrameArrived{rig.cloud.seal(FrameType::welcome, "\xff\xff no protobuf").frame}).empty());
  CHECK(rig.step(FrameArrived{rig.cloud.seal(FrameType::ack, "\xff\xff no protobuf").frame}).empty());
  CHECK(rig.step(FrameArrived{rig.cloud.seal(FrameType::batch, "").frame}).empty());
  CHECK(rig.step(FrameArrived{"short"}).empty());
  CHECK(rig.step(FrameArrived{ClearChannel(77).seal(FrameType::ack, rig.ack().SerializeAsString()).frame}).empty());
  es1::Ack lane = rig.ack();
  lane.set_stream(kStreamCount);
  CHECK(rig.send(FrameType::ack, lane).empty());
  es1::Ack row = rig.ack();
  row.set_epoch(99);
  CHECK(rig.send(FrameType::ack, row).empty());
  CHECK(rig.session->status().stray_frames == stray + 7);
  CHECK(rig.cursor(kResult) == Seq{});
}

TEST_CASE("an ACK may ask for a pause, of at most a lease, and what waits goes out after it", "[es1 section 9]") {
  Rig rig;
  with_data(rig);
  rig.store.add(kResult, {"e"});
  es1::Ack ack = rig.ack();
  SECTION("some seconds") {
    ack.set_pause_ms(10'000);
    rig.send(FrameType::ack, ack);
    rig.step(ViewChanged{rig.store.view});
    CHECK(published(rig) == 0);
    CHECK(rig.session->next_deadline() == rig.now.mono + 10'000);
    rig.wait(9'999);
    rig.step(TimerFired{});
    CHECK(rig.count(FrameType::batch) == 1);
    rig.wait(1);
    rig.step(TimerFired{});
    CHECK(rig.count(FrameType::batch) == 2);
  }
  SECTION("for ever") {
    ack.set_pause_ms(UINT32_MAX);
    rig.send(FrameType::ack, ack);
    rig.step(ViewChanged{rig.store.view});
    for (int i = 0; i < 200 && rig.count(FrameType::batch) == 1; i++) {
      rig.fire();
      if (rig.count(FrameType::hello) > 1) rig.send(FrameType::welcome, rig.welcome({{kResult, {4}}}));
    }
    CHECK(rig.count(FrameType::batch) == 2);
    CHECK(rig.now.mono.ms <= 1'000'000 + 2 * kLeaseMs + kBackoffMaxMs);
  }
}

TEST_CASE("after the end of a lease new data waits for the cloud, though no timer has fired yet", "[es1 section 6]") {
  Rig rig;
  rig.store.add(kResult, {"a"});
  rig.to(State::active);
  rig.send(FrameType::ack, rig.ack());
  rig.store.add(kResult, {"b"});
  SECTION("a moment before it goes out") {
    rig.wait(kLeaseMs - 1);
    rig.step(ViewChanged{rig.store.view});
    CHECK(rig.count(FrameType::batch) == 2);
  }
  SECTION("at its end it does not") {
    rig.wait(kLeaseMs);
    rig.step(ViewChanged{rig.store.view});
    CHECK(rig.count(FrameType::batch) == 1);
  }
}

TEST_CASE("a WELCOME without a lease grants the usual one, and none lasts longer than the longest", "[es1 section 6]") {
  for (const auto& [said, lease] : {std::pair<uint64_t, int64_t>{0, kLeaseMs}, {30'000, 30'000}, {UINT64_MAX, kLeaseMaxMs}}) {
    Rig rig;
    rig.start();
    rig.to_greeting();
    es1::Welcome welcome = rig.welcome();
    welcome.set_lease_ms(said);
    rig.send(FrameType::welcome, welcome);
    while (rig.state() == State::active && rig.now.mono.ms < 1'000'000 + 2 * kLeaseMaxMs) rig.fire();
    CHECK(rig.state() == State::greeting);
    CHECK(rig.now.mono.ms >= 1'000'000 + lease);
    CHECK(rig.now.mono.ms <= 1'000'000 + lease + 2 * kBackoffMaxMs);
  }
}

TEST_CASE("a WELCOME that knows of an older HELLO, or of none by name, is believed", "[es1 section 6]") {
  for (const auto& [seen, nonce] : {std::pair<uint64_t, const char*>{0, "whatever"}, {1, ""}}) {
    Rig rig;
    rig.start();
    rig.to_greeting();
    es1::Welcome welcome = rig.welcome();
    welcome.set_hello_no_seen(seen);
    welcome.set_hello_no_nonce(nonce);
    rig.send(FrameType::welcome, welcome);
    CHECK(rig.state() == State::active);
    CHECK(rig.runs == 1);
  }
}

namespace {

// A WELCOME names the region's next key: which.
Bytes told_next_key(Rig& rig) {
  const Bytes key(32, 'k');
  es1::Welcome welcome = rig.welcome();
  welcome.set_lease_ms(kLeaseMaxMs);  // its end is another reason to say HELLO
  welcome.set_next_region_key(key);
  rig.send(FrameType::welcome, welcome);
  return key;
}

}  // namespace

TEST_CASE("the region's next key is remembered, and one of another size is none", "[es1 section 4]") {
  Rig rig;
  rig.start();
  rig.to_greeting();
  const Bytes key = told_next_key(rig);
  REQUIRE(rig.all<Remember>().size() == 1);
  CHECK(rig.all<Remember>()[0].memory.next_region_key == key);
  auto say = [&](const Bytes& next) {
    rig.step(TimerFired{});
    while (rig.count(FrameType::hello) < 2) rig.fire();
    es1::Welcome again = rig.welcome();
    again.set_next_region_key(next);
    rig.send(FrameType::welcome, again);
  };
  SECTION("the same again needs no disk") {
    say(key);
    CHECK(rig.all<Remember>().empty());
  }
  SECTION("too short") {
    say("short");
    REQUIRE(rig.all<Remember>().size() == 1);
    CHECK(rig.all<Remember>()[0].memory.next_region_key.empty());
  }
}

TEST_CASE("a run that nobody answers gives way to one with the region's next key, once, and stays with the key that answers",
          "[es1 section 4]") {
  Rig rig;
  rig.start();
  rig.to_greeting();
  told_next_key(rig);
  REQUIRE(rig.runs == 1);
  const auto hellos = [&] { return rig.count(FrameType::hello); };
  REQUIRE(hellos() == 2);  // the second, for the new ticket, waits for its answer
  while (hellos() < 1 + kUnansweredBeforeNextKey) rig.fire();
  CHECK(rig.runs == 1);
  for (size_t said = hellos(); hellos() == said;) rig.fire();
  CHECK(rig.runs == 2);
  CHECK(rig.state() == State::greeting);
  for (size_t said = hellos(); hellos() < said + 20;) rig.fire();
  CHECK(rig.runs == 2);  // it has no other key to try

  rig.cloud = ClearChannel{2};
  rig.send(FrameType::welcome, rig.welcome());  // of a region that has one key left, and so names none
  CHECK(rig.state() == State::active);
  CHECK(rig.all<Remember>().empty());
}

TEST_CASE("a cloud that puts a run off has answered it: its key is alive", "[es1 section 4]") {
  Rig rig;
  rig.start();
  rig.to_greeting();
  told_next_key(rig);
  es1::Welcome busy = rig.welcome();
  busy.set_status(es1::WELCOME_RETRY);
  const auto hellos = [&] { return rig.count(FrameType::hello); };
  for (int times = 0; times <= kUnansweredBeforeNextKey; times++) {
    for (size_t said = hellos(); hellos() < said + 2;) rig.fire();  // one is lost each time
    busy.set_hello_nonce(rig.last_hello().hello_nonce());
    rig.send(FrameType::welcome, busy);
  }
  CHECK(rig.runs == 1);
}

TEST_CASE("of more epochs than a HELLO can list the newest are listed", "[es1 section 3]") {
  Rig rig;
  for (uint64_t e = 1; e <= kListedEpochsMax + 3; e++) rig.store.add(key_of(e), {"r"});
  rig.start();
  rig.to_greeting();
  const es1::Hello hello = rig.last_hello();
  REQUIRE(hello.epochs_size() == static_cast<int>(kListedEpochsMax));
  CHECK(hello.epochs(0).epoch() == 4);
  CHECK(hello.epochs(hello.epochs_size() - 1).epoch() == kListedEpochsMax + 3);
}

TEST_CASE("a purge is asked for up to a border that is held, and to none that is not", "[es1 5.6]") {
  Rig rig;
  rig.store.add(kResult, {"a", "b"});
  rig.store.add(kResult, {"c", "d"});
  rig.start();
  SECTION("S is a border") {
    rig.to_active({{kResult, {4}}}, {{kResult, {2}}});
    REQUIRE(rig.all<Purge>().size() == 1);
    CHECK(rig.all<Purge>()[0].upto.at(0).to == Seq{2});
  }
  SECTION("S lies inside a block") {
    rig.to_active({{kResult, {4}}}, {{kResult, {3}}});
    CHECK(rig.all<Purge>().empty());
  }
}

TEST_CASE("what was moved while the cloud still lacks its purged part is owed as a gap, and nothing of it is purged", "[es1 5.5]") {
  for (bool moving : {true, false}) {
    Rig rig;
    rig.store.add(kResult, {"a", "b"});
    rig.store.add(kResult, {"c", "d"});
    StreamView& stream = rig.store.at(kResult);
    stream.purged = stream.border = {2};
    stream.c_purged = rig.store.items(kResult)[0].c_end;
    (moving ? stream.moving : stream.moved) = true;
    rig.store.items(kResult).pop_back();
    rig.to(State::active);
    REQUIRE(rig.count(FrameType::batch) == 1);
    const es1::Batch batch = rig.last_batch();
    CHECK(batch.first() == 1);
    CHECK(batch.last() == 2);
    CHECK(batch.head() == 2);
    REQUIRE(batch.items_size() == 1);
    CHECK(batch.items(0).gap() == static_cast<es1::GapKindWire>(GapKind::purged));
    CHECK(rig.all<Purge>().empty());
    rig.send(FrameType::ack, rig.ack());
    CHECK(rig.count(FrameType::batch) == 1);
    CHECK(rig.cursor(kResult) == Seq{2});
  }
}

TEST_CASE("an owed gap that crosses W is cut again at W; one that does not is doubted", "[es1 section 6]") {
  for (const auto& [w, again] : {std::pair<uint64_t, bool>{0, false}, {1, true}, {3, true}, {4, false}, {9, false}}) {
    INFO("W " << w);
    Rig rig;
    rig.store.add(kResult, {"a", "b", "c", "d"});
    rig.store.add(kResult, {"e"});
    StreamView& stream = rig.store.at(kResult);
    stream.purged = stream.border = {4};
    stream.c_purged = rig.store.items(kResult)[0].c_end;
    rig.to(State::active);
    REQUIRE(rig.last_batch().first() == 1);
    REQUIRE(rig.last_batch().items(0).count() == 4);
    es1::Ack gap = rig.ack(es1::ACK_GAP);
    gap.set_w(w);
    rig.send(FrameType::ack, gap);
    CHECK(rig.count(FrameType::batch) == (again ? 2 : 1));
    if (again) CHECK(rig.last_batch().first() == w + 1);
    if (again) CHECK(rig.last_batch().items(0).count() == 4 - w);
  }
}

TEST_CASE("when more than a megabyte was acknowledged and nothing waits, a HELLO asks what may be purged; for less it does not",
          "[es1 section 9]") {
  for (int blocks : {20, 40}) {
    Rig rig;
    for (int block = 0; block < blocks; block++) rig.store.add(kResult, rig.noise(1, 40'000));
    rig.to(State::active);
    while (rig.count(FrameType::hello) < 2) rig.fire();  // until it has nothing to ask at once
    rig.send(FrameType::welcome, rig.welcome());
    const size_t hellos = rig.count(FrameType::hello);
    for (int i = 0; i < blocks && rig.cursor(kResult).value < static_cast<uint64_t>(blocks); i++) {
      CHECK(rig.count(FrameType::hello) == hellos);
      rig.wait(1'000);
      rig.send(FrameType::ack, rig.ack());
    }
    CHECK(rig.cursor(kResult).value == static_cast<uint64_t>(blocks));
    const bool enough = static_cast<size_t>(blocks) * 40'000 > kPurgeHelloBytes;
    CHECK(rig.count(FrameType::hello) == hellos + (enough ? 1 : 0));
  }
}

TEST_CASE("at half of its lease the session greets the cloud again, once", "[es1 section 6]") {
  Rig rig;
  rig.to(State::active);
  while (rig.count(FrameType::hello) < 2) rig.fire();
  rig.send(FrameType::welcome, rig.welcome());
  const MonoTime granted = rig.now.mono;
  const size_t hellos = rig.count(FrameType::hello);
  CHECK(rig.session->next_deadline() == granted + kLeaseMs / 2);
  rig.wait(kLeaseMs / 2 - 1);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::hello) == hellos);
  rig.wait(1);
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::hello) == hellos + 1);
  CHECK(rig.state() == State::active);
}

TEST_CASE("a HELLO says how many records wait, from where the cloud is", "[es1 section 3]") {
  Rig rig;
  rig.store.add(kResult, {"a", "b"});
  rig.store.add(kResult, {"c", "d", "e"});
  rig.store.add(key_of(5, StreamId::telemetry), {"t"});
  rig.start();
  rig.to_greeting();
  CHECK(rig.last_hello().waiting_records() == 6);
  rig.send(FrameType::welcome, rig.welcome({{kResult, {2}}}));
  while (rig.count(FrameType::hello) < 2) rig.fire();
  CHECK(rig.last_hello().waiting_records() == 4);
}

TEST_CASE("a HELLO says when the disk is full and the certificate ends, and neither where nobody knows", "[es1 section 3]") {
  Rig rig;
  rig.start();
  rig.to_greeting();
  const es1::Hello unknown = rig.last_hello();
  CHECK(unknown.disk_hours_left() == 0);
  CHECK(unknown.certificate_ends_s() == 0);
  rig.session->set_vitals({412, 61, 1'800'000'000});
  rig.send(FrameType::welcome, rig.welcome({}));
  while (rig.count(FrameType::hello) < 2) rig.fire();
  CHECK(rig.last_hello().disk_used_permille() == 412);
  CHECK(rig.last_hello().disk_hours_left() == 61);
  CHECK(rig.last_hello().certificate_ends_s() == 1'800'000'000);
}

TEST_CASE("all that a HELLO says beside its lists fits what is kept for it", "[es1 section 3]") {
  es1::Hello hello;
  const auto* fields = es1::Hello::descriptor();
  const auto* set = es1::Hello::GetReflection();
  for (int i = 0; i < fields->field_count(); i++) {
    const auto* field = fields->field(i);
    if (field->is_repeated()) continue;
    switch (field->cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT32: set->SetUInt32(&hello, field, UINT32_MAX); break;
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT64: set->SetUInt64(&hello, field, UINT64_MAX); break;
      case google::protobuf::FieldDescriptor::CPPTYPE_INT64: set->SetInt64(&hello, field, -1); break;
      case google::protobuf::FieldDescriptor::CPPTYPE_STRING: set->SetString(&hello, field, Bytes(kFacilityCharsMax, 'x')); break;
      default: break;  // `finished`: a list
    }
  }
  hello.mutable_finished()->set_count(UINT64_MAX);
  hello.mutable_finished()->set_offset(UINT64_MAX);
  hello.mutable_finished()->set_hash(Bytes(kDigestWireBytes, 'h'));
  CHECK(hello.ByteSizeLong() + kFramePrefixBytes + kHelloClearBytes + kTagBytes + kSignatureBytes <= kHelloFixedBytesMax);
}

TEST_CASE("a WELCOME that an ACK has overtaken does not send the cursor back", "[es1 section 6]") {
  Rig rig;
  rig.store.add(kResult, rig.noise(1, 20'000));
  rig.store.add(kResult, rig.noise(1, 20'000));
  rig.to(State::active);
  while (rig.count(FrameType::hello) < 2) rig.fire();  // it leaves while W is 0
  const es1::Welcome late = rig.welcome();
  rig.send(FrameType::ack, rig.ack());
  const Seq acked = rig.cursor(kResult);
  REQUIRE(acked > Seq{0});
  rig.send(FrameType::welcome, late);
  CHECK(rig.cursor(kResult) == acked);
  CHECK(rig.session->status().w_falls == 0);
}

TEST_CASE("a site that an operator has stopped waits for minutes, one that is told when comes then", "[es1 section 6]") {
  for (const auto& [status, said, wait] : {std::tuple{es1::WELCOME_BLOCKED, uint64_t{0}, kHelloTimeoutMaxMs},
                                          {es1::WELCOME_VERSION, uint64_t{10'000}, kHelloTimeoutMaxMs},
                                          {es1::WELCOME_BLOCKED, uint64_t{400'000}, int64_t{400'000}},
                                          {es1::WELCOME_RETRY, uint64_t{30'000}, int64_t{30'000}},
                                          {es1::WELCOME_RETRY, uint64_t{0}, kHelloSpacingMs},
                                          {es1::WELCOME_RETRY, UINT64_MAX, kLeaseMaxMs}}) {
    Rig rig;
    rig.start();
    rig.to_greeting();
    es1::Welcome welcome = rig.welcome();
    welcome.set_status(status);
    welcome.set_retry_after_ms(said);
    rig.send(FrameType::welcome, welcome);
    CHECK(rig.state() == State::held);
    CHECK(rig.session->next_deadline() == rig.now.mono + wait);
    rig.fire();
    CHECK(rig.last_hello().ticket() == 7);
  }
}

TEST_CASE("a connect that fails is tried soon; one whose identity is refused waits for minutes and says so", "[es1 section 9]") {
  for (bool identity : {false, true}) {
    Rig rig;
    rig.to(State::connecting);
    rig.step(ConnectFailed{identity, "refused"});
    CHECK(rig.state() == State::down);
    const int64_t wait = rig.session->next_deadline() - rig.now.mono;
    size_t refused = 0;
    for (const Notice& n : rig.all<Notice>()) refused += n.kind == Notice::Kind::identity_refused;
    CHECK(refused == (identity ? 1 : 0));
    if (identity) CHECK(wait >= kIdentityBackoffMs / 2);
    if (identity) CHECK(wait < kIdentityBackoffMs);
    if (!identity) CHECK(wait <= 2 * kBackoffFirstMs);
  }
}

TEST_CASE("parked blocks are tried again: critical ones each minute, all each hour", "[es1 section 6]") {
  Rig rig;
  rig.store.view.parked_blocks = 1;
  rig.to(State::active);
  const MonoTime begun{1'000'000};
  size_t critical = 0, all = 0;
  while (rig.now.mono - begun < kParkRetryMs + kParkRetryCriticalMs / 2) {
    rig.fire();
    for (const Unpark& u : rig.all<Unpark>()) (u.stream ? critical : all)++;
    for (const Unpark& u : rig.all<Unpark>()) CHECK((!u.stream || *u.stream == StreamId::critical));
    if (rig.session->status().state != State::active || rig.count(FrameType::hello) > 1) rig.send(FrameType::welcome, rig.welcome());
  }
  CHECK(all == 1);
  CHECK(critical >= 50);
  CHECK(critical <= 60);
}

TEST_CASE("when a broker lets more through than before, parked blocks are tried at once", "[es1 section 6]") {
  Rig rig;
  rig.store.view.parked_blocks = 1;
  rig.start();
  rig.to_connecting();
  rig.step(Connected{100'000, "small"});
  rig.step(Disconnected{"gone"});
  rig.fire();
  rig.step(Connected{100'000, "the same"});
  CHECK(rig.all<Unpark>().empty());
  rig.step(Disconnected{"gone"});
  rig.fire();
  rig.step(Connected{200'000, "larger"});
  REQUIRE(rig.all<Unpark>().size() == 1);
  CHECK_FALSE(rig.all<Unpark>()[0].stream);
}

TEST_CASE("a batch of several blocks that breaks the link is cut smaller, and never parked", "[es1 section 6]") {
  Rig rig;
  for (int i = 0; i < 8; i++) rig.store.add(kResult, rig.noise(1, 2'000));
  rig.start();
  const MonoTime begun = rig.now.mono;
  while (rig.now.mono - begun < 2 * kParkRetryMs) {
    rig.to_active();
    CHECK(rig.last_batch().items_size() > 0);
    const bool single = rig.last_batch().last() == rig.last_batch().first();
    if (single) break;
    rig.step(Disconnected{"gone"});
    CHECK(rig.all<Park>().empty());
  }
}

TEST_CASE("with credit for one batch at a time telemetry and documents go out between results", "[lanes]") {
  Rig rig;
  for (StreamId lane : {StreamId::result, StreamId::telemetry, StreamId::bulk}) {
    for (int i = 0; i < 60; i++) rig.store.add(key_of(5, lane), rig.noise(1, 30'000));
  }
  rig.start();
  rig.to_connecting();
  rig.step(Connected{40'000, "a broker that lets one block through"});
  es1::Welcome welcome = rig.welcome();
  welcome.set_credit(1);
  rig.send(FrameType::welcome, welcome);
  std::array<int, kStreamCount> sent{};
  for (int i = 0; i < 40; i++) {
    sent[rig.last_batch().stream()]++;
    es1::Ack ack = rig.ack();
    ack.set_credit(1);
    rig.wait(100);
    rig.send(FrameType::ack, ack);
  }
  CHECK(sent[1] > sent[2]);
  CHECK(sent[2] >= 2);
  CHECK(sent[3] >= 2);
}

TEST_CASE("a PUBACK that comes twice moves no deadline that it set", "[es1 section 6]") {
  Rig rig;
  rig.store.add(kResult, {"a"});
  rig.to(State::active);
  const Published puback{rig.published.back().token};
  rig.wait(100);
  rig.step(puback);
  const int64_t rate = static_cast<int64_t>(rig.session->status().link_bytes_per_s);
  rig.wait(5'000);
  rig.step(puback);
  CHECK(static_cast<int64_t>(rig.session->status().link_bytes_per_s) == rate);
}

TEST_CASE("a lane that cannot be read now is asked again when the view changes, not before", "[es1 section 6]") {
  Rig rig;
  rig.store.add(kResult, {"a"});
  const std::vector<Item> there = std::exchange(rig.store.items(kResult), {});
  rig.to(State::active);
  CHECK(rig.count(FrameType::batch) == 0);
  CHECK(rig.all<MarkCorrupt>().empty());
  rig.store.items(kResult) = there;
  rig.step(TimerFired{});
  CHECK(rig.count(FrameType::batch) == 0);
  rig.step(ViewChanged{rig.store.view});
  CHECK(rig.count(FrameType::batch) == 1);
}

TEST_CASE("what an epoch had purged before it was finished is owed to a cloud that has lost it, as one gap", "[es1 5.5]") {
  KvMemory kv{kEdgeSpaces};
  Rig rig;
  auto buffer = *Buffer::open(kv, kFac, rig.entropy);
  const Unit unit{{{StreamId::result, "a"}, {StreamId::result, "b"}}};
  REQUIRE(buffer->append(std::span(&unit, 1), {1}).has_value());
  const StreamKey key{buffer->view().current, StreamId::result};
  buffer = *Buffer::open(kv, kFac, rig.entropy);
  const Hash c = buffer->view().find(key)->c_head;
  const PurgeTo all{key, {2}, {2}};
  REQUIRE(buffer->purge(std::span(&all, 1)).has_value());
  REQUIRE(buffer->view().epochs.empty());
  SessionConfig config;
  config.facility = kFac;
  rig.session = std::make_unique<Session>(config, *buffer, [] { return std::make_unique<ClearChannel>(static_cast<uint8_t>(1)); },
                                          rig.entropy, rig.memory, buffer->view(), rig.now);
  rig.to_greeting();
  es1::Welcome welcome = rig.welcome();
  es1::WelcomeEntry* entry = welcome.add_entries();
  entry->set_epoch(key.epoch.value);
  entry->set_stream(static_cast<uint32_t>(key.stream));
  entry->set_c(Bytes(egret::view(chain_start(kFac, key)).substr(0, kDigestWireBytes)));
  rig.send(FrameType::welcome, welcome);
  REQUIRE(rig.count(FrameType::batch) == 1);
  const es1::Batch batch = rig.last_batch();
  CHECK(batch.first() == 1);
  CHECK(batch.last() == 2);
  CHECK(batch.head() == 2);
  CHECK(batch.c_last() == Bytes(egret::view(c).substr(0, kDigestWireBytes)));
  CHECK(batch.c_head() == batch.c_last());
  REQUIRE(batch.items_size() == 1);
  CHECK(batch.items(0).gap() == static_cast<es1::GapKindWire>(GapKind::purged));
  es1::Ack part = rig.ack();  // below P no digest is known any more
  part.set_w(1);
  part.clear_c();
  rig.send(FrameType::ack, part);
  CHECK(rig.cursor(key) == Seq{1});
  rig.send(FrameType::ack, rig.ack());
  CHECK(rig.cursor(key) == Seq{2});
  CHECK(rig.count(FrameType::batch) == 1);
}

namespace {

// A backlog of many frames, with credit for one: the first batch is on the broker, the second is made and waits.
struct WaitingRig : Rig {
  void start_waiting() {
    for (const Bytes& r : noise(60, 20'000)) store.add(kResult, {r});
    start();
    to_greeting();
    send(FrameType::welcome, with_credit(1));
    send(FrameType::welcome, with_credit(1));  // of the HELLO that echoes the ticket
    step(Published{published.back().token});
    REQUIRE(count(FrameType::batch) == 1);
  }
  es1::Welcome with_credit(uint32_t credit) const {
    es1::Welcome out = welcome();
    out.set_credit(credit);
    return out;
  }
  // A HELLO, before anything is sent again.
  void next_hello() {
    const size_t said = count(FrameType::hello);
    wait(kHelloSpacingMs);
    step(DiskPressed{});
    REQUIRE(count(FrameType::hello) == said + 1);
  }
};

}  // namespace

TEST_CASE("a batch that was made ahead is thrown away when the cloud takes less", "[es1 section 6]") {
  WaitingRig rig;
  rig.start_waiting();
  const es1::Ack first = rig.ack();
  rig.next_hello();
  es1::Welcome less = rig.with_credit(1);
  less.set_max_batch_bytes(kFrameBytesFloor);
  rig.send(FrameType::welcome, less);
  rig.send(FrameType::ack, first);
  REQUIRE(rig.count(FrameType::batch) > 1);
  CHECK(rig.last_batch().first() == first.w() + 1);
  CHECK(rig.last_batch().items_size() == 1);
}

TEST_CASE("a row of which the WELCOME says nothing sends no second batch", "[es1 section 6]") {
  WaitingRig rig;
  rig.start_waiting();
  rig.next_hello();
  es1::Welcome silent = rig.with_credit(kCreditMax);
  silent.clear_entries();
  const size_t batches = rig.count(FrameType::batch);
  rig.send(FrameType::welcome, silent);
  CHECK(rig.count(FrameType::batch) == batches);
}

TEST_CASE("a second batch that did not reach the broker is made again, one that forks is doubted", "[es1 section 6]") {
  Rig rig;
  for (const Bytes& r : rig.noise(60, 20'000)) rig.store.add(kResult, {r});
  rig.to(State::active);
  rig.send(FrameType::welcome, rig.welcome());
  const es1::Ack first = rig.ack();
  rig.step(Published{rig.published.back().token});
  REQUIRE(rig.count(FrameType::batch) == 2);
  const es1::Batch second = rig.last_batch();
  SECTION("not sent") {
    rig.step(PublishFailed{rig.published.back().token, false, "busy"});
    CHECK(rig.all<Remember>().empty());
    rig.send(FrameType::ack, first);
    REQUIRE(rig.count(FrameType::batch) == 3);
    CHECK(rig.last_batch().first() == second.first());
  }
  SECTION("another history") {
    es1::Ack fork = rig.ack(es1::ACK_FORK);
    fork.set_w(0);
    const size_t hellos = rig.count(FrameType::hello);
    rig.send(FrameType::ack, fork);
    rig.send(FrameType::ack, first);
    CHECK(rig.count(FrameType::batch) == 2);
    for (int i = 0; i < 5 && rig.count(FrameType::hello) == hellos; i++) rig.fire();
    CHECK(rig.count(FrameType::hello) > hellos);
  }
}

TEST_CASE("nothing is made ahead of what cannot be read", "[es1 section 6]") {
  Rig rig;
  for (const Bytes& r : rig.noise(60, 20'000)) rig.store.add(kResult, {r});
  rig.to(State::active);
  rig.send(FrameType::welcome, rig.welcome());
  rig.store.items(kResult).resize(static_cast<size_t>(rig.last_batch().items_size()));
  rig.store.waits_unread = size_t{1} << 20;
  rig.step(Published{rig.published.back().token});
  CHECK(rig.count(FrameType::batch) == 1);
}

TEST_CASE("what a WELCOME says of rows, keys and the region counts whatever its status", "[es1 section 6]") {
  const auto status = GENERATE(es1::WELCOME_OK, es1::WELCOME_RETRY, es1::WELCOME_BLOCKED, es1::WELCOME_VERSION);
  CAPTURE(es1::WelcomeStatus_Name(status));
  Rig rig;
  rig.store.add(kResult, {"a", "b"});
  rig.start();
  rig.to_greeting();
  es1::Welcome welcome = rig.welcome();
  welcome.set_status(status);
  SECTION("more was claimed than is held") {
    for (es1::WelcomeEntry& entry : *welcome.mutable_entries()) entry.set_claimed(entry.claimed() + 1);
    rig.send(FrameType::welcome, welcome);
    CHECK(rig.all<Rehome>().size() >= 1);
  }
  SECTION("this run's keys are in use elsewhere") {
    welcome.set_hello_no_seen(welcome.hello_no_seen() + 1);
    rig.send(FrameType::welcome, welcome);
    CHECK(rig.runs == 2);
    CHECK(rig.state() == State::greeting);
  }
  SECTION("the region's next key") {
    welcome.set_next_region_key(Bytes(32, 'k'));
    rig.send(FrameType::welcome, welcome);
    REQUIRE(rig.all<Remember>().size() == 1);
    CHECK(rig.all<Remember>()[0].memory.next_region_key == Bytes(32, 'k'));
  }
}

TEST_CASE("a row whose re-homing was asked for sends and purges nothing, though the cloud comes round", "[es1 section 7]") {
  Rig rig;
  rig.store.add(kResult, {"a", "b"});
  rig.store.add(kResult, {"c", "d"});
  rig.start();
  rig.to_greeting();
  es1::Welcome other = rig.welcome({{kResult, {2}}}, {{kResult, {2}}});
  const es1::Hello hello = rig.last_hello();
  for (int i = 0; i < other.entries_size(); i++) {
    if (other.entries(i).stream() == static_cast<uint32_t>(StreamId::result)) other.mutable_entries(i)->set_c(Bytes(kDigestWireBytes, 'x'));
  }
  rig.send(FrameType::welcome, other);
  REQUIRE(rig.all<Rehome>().size() == 1);
  for (int i = 0; i < 50 && rig.count(FrameType::hello) < 2; i++) rig.fire();
  rig.send(FrameType::welcome, rig.welcome({{kResult, {2}}}, {{kResult, {2}}}));
  CHECK(rig.all<Purge>().empty());
  CHECK(rig.all<Rehome>().empty());
  CHECK(rig.count(FrameType::batch) == 0);
}
