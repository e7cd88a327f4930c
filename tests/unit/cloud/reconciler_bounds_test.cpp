// What a HELLO or BATCH may say at most, and what is said of it when it says more; the rarer turns of a handshake.
#include <catch2/catch.hpp>
#include <set>

#include "reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Writer three_blocks(uint64_t epoch = 5) {
  Writer w{key_of(epoch)};
  for (uint64_t n : {1, 3, 5}) w.data({record_of(n), record_of(n + 1)});
  return w;
}

es1::FinishedEpoch finished_epoch(uint64_t epoch, uint64_t purged) {
  es1::FinishedEpoch out;
  out.set_epoch(epoch);
  es1::FinishedStream& s = *out.add_streams();
  s.set_stream(1);
  s.set_purged(purged);
  s.set_c_purged(Bytes(sizeof(Hash), 'c'));
  return out;
}

// Says the whole list: epochs of one stream each, purged up to 6.
es1::Hello with_list(es1::Hello hello, const std::vector<uint64_t>& epochs) {
  std::vector<es1::FinishedEpoch> all;
  for (uint64_t epoch : epochs) all.push_back(finished_epoch(epoch, 6));
  add_finished(hello, all);
  return hello;
}

Bytes record_with(const Bytes& body, int64_t wall_us = 1'700'000'000'000'000) {
  v1::Arrival arrival;
  arrival.set_wall_us(wall_us);
  return join_record(body, arrival.SerializeAsString()).value();
}

}  // namespace

TEST_CASE("a HELLO at each of its bounds is heard, and one past a bound is dropped and changes nothing", "[es1 section 3]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  const uint64_t writes = rig.kv.writes();
  auto drop_of = [&](const std::function<void(es1::Hello&)>& change) {
    es1::Hello hello = rig.hello_of({CloudRig::listing(w)});
    change(hello);
    rig.run({rig.frame(FrameType::hello, hello)});
    return rig.drop();
  };
  auto stream = [](es1::Hello& h) { return h.mutable_epochs(0)->mutable_streams(0); };
  using H = es1::Hello;
  const std::vector<std::function<void(H&)>> over = {
      [](H& h) { h.set_hello_nonce("seven b"); },
      [](H& h) { h.set_hello_nonce("nine byte"); },
      [](H& h) { h.set_agent_version(std::string(kFacilityCharsMax + 1, 'v')); },
      [](H& h) { while (h.epochs_size() <= static_cast<int>(kListedEpochsMax)) h.add_epochs()->set_epoch(9); },
      [](H& h) { while (h.finished().entries_size() <= static_cast<int>(kFinishedPerHelloMax)) h.mutable_finished()->add_entries(""); },
      [](H& h) { h.mutable_epochs(0)->set_epoch(0); },
      [](H& h) { while (h.epochs(0).streams_size() <= static_cast<int>(kStreamCount)) *h.mutable_epochs(0)->add_streams() = h.epochs(0).streams(0); },
      [&](H& h) { stream(h)->set_stream(kStreamCount); },
      [&](H& h) { stream(h)->set_c_head(Bytes(kDigestWireBytes - 1, 'c')); },
      [&](H& h) { stream(h)->set_border(1); },
      [&](H& h) { stream(h)->set_purged(7); },
      [&](H& h) { stream(h)->set_head(UINT64_MAX / 2 + 1); },
  };
  for (size_t i = 0; i < over.size(); i++) {
    INFO("change " << i);
    CHECK(drop_of(over[i]) == DropReason::undecodable);
    CHECK(rig.report.replies.empty());
  }
  CHECK(rig.kv.writes() == writes);
  const std::vector<std::function<void(H&)>> at = {
      [](H& h) { h.set_agent_version(std::string(kFacilityCharsMax, 'v')); },
      [](H& h) { while (h.epochs_size() < static_cast<int>(kListedEpochsMax)) h.add_epochs()->set_epoch(9); },
      [](H& h) { while (h.finished().entries_size() < static_cast<int>(kFinishedPerHelloMax)) h.mutable_finished()->add_entries(""); },
      [&](H& h) { stream(h)->set_border(2), stream(h)->set_purged(2); },
      [&](H& h) { stream(h)->set_purged(6); },
  };
  for (size_t i = 0; i < at.size(); i++) {
    INFO("change " << i);
    CHECK(drop_of(at[i]) == DropReason::none);
    CHECK(rig.report.replies.size() == 1);
  }
}

