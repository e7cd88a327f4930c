// The cloud's half of es1 (section 8): each case of a BATCH, each row of a HELLO, each incident.
#include "cloud/reconciler.h"

#include <catch2/catch.hpp>

#include "reconciler_rig.h"

using namespace egret;
using namespace egret::cloud;

namespace {

Writer three_blocks(uint64_t epoch = 5) {
  Writer w{key_of(epoch)};
  w.data({record_of(1), record_of(2)});
  w.data({record_of(3)});
  w.data({record_of(4), record_of(5), record_of(6)});
  return w;
}

}  // namespace

TEST_CASE("a batch that continues W is committed and acknowledged with the new W and c",
          "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  es1::Ack ack = rig.push(w.batch(0, 2));
  CHECK(ack.status() == es1::ACK_OK);
  CHECK(ack.w() == 3);
  CHECK(ack.c() == Bytes(view(w.blocks[1].after).substr(0, kDigestWireBytes)));
  CHECK(rig.row(w.key).w == Seq{3});
  CHECK(rig.report.outcomes[0].applied == 3);
  CHECK(rig.facility().records == 3);
}

TEST_CASE("rule 1: a repeated batch is a duplicate: acknowledged, nothing changes", "[es1 section 8][rule 1]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 2));
  es1::Ack ack = rig.push(w.batch(0, 2));
  CHECK(ack.status() == es1::ACK_OK);
  CHECK(ack.w() == 3);
  CHECK(rig.facility().records == 3);
}

TEST_CASE("of a batch that overlaps W the rest is applied", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 2));
  es1::Ack ack = rig.push(w.batch(1, 3));
  CHECK(ack.status() == es1::ACK_OK);
  CHECK(ack.w() == 6);
  CHECK(rig.facility().records == 6);
}

TEST_CASE("a batch that skips is answered GAP with the W that is there", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  es1::Ack ack = rig.push(w.batch(1, 2));
  CHECK(ack.status() == es1::ACK_GAP);
  CHECK(ack.w() == 0);
}

TEST_CASE("rule 2: another history is refused as FORK and writes nothing", "[es1 section 8][rule 2]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 1));
  Writer other{key_of(5)};
  other.data({record_of(1), record_of(99)});
  other.data({record_of(3)});
  CHECK(rig.push(other.batch(1, 2)).status() == es1::ACK_FORK);  // c_from differs
  CHECK(rig.push(other.batch(0, 2)).status() == es1::ACK_FORK);  // folded to W it differs
  CHECK(rig.push(other.batch(0, 1)).status() == es1::ACK_FORK);  // last = W, other digest
  Writer recut{key_of(5)};
  recut.data({record_of(1), record_of(2), record_of(3)});
  CHECK(rig.push(recut.batch(0, 1)).status() ==
        es1::ACK_FORK);  // a block that crosses W was cut elsewhere
  CHECK(rig.row(w.key).w == Seq{2});
  CHECK(rig.facility().records == 2);
}

TEST_CASE("a fold that ends elsewhere is BAD_BODY: the prefix agreed", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  es1::Batch batch = w.batch(0, 1);
  batch.set_c_last("sixteen bytes ..");
  CHECK(rig.push(batch).status() == es1::ACK_BAD_BODY);
  CHECK(rig.row(w.key).w == Seq{0});
}

TEST_CASE("what cannot be decoded is BAD_BODY, an unknown codec or dictionary NEED_DICT",
          "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  es1::Batch good = w.batch(0, 1);
  es1::Batch bad = good;
  bad.set_records("not zstd at all");
  CHECK(rig.push(bad).status() == es1::ACK_BAD_BODY);
  bad = good;
  bad.set_raw_len(good.raw_len() - 1);
  CHECK(rig.push(bad).status() == es1::ACK_BAD_BODY);
  bad = good;
  bad.set_codec(77);
  CHECK(rig.push(bad).status() == es1::ACK_NEED_DICT);
  bad = good;
  bad.set_dictionary(3);
  CHECK(rig.push(bad).status() == es1::ACK_NEED_DICT);
  bad = good;
  bad.mutable_items(0)->set_count(1);
  bad.set_last(1);
  CHECK(rig.push(bad).status() == es1::ACK_BAD_BODY);
  CHECK(rig.push(good).status() == es1::ACK_OK);
}

