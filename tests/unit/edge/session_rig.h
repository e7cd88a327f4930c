// A session on the bench: a scripted cloud, an in-memory view of blocks, a clear channel, time by
// hand. Promises: what the session asks for is kept, to be looked at; nothing happens by itself.
// Leaves to others: the real buffer and reconciler (tests/sim).
#pragma once

#include <map>

#include "edge/session.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "tests/sim/seeded_entropy.h"
#include "tests/unit/support/clear_channel.h"

namespace egret::edge {

inline constexpr const char* kFac = "clinic-1";

// Blocks in memory. add() makes one durable; the test says ViewChanged when the session shall know.
class BenchStore final : public Reader {
 public:
  View view;

  EpochView& epoch(EpochId id, bool final = false) {
    for (EpochView& e : view.epochs) {
      if (e.id == id) return e;
    }
    EpochView e;
    e.id = id;
    e.final = final;
    for (size_t i = 0; i < kStreamCount; i++) {
      Hash c = chain_start(kFac, {id, static_cast<StreamId>(i)});
      e.streams[i].c_purged = e.streams[i].c_head = c;
      items_[{id, static_cast<StreamId>(i)}];
    }
    view.epochs.push_back(e);
    if (!final) view.current = id;
    return view.epochs.back();
  }
  void add(StreamKey key, const std::vector<Bytes>& records, GapKind gap = GapKind::none) {
    epoch(key.epoch);
    StreamView& stream = at(key);
    Item item;
    item.first = stream.head.next();
    item.count = static_cast<uint32_t>(records.size());
    item.gap = gap;
    std::vector<Hash> leaves;
    for (const Bytes& r : records) {
      leaves.push_back(leaf_of(r));
      append_record(item.raw, r);
    }
    item.c_end = chain_extend(stream.c_head, item.first, item.count, leaves);
    if (gap != GapKind::none) item.raw.clear();
    stream.head = item.last();
    stream.c_head = item.c_end;
    items_[key].push_back(item);
  }
  StreamView& at(StreamKey key) {
    return epoch(key.epoch).streams[static_cast<size_t>(key.stream)];
  }
  std::vector<Item>& items(StreamKey key) { return items_[key]; }

  std::optional<Hash> c_at(StreamKey key, Seq at) const override {
    const StreamView* stream = view.find(key);
    if (!stream || at < stream->border) return std::nullopt;
    if (at.value == 0) return chain_start(kFac, key);
    for (const Item& item : items_.at(key)) {
      if (item.last() == at) return item.c_end;
    }
    return std::nullopt;
  }
  std::vector<Item> read(StreamKey key, Seq after, const ReadLimit& limit) const override {
    std::vector<Item> out;
    const StreamView* stream = view.find(key);
    if (stream && after < stream->purged) {
      Item purged;
      purged.first = after.next();
      purged.count = static_cast<uint32_t>(span(after, stream->purged));
      purged.gap = GapKind::purged;
      purged.reason = GapReason::cloud_restored;
      purged.c_end = stream->c_purged;
      out.push_back(purged);
      after = stream->purged;
    }
    size_t raw = 0;
    for (const Item& item : items_.at(key)) {
      if (item.first <= after) continue;
      if (!out.empty() && (raw + item.raw.size() > limit.raw_bytes || out.size() >= limit.items))
        break;
      raw += item.raw.size();
      out.push_back(item);
    }
    return out;
  }
  std::vector<std::pair<Seq, Seq>> held(StreamKey key, Seq first, Seq last) const override {
    std::vector<std::pair<Seq, Seq>> out;
    for (const Item& item : items_.at(key)) {
      if (item.gap == GapKind::none && item.first <= last && item.last() >= first)
        out.push_back({item.first, item.last()});
    }
    return out;
  }
  Waiting waiting(StreamKey key, Seq after) const override {
    Waiting out;
    out.bytes = waits_unread;
    for (const Item& item : items_.at(key)) {
      if (item.first > after) out.bytes += item.raw.size();
    }
    return out;
  }
  std::vector<Bytes> finished(uint64_t offset, size_t max, size_t) const override {
    std::vector<Bytes> out;
    for (uint64_t i = offset; i < finished_list.size() && out.size() < max; i++)
      out.push_back(finished_list[i]);
    return out;
  }
  std::optional<Hash> finished_hash(uint64_t i) const override {
    if (i > finished_list.size()) return std::nullopt;
    Hash h{};
    for (uint64_t k = 0; k < i; k++) h = sha256(Bytes(egret::view(h)) + finished_list[k]);
    return h;
  }
  std::optional<FinishedStreamView> finished_stream(StreamKey) const override {
    return std::nullopt;
  }
  std::vector<Bytes> finished_list;
  size_t waits_unread = 0;  // bytes that wait and cannot be read