TEST_CASE("what opens but is no message is undecodable; a session whose key is gone is not heard", "[es1 section 6]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  const uint64_t writes = rig.kv.writes();
  for (FrameType type : {FrameType::hello, FrameType::batch}) {
    rig.run({{kFac, TopicKind::up_bulk, ClearChannel(1).seal(type, "\xff\xff no protobuf").frame}});
    CHECK(rig.drop() == DropReason::undecodable);
    Inbound wrong_tag{kFac, TopicKind::up_control, ClearChannel(1).seal(type, "").frame};
    wrong_tag.frame[wrong_tag.frame.size() - (type == FrameType::hello ? kSignatureBytes : 0) - 1] ^= 1;
    rig.run({wrong_tag});
    CHECK(rig.drop() == DropReason::bad_tag);
    rig.keys.tag_ok = false;
    rig.run({{kFac, TopicKind::up_control, ClearChannel(1).seal(type, "").frame}});
    CHECK(rig.drop() == DropReason::unknown_session);
    rig.keys.tag_ok = true;
    for (TopicKind wrong : {TopicKind::down, TopicKind::presence}) {
      rig.run({{kFac, wrong, ClearChannel(1).seal(type, "").frame}});
      CHECK(rig.drop() == DropReason::topic_mismatch);
    }
  }
  CHECK(rig.report.replies.empty());
  CHECK(rig.kv.writes() == writes);
}

TEST_CASE("every reason to drop a frame has a name of its own", "[metrics]") {
  std::set<std::string> names;
  const int last = static_cast<int>(DropReason::topic_mismatch);
  for (int i = 0; i <= last; i++) names.insert(name_of(static_cast<DropReason>(i)));
  CHECK(names.size() == static_cast<size_t>(last) + 1);
  CHECK_FALSE(names.contains("unknown"));
  CHECK(std::string(name_of(static_cast<DropReason>(last + 1))) == "unknown");
}

TEST_CASE("each way a record can be bad is kept under a reason of its own", "[es1 section 2]") {
  CloudRig rig;
  const Bytes good = record_of(1);
  const Bytes body(split_record(good).value().body);
  v1::Body unknown;
  REQUIRE(unknown.ParseFromString(body));
  unknown.set_kind(static_cast<v1::Kind>(v1::Kind_MAX + 1));
  v1::Body ruleless;
  REQUIRE(ruleless.ParseFromString(body));
  ruleless.mutable_agent_event()->clear_name();
  v1::Body large;
  REQUIRE(large.ParseFromString(body));
  large.mutable_agent_event()->set_detail(std::string(kBodyBytesMax - body.size(), 'd'));
  while (large.ByteSizeLong() <= kBodyBytesMax) large.mutable_agent_event()->mutable_detail()->push_back('d');
  Bytes too_large;  // a short arrival leaves room for a body past its limit
  for (int shift : {0, 8, 16, 24}) too_large += static_cast<char>(large.ByteSizeLong() >> shift);
  too_large += large.SerializeAsString();
  Writer w{key_of(5)};
  w.data({good, record_with(unknown.SerializeAsString()), record_with(ruleless.SerializeAsString()), "?"});
  Writer big{key_of(6)};
  big.data({too_large});
  Writer late{key_of(7)};
  late.data({join_record(body, "no arrival \xff").value()});
  rig.hello({CloudRig::listing(w), CloudRig::listing(big), CloudRig::listing(late)});
  const es1::Ack ack = rig.push(w.batch(0, 1));
  REQUIRE(ack.rejected_size() == 3);
  CHECK(ack.rejected(0).reason() == static_cast<uint32_t>(QuarantineReason::unknown_kind));
  CHECK(ack.rejected(1).reason() == static_cast<uint32_t>(QuarantineReason::rule_broken));
  CHECK(ack.rejected(2).reason() == static_cast<uint32_t>(QuarantineReason::undecodable));
  CHECK(ack.rejected_count() == 3);
  const es1::Ack arrival = rig.push(late.batch(0, 1));
  REQUIRE(arrival.rejected_size() == 1);
  CHECK(arrival.rejected(0).reason() == static_cast<uint32_t>(QuarantineReason::rule_broken));
  const es1::Ack size = rig.push(big.batch(0, 1));
  REQUIRE(size.rejected_size() == 1);
  CHECK(size.rejected(0).reason() == static_cast<uint32_t>(QuarantineReason::too_large));
  CHECK(rig.facility().quarantined == 5);
  CHECK(rig.facility().records == 1);
}

