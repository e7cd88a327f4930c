// The reconciler over a store that stops answering at any one moment, or in which a rival commits meanwhile.
#include <catch2/catch.hpp>

#include "reconciler_rig.h"
#include "tests/unit/support/failing_kv.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Writer three_blocks(uint64_t epoch = 5) {
  Writer w{key_of(epoch)};
  for (uint64_t n : {1, 3, 5}) w.data({record_of(100 * epoch + n), record_of(100 * epoch + n + 1)});
  return w;
}

// All rows of the store, to be compared.
std::vector<std::map<Bytes, Bytes>> rows_of(const KvMemory& kv) {
  std::vector<std::map<Bytes, Bytes>> out(kCloudSpaces);
  for (Space s = 0; s < kCloudSpaces; ++s) {
    for (const auto& [key, value] : kv.table(s)) out[s][key] = *value;
  }
  return out;
}

// The frame while the store stops answering at its first, second, ... read: nothing may be said and nothing written, and
// the frame that comes again is answered as if nothing had been. Returns how many reads there were.
uint64_t fail_each_read(CloudRig& rig, const Inbound& frame) {
  const KvMemory::State before = rig.backup();
  const SeededEntropy chance = rig.entropy;
  auto anew = [&](Kv& kv) {
    rig.kv.rollback(before);
    rig.entropy = chance;
    rig.store = open_store(kv, rig.entropy).value();
    rig.reconciler = std::make_unique<Reconciler>(rig.config, rig.keys, rig.entropy);
  };
  anew(rig.kv);
  rig.run({frame});
  REQUIRE(rig.report.replies.size() == 1);
  const Bytes answer = rig.report.replies[0].frame;
  const auto after = rows_of(rig.kv);
  uint64_t reads = 0;
  for (;; ++reads) {
    FailingKv failing(rig.kv);
    anew(failing);
    failing.fail_reads_from(reads + 1);
    rig.run({frame});
    if (!failing.failed()) break;
    CHECK(rig.report.replies.empty());
    CHECK(rig.report.failed == 1);
    CHECK(rig.kv.writes() == before.writes);
    failing.heal();
    rig.entropy = chance;
    rig.run({frame});
    REQUIRE(rig.report.replies.size() == 1);
    CHECK(rig.report.replies[0].frame == answer);
    CHECK(rows_of(rig.kv) == after);
  }
  anew(rig.kv);
  rig.run({frame});
  return reads;
}

es1::FinishedEpoch finished_epoch(const Writer& w, Seq purged, bool moved = false, std::optional<ByteView> c_head = std::nullopt) {
  es1::FinishedEpoch out;
  out.set_epoch(w.key.epoch.value);
  es1::FinishedStream& s = *out.add_streams();
  s.set_stream(static_cast<uint32_t>(w.key.stream));
  s.set_purged(purged.value);
  s.set_c_purged(Bytes(view(w.c())));
  s.set_moved(moved);
  if (!moved) return out;
  s.set_head(w.head().value);
  s.set_c_head(Bytes(c_head.value_or(view(w.c()).substr(0, kDigestWireBytes))));
  return out;
}

}  // namespace

TEST_CASE("a batch that meets a store which stops answering is never answered, and applied once when it comes again",
          "[es1 section 6]") {
  CloudRig rig;
  Writer w = three_blocks();
  SECTION("the first of its row") {
    rig.hello({CloudRig::listing(w)});
    CHECK(fail_each_read(rig, rig.frame(FrameType::batch, w.batch(0, 1))) > 5);
    CHECK(rig.row(w.key).w == Seq{2});
  }
  SECTION("an overlap, whose prefix is compared") {
    rig.hello({CloudRig::listing(w)});
    rig.push(w.batch(0, 2));
    CHECK(fail_each_read(rig, rig.frame(FrameType::batch, w.batch(1, 3))) > 5);
    CHECK(rig.row(w.key).w == Seq{6});
  }
  SECTION("a repeated one") {
    rig.hello({CloudRig::listing(w)});
    rig.push(w.batch(0, 2));
    fail_each_read(rig, rig.frame(FrameType::batch, w.batch(0, 2)));
    CHECK(rig.row(w.key).w == Seq{4});
  }
  SECTION("one that passes a claim which lies inside a block of it") {
    Writer other{w.key};
    other.data({record_of(71), record_of(72), record_of(73)});
    rig.hello({CloudRig::listing(other)});
    rig.push(w.batch(0, 1));
    fail_each_read(rig, rig.frame(FrameType::batch, w.batch(1, 3)));
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].last == Seq{3});
  }
  SECTION("one that brings what an incident had missed, and breaks an older claim") {
    Writer other{w.key};  // the same numbers, another content
    other.data({record_of(71), record_of(72)});
    other.data({record_of(73), record_of(74)});
    rig.hello({CloudRig::listing(other)});
    rig.hello({CloudRig::listing(w)});
    Writer short_one{w.key};
    short_one.data({record_of(501), record_of(502)});
    rig.hello({CloudRig::listing(short_one, true)}, 2);  // final at 2: a tail up to 6 is lost
    REQUIRE(rig.incidents().size() == 1);
    fail_each_read(rig, rig.frame(FrameType::batch, w.batch(0, 3), 2));
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::fork);
    CHECK(rig.row(w.key).w == Seq{6});
  }
}

