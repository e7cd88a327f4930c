#include "tests/fuzz/region_bench.h"

#include "cloud/verify.h"
#include "schemas/chain.h"
#include "schemas/codec.h"
#include "schemas/limits.h"
#include "schemas/record.pb.h"

namespace egret::fuzz {

using namespace egret::cloud;

namespace {

constexpr size_t kSaidKept = 32;

Bytes wire(const Hash& c) {
  return Bytes(view(c).substr(0, kDigestWireBytes));
}

}  // namespace

RegionBench::RegionBench() {
  open();
  for (const char* fac : {"north", "south"}) {
    Site& s = sites_.emplace_back();
    s.fac = fac;
    s.run = sealing_->open_run(s.fac, entropy_);
    auto txn = store_->begin();
    txn->put(s.fac, Registration{{sealing_->site_key(s.fac)}, false, false});
    require(store_->commit(std::move(txn)) == CommitResult::committed, "a site is registered");
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
      for (size_t stream = 0; stream < 3; stream++)
        s.chains.push_back({{{epoch * 1000}, StreamId(stream)}, {}});
    }
  }
}

void RegionBench::open() {
  auto opened = open_store(kv_, entropy_);
  require(opened.has_value(), "a store opens again");
  store_ = std::move(*opened);
  ReconcilerConfig config;
  config.safe = SafePolicy::commit;
  config.alone_ms = 150'000;
  reconciler_ = std::make_unique<Reconciler>(config, *sealing_, entropy_);
}

Hash RegionBench::chain_start_of(const Site& site, const Chain& chain) {
  return chain_start(site.fac, chain.key);
}

// ---- the region ----

void RegionBench::commit(std::vector<Inbound> group) {
  for (const Inbound& in : group) said_.push_back(in);
  if (said_.size() > kSaidKept) said_.erase(said_.begin(), said_.end() - kSaidKept);
  Committer committer(*store_, *reconciler_);
  const CommitReport report = committer.run(group, now());
  look_at_rows();
  for (const Reply& reply : report.replies) look_at(reply);
}

void RegionBench::look_at_rows() {
  for (const Site& s : sites_) {
    auto rows = store_->begin()->rows(s.fac);
    require(rows.has_value(), "the ledger can be read");
    for (const auto& [key, row] : *rows) {
      RowSeen& seen = seen_[{s.fac, key}];
      require(row.w >= seen.w, "W never falls");
      require(row.w.value == 0 || row.unverified || chained(s.fac, key, row.w, row.c),
              "W has a digest that the site chained");
      require(row.w != seen.w || seen.w.value == 0 || row.c == seen.c, "a digest of one W stays");
      require(row.safe <= row.w, "S is never above W");
      require(row.claims.size() <= kClaimsPerRowMax && row.marks.size() <= kMarksPerRow,
              "a row is bounded");
      seen = {row.w, row.c};
    }
  }
}

void RegionBench::check_entry(const Facility& fac, StreamKey key, uint64_t w, ByteView c) const {
  const auto row = seen_.find({fac, key});
  require(row != seen_.end() && row->second.w.value >= w,
          "an answer says no more than the ledger holds");
  require(c.size() == kDigestWireBytes, "an answer has a digest");
  require(row->second.w.value != w || view(row->second.c).substr(0, c.size()) == c,
          "an answer has the ledger's digest");
}

void RegionBench::look_at(const Reply& reply) {
  require(reply.frame.size() <= kFrameBytesAgreedMax, "an answer keeps the frame's limit");
  require(parse_frame(reply.frame).has_value(), "an answer is a frame");
  const auto opened = sealing_->look_into(reply.fac, reply.frame);
  if (!opened) return;
  es1::Welcome welcome;
  es1::Ack ack;
  if (opened->prefix.type == FrameType::welcome) {
    require(welcome.ParseFromString(opened->body) && reply.frame.size() <= kHelloBytesMax,
            "a WELCOME is whole, within its limit");
    for (Site& s : sites_) {
      if (s.fac == reply.fac && opened->prefix.sid == s.run->sid()) s.ticket = welcome.ticket();
    }
    require(welcome.credit() <= kCreditMax, "credit keeps its limit");
    for (const es1::WelcomeEntry& e : welcome.entries()) {
      require(e.s() <= e.w(), "S is never above W");
      require(size_t(e.gaps_size()) <= kGapRangesPerEntryMax, "the gaps of an entry are bounded");
      check_entry(reply.fac, {{e.epoch()}, StreamId(e.stream())}, e.w(), e.c());
    }
  } else if (opened->prefix.type == FrameType::ack) {
    require(ack.ParseFromString(opened->body) && size_t(ack.rejected_size()) <= kRejectedPerAckMax,
            "an ACK is bounded");
    check_entry(reply.fac, {{ack.epoch()}, StreamId(ack.stream())}, ack.w(), ack.c());
  }
}