TEST_CASE("an ACK names at most so many of the records it refuses, and counts them all", "[es1 section 6]") {
  CloudRig rig;
  Writer w{key_of(5)};
  std::vector<Bytes> bad(kRejectedPerAckMax + 3, "garbage");
  w.data({bad.begin(), bad.begin() + 10});
  w.data({bad.begin() + 10, bad.end()});
  rig.hello({CloudRig::listing(w)});
  const es1::Ack ack = rig.push(w.batch(0, 2));
  CHECK(ack.rejected_count() == bad.size());
  CHECK(ack.rejected_size() == static_cast<int>(kRejectedPerAckMax));
}

TEST_CASE("a prefix that ends in no border here is another history", "[es1 section 6]") {
  CloudRig rig;
  Writer w{key_of(5)};
  w.data({record_of(1), record_of(2), record_of(3), record_of(4)});
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 1));
  Writer other{w.key};  // its borders are at 2 and 6
  other.data({record_of(1), record_of(2)});
  other.data({record_of(3), record_of(4), record_of(5), record_of(6)});
  CHECK(rig.push(other.batch(1, 2)).status() == es1::ACK_FORK);
  CHECK(rig.row(w.key).w == Seq{4});
}

TEST_CASE("a gap whose digest is no digest is no gap", "[es1 section 3]") {
  CloudRig rig;
  Writer w{key_of(5)};
  w.gap(2, GapKind::corrupt);
  rig.hello({CloudRig::listing(w)});
  es1::Batch batch = w.batch(0, 1);
  batch.mutable_items(0)->set_c_end("short");
  CHECK(rig.run({rig.frame(FrameType::batch, batch)}).replies.empty());
  CHECK(rig.push(w.batch(0, 1)).w() == 2);
}

TEST_CASE("a head that cannot be is not claimed: what a batch carries is", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(Writer{w.key})});
  es1::Batch batch = w.batch(0, 1);
  SECTION("no digest of it") { batch.clear_c_head(); }
  SECTION("below what is carried") { batch.set_head(1); }
  SECTION("beyond all numbers") { batch.set_head(UINT64_MAX / 2 + 1); }
  CHECK(rig.push(batch).status() == es1::ACK_OK);
  CHECK(rig.row(w.key).claimed == Seq{2});
  CHECK(rig.row(w.key).claims.empty());
}

TEST_CASE("the highest number there can be is claimed as any other", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(Writer{w.key})});
  es1::Batch batch = w.batch(0, 1);
  batch.set_head(UINT64_MAX / 2);
  CHECK(rig.push(batch).status() == es1::ACK_OK);
  CHECK(rig.row(w.key).claimed == Seq{UINT64_MAX / 2});
}