TEST_CASE("a batch against a bound of its header is dropped before anything is allocated for it",
          "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  const es1::Batch good = w.batch(0, 1);
  std::vector<es1::Batch> bad(11, good);
  bad[0].set_stream(4);
  bad[1].set_epoch(0);
  bad[2].set_first(0);
  bad[3].set_last(0);
  bad[4].set_c_last("short");
  bad[5].set_c_from("short");
  bad[6].set_raw_len(kRawBodyBytesMax + 1);
  bad[7].clear_items();
  bad[8].mutable_items(0)->set_repeat(2'000'000);
  bad[9].mutable_items(0)->set_count(kBlockRecordsMax + 1);
  bad[10].set_last(UINT64_MAX);
  for (size_t i = 0; i < bad.size(); i++) {
    INFO("case " << i);
    rig.run({rig.frame(FrameType::batch, bad[i])});
    CHECK(rig.report.replies.empty());
    CHECK(rig.drop() == DropReason::undecodable);
  }
  CHECK(rig.push(good).status() == es1::ACK_OK);
}

TEST_CASE("a gap after data is refused: c_last would prove nothing of the data", "[es1 section 2]") {
  CloudRig rig;
  Writer w{key_of(5, StreamId::telemetry)};
  w.data({record_of(1), record_of(2)});
  w.gap(3, GapKind::shed);
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 2));
  CHECK(rig.drop() == DropReason::undecodable);
  CHECK(rig.row(w.key).w == Seq{0});
  CHECK(rig.push_all(w, 0, 2).w() == 5);
}

TEST_CASE("only telemetry may be shed", "[I10]") {
  CloudRig rig;
  Writer result{key_of(5)};
  result.gap(3, GapKind::shed);
  Writer telemetry{key_of(5, StreamId::telemetry)};
  telemetry.gap(3, GapKind::shed);
  rig.hello({CloudRig::listing(result), CloudRig::listing(telemetry)});
  rig.run({rig.frame(FrameType::batch, result.batch(0, 1))});
  CHECK(rig.drop() == DropReason::undecodable);
  CHECK(rig.push(telemetry.batch(0, 1)).status() == es1::ACK_OK);
  CHECK(rig.facility().gap_records == 3);
}

TEST_CASE("a gap stands in its place and the chain goes on behind it", "[es1 section 8]") {
  CloudRig rig;
  Writer w{key_of(5, StreamId::telemetry)};
  w.data({record_of(1)});
  w.gap(4, GapKind::shed);
  w.data({record_of(6)});
  rig.hello({CloudRig::listing(w)});
  CHECK(rig.push_all(w, 0, 3).w() == 6);
  std::vector<GapRow> gaps = rig.store->begin()->gaps(kFac, w.key, {0}, 10).value();
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].first == Seq{2});
  CHECK(gaps[0].last == Seq{5});
  es1::Welcome welcome = rig.hello({CloudRig::listing(w)});
  REQUIRE(welcome.entries(0).gaps_size() == 1);
  CHECK(welcome.entries(0).gaps(0).first() == 2);
}

TEST_CASE("a gap that crosses W is answered GAP, to be cut again", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 1));
  Writer purged{key_of(5)};
  purged.gap(6, GapKind::purged);
  CHECK(rig.push(purged.batch(0, 1)).status() == es1::ACK_GAP);
}

TEST_CASE("only GAP PURGED may come without its prefix, and marks the row unverified",
          "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  es1::Batch data = w.batch(0, 1);
  data.clear_c_from();
  CHECK(rig.push(data).status() == es1::ACK_BAD_BODY);
  Writer purged{key_of(5)};
  purged.gap(6, GapKind::purged);
  es1::Batch batch = purged.batch(0, 1);
  batch.clear_c_from();
  CHECK(rig.push(batch).status() == es1::ACK_OK);
  CHECK(rig.row(w.key).unverified);
}

