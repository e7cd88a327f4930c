#include "tests/fuzz/site_bench.h"

#include "schemas/limits.h"

namespace egret::fuzz {

using namespace egret::edge;

namespace {

constexpr const char* kFac = "north";
constexpr size_t kSentKept = 64, kDownKept = 32;
constexpr size_t kActionsMax = 4096;

}  // namespace

SiteBench::SiteBench() {
  sites_.push_back(std::make_unique<sim::Site>("north/0", kFac, 1, history_, journal_));
  site_ = sites_.front().get();
  boot();
}

void SiteBench::check() const {
  if (journal_.failed()) require(false, journal_.violation().c_str());
}

void SiteBench::boot() {
  sim::Site& s = *site_;
  s.watch.process = ++processes_;
  auto opened = Buffer::open(s.kv, kFac, entropy_);
  if (!opened) {  // a write was made to fail
    s.kv.fail_next(sim::WriteFault::none);
    opened = Buffer::open(s.kv, kFac, entropy_);
  }
  require(opened.has_value(), "a store opens again");
  s.buffer = std::move(*opened);
  SessionConfig config;
  config.facility = kFac;
  config.agent_version = "fuzz";
  config.zstd_level = 1;
  s.session = std::make_unique<Session>(
      config, *s.buffer, [this] { return sealing_->open_run(kFac, entropy_); }, entropy_,
      s.remembered, s.buffer->view(), now());
}

void SiteBench::reboot(bool power_cut) {
  sim::Site& s = *site_;
  connected_ = false;
  s.watch.process = 0;
  s.writes.clear();
  s.session.reset();
  s.buffer.reset();
  s.overheard = {};
  s.kv.fail_next(sim::WriteFault::none);
  if (power_cut) s.disk.crash(entropy_);
  s.watch.look_anew();
  cloud_.reset();
  sent_.clear();
  boot();
}

void SiteBench::wait(int64_t ms) {
  (void)time_.run_next(time_.now() + std::max<int64_t>(ms, 0));
}

void SiteBench::drive(const Event& event) {
  Actions actions = site_->session->step(event, now());
  require(actions.size() <= kActionsMax, "one event asks for a bounded number of actions");
  for (Action& action : actions) carry_out(std::move(action));
  require(site_->session->status().rows.size() <= kStreamCount * (kListedEpochsMax + 4),
          "rows of a session are bounded");
  if (site_->buffer->failed()) reboot(false);
  check();
}

void SiteBench::carry_out(Action action) {
  if (std::holds_alternative<Connect>(action) || std::holds_alternative<Disconnect>(action))
    connected_ = false;
  else if (const auto* publish_it = std::get_if<Publish>(&action))
    publish(*publish_it);
  else if (const auto* remember = std::get_if<Remember>(&action)) {
    site_->remembered = remember->memory;
    require(remember->memory.herd_window_ms >= 0, "a herd window is not negative");
  } else if (!std::holds_alternative<Notice>(action)) {
    if (const auto* purge = std::get_if<Purge>(&action)) checker_.asked_to_purge(*site_, *purge);
    site_->writes.push_back(std::move(action));
  }
}

void SiteBench::publish(const Publish& out) {
  require(connected_, "nothing is sent without a connection");
  require(out.frame.size() <= kFrameBytesAgreedMax, "a frame keeps its limit");
  checker_.sent_by_site(*site_, out.frame);
  const auto parsed = parse_frame(out.frame);
  const auto opened = sealing_->look_into(kFac, out.frame);
  require(parsed && opened, "what is sent is a frame");
  Sent sent{out.token, parsed->prefix.nonce, {}};
  if (parsed->prefix.type == FrameType::hello) {
    require(hello_.ParseFromString(opened->body) && out.frame.size() <= kHelloBytesMax,
            "a HELLO is whole, within its limit");
    cloud_ = sealing_->join(kFac, take<sizeof(KeyId)>(parsed->hello_clear), parsed->hello_clear.substr(sizeof(KeyId))).value();
  } else {
    require(sent.batch.ParseFromString(opened->body), "a BATCH can be read");
    const StreamKey key{{sent.batch.epoch()}, StreamId(sent.batch.stream())};
    sent_to_[key] = std::max(sent_to_[key], sent.batch.last());
  }
  sent_.push_back(std::move(sent));
  if (sent_.size() > kSentKept) sent_.erase(sent_.begin());
}

// ---- the writer ----

bool SiteBench::write(const Action& action) {
  Buffer& b = *site_->buffer;
  if (const auto* a = std::get_if<Purge>(&action)) return b.purge(a->upto).has_value();
  if (const auto* a = std::get_if<Rehome>(&action)) return b.rehome(a->key).has_value();
  if (const auto* a = std::get_if<RehomeBlocks>(&action))
    return b.rehome_blocks(a->key, a->first, a->last).has_value();
  if (const auto* a = std::get_if<Park>(&action))
    return b.park(a->key, a->first, a->reason).has_value();
  if (const auto* a = std::get_if<MarkCorrupt>(&action))
    return b.mark_corrupt(a->key, a->first).has_value();
  if (const auto* a = std::get_if<Unpark>(&action)) return b.unpark(a->stream).has_value();
  return true;
}

bool SiteBench::write_one() {
  if (site_->writes.empty()) return false;
  const Action action = std::move(site_->writes.front());
  site_->writes.pop_front();
  wrote(write(action));
  return true;
}

void SiteBench::wrote(bool ok) {
  check();
  if (!ok || site_->buffer->failed()) reboot(false);
}

void SiteBench::do_all_writes() {
  while (write_one()) {
  }
  drive(ViewChanged{site_->buffer->view()});
}

void SiteBench::append(Script& script) {
  Unit unit;
  std::vector<sim::Id> ids;
  for (size_t n = 1 + script.below(4); n > 0; n--) {
    const uint8_t how = script.u8();
    auto made = how % 16 == 15 ? producer_.again(kFac, now().wall, entropy_) : std::nullopt;
    const auto kind = how % 16 == 14   ? sim::RecordKind::large
                      : how % 16 == 13 ? sim::RecordKind::undecodable
                                       : sim::RecordKind::small;
    if (!made) made = producer_.make(kFac, kind, now().wall, entropy_);
    ids.push_back(made->id);
    unit.records.push_back({StreamId(how / 16 % kStreamCount), std::move(made->record)});
  }
  const bool ok = site_->buffer->append(std::span(&unit, 1), now().wall).has_value();
  for (sim::Id id : ids) history_.fact(id).accepted = history_.fact(id).accepted || ok;
  wrote(ok);
}

void SiteBench::make_room() {
  std::vector<PurgeTo> upto;
  for (const EpochView& epoch : site_->buffer->view().epochs) {
    for (size_t i = 0; i < kStreamCount; i++) {
      const StreamKey key{epoch.id, StreamId(i)};
      const Seq confirmed = site_->session->confirmed(key);
      const StreamView& s = epoch.streams[i];
      if (s.moved || s.moving || confirmed <= s.purged || confirmed > s.head ||
          !site_->buffer->c_at(key, confirmed))
        continue;
      upto.push_back({key, confirmed, site_->session->safe(key)});
    }
  }
  site_->watch.room_purge = true;
  const bool ok = upto.empty() || site_->buffer->purge(upto).has_value();
  site_->watch.room_purge = false;
  wrote(ok);
}

// ---- the cloud ----

void SiteBench::add_entry(es1::Welcome& out, StreamKey key, uint64_t head, Script& script) {
  es1::WelcomeEntry& e = *out.add_entries();
  e.set_epoch(key.epoch.value);
  e.set_stream(uint32_t(key.stream));
  const View all = site_->buffer->view();
  const StreamView* held = all.find(key);
  const uint8_t how = script.u8() % 8;
  e.set_w(how < 4            ? sent_to_[key]
          : how == 4 && held ? held->purged.value
          : how == 5         ? head
          : how == 6         ? head + 1
                             : script.any_number());
  if (const auto c = site_->buffer->c_at(key, {e.w()}))
    e.set_c(Bytes(view(*c).substr(0, kDigestWireBytes)));
  if (script.once_in(16)) e.set_c(script.bytes(script.u8() % 33));
  const uint8_t s = script.u8() % 4;
  e.set_s(s < 2 ? e.w() : s == 2 ? std::min(e.w(), script.any_number()) : script.any_number());
  e.set_claimed(script.once_in(8) ? script.any_number() : head);
  for (size_t n = script.once_in(4) ? script.below(4) : 0; n > 0; n--) {
    es1::SeqRange& gap = *e.add_gaps();
    gap.set_first(script.any_number());
    gap.set_last(script.any_number());
  }
}

es1::Welcome SiteBench::welcome(Script& script) {
  es1::Welcome out;
  const View held = site_->buffer->view();
  auto or_any = [&](uint64_t usual) { return script.once_in(12) ? script.any_number() : usual; };
  out.set_hello_nonce(script.once_in(16) ? "other" : hello_.hello_nonce());
  out.set_hello_no_seen(or_any(hello_.hello_no()));
  out.set_hello_no_nonce(script.once_in(16) ? "other" : hello_.hello_nonce());
  out.set_ticket(or_any(7));
  out.set_finished_count(or_any(held.finished_count));
  if (const auto h = site_->buffer->finished_hash(out.finished_count()))
    out.set_finished_hash(Bytes(view(*h).substr(0, kDigestWireBytes)));
  if (script.once_in(12)) out.set_status(es1::WelcomeStatus(script.u8() % 4));
  out.set_retry_after_ms(or_any(30'000));
  out.set_lease_ms(or_any(kLeaseMs));
  out.set_credit(uint32_t(or_any(kCreditMax)));
  out.set_max_batch_bytes(uint32_t(or_any(0)));
  out.set_herd_window_ms(or_any(30'000));
  out.set_cloud_time_us(int64_t(or_any(1)));
  if (script.once_in(8))
    out.set_next_region_key(script.bytes(script.once_in(2) ? 32 : script.u8())),
        out.set_next_kid(script.bytes(4));
  for (const es1::HelloEpoch& epoch : hello_.epochs()) {
    for (const es1::HelloStream& s : epoch.streams())
      add_entry(out, {{epoch.epoch()}, StreamId(s.stream())}, s.head(), script);
  }
  if (script.once_in(8))
    add_entry(out, {{script.any_number()}, StreamId(script.u8() % 6)}, script.any_number(), script);
  return out;
}

es1::Ack SiteBench::ack(Script& script) {
  std::vector<const Sent*> batches;
  for (const Sent& s : sent_) {
    if (s.batch.last() > 0) batches.push_back(&s);
  }
  es1::Ack out;
  if (batches.empty()) return out;
  const Sent& of =
      *batches[batches.size() - 1 - (script.once_in(4) ? script.below(batches.size()) : 0)];
  out.set_nonce(script.once_in(16) ? script.bytes(script.u8() % 16) : Bytes(view(of.nonce)));
  out.set_epoch(script.once_in(32) ? script.u64() : of.batch.epoch());
  out.set_stream(script.once_in(32) ? script.u8() : of.batch.stream());
  out.set_status(script.once_in(4) ? es1::AckStatus(script.u8() % 6) : es1::ACK_OK);
  out.set_w(script.once_in(6) ? script.any_number() : of.batch.last());
  const StreamKey key{{out.epoch()}, StreamId(out.stream() % kStreamCount)};
  if (const auto c = site_->buffer->c_at(key, {out.w()}))
    out.set_c(Bytes(view(*c).substr(0, kDigestWireBytes)));
  if (script.once_in(16)) out.set_c(script.bytes(script.u8() % 33));
  out.set_credit(script.once_in(8) ? uint32_t(script.any_number()) : kCreditMax);
  if (script.once_in(8)) out.set_max_batch_bytes(uint32_t(script.any_number()));
  if (script.once_in(8)) out.set_pause_ms(script.any_number());
  if (script.once_in(8)) out.set_rejected_count(uint32_t(script.any_number()));
  return out;
}

// What the cloud says that it has, it has: from here on the site may delete it.
void SiteBench::believe(const es1::Welcome& welcome) {
  for (const es1::WelcomeEntry& e : welcome.entries()) {
    if (e.stream() >= kStreamCount) continue;
    const StreamKey key{{e.epoch()}, StreamId(e.stream())};
    const auto c = history_.whole(kFac, key, {e.w()}, e.c());
    if (!c || e.c().empty()) continue;
    (void)history_.walk(kFac, key, {e.w()}, *c, [&](Seq, const Hash&, const sim::Node& node) {
      for (sim::Id id : node.ids) history_.fact(id).ever = true;
      return true;
    });
  }
}

void SiteBench::say(FrameType type, const google::protobuf::MessageLite& message) {
  Bytes body;
  message.SerializeToString(&body);
  if (!cloud_) return;
  deliver(cloud_->seal(type, body).frame);
}

void SiteBench::say_body(FrameType type, Bytes body) {
  if (!cloud_) return;
  es1::Welcome welcome;
  es1::Ack ack;
  if (type == FrameType::welcome && welcome.ParseFromString(body)) {
    if (!welcome.hello_nonce().empty()) welcome.set_hello_nonce(hello_.hello_nonce());
    if (!welcome.hello_no_nonce().empty()) welcome.set_hello_no_nonce(hello_.hello_nonce());
    welcome.SerializeToString(&body);
  } else if (type == FrameType::ack && ack.ParseFromString(body)) {
    if (!ack.nonce().empty() && !sent_.empty()) ack.set_nonce(Bytes(view(sent_.back().nonce)));
    ack.SerializeToString(&body);
  }
  deliver(cloud_->seal(type, body).frame);
}

void SiteBench::deliver(Bytes frame) {
  if (!connected_) return;
  if (const auto opened = sealing_->look_into(kFac, frame);
      opened && opened->prefix.type == FrameType::welcome) {
    es1::Welcome welcome;
    if (welcome.ParseFromString(opened->body)) believe(welcome);
  }
  down_.push_back(frame);
  if (down_.size() > kDownKept) down_.erase(down_.begin());
  checker_.heard_by_site(*site_, frame);
  drive(FrameArrived{std::move(frame)});
}

// ---- deeds ----

void SiteBench::on_link(Deed deed, Script& script) {
  sim::Overheard& heard = site_->overheard;
  switch (deed) {
    case Deed::connected:
      if (site_->session->status().state != State::connecting) return;
      connected_ = true;
      sent_.clear();
      heard.in_flight.clear();
      heard.credit = 0;
      return drive(Connected{script.once_in(4) ? script.any_number() : 0, "broker"});
    case Deed::connect_failed:
      return drive(ConnectFailed{script.once_in(4), "refused"});
    case Deed::disconnected:
      connected_ = false;
      heard.in_flight.clear();
      heard.credit = 0;
      return drive(Disconnected{"lost"});
    case Deed::published:
      return drive(Published{sent_.empty()
                                 ? script.u8()
                                 : sent_[sent_.size() - 1 - script.below(sent_.size())].token});
    case Deed::publish_failed: {
      if (sent_.empty()) return drive(PublishFailed{script.u8(), script.once_in(2), "no"});
      const Sent& s = sent_[sent_.size() - 1 - script.below(sent_.size())];
      if (s.batch.last() > 0) heard.in_flight.erase(s.batch.stream());
      return drive(PublishFailed{s.token, script.once_in(2), "no"});
    }
    case Deed::welcome:
      return say(FrameType::welcome, welcome(script));
    case Deed::ack:
      return say(FrameType::ack, ack(script));
    case Deed::need_hello:
      if (cloud_ && !sent_.empty())
        deliver(need_hello_frame(cloud_->sid(), sent_[script.below(sent_.size())].nonce));
      return;
    case Deed::raw_body: {
      const auto type = FrameType(script.u8() % 7);
      if (type == FrameType::welcome || type == FrameType::ack)
        return say_body(type, script.bytes(script.u16() % 1024));
      return deliver(script.bytes(script.u16() % 1024));
    }
    default:
      if (!down_.empty()) deliver(Bytes(down_[script.below(down_.size())]));
  }
}

void SiteBench::on_disk(Deed deed, Script& script) {
  switch (deed) {
    case Deed::append:
      return append(script);
    case Deed::view:
      return drive(ViewChanged{site_->buffer->view()});
    case Deed::write:
      return void(write_one());
    case Deed::pressed:
      return drive(DiskPressed{});
    case Deed::shed: {
      const auto shed = site_->buffer->shed_oldest(
          [&](EpochId e) { return site_->session->confirmed({e, StreamId::telemetry}); });
      return wrote(shed.has_value());
    }
    case Deed::room_purge:
      return make_room();
    case Deed::crash:
      return reboot(true);
    case Deed::spoil:
      (void)site_->watch.spoil(script.u8(), script.u16());
      return;
    case Deed::write_fails:
      return site_->kv.fail_next(script.once_in(2) ? sim::WriteFault::applied
                                                   : sim::WriteFault::lost);
    default:
      site_->wall_offset_us = (int64_t(script.u8()) - 128) * 365 * 24 * 3600 * 1'000'000LL / 4;
  }
}

void SiteBench::perform(Deed deed, Script& script) {
  switch (deed) {
    case Deed::tick: {
      const MonoTime at = site_->session->next_deadline();
      if (at.ms == INT64_MAX) return;
      wait(at - time_.now());
      drive(TimerFired{});
      return;
    }
    case Deed::wait:
      wait(int64_t(script.u8()) * 200);
      return drive(TimerFired{});
    case Deed::connected:
    case Deed::connect_failed:
    case Deed::disconnected:
    case Deed::published:
    case Deed::publish_failed:
    case Deed::welcome:
    case Deed::ack:
    case Deed::need_hello:
    case Deed::raw_body:
    case Deed::repeat_down:
      return on_link(deed, script);
    default:
      return on_disk(deed, script);
  }
}

void SiteBench::to_active(uint8_t records) {
  Script none(ByteView{});
  for (uint8_t i = 0; i < records; i++) {
    const char how[] = {0, static_cast<char>(i % 4 * 16)};
    Script one(ByteView(how, 2));
    append(one);
  }
  perform(Deed::view, none);
  perform(Deed::tick, none);
  perform(Deed::connected, none);
  perform(Deed::welcome, none);
}

}  // namespace egret::fuzz