TEST_CASE("an incident that has closed stays as it was closed, whatever comes later", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  SECTION("a tail that came after all") {
    rig.hello({CloudRig::listing(w)});
    Writer cut{w.key};
    cut.data(w.blocks[0].records);
    rig.hello({CloudRig::listing(cut, true)}, 2);
    REQUIRE(rig.incidents().size() == 1);
    rig.push(w.batch(0, 3), 2);
    w.data({record_of(7)});
    rig.wait(1000);
    rig.push(w.batch(3, 4), 2);
  }
  SECTION("two agents, of which one went") {
    uint64_t tickets[3] = {};
    auto say = [&](uint8_t sid) {
      rig.ticket = tickets[sid];
      rig.hello({CloudRig::listing(w)}, sid);
      tickets[sid] = rig.ticket;
    };
    for (int round = 0; round < 3; round++) {
      for (uint8_t sid : {1, 2}) say(sid);
    }
    REQUIRE(rig.incidents().size() == 1);
    rig.wait(kAloneMs - 1);
    say(2);
    CHECK(rig.incidents().size() == 1);
    rig.wait(1);
    say(2);
    rig.wait(1000);
    say(2);
  }
  CHECK(rig.incidents().empty());
  const std::vector<Incident> all = rig.incidents(false);
  REQUIRE(all.size() == 1);
  CHECK(all[0].closed.us == rig.now.wall.us - 1'000'000);
}

TEST_CASE("of two gaps with an unknown prefix the first alone is unverified", "[es1 section 6]") {
  CloudRig rig;
  Writer w{key_of(5)};
  w.gap(3, GapKind::purged);
  w.gap(2, GapKind::purged);
  w.data({record_of(6)});
  rig.hello({CloudRig::listing(w)});
  es1::Batch batch = w.batch(0, 3);
  batch.clear_c_from();
  CHECK(rig.push(batch).status() == es1::ACK_OK);
  const std::vector<GapRow> gaps = rig.store->begin()->gaps(kFac, w.key, {0}, 10).value();
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].unverified);
  CHECK_FALSE(gaps[1].unverified);
}

TEST_CASE("a version below ours is told so too", "[es1 section 6]") {
  CloudRig rig;
  es1::Hello hello = rig.hello_of({});
  hello.set_proto_min(0);
  hello.set_proto_max(0);
  rig.run({rig.frame(FrameType::hello, hello)});
  CHECK(rig.answer<es1::Welcome>().status() == es1::WELCOME_VERSION);
}

TEST_CASE("a run whose name is all zeros is given a ticket as any other", "[es1 section 6]") {
  CloudRig rig;
  rig.run({rig.frame(FrameType::hello, rig.hello_of({}, 0), 0)});
  CHECK(rig.answer<es1::Welcome>().ticket() > 0);
}

TEST_CASE("a run takes over from one whose session was forgotten", "[es1 section 6]") {
  CloudRig rig;
  rig.hello({});
  rig.wait(1000);
  REQUIRE(rig.store->drop_sessions(rig.now.wall).value() == 1);
  const uint64_t first = rig.ticket;
  rig.hello({}, 2);
  CHECK(rig.ticket > first);
  CHECK(rig.incidents().empty());
}

TEST_CASE("a session is forgotten after its days unused, by the next takeover, and never the one that speaks", "[es1 section 6]") {
  CloudRig rig;
  const int64_t days = kSessionUnusedDays * 24 * 3600 * 1000;
  auto known = [&] { return rig.store->begin()->sessions(kFac).value().size(); };
  rig.hello({}, 1);
  rig.hello({}, 2);
  rig.wait(days);
  rig.hello({}, 3);
  CHECK(known() == 3);  // to the day: not yet
  rig.wait(1);
  rig.hello({}, 1);  // it was not heard for longer, but it is here
  CHECK(known() == 2);
}