TEST_CASE("rule 24: a bad record is kept with its reason and its neighbours are applied",
          "[es1 section 8][rule 24]") {
  CloudRig rig;
  Writer w{key_of(5)};
  w.data({record_of(1), "garbage", record_of(2, "clinic-2"), record_of(3)});
  rig.hello({CloudRig::listing(w)});
  es1::Ack ack = rig.push(w.batch(0, 1));
  CHECK(ack.status() == es1::ACK_OK);
  CHECK(ack.w() == 4);
  REQUIRE(ack.rejected_size() == 2);
  CHECK(ack.rejected(0).seq() == 2);
  CHECK(ack.rejected(0).reason() == static_cast<uint32_t>(QuarantineReason::undecodable));
  CHECK(ack.rejected(1).reason() == static_cast<uint32_t>(QuarantineReason::wrong_facility));
  CHECK(rig.report.outcomes[0].applied == 2);
  CHECK(rig.facility().quarantined == 2);
}

TEST_CASE("the same statement under two epochs takes effect once", "[I12]") {
  CloudRig rig;
  Writer a{key_of(5)}, b{key_of(6)};
  a.data({record_of(1)});
  b.data({record_of(1), record_of(2)});
  rig.hello({CloudRig::listing(a), CloudRig::listing(b)});
  rig.push(a.batch(0, 1));
  rig.push(b.batch(0, 1));
  CHECK(rig.facility().records == 2);
  CHECK(rig.facility().duplicates == 1);
}

TEST_CASE("an erased statement stays erased when it comes again", "[es1 section 2]") {
  CloudRig rig;
  Writer a{key_of(5)}, b{key_of(6)};
  a.data({record_of(1)});
  b.data({record_of(1)});
  rig.hello({CloudRig::listing(a), CloudRig::listing(b)});
  rig.push(a.batch(0, 1));
  Result<RecordView> parts = split_record(a.blocks[0].records[0]);
  std::unique_ptr<Txn> txn = rig.store->begin();
  REQUIRE(txn->erase(kFac, check_body(parts->body, kFac)->key, "court order").has_value());
  REQUIRE(rig.store->commit(std::move(txn)) == CommitResult::committed);
  CHECK(rig.push(b.batch(0, 1)).status() == es1::ACK_OK);
  CHECK(rig.report.outcomes[0].applied == 0);
}

TEST_CASE("an unknown session or row is asked for a HELLO", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.run({rig.frame(FrameType::batch, w.batch(0, 1))});
  CHECK(rig.need_hello());
  rig.hello({});
  rig.run({rig.frame(FrameType::batch, w.batch(0, 1))});
  CHECK(rig.need_hello());
}

TEST_CASE("unauthenticated bytes change nothing", "[I20]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  KvMemory::State before = rig.backup();
  auto unchanged = [&] { return rig.kv.snapshot().writes == before.writes; };
  SECTION("a facility that is not registered") {
    rig.run({rig.frame(FrameType::batch, w.batch(0, 1), 1, "stranger")});
    CHECK(rig.drop() == DropReason::unknown_facility);
  }
  SECTION("a wrong signature") {
    rig.keys.signature_ok = false;
    rig.run({rig.frame(FrameType::hello, rig.hello_of({}))});
    CHECK(rig.drop() == DropReason::bad_signature);
  }
  SECTION("a wrong tag") {
    Inbound frame = rig.frame(FrameType::batch, w.batch(0, 1));
    frame.frame.back() ^= 1;
    rig.run({frame});
    CHECK(rig.drop() == DropReason::bad_tag);
  }
  SECTION("each byte of the prefix changed") {
    const Inbound good = rig.frame(FrameType::batch, w.batch(0, 1));
    for (size_t i = 0; i < 12; i++) {
      Inbound bad = good;
      bad.frame[i] ^= 0x10;
      rig.run({bad});
      CHECK(rig.report.outcomes.at(0).applied == 0);
    }
  }
  SECTION("an answer sent upwards") {
    rig.run({rig.frame(FrameType::welcome, es1::Welcome{})});
    CHECK(rig.drop() == DropReason::malformed);
  }
  CHECK(unchanged());
  CHECK(rig.row(w.key).w == Seq{0});
}

TEST_CASE("a revoked facility is not heard, a blocked one is told so", "[es1 section 8]") {
  CloudRig rig;
  rig.register_facility(kFac, true);
  rig.run({rig.frame(FrameType::hello, rig.hello_of({}))});
  CHECK(rig.drop() == DropReason::revoked);
  rig.register_facility(kFac, false, true);
  rig.run({rig.frame(FrameType::hello, rig.hello_of({}))});
  CHECK(rig.answer<es1::Welcome>().status() == es1::WELCOME_BLOCKED);
}