TEST_CASE("a HELLO that meets a store which stops answering is never answered, and leaves no trace", "[es1 section 6]") {
  CloudRig rig;
  Writer w = three_blocks(), next = three_blocks(6);
  SECTION("the first of a facility, with an epoch that is new") {
    CHECK(fail_each_read(rig, rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}))) > 5);
    CHECK(rig.row(w.key).claimed == Seq{6});
  }
  SECTION("a final epoch that is shorter than it was, and a head that others claimed otherwise") {
    rig.hello({CloudRig::listing(w)});
    rig.push(w.batch(0, 3));
    Writer longer = w;
    longer.data({record_of(90)});
    rig.hello({CloudRig::listing(longer)});
    Writer other{w.key};
    other.data({record_of(91), record_of(92)});
    fail_each_read(rig, rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(other, true), CloudRig::listing(next)})));
    CHECK(rig.incidents().size() == 2);  // a fork at 2, a tail lost at 7
  }
  SECTION("a finished list with an epoch that is known, one that is not, and one that was moved") {
    rig.hello({CloudRig::listing(w), CloudRig::listing(next)});
    rig.push(w.batch(0, 2));
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {finished_epoch(w, {6}), finished_epoch(three_blocks(7), {6}),
                         finished_epoch(next, {0}, true, Bytes(kDigestWireBytes, 'x'))});
    fail_each_read(rig, rig.frame(FrameType::hello, hello));
    CHECK(rig.facility().finished_count == 3);
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::fork);
    CHECK(rig.incidents()[0].key == next.key);
  }
  SECTION("a finished list that says what is here was deleted") {
    rig.hello({CloudRig::listing(w)});
    rig.push_all(w, 0, 3);
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {finished_epoch(w, {6})});
    fail_each_read(rig, rig.frame(FrameType::hello, hello));
    CHECK(rig.row(w.key).finished);
    CHECK(rig.incidents().empty());
  }
  SECTION("what was claimed of a stream after its site had moved it, and above the head that it moved") {
    rig.hello({CloudRig::listing(w)});
    rig.push(w.batch(0, 1));
    Writer cut{w.key};
    cut.data(w.blocks[0].records);
    cut.data(w.blocks[1].records);
    fail_each_read(rig, rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(cut, true, {}, true)})));
    es1::Hello done = rig.hello_of({});
    add_finished(done, {finished_epoch(cut, {0}, true)});
    rig.run({rig.frame(FrameType::hello, done)});
    es1::Batch late = w.batch(1, 2);
    late.set_c_from(Bytes(kDigestWireBytes, '\x07'));  // refused, but its claim stands
    late.set_head(5);
    rig.push(late);
    es1::Hello after = rig.hello_of({});
    after.mutable_finished()->set_count(1);
    after.mutable_finished()->set_hash(done.finished().hash());
    fail_each_read(rig, rig.frame(FrameType::hello, after));
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::fork, &Incident::kind) == 1);
  }
  SECTION("another run takes over, and an old one is forgotten") {
    rig.hello({CloudRig::listing(w)});
    rig.wait((kSessionUnusedDays + 1) * 24 * 3600 * 1000);
    rig.hello({CloudRig::listing(w)}, 2);
    fail_each_read(rig, rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}, 3), 3));
    CHECK(rig.store->begin()->sessions(kFac).value().size() == 2);
  }
  SECTION("two agents of one identity, and what neither lists any more") {
    rig.two_agents_greet(w);
    REQUIRE(rig.incidents().size() == 1);
    rig.wait(25LL * 3600 * 1000);
    fail_each_read(rig, rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(next)}, 2), 2));
    CHECK(std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind) == 1);
  }
  SECTION("the HELLO that tells of two agents") {
    uint64_t tickets[3] = {};
    for (int round = 0; round < 3 && rig.incidents().empty(); round++) {
      for (uint8_t sid : {1, 2}) {
        rig.ticket = tickets[sid];
        rig.run({rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}, sid), sid)});
        rig.ticket = rig.answer<es1::Welcome>().ticket();
        const Inbound echo = rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}, sid), sid);
        fail_each_read(rig, echo);
        tickets[sid] = rig.answer<es1::Welcome>().ticket();
      }
    }
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::duplicate_identity);
  }
}