TEST_CASE("another disk's list owes nothing for the one before: what that had finished without committing is an orphan", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  const es1::Hello done = with_list(rig.hello_of({}), {5});
  rig.run({rig.frame(FrameType::hello, done)});
  CHECK(rig.incidents().empty());  // a GAP PURGED is owed and will come
  auto orphan_up_to = [&](Seq last) {
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::orphan);
    CHECK(rig.incidents()[0].key == w.key);
    CHECK(rig.incidents()[0].last == last);
  };
  SECTION("one agent, a new disk") {
    rig.hello({}, 2);
    orphan_up_to({6});
  }
  SECTION("one agent, a disk with another list, of which the region has a part at first") {
    es1::Hello part = with_list(rig.hello_of({}), {8, 9});
    part.mutable_finished()->mutable_entries()->RemoveLast();
    rig.run({rig.frame(FrameType::hello, part)});
    CHECK(rig.incidents().empty());  // the rest may name it
    es1::Hello rest = with_list(rig.hello_of({}), {8, 9});
    rest.mutable_finished()->mutable_entries()->DeleteSubrange(0, 1);
    rest.mutable_finished()->set_offset(1);
    rig.run({rig.frame(FrameType::hello, rest)});
    orphan_up_to({6});
  }
  SECTION("a list as long as the one that is known, and another: it may have finished what is not listed") {
    Writer next = three_blocks(6);
    rig.hello({CloudRig::listing(next)}, 1);  // its list is empty again
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind) == 1);
    rig.run({rig.frame(FrameType::hello, with_list(rig.hello_of({CloudRig::listing(next)}), {8}))});
    es1::Hello other = with_list(rig.hello_of({}), {9});
    other.mutable_finished()->clear_entries();
    rig.run({rig.frame(FrameType::hello, other)});
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind) == 1);
    rig.run({rig.frame(FrameType::hello, with_list(rig.hello_of({}), {9}))});
    // What is not listed, and what the list before had deleted.
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind) == 3);
  }
  SECTION("the same list from its beginning") {
    rig.run({rig.frame(FrameType::hello, with_list(rig.hello_of({}), {8, 5}))});
    rig.run({rig.frame(FrameType::hello, with_list(rig.hello_of({}), {8, 5}))});
    CHECK(rig.incidents().empty());
    CHECK(rig.row(w.key).finished);
  }
  SECTION("two agents: the other one may owe it") {
    es1::Hello listing = done;
    uint64_t tickets[3] = {rig.ticket, rig.ticket, 0};
    for (int round = 0; round < 3; round++) {
      for (uint8_t sid : {2, 1}) {
        es1::Hello hello = sid == 1 ? listing : rig.hello_of({}, 2);
        hello.set_hello_no(++rig.hello_no[sid]);
        for (int twice = 0; twice < 2; twice++) {
          hello.set_ticket(tickets[sid]);
          if (sid == 2) hello.mutable_finished()->set_count(1);  // and does not say which yet
          rig.run({rig.frame(FrameType::hello, hello, sid)});
          tickets[sid] = rig.answer<es1::Welcome>().ticket();
        }
      }
    }
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::duplicate_identity);
    for (int twice = 0; twice < 2; twice++) {
      rig.ticket = tickets[2];
      rig.run({rig.frame(FrameType::hello, with_list(rig.hello_of({}, 2), {8}), 2)});
      tickets[2] = rig.answer<es1::Welcome>().ticket();
    }
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind) == 0);
  }
}