TEST_CASE("no common version is said as VERSION", "[es1 section 8]") {
  CloudRig rig;
  es1::Hello hello = rig.hello_of({});
  hello.set_proto_min(2);
  hello.set_proto_max(3);
  rig.run({rig.frame(FrameType::hello, hello)});
  CHECK(rig.answer<es1::Welcome>().status() == es1::WELCOME_VERSION);
}

TEST_CASE("what a site says of its disk and its certificate is kept, and what nobody can mean is not", "[es1 section 3]") {
  CloudRig rig;
  rig.hello({});
  CHECK(rig.facility().vitals.disk_hours_left == 0);
  CHECK(rig.facility().vitals.certificate_ends.us == 0);
  const auto said = [&](uint32_t hours, int64_t ends_s) {
    es1::Hello hello = rig.hello_of({});
    hello.set_disk_hours_left(hours);
    hello.set_certificate_ends_s(ends_s);
    rig.run({rig.frame(FrameType::hello, hello)});
    return rig.facility().vitals;
  };
  CHECK(said(61, 1'800'000'000).disk_hours_left == 61);
  CHECK(rig.facility().vitals.certificate_ends.us == 1'800'000'000'000'000);
  CHECK(said(UINT32_MAX, kCertificateEndsMaxS).disk_hours_left == kDiskHoursLeftMax);
  CHECK(rig.facility().vitals.certificate_ends.us == kCertificateEndsMaxS * 1'000'000);
  for (int64_t ends_s : {kCertificateEndsMaxS + 1, INT64_MAX, int64_t{-1}, INT64_MIN}) CHECK(said(0, ends_s).certificate_ends.us == 0);
}

TEST_CASE("last seen is refreshed only by a HELLO with the current ticket", "[es1 section 8]") {
  CloudRig rig;
  es1::Hello old = rig.hello_of({});
  rig.run({rig.frame(FrameType::hello, old)});
  CHECK(rig.facility().last_seen.us == 0);
  rig.hello({});
  WallTime seen = rig.facility().last_seen;
  CHECK(seen.us == rig.now.wall.us);
  rig.wait(60'000);
  rig.run({rig.frame(FrameType::hello, old)});  // replayed
  CHECK(rig.facility().last_seen == seen);
}

TEST_CASE("a final epoch of which more was claimed than is held loses its tail by name", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 1));
  Writer shorter{key_of(5)};
  shorter.data({record_of(1), record_of(2)});
  rig.hello({CloudRig::listing(shorter, true)}, 2);
  std::vector<Incident> open = rig.incidents();
  REQUIRE(open.size() == 1);
  CHECK(open[0].kind == IncidentKind::tail_lost);
  CHECK(open[0].first == Seq{3});
  CHECK(open[0].last == Seq{6});
  // The lost part comes after all: the incident closes itself.
  rig.push(w.batch(1, 3), 2);
  CHECK(rig.incidents().empty());
  CHECK(rig.incidents(false).size() == 1);
}

TEST_CASE("a tail that was lost before a re-homing is named by the finished list", "[I13]") {
  auto list_with = [](CloudRig& rig, const Writer& w, uint64_t head) {
    es1::FinishedEpoch finished;
    finished.set_epoch(w.key.epoch.value);
    es1::FinishedStream* stream = finished.add_streams();
    stream->set_stream(static_cast<uint32_t>(w.key.stream));
    stream->set_c_purged(Bytes(view(chain_start(kFac, w.key))));
    stream->set_moved(true);
    stream->set_head(head);
    stream->set_c_head(Bytes(view(w.blocks[head == 6 ? 2 : 1].after).substr(0, kDigestWireBytes)));
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {finished});
    rig.run({rig.frame(FrameType::hello, hello)});
  };
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});  // claims 6
  rig.push(w.batch(0, 1));            // W = 2
  SECTION("all that was claimed was moved: nothing is lost") {
    list_with(rig, w, 6);
    CHECK(rig.incidents().empty());
  }
  SECTION("the site had gone back to 3 when it moved what was left") {
    list_with(rig, w, 3);
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::tail_lost);
    CHECK(rig.incidents()[0].first == Seq{4});
    CHECK(rig.incidents()[0].last == Seq{6});
  }
  SECTION("at the head that was moved another history had been claimed") {
    Writer other(w.key);
    other.data({record_of(11)});
    other.data({record_of(21), record_of(31)});
    other.data({record_of(41), record_of(51), record_of(61)});
    rig.hello({CloudRig::listing(other)});
    list_with(rig, w, 6);
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::fork);
    CHECK(rig.incidents()[0].last == Seq{6});
  }
}

