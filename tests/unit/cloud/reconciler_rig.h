// A reconciler on the bench: the real store over memory, clear channels, batches made by hand.
// Promises: what a test says is what comes in; every frame is one group commit.
// Leaves to others: the real edge (tests/sim), RocksDB (store tests).
#pragma once

#include "cloud/committer.h"
#include "cloud/store_kv.h"
#include "cloud/tables.h"
#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/es1.pb.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"
#include "tests/sim/kv_memory.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/clear_channel.h"

namespace egret::cloud {

inline constexpr const char* kFac = "clinic-1";

// Knows every sid by the first byte of its enc; the signature is right when the test says so.
class BenchKeys final : public KeyRing {
 public:
  bool signature_ok = true;
  bool tag_ok = true;
  Result<std::shared_ptr<Channel>> join(const Facility&, const KeyId&, ByteView enc) override {
    if (!tag_ok) return Error{Errc::unknown_session, "no such key"};
    return std::shared_ptr<Channel>(std::make_shared<ClearChannel>(static_cast<uint8_t>(enc[0])));
  }
  bool signed_by(const SitePublicKey&, const Facility&, const ParsedFrame&) override {
    return signature_ok;
  }
  std::optional<RegionPublicKey> next() const override { return std::nullopt; }
};

// A valid record that differs from others by `n`.
inline Bytes record_of(uint64_t n, const Facility& fac = kFac, const std::string& detail = "") {
  v1::Body body;
  body.set_sens(1);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent* event = body.mutable_agent_event();
  event->set_boot_id(Bytes(16, 'b'));
  event->set_counter(n);
  event->set_name("test.event");
  event->set_severity(v1::AgentEvent::SEVERITY_INFO);
  event->mutable_t()->set_us(1'700'000'000'000'000);
  if (!detail.empty()) event->set_detail(detail);
  Result<NewBody> made = make_body(body, fac);
  if (!made) throw std::runtime_error(made.error().text);
  v1::Arrival arrival;
  arrival.set_wall_us(1'700'000'000'000'000 + static_cast<int64_t>(n));
  return join_record(made->bytes, encode_arrival(arrival).value()).value();
}

// One edge's chain, written by hand.
struct Writer {
  StreamKey key;
  Facility fac = kFac;
  struct Block {
    Seq first;
    uint32_t count;
    std::vector<Bytes> records;
    GapKind gap = GapKind::none;
    Hash before{}, after{};
  };
  std::vector<Block> blocks = {};
  Hash c() const { return blocks.empty() ? chain_start(fac, key) : blocks.back().after; }
  Seq head() const {
    return blocks.empty() ? Seq{} : blocks.back().first + (blocks.back().count - 1);
  }
  void data(const std::vector<Bytes>& records) {
    Block b{head().next(), static_cast<uint32_t>(records.size()), records, GapKind::none, c(), {}};
    std::vector<Hash> leaves;
    for (const Bytes& r : records) leaves.push_back(leaf_of(r));
    b.after = chain_extend(b.before, b.first, b.count, leaves);
    blocks.push_back(b);
  }
  void gap(uint32_t count, GapKind kind) {
    Block b{head().next(), count, {}, kind, c(), {}};
    b.after = chain_extend(b.before, b.first, count, {});
    blocks.push_back(b);
  }
  // The batch of blocks [from, to).
  es1::Batch batch(size_t from, size_t to) const {
    es1::Batch out;
    Bytes raw;
    for (size_t i = from; i < to; i++) {
      es1::BatchItem* item = out.add_items();
      item->set_count(blocks[i].count);
      if (blocks[i].gap != GapKind::none) {
        item->set_gap(static_cast<es1::GapKindWire>(blocks[i].gap));
        item->set_c_end(Bytes(view(blocks[i].after)));
      }
      for (const Bytes& r : blocks[i].records) append_record(raw, r);
    }
    out.set_epoch(key.epoch.value);
    out.set_stream(static_cast<uint32_t>(key.stream));
    out.set_first(blocks[from].first.value);
    out.set_last(blocks[to - 1].first.value + blocks[to - 1].count - 1);
    out.set_c_from(Bytes(view(blocks[from].before).substr(0, kDigestWireBytes)));
    out.set_c_last(Bytes(view(blocks[to - 1].after).substr(0, kDigestWireBytes)));
    out.set_head(head().value);
    out.set_c_head(Bytes(view(c()).substr(0, kDigestWireBytes)));
    Encoded encoded = encode(raw, CodecId::zstd, 1);
    out.set_codec(static_cast<uint32_t>(encoded.codec));
    out.set_raw_len(encoded.raw_len);
    out.set_records(encoded.bytes);
    return out;
  }
};

// Says the whole finished list of a site.
inline void add_finished(es1::Hello& hello, const std::vector<es1::FinishedEpoch>& epochs) {
  Hash hash{};
  for (const es1::FinishedEpoch& e : epochs) {
    const Bytes entry = e.SerializeAsString();
    hash = sha256(Bytes(view(hash)) + entry);
    hello.mutable_finished()->add_entries(entry);
  }
  hello.mutable_finished()->set_count(epochs.size());
  hello.mutable_finished()->set_hash(Bytes(view(hash).substr(0, kDigestWireBytes)));
}

struct CloudRig {
  SeededEntropy entropy{1};
  KvMemory kv{kCloudSpaces};
  std::unique_ptr<KvStore> store = open_store(kv, entropy).value();
  BenchKeys keys;
  ReconcilerConfig config;
  std::unique_ptr<Reconciler> reconciler;
  Now now{{1'000'000}, {1'700'000'000'000'000}};
  CommitReport report;
  uint64_t ticket = 0;
  std::map<uint8_t, uint64_t> hello_no;

  CloudRig() {
    config.safe = SafePolicy::commit;
    reconciler = std::make_unique<Reconciler>(config, keys, entropy);
    register_facility(kFac);
  }
  void register_facility(const Facility& fac, bool revoked = false, bool blocked = false) {
    std::unique_ptr<Txn> txn = store->begin();
    Registration r;
    r.keys.push_back({});
    r.revoked = revoked;
    r.blocked = blocked;
    txn->put(fac, r);
    store->commit(std::move(txn));
  }
  void wait(int64_t ms) {
    now.mono = now.mono + ms;
    now.wall.us += ms * 1000;
  }
  CommitReport& run(const std::vector<Inbound>& group) {
    Committer committer(*store, *reconciler);
    report = committer.run(group, now);
    return report;
  }
  Inbound frame(FrameType type, const google::protobuf::MessageLite& message, uint8_t sid = 1,
                const Facility& fac = kFac) {
    Bytes body;
    message.SerializeToString(&body);
    return {fac, TopicKind::up_control, ClearChannel(sid).seal(type, body).frame};
  }
  static es1::HelloEpoch listing(const Writer& w, bool final = false, Seq purged = {},
                                 bool moved = false) {
    es1::HelloEpoch e;
    e.set_epoch(w.key.epoch.value);
    e.set_final(final);
    es1::HelloStream* s = e.add_streams();
    s->set_stream(static_cast<uint32_t>(w.key.stream));
    s->set_head(w.head().value);
    s->set_c_head(Bytes(view(w.c()).substr(0, kDigestWireBytes)));
    s->set_purged(purged.value);
    s->set_border(purged.value);
    s->set_moved(moved);
    return e;
  }
  es1::Hello hello_of(const std::vector<es1::HelloEpoch>& epochs, uint8_t sid = 1) {
    es1::Hello hello;
    hello.set_hello_no(++hello_no[sid]);
    hello.set_hello_nonce("nonce" + std::to_string(100 + hello.hello_no()));
    hello.set_ticket(ticket);
    hello.set_proto_min(1);
    hello.set_proto_max(1);
    for (const es1::HelloEpoch& e : epochs) *hello.add_epochs() = e;
    return hello;
  }
  // Says HELLO; twice where the first brings a new ticket, so that it is believed.
  es1::Welcome hello(const std::vector<es1::HelloEpoch>& epochs, uint8_t sid = 1) {
    run({frame(FrameType::hello, hello_of(epochs, sid), sid)});
    es1::Welcome welcome = answer<es1::Welcome>();
    if (welcome.ticket() != ticket) {
      ticket = welcome.ticket();
      run({frame(FrameType::hello, hello_of(epochs, sid), sid)});
      welcome = answer<es1::Welcome>();
    }
    return welcome;
  }
  // Two agents of one identity, each with the ticket that it was told last, in turn.
  // The tickets, by sid.
  std::array<uint64_t, 3> two_agents_greet(const Writer& w) {
    std::array<uint64_t, 3> tickets{};
    for (int round = 0; round < 3; round++) {
      for (uint8_t sid : {1, 2}) {
        ticket = tickets[sid];
        hello({listing(w)}, sid);
        tickets[sid] = ticket;
      }
    }
    return tickets;
  }
  es1::Ack push(const es1::Batch& batch, uint8_t sid = 1) {
    run({frame(FrameType::batch, batch, sid)});
    return answer<es1::Ack>();
  }
  // Blocks [from, to) in as many batches as the wire wants: none has a gap after data.
  es1::Ack push_all(const Writer& w, size_t from, size_t to) {
    for (size_t i = from + 1; i < to; i++) {
      if (w.blocks[i].gap == GapKind::none || w.blocks[i - 1].gap != GapKind::none) continue;
      push(w.batch(from, i));
      from = i;
    }
    return push(w.batch(from, to));
  }
  template <class M>
  M answer(size_t i = 0) {
    M message;
    if (report.replies.size() <= i) return message;
    Result<ParsedFrame> f = parse_frame(report.replies[i].frame);
    ByteView sealed = f->sealed;
    if (!sealed.empty())
      message.ParseFromArray(sealed.data(), static_cast<int>(sealed.size() - kTagBytes));
    return message;
  }
  bool need_hello() {
    return report.replies.size() == 1 &&
           parse_frame(report.replies[0].frame)->prefix.type == FrameType::need_hello;
  }
  DropReason drop() { return report.outcomes.at(0).drop; }
  LedgerRow row(StreamKey key) { return store->begin()->row(kFac, key).value().value(); }
  FacilityRow facility() { return store->begin()->facility(kFac).value().value(); }
  std::vector<Incident> incidents(bool open_only = true) {
    return store->begin()->incidents(kFac, open_only).value();
  }
  KvMemory::State backup() { return kv.snapshot(); }
  void restore(KvMemory::State state) {
    kv.rollback(std::move(state));
    store = open_store(kv, entropy).value();
    reconciler = std::make_unique<Reconciler>(config, keys, entropy);
  }
};

inline StreamKey key_of(uint64_t epoch, StreamId stream = StreamId::result) {
  return {{epoch}, stream};
}

// A region that has committed two blocks of two, a gap of three, and a block of one.
inline void commit_eight(CloudRig& rig, Writer& w) {
  w.data({record_of(1), record_of(2)});
  w.data({record_of(3), record_of(4)});
  w.gap(3, GapKind::shed);
  w.data({record_of(8)});
  rig.hello({CloudRig::listing(w)});
  rig.push_all(w, 0, 4);
  REQUIRE(rig.row(w.key).w == Seq{8});
}

}  // namespace egret::cloud