TEST_CASE("what a site deleted and finished is compared with what stands here under its numbers", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks(), so_far{w.key};
  for (size_t i : {0, 1}) so_far.data(w.blocks[i].records);
  rig.hello({CloudRig::listing(so_far)});
  REQUIRE(rig.push_all(so_far, 0, 2).w() == 4);
  bool moved = false;
  const auto finished = [&](uint64_t purged, const Hash& c) {
    es1::FinishedEpoch epoch = finished_epoch(5, purged);
    epoch.mutable_streams(0)->set_c_purged(Bytes(view(c)));
    epoch.mutable_streams(0)->set_moved(moved);
    if (moved) epoch.mutable_streams(0)->set_head(6);
    if (moved) epoch.mutable_streams(0)->set_c_head(Bytes(view(w.c()).substr(0, kDigestWireBytes)));
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {epoch});
    rig.run({rig.frame(FrameType::hello, hello)});
  };
  const auto fork_up_to = [&](Seq last) {
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::fork);
    CHECK(rig.incidents()[0].last == last);
  };
  const Hash other{7};
  SECTION("it is here") {
    REQUIRE(rig.push_all(w, 2, 3).w() == 6);
    finished(6, w.c());
    CHECK(rig.row(w.key).purged == Seq{6});
    rig.hello({}, 2);  // another list: what is here in full stays finished
    CHECK(rig.row(w.key).finished);
    CHECK(rig.incidents().empty());
  }
  SECTION("another history is here") {
    finished(4, other);
    fork_up_to({4});
  }
  SECTION("no border of this history is where it ends") {
    finished(3, other);
    fork_up_to({3});
  }
  SECTION("it is not here yet, and when it is it is another") {
    finished(6, other);
    CHECK(rig.incidents().empty());
    REQUIRE(rig.push_all(w, 2, 3).w() == 6);
    fork_up_to({6});
  }
  SECTION("nothing was deleted") {
    finished(0, other);
    CHECK(rig.incidents().empty());
  }
  SECTION("a lost tail was named, and is not named again when another list begins") {
    rig.hello({CloudRig::listing(w)});
    finished(4, so_far.c());
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::tail_lost);
    rig.hello({}, 2);
    CHECK(rig.incidents().size() == 1);
  }
  SECTION("the stream lives on elsewhere, and of what was deleted not all is here: a GAP PURGED is owed") {
    moved = true;
    finished(5, other);
    CHECK(rig.incidents().empty());
  }
}

TEST_CASE("a part of the finished list that does not follow what is known changes nothing", "[es1 section 5]") {
  CloudRig rig;
  const auto say = [&](uint64_t offset, uint64_t epoch) {
    es1::Hello hello = rig.hello_of({});
    hello.mutable_finished()->set_offset(offset);
    hello.mutable_finished()->set_count(9);
    hello.mutable_finished()->add_entries(finished_epoch(epoch, 6).SerializeAsString());
    rig.run({rig.frame(FrameType::hello, hello)});
    return rig.store->begin()->rows(kFac).value().size();
  };
  CHECK(say(1, 5) == 0);  // nothing is known
  CHECK(say(0, 5) == 1);
  CHECK(say(2, 6) == 1);  // one is known
  CHECK(say(1, 6) == 2);
}

TEST_CASE("entries of a finished list that make no sense change no row", "[es1 section 5]") {
  CloudRig rig;
  es1::FinishedEpoch good = finished_epoch(5, 6);
  auto say = [&](const Bytes& entry) {
    es1::Hello hello = rig.hello_of({});
    hello.mutable_finished()->set_count(1);
    hello.mutable_finished()->add_entries(entry);
    rig.run({rig.frame(FrameType::hello, hello)});
    CHECK(rig.report.replies.size() == 1);
    return rig.store->begin()->rows(kFac).value().size();
  };
  CHECK(say("\xff\xff no protobuf") == 0);
  es1::FinishedEpoch bad = good;
  bad.set_epoch(0);
  CHECK(say(bad.SerializeAsString()) == 0);
  bad = good;
  while (bad.streams_size() <= static_cast<int>(kStreamCount)) *bad.add_streams() = good.streams(0);
  CHECK(say(bad.SerializeAsString()) == 0);
  bad = good;
  bad.mutable_streams(0)->set_stream(kStreamCount);
  CHECK(say(bad.SerializeAsString()) == 0);
  bad = good;
  bad.mutable_streams(0)->set_c_purged("short");
  CHECK(say(bad.SerializeAsString()) == 0);
  CHECK(say(good.SerializeAsString()) == 1);
  good.mutable_streams(0)->set_moved(true);
  good.mutable_streams(0)->set_c_head("short");
  CHECK(say(good.SerializeAsString()) == 1);
  CHECK(rig.row(key_of(5)).finished_c == take<sizeof(Hash)>(ByteView(good.streams(0).c_purged())));
}