TEST_CASE("a row that a rival moves while a frame is handled is never moved from where it stood", "[es1 section 6]") {
  CloudRig rig;
  Writer w = three_blocks();
  auto each_moment = [&](const Inbound& frame, const std::vector<Inbound>& rivals, Seq w_after) {
    const KvMemory::State before = rig.backup();
    for (uint64_t n = 1;; ++n) {
      FailingKv contested(rig.kv);
      rig.kv.rollback(before);
      rig.store = open_store(contested, rig.entropy).value();
      rig.reconciler = std::make_unique<Reconciler>(rig.config, rig.keys, rig.entropy);
      contested.serializable();
      contested.before_read(n, [&] {
        const auto store = open_store(rig.kv, rig.entropy).value();
        Reconciler rival(rig.config, rig.keys, rig.entropy);
        for (const Inbound& in : rivals) Committer(*store, rival).run(std::span(&in, 1), rig.now);
      });
      rig.run({frame});
      if (!contested.deed_done()) break;
      if (rig.report.failed == 1) {  // it lost: nothing was said, and it comes again
        CHECK(rig.report.replies.empty());
        rig.run({frame});
      }
      REQUIRE(rig.report.replies.size() == 1);
      CHECK(rig.row(w.key).w == w_after);
    }
    rig.restore(before);
  };
  SECTION("the same batch twice") {
    rig.hello({CloudRig::listing(w)});
    const Inbound batch = rig.frame(FrameType::batch, w.batch(0, 2));
    each_moment(batch, {batch}, {4});
  }
  SECTION("a row that is new to both") {
    const std::vector<Inbound> rivals = {rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}, 2), 2),
                                         rig.frame(FrameType::batch, w.batch(0, 2), 2)};
    each_moment(rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)})), rivals, {4});
  }
  SECTION("an epoch that one lists and the other has finished") {
    const std::vector<Inbound> rivals = {rig.frame(FrameType::hello, rig.hello_of({CloudRig::listing(w)}, 2), 2),
                                         rig.frame(FrameType::batch, w.batch(0, 3), 2)};
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {finished_epoch(w, {6})});
    each_moment(rig.frame(FrameType::hello, hello), rivals, {6});
  }
}

TEST_CASE("a group whose store stops answering for one frame fails that frame and no other", "[es1 section 6]") {
  CloudRig rig;
  Writer w = three_blocks(), v = three_blocks(6);
  rig.hello({CloudRig::listing(w), CloudRig::listing(v)});
  const std::vector<Inbound> group = {rig.frame(FrameType::batch, w.batch(0, 1)), rig.frame(FrameType::batch, v.batch(0, 1))};
  FailingKv failing(rig.kv);
  rig.store = open_store(failing, rig.entropy).value();
  // Reads of the first frame alone, so that the group's second one is what fails.
  const KvMemory::State before = rig.backup();
  uint64_t first = 0;
  for (;; ++first) {
    FailingKv alone(rig.kv);
    rig.kv.rollback(before);
    rig.store = open_store(alone, rig.entropy).value();
    alone.fail_reads_from(first + 1);
    rig.run({group[0]});
    if (!alone.failed()) break;
  }
  rig.kv.rollback(before);
  rig.store = open_store(failing, rig.entropy).value();
  failing.fail_reads_from(first + 1);
  rig.run(group);
  CHECK(rig.report.failed == 1);
  CHECK(rig.report.replies.size() == 1);
  REQUIRE(rig.report.outcomes.size() == 2);
  CHECK(rig.report.outcomes[0].applied == 2);
  CHECK(rig.report.outcomes[1].drop == DropReason::store);
  failing.heal();
  CHECK(rig.row(w.key).w == Seq{2});
  CHECK(rig.row(v.key).w == Seq{0});
}

TEST_CASE("a store that does not answer when it is opened is not founded anew", "[store]") {
  CloudRig rig;
  const KvMemory::State before = rig.backup();
  const auto rows = rows_of(rig.kv);
  const uint64_t gen = rig.store->meta().value().gen;
  for (uint64_t n = 1;; ++n) {
    FailingKv failing(rig.kv);
    failing.fail_reads_from(n);
    const auto opened = open_store(failing, rig.entropy);
    CHECK(rows_of(rig.kv) == rows);
    if (opened) break;
    CHECK(opened.error().code == Errc::store_failed);
  }
  CHECK(open_store(rig.kv, rig.entropy).value()->meta().value().gen == gen);
  // An empty one is founded once, and its name is kept from then on.
  for (uint64_t n = 1;; ++n) {
    rig.kv.rollback(KvMemory(kCloudSpaces).snapshot());
    FailingKv failing(rig.kv);
    failing.fail_reads_from(n);
    const auto opened = open_store(failing, rig.entropy);
    const bool founded = rig.kv.writes() > 0;
    CHECK(rig.kv.writes() <= 1);
    const auto then = rows_of(rig.kv);
    REQUIRE(open_store(rig.kv, rig.entropy).has_value());
    if (founded) CHECK(rows_of(rig.kv) == then);
    if (opened) break;
    CHECK(opened.error().code == Errc::store_failed);
  }
}