TEST_CASE("what was claimed below the head of a moved stream, and never came, is a fork by name", "[I13]") {
  CloudRig rig;
  Writer lost = three_blocks();
  Writer w(key_of(5));
  w.data({record_of(1), record_of(2)});
  w.data({record_of(30), record_of(40)});
  w.data({record_of(50), record_of(60), record_of(70)});
  rig.hello({CloudRig::listing(lost)});  // claims 6
  rig.push(lost.batch(0, 1));            // W = 2
  rig.hello({CloudRig::listing(w)});     // the site has gone back to 2 and written on to 7
  CHECK(rig.incidents().empty());        // W may come to 6 and compare
  auto moved = [&] {
    es1::FinishedEpoch finished;
    finished.set_epoch(w.key.epoch.value);
    es1::FinishedStream* stream = finished.add_streams();
    stream->set_stream(static_cast<uint32_t>(w.key.stream));
    stream->set_c_purged(Bytes(view(chain_start(kFac, w.key))));
    stream->set_moved(true);
    stream->set_head(7);
    stream->set_c_head(Bytes(view(w.c()).substr(0, kDigestWireBytes)));
    es1::Hello hello = rig.hello_of({});
    add_finished(hello, {finished});
    rig.run({rig.frame(FrameType::hello, hello)});
  };
  SECTION("it was claimed before the stream was moved") {
    moved();
    REQUIRE(rig.incidents().size() == 1);
    CHECK(rig.incidents()[0].kind == IncidentKind::fork);
    CHECK(rig.incidents()[0].first == Seq{3});
    CHECK(rig.incidents()[0].last == Seq{6});
    rig.hello({});
    CHECK(rig.incidents().size() == 1);
  }
  SECTION("a frame that claims it comes when all is over") {
    moved();
    es1::Batch late = lost.batch(1, 2);
    late.set_c_from(Bytes(kDigestWireBytes, '\x07'));  // refused, but its claim stands
    late.set_head(3);
    late.set_c_head(late.c_last());
    rig.push(late);
    es1::Hello listed = rig.hello_of({});
    listed.mutable_finished()->set_count(1);
    listed.mutable_finished()->set_hash(Bytes(view(rig.facility().finished_hash).substr(0, kDigestWireBytes)));
    rig.run({rig.frame(FrameType::hello, listed)});
    REQUIRE(rig.incidents().size() == 2);
    CHECK(rig.incidents()[1].kind == IncidentKind::fork);
    CHECK(rig.incidents()[1].last == Seq{3});
  }
  SECTION("a frame of what was moved comes when all is over: it lives on elsewhere") {
    moved();
    rig.push(w.batch(2, 3));
    rig.hello({});
    CHECK(rig.incidents().size() == 1);
  }
}

TEST_CASE("an epoch that was claimed and is listed no more is an orphan", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.hello({}, 2);
  REQUIRE(rig.incidents().size() == 1);
  CHECK(rig.incidents()[0].kind == IncidentKind::orphan);
  rig.hello({}, 2);
  CHECK(rig.incidents().size() == 1);
}

TEST_CASE("what a second agent claims of an epoch that the first has finished is an orphan when it goes",
          "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 3));
  es1::FinishedEpoch finished;
  finished.set_epoch(w.key.epoch.value);
  es1::FinishedStream* stream = finished.add_streams();
  stream->set_stream(static_cast<uint32_t>(w.key.stream));
  stream->set_purged(6);
  stream->set_c_purged(Bytes(view(w.c())));
  es1::Hello done = rig.hello_of({});
  add_finished(done, {finished});
  rig.run({rig.frame(FrameType::hello, done)});
  CHECK(rig.incidents().empty());
  Writer clone = three_blocks();
  clone.data({record_of(70), record_of(80)});
  rig.hello({CloudRig::listing(clone)}, 2);
  CHECK(rig.incidents().empty());
  rig.hello({}, 3);
  REQUIRE(rig.incidents().size() == 1);
  CHECK(rig.incidents()[0].kind == IncidentKind::orphan);
  CHECK(rig.incidents()[0].first == Seq{7});
  CHECK(rig.incidents()[0].last == Seq{8});
}