TEST_CASE("a lease is as long as the region is told to grant", "[es1 section 6]") {
  CloudRig rig;
  CHECK(rig.hello({}).lease_ms() == static_cast<uint64_t>(kLeaseMs));
  rig.config.lease_ms = 1;
  rig.reconciler = std::make_unique<Reconciler>(rig.config, rig.keys, rig.entropy);
  CHECK(rig.hello({}).lease_ms() == 1);
  rig.config.lease_ms = 42'000;
  rig.config.herd_window_ms = 17'000;
  rig.reconciler = std::make_unique<Reconciler>(rig.config, rig.keys, rig.entropy);
  const es1::Welcome welcome = rig.hello({});
  CHECK(welcome.lease_ms() == 42'000);
  CHECK(welcome.herd_window_ms() == 17'000);
}

TEST_CASE("while the region's key is being changed each WELCOME names the next one", "[es1 section 4]") {
  struct ChangingKeys final : KeyRing {
    BenchKeys known;
    RegionPublicKey coming;
    Result<std::shared_ptr<Channel>> join(const Facility& fac, const KeyId& kid, ByteView enc) override { return known.join(fac, kid, enc); }
    bool signed_by(const SitePublicKey&, const Facility&, const ParsedFrame&) override { return true; }
    std::optional<RegionPublicKey> next() const override { return coming; }
  } keys;
  keys.coming.point.fill(7);
  CloudRig rig;
  CHECK(rig.hello({}).next_region_key().empty());
  rig.reconciler = std::make_unique<Reconciler>(rig.config, keys, rig.entropy);
  const es1::Welcome welcome = rig.hello({});
  CHECK(welcome.next_region_key() == Bytes(view(keys.coming.point)));
  CHECK(welcome.next_kid() == Bytes(view(keys.coming.kid())));
}

TEST_CASE("a WELCOME stays within its limit, however much is owed and missing, and the rest comes with the next", "[es1 section 3]") {
  CloudRig rig;
  // More finished epochs than a WELCOME can name.
  for (uint64_t part = 0; part < 4; part++) {
    es1::Hello hello = rig.hello_of({});
    hello.mutable_finished()->set_count(4 * kFinishedPerHelloMax + 1);  // and one more, that never comes
    hello.mutable_finished()->set_offset(part * kFinishedPerHelloMax);
    for (uint64_t i = 0; i < kFinishedPerHelloMax; i++)
      hello.mutable_finished()->add_entries(finished_epoch(1'000'000'000 + part * kFinishedPerHelloMax + i, 6).SerializeAsString());
    rig.run({rig.frame(FrameType::hello, hello)});
  }
  REQUIRE(rig.facility().finished_count == 4 * kFinishedPerHelloMax);
  const es1::Welcome owed = rig.answer<es1::Welcome>();
  CHECK(owed.ByteSizeLong() <= kHelloBytesMax / 2 + 1024);
  CHECK(owed.entries_size() > 300);
  CHECK(owed.entries_size() < static_cast<int>(4 * kFinishedPerHelloMax));
  // Listed epochs with more gaps than there is room for: each is named, the gaps of the last ones are not.
  std::vector<es1::HelloEpoch> listed;
  for (uint64_t e = 1; e <= kListedEpochsMax; e++) {
    Writer w{key_of(e, StreamId::telemetry)};
    for (size_t i = 0; i < kGapRangesPerEntryMax; i++) w.gap(1'000'000'000, GapKind::shed);
    listed.push_back(CloudRig::listing(w));
    rig.run({rig.frame(FrameType::hello, rig.hello_of({listed.back()}))});
    REQUIRE(rig.push(w.batch(0, w.blocks.size())).status() == es1::ACK_OK);
  }
  rig.run({rig.frame(FrameType::hello, rig.hello_of(listed))});
  const es1::Welcome all = rig.answer<es1::Welcome>();
  CHECK(all.ByteSizeLong() <= kHelloBytesMax);
  REQUIRE(all.entries_size() >= static_cast<int>(kListedEpochsMax));
  CHECK(all.entries(0).gaps_size() == static_cast<int>(kGapRangesPerEntryMax));
  CHECK(all.entries(kListedEpochsMax - 1).gaps_size() == 0);
}