 private:
  std::map<StreamKey, std::vector<Item>> items_;
};

struct Rig {
  SeededEntropy entropy{1};
  BenchStore store;
  Now now{{1'000'000}, {1'700'000'000'000'000}};
  Memory memory;
  int runs = 0;
  int zstd_level = 3;
  std::unique_ptr<Session> session;
  Actions last;
  std::vector<Publish> published;  // all, in order
  ClearChannel cloud{1};

  void start() {
    SessionConfig config;
    config.facility = kFac;
    config.zstd_level = zstd_level;
    config.agent_version = "test";
    session = std::make_unique<Session>(
        config, store,
        [this] { return std::make_unique<ClearChannel>(static_cast<uint8_t>(++runs)); }, entropy,
        memory, store.view, now);
  }
  Actions& step(const Event& event) {
    last = session->step(event, now);
    for (const Action& a : last) {
      if (const auto* p = std::get_if<Publish>(&a)) published.push_back(*p);
    }
    return last;
  }
  // Records that no codec makes smaller.
  std::vector<Bytes> noise(size_t count, size_t bytes) {
    std::vector<Bytes> records(count, Bytes(bytes, 'x'));
    for (Bytes& r : records) {
      for (char& c : r) c = static_cast<char>(entropy.next() >> 32);
    }
    return records;
  }
  void wait(int64_t ms) {
    now.mono = now.mono + ms;
    now.wall.us += ms * 1000;
  }
  // Lets time pass to the next deadline and fires it.
  void fire() {
    if (session->next_deadline() > now.mono) wait(session->next_deadline() - now.mono);
    step(TimerFired{});
  }
  template <class T>
  std::vector<T> all() const {
    std::vector<T> out;
    for (const Action& a : last) {
      if (const auto* t = std::get_if<T>(&a)) out.push_back(*t);
    }
    return out;
  }
  Seq cursor(StreamKey key) const {
    for (const RowStatus& row : session->status().rows) {
      if (row.key == key) return row.cursor;
    }
    return {};
  }
  State state() const { return session->status().state; }
  es1::Hello last_hello() const { return last_of<es1::Hello>(FrameType::hello); }
  es1::Batch last_batch() const { return last_of<es1::Batch>(FrameType::batch); }
  template <class M>
  M last_of(FrameType type) const {
    M message;
    for (const Publish& p : published) {
      Result<ParsedFrame> f = parse_frame(p.frame);
      if (f && f->prefix.type == type)
        message.ParseFromArray(f->sealed.data(), static_cast<int>(f->sealed.size() - kTagBytes));
    }
    return message;
  }
  Nonce last_nonce(FrameType type) const {
    Nonce nonce{};
    for (const Publish& p : published) {
      Result<ParsedFrame> f = parse_frame(p.frame);
      if (f && f->prefix.type == type) nonce = f->prefix.nonce;
    }
    return nonce;
  }
  size_t count(FrameType type) const {
    size_t n = 0;
    for (const Publish& p : published) n += parse_frame(p.frame)->prefix.type == type;
    return n;
  }
  Actions& send(FrameType type, const google::protobuf::MessageLite& message) {
    Bytes body;
    message.SerializeToString(&body);
    return step(FrameArrived{cloud.seal(type, body).frame});
  }
  // The answer to the last HELLO: everything listed, W as `w` says (0 where it says nothing).
  es1::Welcome welcome(const std::map<StreamKey, Seq>& w = {},
                       const std::map<StreamKey, Seq>& s = {}) const {
    es1::Hello hello = last_hello();
    es1::Welcome out;
    out.set_hello_nonce(hello.hello_nonce());
    out.set_hello_no_seen(hello.hello_no());
    out.set_hello_no_nonce(hello.hello_nonce());
    out.set_ticket(7);
    out.set_credit(kCreditMax);
    out.set_lease_ms(kLeaseMs);
    out.set_finished_count(store.view.finished_count);
    out.set_finished_hash(Bytes(egret::view(store.view.finished_hash).substr(0, kDigestWireBytes)));
    for (const es1::HelloEpoch& e : hello.epochs()) {
      for (const es1::HelloStream& st : e.streams()) {
        StreamKey key{{e.epoch()}, static_cast<StreamId>(st.stream())};
        es1::WelcomeEntry* entry = out.add_entries();
        entry->set_epoch(e.epoch());
        entry->set_stream(st.stream());
        Seq at = w.contains(key) ? w.at(key) : Seq{};
        entry->set_w(at.value);
        entry->set_s(s.contains(key) ? s.at(key).value : 0);
        entry->set_claimed(st.head());
        if (std::optional<Hash> c = store.c_at(key, at))
          entry->set_c(Bytes(egret::view(*c).substr(0, kDigestWireBytes)));
      }
    }
    return out;
  }
  es1::Ack ack(es1::AckStatus status = es1::ACK_OK) const {
    es1::Batch batch = last_batch();
    es1::Ack out;
    out.set_nonce(Bytes(egret::view(last_nonce(FrameType::batch))));
    out.set_epoch(batch.epoch());
    out.set_stream(batch.stream());
    out.set_status(status);
    out.set_w(batch.last());
    out.set_c(batch.c_last());
    out.set_credit(kCreditMax);
    return out;
  }
  void to_connecting() { fire(); }
  void to_greeting() {
    to_connecting();
    step(Connected{0, "broker"});
  }
  void to_active(const std::map<StreamKey, Seq>& w = {}, const std::map<StreamKey, Seq>& s = {}) {
    to_greeting();
    send(FrameType::welcome, welcome(w, s));
  }
  void to_held() {
    to_greeting();
    es1::Welcome w = welcome();
    w.set_status(es1::WELCOME_RETRY);
    w.set_retry_after_ms(30'000);
    send(FrameType::welcome, w);
  }
  void to(State state) {
    start();
    switch (state) {
      case State::down:
        return;
      case State::connecting:
        return to_connecting();
      case State::greeting:
        return to_greeting();
      case State::active:
        return to_active();
      case State::held:
        return to_held();
    }
  }
};

inline StreamKey key_of(uint64_t epoch, StreamId stream = StreamId::result) {
  return {{epoch}, stream};
}

}  // namespace egret::edge