TEST_CASE("a claim whose content never came is a fork", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  Writer other{key_of(5)};
  other.data({record_of(1), record_of(2)});
  other.data({record_of(30)});
  other.data({record_of(40), record_of(50), record_of(60)});
  rig.push(other.batch(0, 3));
  std::vector<Incident> open = rig.incidents();
  REQUIRE(open.size() == 1);
  CHECK(open[0].kind == IncidentKind::fork);
  CHECK(open[0].last == Seq{6});
}

TEST_CASE("a batch that belittles its head still claims what it carries", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.push(w.batch(0, 3));
  Writer other(w.key);
  other.data({record_of(31)});
  other.data({record_of(41), record_of(51)});
  es1::Batch older = other.batch(0, 2);
  older.set_head(1);
  older.set_c_head(older.c_from());
  CHECK(rig.push(older).status() != es1::ACK_GAP);
  REQUIRE(rig.incidents().size() == 1);
  CHECK(rig.incidents()[0].kind == IncidentKind::fork);
  CHECK(rig.incidents()[0].last == Seq{3});
}

TEST_CASE("two agents of one identity are named and neither is fenced", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  const auto tickets = rig.two_agents_greet(w);
  REQUIRE(rig.incidents().size() == 1);
  CHECK(rig.incidents()[0].kind == IncidentKind::duplicate_identity);
  CHECK(rig.push(w.batch(0, 1), 1).status() == es1::ACK_OK);
  CHECK(rig.push(w.batch(1, 3), 2).status() == es1::ACK_OK);
  // One of them goes; a day later the incident is over.
  rig.wait(25LL * 3600 * 1000);
  rig.ticket = tickets[2];
  rig.hello({CloudRig::listing(w)}, 2);
  rig.hello({CloudRig::listing(w)}, 2);
  CHECK(rig.incidents().empty());
}

TEST_CASE("what a silent second agent had listed shields no lost tail for ever", "[I13]") {
  CloudRig rig;
  Writer w = three_blocks();
  uint64_t tickets[3] = {};
  auto say = [&](uint8_t sid, const std::vector<es1::HelloEpoch>& epochs) {
    rig.ticket = tickets[sid];
    rig.hello(epochs, sid);
    tickets[sid] = rig.ticket;
  };
  for (int round = 0; round < 3; round++) {
    say(1, {});
    say(2, {});
  }
  say(1, {CloudRig::listing(w)});
  say(2, {});
  auto orphans = [&] {
    return std::ranges::count(rig.incidents(), IncidentKind::orphan, &Incident::kind);
  };
  CHECK(orphans() == 0);  // agent 1 has listed it and is there
  // Two others go on with each other; agent 1 is heard no more.
  for (int hour = 0; hour < 26; hour++) {
    rig.wait(3600 * 1000);
    say(2, {});
    say(0, {});
  }
  CHECK(orphans() == 1);
}

TEST_CASE("a second agent shields the streams that it lists, and no other of the same run", "[I13]") {
  CloudRig rig;
  Writer lost = three_blocks(), kept(key_of(5, StreamId::telemetry));
  kept.data({record_of(90)});
  uint64_t tickets[3] = {};
  auto say = [&](uint8_t sid, const std::vector<es1::HelloEpoch>& epochs) {
    rig.ticket = tickets[sid];
    rig.hello(epochs, sid);
    tickets[sid] = rig.ticket;
  };
  es1::HelloEpoch both = CloudRig::listing(lost);
  *both.add_streams() = CloudRig::listing(kept).streams(0);
  for (int round = 0; round < 3; round++) {
    say(1, {both});
    say(2, {both});
  }
  auto orphans = [&] {
    std::vector<StreamKey> keys;
    for (const Incident& i : rig.incidents())
      if (i.kind == IncidentKind::orphan) keys.push_back(i.key);
    return keys;
  };
  say(2, {CloudRig::listing(kept)});
  CHECK(orphans().empty());  // the other has it
  say(1, {});  // no more
  CHECK(orphans() == std::vector{lost.key});
}

TEST_CASE("a restart is not taken for two agents", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  for (uint8_t sid : {1, 2, 3, 4}) rig.hello({CloudRig::listing(w, true)}, sid);
  CHECK(rig.incidents().empty());
}