TEST_CASE("what is done to a whole store fails as a whole when it does not answer", "[store]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 2));
  const KvMemory::State before = rig.backup();
  const auto rows = rows_of(rig.kv);
  const KvStore::BackedUp known{kFac, w.key, {4}, rig.row(w.key).c}, early{kFac, w.key, {2}, w.blocks[0].after},
      ahead{kFac, w.key, {6}, w.c()}, inside{kFac, w.key, {3}, w.c()}, other{kFac, w.key, {4}, w.c()}, gone{kFac, key_of(9), {1}, {}};
  const std::map<std::string, std::function<Result<uint64_t>(KvStore&)>> deeds = {
      {"confirm", [&](KvStore& s) -> Result<uint64_t> {
         auto done = s.confirm_backup(std::vector{known, ahead, inside, other, gone}, rig.now.wall);
         if (!done) return done.error();
         return done->rows * 10 + done->strangers;
       }},
      {"restored", [&](KvStore& s) -> Result<uint64_t> {
         auto done = s.mark_restored(rig.entropy, rig.now.wall, "a test");
         if (!done) return done.error();
         return done->size();
       }},
      {"sessions", [&](KvStore& s) { return s.drop_sessions({rig.now.wall.us + 1}); }},
      {"facilities", [&](KvStore& s) -> Result<uint64_t> {
         auto done = s.facilities();
         if (!done) return done.error();
         return done->size();
       }},
  };
  const std::map<std::string, uint64_t> right = {{"confirm", 14}, {"restored", 1}, {"sessions", 1}, {"facilities", 1}};
  for (const auto& [name, deed] : deeds) {
    for (const bool writes : {false, true}) {
      for (uint64_t n = 1;; ++n) {
        INFO(name << (writes ? " write " : " read ") << n);
        rig.kv.rollback(before);
        FailingKv failing(rig.kv);
        const auto store = open_store(failing, rig.entropy).value();
        if (!writes) failing.fail_reads_from(n);
        if (writes) rig.kv.fail_write(n, KvMemory::Failure::lost);
        const Result<uint64_t> done = deed(*store);
        rig.kv.heal();
        if (done) {
          CHECK(*done == right.at(name));
          break;
        }
        CHECK(done.error().code == Errc::store_failed);
        CHECK(rows_of(rig.kv) == rows);
      }
    }
  }
  SECTION("a backup sets S to what it holds, counts what it set, and never lowers it") {
    rig.restore(before);
    CHECK(rig.store->confirm_backup(std::vector{known}, rig.now.wall).value().rows == 1);
    CHECK(rig.row(w.key).safe == Seq{4});
    const auto again = rig.store->confirm_backup(std::vector{early, known}, {7}).value();
    CHECK(again.rows == 2);
    CHECK(again.strangers == 0);
    CHECK(rig.row(w.key).safe == Seq{4});
    CHECK(rig.store->meta().value().backup_confirmed);
    CHECK(rig.store->meta().value().last_backup_confirmed.us == 7);
  }
  SECTION("a restore is in the history, closed, and mints another gen") {
    rig.restore(before);
    const uint64_t gen = rig.store->meta().value().gen;
    CHECK(rig.store->mark_restored(rig.entropy, rig.now.wall, "a test").value() == std::vector<Facility>{kFac});
    CHECK(rig.store->meta().value().gen != gen);
    CHECK(rig.store->meta().value().gen != 0);
    CHECK(rig.incidents().empty());
    const std::vector<Incident> all = rig.incidents(false);
    REQUIRE(all.size() == 1);
    CHECK(all[0].kind == IncidentKind::restored);
    CHECK(all[0].opened == rig.now.wall);
    CHECK(all[0].closed == rig.now.wall);
    CHECK(all[0].note == "a test");
    rig.push(w.batch(2, 3));
    CHECK(rig.store->mark_restored(rig.entropy, rig.now.wall, "").value().empty());  // nothing is missing now
  }
  SECTION("a session that was used at the very time stays") {
    rig.restore(before);
    CHECK(rig.store->drop_sessions(rig.now.wall).value() == 0);
    CHECK(rig.store->drop_sessions({rig.now.wall.us + 1}).value() == 1);
    CHECK(rig.store->drop_sessions({rig.now.wall.us + 1}).value() == 0);
  }
}