void RegionBench::end() {
  kv_.fail_next(sim::WriteFault::none);
  const auto verdict = verify(disk_, [](uint64_t, uint64_t) {});
  require(verdict.has_value(), "the store can be walked");
  if (verdict->wrong > 0) require(false, text_of(verdict->findings.front()).c_str());
}

// ---- a site ----

Bytes RegionBench::record(const Facility& fac, Script& script) {
  const uint8_t how = script.u8() % 16;
  if (how == 15) return script.bytes(script.u8());
  v1::Body body;
  body.set_sens(2);
  body.add_purpose(v1::PURPOSE_QUALITY);
  v1::AgentEvent& e = *body.mutable_agent_event();
  e.set_boot_id(Bytes(16, 'b'));
  e.set_counter(how < 4 ? how + 1 : 100 + ++number_);
  e.set_name("fuzz.event");
  e.set_severity(v1::AgentEvent::SEVERITY_INFO);
  e.mutable_t()->set_us(1'700'000'000'000'000);
  v1::Arrival arrival;
  arrival.set_wall_us(int64_t(++number_));
  Bytes made = make_body(body, how == 14 ? Facility("elsewhere") : fac).value().bytes;
  if (how == 13) made += script.bytes(script.u8());
  return join_record(made, encode_arrival(arrival).value()).value();
}

void RegionBench::add(Chain& chain, Block block) {
  std::vector<Hash> leaves;
  for (const Bytes& r : block.records) leaves.push_back(leaf_of(r));
  block.after = chain_extend(block.before, block.first, block.count, leaves);
  chain.blocks.push_back(std::move(block));
}

void RegionBench::data(Script& script) {
  Site& s = site(script);
  Chain& chain = s.chains[script.below(s.chains.size())];
  Block block{
      head(chain).next(), uint32_t(1 + script.below(3)), {}, GapKind::none, c_head(s, chain), {}};
  for (uint32_t i = 0; i < block.count; i++) block.records.push_back(record(s.fac, script));
  add(chain, std::move(block));
  known_.insert({s.fac, chain.key, head(chain), c_head(s, chain)});
}

void RegionBench::gap(Script& script) {
  Site& s = site(script);
  Chain& chain = s.chains[script.below(s.chains.size())];
  const uint64_t count = std::clamp<uint64_t>(script.any_number() % 70'000, 1, 70'000);
  add(chain, {head(chain).next(),
              uint32_t(count),
              {},
              GapKind(1 + script.u8() % 5),
              c_head(s, chain),
              {}});
  known_.insert({s.fac, chain.key, head(chain), c_head(s, chain)});
}

es1::Hello RegionBench::hello(Site& s, Script& script) {
  es1::Hello out;
  auto or_any = [&](uint64_t usual) { return script.once_in(16) ? script.any_number() : usual; };
  out.set_hello_no(or_any(++s.hello_no));
  out.set_hello_nonce("nonce" + std::to_string(100 + s.hello_no));
  if (script.once_in(16)) out.set_hello_nonce(script.bytes(script.u8()));
  out.set_ticket(or_any(s.ticket));
  out.set_proto_min(uint32_t(or_any(1)));
  out.set_proto_max(uint32_t(or_any(1)));
  out.set_wall_us(int64_t(or_any(1)));
  out.set_waiting_records(or_any(3));
  out.set_agent_version(script.once_in(16) ? script.bytes(script.u8()) : "fuzz");
  for (const Chain& chain : s.chains) {
    if (script.once_in(6)) continue;
    es1::HelloEpoch* epoch = nullptr;
    for (es1::HelloEpoch& e : *out.mutable_epochs())
      epoch = e.epoch() == chain.key.epoch.value ? &e : epoch;
    if (epoch == nullptr) epoch = out.add_epochs();
    epoch->set_epoch(chain.key.epoch.value);
    epoch->set_final(script.once_in(6));
    es1::HelloStream& stream = *epoch->add_streams();
    stream.set_stream(script.once_in(32) ? script.u8() : uint32_t(chain.key.stream));
    stream.set_head(or_any(head(chain).value));
    stream.set_c_head(script.once_in(16) ? script.bytes(script.u8() % 33) : wire(c_head(s, chain)));
    stream.set_purged(script.once_in(8) ? script.any_number() : 0);
    stream.set_border(script.once_in(8) ? script.any_number() : 0);
    stream.set_moved(script.once_in(12));
  }
  if (!script.once_in(8)) return out;
  es1::FinishedPart& part = *out.mutable_finished();
  es1::FinishedEpoch entry;
  entry.set_epoch(script.any_number());
  entry.add_streams()->set_stream(script.u8() % 5);
  entry.mutable_streams(0)->set_purged(script.any_number());
  entry.mutable_streams(0)->set_c_purged(script.bytes(32));
  entry.mutable_streams(0)->set_moved(script.once_in(2));
  part.set_offset(script.once_in(4) ? script.any_number() : 0);
  part.set_count(part.offset() + 1);
  part.add_entries(entry.SerializeAsString());
  part.set_hash(wire(sha256(Bytes(32, '\0') + part.entries(0))));
  return out;
}

// Blocks from one on, as they were chained.
es1::Batch RegionBench::batch(const Site& s, const Chain& chain, Script& script) const {
  es1::Batch out;
  out.set_epoch(chain.key.epoch.value);
  out.set_stream(uint32_t(chain.key.stream));
  out.set_head(head(chain).value);
  out.set_c_head(wire(c_head(s, chain)));
  const auto row = seen_.find({s.fac, chain.key});
  const Seq w = row == seen_.end() ? Seq{} : row->second.w;
  size_t from = 0;
  while (from + 1 < chain.blocks.size() && chain.blocks[from].first <= w) from++;
  if (script.once_in(6)) from = script.below(chain.blocks.size());
  const size_t to = std::min(chain.blocks.size(), from + 1 + script.below(4));
  out.set_first(chain.blocks[from].first.value);
  out.set_c_from(wire(chain.blocks[from].before));
  out.set_last(chain.blocks[to - 1].last().value);
  out.set_c_last(wire(chain.blocks[to - 1].after));
  Bytes raw;
  for (size_t i = from; i < to; i++) {
    const Block& block = chain.blocks[i];
    es1::BatchItem& item = *out.add_items();
    item.set_count(block.count);
    if (block.gap != GapKind::none)
      item.set_gap(es1::GapKindWire(block.gap)), item.set_c_end(Bytes(view(block.after)));
    for (const Bytes& r : block.records) append_record(raw, r);
  }
  const Encoded encoded = encode(raw, script.once_in(3) ? CodecId::stored : CodecId::zstd, 1);
  out.set_codec(uint32_t(encoded.codec));
  out.set_raw_len(encoded.raw_len);
  out.set_records(encoded.bytes);
  return out;
}

void RegionBench::spoil(es1::Batch& b, Script& script) const {
  switch (script.u8() % 14) {
    case 0:
      return b.set_first(script.any_number());
    case 1:
      return b.set_last(script.any_number());
    case 2:
      return b.set_c_from(script.bytes(script.u8() % 33));
    case 3:
      return b.set_c_last(script.bytes(script.u8() % 33));
    case 4:
      return b.set_head(script.any_number());
    case 5:
      return b.set_codec(script.u8());
    case 6:
      return b.set_dictionary(script.u8());
    case 7:
      return b.set_raw_len(uint32_t(script.any_number()));
    case 8:
      return b.set_records(script.bytes(script.u8()));
    case 9:
      return b.mutable_items(int(script.below(size_t(b.items_size()))))
          ->set_count(uint32_t(script.any_number()));
    case 10:
      return b.mutable_items(int(script.below(size_t(b.items_size()))))
          ->set_repeat(uint32_t(script.any_number()));
    case 11:
      return b.mutable_items(int(script.below(size_t(b.items_size()))))
          ->set_gap(es1::GapKindWire(script.u8() % 6));
    case 12:
      return b.mutable_items(int(script.below(size_t(b.items_size()))))
          ->set_c_end(script.bytes(script.u8() % 33));
    default:
      return b.mutable_items(int(script.below(size_t(b.items_size()))))->set_reason(script.u8());
  }
}

Inbound RegionBench::frame(Site& s, FrameType type, const Bytes& body) {
  return {s.fac, TopicKind::up_control, s.run->seal(type, body).frame};
}

void RegionBench::say_body(FrameType type, Bytes body) {
  Site& s = sites_.front();
  es1::Hello hello;
  if (type == FrameType::hello && hello.ParseFromString(body)) {
    if (hello.ticket() != 0) hello.set_ticket(s.ticket);
    hello.SerializeToString(&body);
  }
  commit({frame(s, type, body)});
}

void RegionBench::greeted(uint8_t blocks) {
  Script none(ByteView{});
  Site& s = sites_.front();
  for (int twice = 0; twice < 2; twice++)
    commit({frame(s, FrameType::hello, hello(s, none).SerializeAsString())});
  for (uint8_t i = 0; i < blocks; i++) {
    data(none);
    commit({frame(s, FrameType::batch, batch(s, s.chains.front(), none).SerializeAsString())});
  }
}

void RegionBench::perform(Ask ask, Script& script) {
  switch (ask) {
    case Ask::data:
      return data(script);
    case Ask::gap:
      return gap(script);
    case Ask::hello: {
      Site& s = site(script);
      return commit({frame(s, FrameType::hello, hello(s, script).SerializeAsString())});
    }
    case Ask::batch: {
      Site& s = site(script);
      std::vector<Inbound> group;
      for (size_t n = 1 + script.below(3); n > 0; n--) {
        const Chain& chain = s.chains[script.below(s.chains.size())];
        if (chain.blocks.empty()) continue;
        es1::Batch b = batch(s, chain, script);
        if (script.once_in(4)) spoil(b, script);
        group.push_back(frame(s, FrameType::batch, b.SerializeAsString()));
      }
      return commit(std::move(group));
    }
    case Ask::repeat:
      if (!said_.empty()) commit({said_[script.below(said_.size())]});
      return;
    case Ask::raw_body: {
      Site& s = site(script);
      return commit({frame(s, FrameType(script.u8() % 7), script.bytes(script.u16() % 1024))});
    }
    case Ask::raw_frame: {
      Inbound in = said_.empty() ? Inbound{"north", TopicKind::up_control, {}}
                                 : said_[script.below(said_.size())];
      if (in.frame.empty()) in.frame = script.bytes(script.u8());
      in.frame[script.u16() % std::max<size_t>(in.frame.size(), 1)] = char(script.u8());
      in.topic = TopicKind(script.u8() % 4);
      return commit({in});
    }
    case Ask::wait:
      now_ = now_ + int64_t(script.u8()) * 10'000;
      return;
    case Ask::crash:
      kv_.fail_next(sim::WriteFault::none), disk_.crash(entropy_), seen_.clear();
      return open();
    case Ask::commit_fails:
      return kv_.fail_next(script.once_in(2) ? sim::WriteFault::applied : sim::WriteFault::lost);
    case Ask::commit_unknown:
      return kv_.fail_next(script.once_in(2) ? sim::WriteFault::unknown_applied
                                             : sim::WriteFault::unknown_lost);
    case Ask::new_run: {
      Site& s = site(script);
      s.run = sealing_->open_run(s.fac, entropy_);
      s.hello_no = 0;
      return;
    }
    case Ask::roll_back: {
      Site& s = site(script);
      Chain& chain = s.chains[script.below(s.chains.size())];
      chain.blocks.resize(script.below(chain.blocks.size() + 1));
      return;
    }
    case Ask::block: {
      auto txn = store_->begin();
      const Site& s = site(script);
      txn->put(s.fac,
               Registration{{sealing_->site_key(s.fac)}, script.once_in(4), script.once_in(2)});
      (void)store_->commit(std::move(txn));
      return;
    }
    default: {
      std::vector<KvStore::BackedUp> rows;
      for (const auto& [name, row] : seen_) rows.push_back({name.first, name.second, row.w, row.c});
      (void)store_->confirm_backup(rows, now().wall);
    }
  }
}

}  // namespace egret::fuzz