TEST_CASE("the finished list continues, and starts over when the cloud has gone back",
          "[es1 section 7]") {
  CloudRig rig;
  KvMemory::State before = rig.backup();
  Writer w = three_blocks();
  es1::FinishedEpoch finished;
  finished.set_epoch(5);
  es1::FinishedStream* stream = finished.add_streams();
  stream->set_stream(1);
  stream->set_purged(6);
  stream->set_c_purged(Bytes(view(w.c())));
  Bytes entry;
  finished.SerializeToString(&entry);
  Hash h = sha256(Bytes(32, '\0') + entry);
  auto with_list = [&] {
    es1::Hello hello = rig.hello_of({});
    hello.mutable_finished()->set_count(1);
    hello.mutable_finished()->set_hash(Bytes(view(h).substr(0, kDigestWireBytes)));
    hello.mutable_finished()->set_offset(0);
    hello.mutable_finished()->add_entries(entry);
    return hello;
  };
  rig.run({rig.frame(FrameType::hello, with_list())});
  es1::Welcome welcome = rig.answer<es1::Welcome>();
  CHECK(welcome.finished_count() == 1);
  CHECK(welcome.finished_hash() == Bytes(view(h).substr(0, kDigestWireBytes)));
  // W is below the P of the list: the edge owes a GAP PURGED and is told where.
  REQUIRE(welcome.entries_size() == 1);
  CHECK(welcome.entries(0).epoch() == 5);
  CHECK(welcome.entries(0).w() == 0);
  rig.restore(before);
  rig.run({rig.frame(FrameType::hello, rig.hello_of({}))});
  CHECK(rig.answer<es1::Welcome>().finished_count() == 0);
  rig.run({rig.frame(FrameType::hello, with_list())});
  CHECK(rig.answer<es1::Welcome>().finished_count() == 1);
}

TEST_CASE("no answer is sent when the commit failed or its outcome is unknown", "[es1 section 8]") {
  CloudRig rig;
  Writer w = three_blocks();
  rig.hello({CloudRig::listing(w)});
  rig.kv.fail_write(1, KvMemory::Failure::lost);
  rig.run({rig.frame(FrameType::batch, w.batch(0, 1))});
  CHECK(rig.report.replies.empty());
  CHECK(rig.report.failed == 1);
  rig.kv.heal();
  CHECK(rig.push(w.batch(0, 1)).status() == es1::ACK_OK);
}

TEST_CASE("one bad frame in a group delays none of its neighbours", "[es1 section 8]") {
  CloudRig rig;
  Writer a = three_blocks(5), b = three_blocks(6);
  rig.hello({CloudRig::listing(a), CloudRig::listing(b)});
  Inbound bad = rig.frame(FrameType::batch, a.batch(0, 1));
  bad.frame.back() ^= 1;
  rig.run({bad,
           rig.frame(FrameType::batch, a.batch(0, 1)),
           {kFac, TopicKind::up_bulk, "junk"},
           rig.frame(FrameType::batch, b.batch(0, 3))});
  CHECK(rig.report.replies.size() == 2);
  CHECK(rig.row(a.key).w == Seq{2});
  CHECK(rig.row(b.key).w == Seq{6});
}

TEST_CASE("WELCOME lets the edge purge by the policy: commit, age, backup", "[es1 section 8]") {
  CloudRig rig;
  rig.config.safe_age_ms = 3'600'000;
  Writer w = three_blocks();
  auto welcome_with = [&](SafePolicy policy) {
    rig.config.safe = policy;
    rig.reconciler = std::make_unique<Reconciler>(rig.config, rig.keys, rig.entropy);
    return rig.hello({CloudRig::listing(w)}).entries(0).s();
  };
  welcome_with(SafePolicy::commit);
  rig.push(w.batch(0, 2));
  CHECK(welcome_with(SafePolicy::commit) == 3);
  CHECK(welcome_with(SafePolicy::age) == 0);
  CHECK(welcome_with(SafePolicy::backup) == 0);
  rig.wait(3'600'000);
  rig.push(w.batch(2, 3));
  CHECK(welcome_with(SafePolicy::age) == 3);
  CHECK(welcome_with(SafePolicy::by_default) == 3);
}
