#include "tests/sim/checker.h"

#include <algorithm>

#include "cloud/verify.h"
#include "schemas/chain.h"
#include "schemas/es1.pb.h"
#include "schemas/limits.h"
#include "tests/sim/seeded_entropy.h"

namespace egret::sim {

using cloud::IncidentKind;

namespace {

constexpr size_t kVersionAt = 2, kSidAt = 4;  // in a frame

}  // namespace

// ---- I9: accepted => on the edge, or in the cloud, or in a durable gap with a lawful reason ----

bool Checker::held(Id id, const Facility& fac) const {
  return std::ranges::any_of(sites_, [&](const auto& s) { return s->fac == fac && s->watch.held().contains(id); });
}

bool Checker::lawful(const Fact& fact) const {
  return fact.shed || fact.damaged || (fact.ever && fact.exposed);
}

bool Checker::accounted(Id id) const {
  const Fact& fact = history_.fact(id);
  if (cloud_.stored(id) || held(id, fact.fac)) return true;
  if (!lawful(fact)) return false;
  return cloud_.names(fact) || std::ranges::any_of(sites_, [&](const auto& s) {
           return s->fac == fact.fac && s->watch.names(fact);
         });
}

void Checker::conserve() {
  journal_.tally.checked[9]++;
  for (Id id = 0; id < history_.facts() && !journal_.failed(); id++) {
    const Fact& fact = history_.fact(id);
    if (!fact.accepted || fact.excused || accounted(id)) continue;
    journal_.fail("I9", "record {} of {} was accepted and is nowhere", id, fact.fac);
  }
}

void Checker::site_went_back(const Facility& fac) {
  for (Id id = 0; id < history_.facts(); id++) {
    Fact& fact = history_.fact(id);
    if (fact.fac != fac || !fact.accepted || held(id, fac)) continue;
    fact.single = cloud_.stored(id) || (lawful(fact) && cloud_.names(fact));
    if (!fact.single && (fact.exposed || !accounted(id))) fact.excused = true;
  }
}

void Checker::cloud_went_back(bool beyond_s) {
  for (Id id = 0; id < history_.facts(); id++) {
    Fact& fact = history_.fact(id);
    if (!fact.accepted || cloud_.stored(id)) continue;
    // Also what a site still holds: a WELCOME from before may be on its way and let it delete.
    if (beyond_s && fact.ever) fact.exposed = true;
    if (fact.single && !held(id, fact.fac)) fact.excused = true;
  }
}

// ---- what is said on the wire ----

void Checker::check_nonce(const Facility& fac, ByteView frame) {
  const auto parsed = parse_frame(frame);
  if (!parsed || parsed->prefix.type == FrameType::need_hello) return;
  const Hash content = sha256(frame);
  const auto [known, fresh] = nonces_.try_emplace({fac, parsed->prefix.sid, parsed->prefix.nonce}, content);
  if (!fresh && known->second != content) journal_.fail("es1 4", "a nonce of {} was used for two contents", fac);
}

// A cursor moves by what the cloud says of (W, c), and only where c is ours. A second batch stands on the first, never a
// third on a second.
void Checker::check_footing(Site& site, const es1::Batch& batch) {
  const Seq before{batch.first() - 1};
  const StreamKey key{{batch.epoch()}, StreamId(batch.stream())};
  auto stands = [&](Seq at, const Bytes& c) {
    return at.value == 0 || c.empty() || site.overheard.told.contains({key, at, c});
  };
  const auto first = site.overheard.reaches.find({key, before, batch.c_from()});
  const bool second = first != site.overheard.reaches.end() && stands(first->second.first, first->second.second);
  site.overheard.reaches[{key, {batch.last()}, batch.c_last()}] = {before, batch.c_from()};
  if (!second && !stands(before, batch.c_from())) {
    journal_.fail("es1 6", "{} goes on at {} of stream {}, where the cloud agreed to nothing of the kind", site.name,
                  batch.first(), name_of(key.stream));
  }
}

void Checker::check_gap_answer(const Facility& fac, const es1::Ack& ack) {
  const auto sent = sent_.find(ack.nonce());
  if (ack.status() != es1::ACK_GAP || sent == sent_.end()) return;
  const Sent& batch = sent->second;
  const bool hole = batch.first.value > ack.w() + 1;
  if (!hole && !batch.gaps) journal_.fail("es1 8", "GAP is answered to {} at W {}, and {}..{} leaves no hole", fac, ack.w(),
                                          batch.first.value, batch.last.value);
}

// Cut again at a number, or in another epoch: what was out from there on is forgotten.
void Checker::count_flying(Site& site, const es1::Batch& batch, ByteView nonce) {
  Flying& lane = site.overheard.in_flight[batch.stream()];
  if (lane.epoch.value != batch.epoch()) lane = {{batch.epoch()}, {}};
  lane.sent.erase(lane.sent.lower_bound({batch.first()}), lane.sent.end());
  lane.sent[{batch.first()}] = {{batch.last()}, Bytes(nonce)};
  size_t flying = 0;
  for (const auto& [stream, of] : site.overheard.in_flight)
    flying += of.sent.size() - (stream == 0 && !of.sent.empty());
  journal_.tally.checked[15]++;
  if (flying > site.overheard.credit) {
    journal_.fail("I15", "{} has {} batches in flight with a credit of {}", site.name, flying, site.overheard.credit);
  }
}

void Checker::sent_by_site(Site& site, ByteView frame) {
  check_nonce(site.fac, frame);
  site.overheard.sid = take<sizeof(SessionId)>(frame.substr(kSidAt));
  const auto opened = sealing_.look_into(site.fac, frame);
  if (!opened) return;
  if (opened->prefix.type == FrameType::hello) {
    es1::Hello hello;
    hello.ParseFromString(opened->body);
    if (hello.hello_nonce() != site.overheard.hello_nonce) site.overheard.believed.reset();
    site.overheard.hello_nonce = hello.hello_nonce();
    journal_.tally[Met::hellos]++;
    return;
  }
  es1::Batch batch;
  batch.ParseFromString(opened->body);
  journal_.tally[Met::batches]++;
  const bool gaps = std::ranges::any_of(batch.items(), [](const es1::BatchItem& i) { return i.gap() != es1::GAP_NONE; });
  sent_[Bytes(view(opened->prefix.nonce))] = {{{batch.epoch()}, StreamId(batch.stream())}, {batch.first()}, {batch.last()}, gaps};
  check_footing(site, batch);
  count_flying(site, batch, view(opened->prefix.nonce));
}

// The link has told the site that this frame did not leave.
void Checker::unsent_by_site(Site& site, ByteView frame) {
  const auto opened = sealing_.look_into(site.fac, frame);
  es1::Batch batch;
  if (!opened || opened->prefix.type != FrameType::batch || !batch.ParseFromString(opened->body)) return;
  site.overheard.in_flight[batch.stream()].sent.erase({batch.first()});
}

void Checker::heard_by_site(Site& site, ByteView frame) {
  const auto opened = sealing_.look_into(site.fac, frame);
  if (!opened) return;
  if (opened->prefix.type == FrameType::welcome) {
    es1::Welcome welcome;
    if (!welcome.ParseFromString(opened->body) || opened->prefix.sid != site.overheard.sid) return;
    const edge::View view = site.buffer->view();
    for (const es1::WelcomeEntry& e : welcome.entries()) {
      const edge::StreamView* held = view.find({{e.epoch()}, StreamId(e.stream())});
      if (held && !held->moved && e.claimed() > held->head.value) site.overheard.outclaimed.insert({e.epoch()});
    }
    if (welcome.hello_nonce() != site.overheard.hello_nonce) return;
    site.overheard.in_flight.clear();
    site.overheard.credit = std::max(site.overheard.credit, welcome.credit());
    for (const es1::WelcomeEntry& e : welcome.entries()) site.overheard.told.insert({{{e.epoch()}, StreamId(e.stream())}, {e.w()}, e.c()});
    site.overheard.believed = std::move(welcome);
  } else if (opened->prefix.type == FrameType::ack) {
    es1::Ack ack;
    if (!ack.ParseFromString(opened->body)) return;
    Flying& lane = site.overheard.in_flight[ack.stream()];
    const bool reached = ack.status() == es1::ACK_OK && lane.epoch.value == ack.epoch();
    std::erase_if(lane.sent, [&](const auto& f) {
      return f.second.nonce == ack.nonce() || (reached && f.second.last.value <= ack.w());
    });
    site.overheard.told.insert({{{ack.epoch()}, StreamId(ack.stream())}, {ack.w()}, ack.c()});
    site.overheard.credit = std::max(site.overheard.credit, ack.credit());
  }
}

void Checker::forged_for_site(Site& site, edge::Actions actions, const std::function<void(edge::Action)>& carry_out) {
  journal_.tally.checked[20]++;
  for (edge::Action& action : actions) {
    const bool harmless = std::holds_alternative<edge::Publish>(action) || std::holds_alternative<edge::Notice>(action) ||
                          std::holds_alternative<edge::MarkCorrupt>(action);
    if (!harmless) journal_.fail("I20", "a forged frame made {} do more than speak", site.name);
    if (harmless) carry_out(std::move(action));
  }
}

// I8: a purge to n needs a WELCOME with the current nonce that has W >= n, c_W ours and S >= n.
void Checker::asked_to_purge(Site& site, const edge::Purge& purge) {
  journal_.tally[Met::purges]++;
  for (const edge::PurgeTo& p : purge.upto) {
    const es1::WelcomeEntry* entry = nullptr;
    if (site.overheard.believed) {
      for (const es1::WelcomeEntry& e : site.overheard.believed->entries()) {
        if (e.epoch() == p.key.epoch.value && e.stream() == uint32_t(p.key.stream)) entry = &e;
      }
    }
    if (!entry || entry->w() < p.to.value || entry->s() < p.to.value) {
      journal_.fail("I8", "{} purges stream {} to {}, WELCOME said W {} S {}", site.name, name_of(p.key.stream),
                    p.to.value, entry ? entry->w() : 0, entry ? entry->s() : 0);
      return;
    }
    journal_.tally.checked[8]++;
    const auto c = history_.whole(site.fac, p.key, {entry->w()}, entry->c());
    const auto theirs = c ? history_.c_at(site.fac, p.key, {entry->w()}, *c, p.to) : std::nullopt;
    const auto ours = site.buffer->c_at(p.key, p.to);
    if (ours && theirs && *ours != *theirs) {
      journal_.fail("I8", "{} purges stream {} to {} on another history's word", site.name, name_of(p.key.stream),
                    p.to.value);
    }
  }
}

// Sections 4 and 8: a frame of another version is no frame; a HELLO without a protocol in common is told so.
void Checker::check_version(const cloud::Inbound& in, const cloud::Outcome& out) {
  const bool ours = in.frame.size() > kVersionAt && static_cast<uint8_t>(in.frame[kVersionAt]) >> 4 == kProtocolVersion;
  if (!ours) {
    journal_.tally[Met::other_frames]++;
    if (out.wrote || out.drop == cloud::DropReason::none) journal_.fail("es1 4", "a frame of another version is heard");
    return;
  }
  es1::Hello hello;
  const auto opened = sealing_.look_into(in.fac, in.frame);
  if (!out.hello || !opened || !hello.ParseFromString(opened->body)) return;
  const bool speaks = hello.proto_min() <= kProtocolVersion && hello.proto_max() >= kProtocolVersion;
  if (!speaks) strangers_.insert(hello.hello_nonce());
}

void Checker::committed(std::span<const cloud::Inbound> frames, std::span<const cloud::Outcome> outcomes) {
  for (size_t i = 0; i < std::min(frames.size(), outcomes.size()); i++) {
    const cloud::Outcome& out = outcomes[i];
    check_version(frames[i], out);
    journal_.tally[Met::duplicates] += out.duplicates;
    journal_.tally[Met::quarantined] += out.quarantined;
    const auto opened = sealing_.look_into(frames[i].fac, frames[i].frame);
    if (!opened) continue;
    es1::Hello hello;
    es1::Batch batch;
    if (out.hello && hello.ParseFromString(opened->body)) {
      for (const es1::HelloEpoch& epoch : hello.epochs()) {
        for (const es1::HelloStream& s : epoch.streams()) {
          claims.insert({frames[i].fac, {{epoch.epoch()}, StreamId(s.stream())}, {s.head()}, s.c_head()});
        }
      }
    }
    if (out.batch && batch.ParseFromString(opened->body)) {
      claims.insert({frames[i].fac, {{batch.epoch()}, StreamId(batch.stream())}, {batch.head()}, batch.c_head()});
    }
  }
}

// I7: what the cloud says of (W, c), its ledger holds durably; a later frame of the same commit may be above it.
void Checker::check_entry(const Facility& fac, StreamKey key, Seq w, ByteView c, const char* what) {
  journal_.tally.checked[7]++;
  const auto row = cloud_.rows().find({fac, key});
  bool same = row != cloud_.rows().end() && row->second.w >= w;
  if (same) {
    const auto at_w = history_.c_at(fac, key, row->second.w, row->second.c, w);
    same = !at_w || view(*at_w).substr(0, c.size()) == c;
  }
  if (!same) journal_.fail("I7", "{} says W {} of {}, the ledger holds {}", what, w.value, fac,
                           row == cloud_.rows().end() ? 0 : row->second.w.value);
}

void Checker::said_by_cloud(const cloud::Reply& reply) {
  Tally& tally = journal_.tally;
  check_nonce(reply.fac, reply.frame);
  const auto opened = sealing_.look_into(reply.fac, reply.frame);
  if (!opened) {
    const auto parsed = parse_frame(reply.frame);
    const bool need_hello = parsed && parsed->prefix.type == FrameType::need_hello;
    tally[Met::need_hellos] += need_hello;
    if (!need_hello) journal_.fail("I7", "the cloud says what it did not seal");
    return;
  }
  es1::Welcome welcome;
  es1::Ack ack;
  if (opened->prefix.type == FrameType::welcome && welcome.ParseFromString(opened->body)) {
    if (strangers_.contains(welcome.hello_nonce()) && welcome.status() != es1::WELCOME_VERSION) {
      journal_.fail("es1 8", "a HELLO of {} without a protocol in common is not told VERSION", reply.fac);
    }
    tally[Met::welcome_ok] += welcome.status() == es1::WELCOME_OK;
    tally[Met::welcome_retry] += welcome.status() == es1::WELCOME_RETRY;
    tally[Met::welcome_version] += welcome.status() == es1::WELCOME_VERSION;
    tally[Met::welcome_blocked] += welcome.status() == es1::WELCOME_BLOCKED;
    for (const es1::WelcomeEntry& e : welcome.entries()) {
      if (e.s() > e.w()) journal_.fail("I8", "WELCOME says S above W");
      check_entry(reply.fac, {{e.epoch()}, StreamId(e.stream())}, {e.w()}, e.c(), "WELCOME");
    }
  } else if (opened->prefix.type == FrameType::ack && ack.ParseFromString(opened->body)) {
    tally[Met::acks] += ack.status() == es1::ACK_OK;
    tally[Met::ack_gap] += ack.status() == es1::ACK_GAP;
    tally[Met::ack_fork] += ack.status() == es1::ACK_FORK;
    tally[Met::ack_bad_body] += ack.status() == es1::ACK_BAD_BODY;
    tally[Met::ack_need_dict] += ack.status() == es1::ACK_NEED_DICT;
    check_gap_answer(reply.fac, ack);
    check_entry(reply.fac, {{ack.epoch()}, StreamId(ack.stream())}, {ack.w()}, ack.c(), "ACK");
  }
}

// ---- the end ----

namespace {

bool names(const cloud::Incident& incident, const Fact& fact) {
  return std::ranges::any_of(fact.spots, [&](const Spot& spot) {
    return incident.key == spot.key && incident.first <= spot.seq && spot.seq <= incident.last;
  });
}

}  // namespace

// Its number is another record's where the region went back to another history: an open incident says so, no gap can.
bool Checker::told_of(const Fact& fact) const {
  auto store = cloud::open_store(cloud_disk_, *std::make_unique<SeededEntropy>(1));
  const auto open = (*store)->begin()->incidents(fact.fac, true);
  return std::ranges::any_of(*open, [&](const cloud::Incident& i) { return i.kind != IncidentKind::restored && names(i, fact); });
}

std::string Checker::missing() const {
  for (Id id = 0; id < history_.facts(); id++) {
    const Fact& fact = history_.fact(id);
    if (!fact.accepted || fact.excused || cloud_.stored(id)) continue;
    if (lawful(fact) && (cloud_.names(fact) || told_of(fact))) continue;
    return fmt::format("record {} of {} has not arrived", id, fact.fac);
  }
  for (const auto& site : sites_) {
    if (site->watch.parked_blocks() > 0) return fmt::format("{} still has parked blocks", site->name);
    for (const auto& [no, epoch] : site->watch.rows()) {
      for (size_t i = 0; i < kStreamCount; i++) {
        const edge::StreamRow& s = epoch.streams[i];
        if (s.empty() || s.moved) continue;
        const auto row = cloud_.rows().find({site->fac, {epoch.id, StreamId(i)}});
        const bool whole = row != cloud_.rows().end() && row->second.w >= s.head;
        if (!whole || s.moving) return fmt::format("stream {} of {} is not complete", i, site->name);
      }
    }
    if (site->runs() && site->session->status().state != edge::State::active) return site->name + " is not linked";
  }
  return {};
}

std::string Checker::not_deleted() const {
  for (const auto& site : sites_) {
    if (!site->watch.held().empty()) return fmt::format("{} still holds {} records", site->name, site->watch.held().size());
  }
  return {};
}

bool Checker::lost_for_good(Id id) const {
  const Fact& fact = history_.fact(id);
  return fact.accepted && !cloud_.stored(id) && !(lawful(fact) && cloud_.names(fact));
}

// What a finished list still owes may be another agent's to pay: while two speak, that they do is the incident.
bool Checker::waits_for_one_agent(cloud::Txn& txn, const Claimed& claim) {
  const auto row = txn.row(claim.fac, claim.key);
  const auto open = txn.incidents(claim.fac, true);
  const bool two = std::ranges::any_of(*open, [](const auto& i) { return i.kind == IncidentKind::duplicate_identity; });
  return two && *row && (*row)->w < (*row)->finished_at;
}

// I13: what was claimed and can come no more, an open incident names.
void Checker::check_claims() {
  auto store = cloud::open_store(cloud_disk_, *std::make_unique<SeededEntropy>(1));
  for (const Claimed& claim : claims) {
    const auto c = history_.whole(claim.fac, claim.key, claim.n, claim.c);
    if (!c || claim.n.value == 0) continue;
    journal_.tally.checked[13]++;
    const auto open = (*store)->begin()->incidents(claim.fac, true);
    std::optional<Id> lost;
    Seq at;
    // What was moved is claimed where it went, and an incident may name it there.
    auto named_elsewhere = [&](Id id) {
      return std::ranges::any_of(*open, [&](const cloud::Incident& i) { return i.key != claim.key && names(i, history_.fact(id)); });
    };
    history_.walk(claim.fac, claim.key, claim.n, *c, [&](Seq, const Hash&, const Node& node) {
      for (size_t i = 0; i < node.ids.size(); i++) {
        // A gap in its place, PARKED for one, says so as well.
        if (!lost_for_good(node.ids[i]) || cloud_.has_gap(claim.fac, {claim.key, node.first + i})) continue;
        if (named_elsewhere(node.ids[i])) continue;
        lost = node.ids[i];
        at = node.first + i;
      }
      return true;
    });
    if (!lost || waits_for_one_agent(*(*store)->begin(), claim)) continue;
    const bool said = std::ranges::any_of(*open, [&](const cloud::Incident& i) {
      return i.key == claim.key && i.last >= at && i.kind != IncidentKind::restored;
    });
    if (!said) {
      for (const cloud::Incident& i : *(*store)->begin()->incidents(claim.fac, false)) {
        journal_.note("incident {} of {}, epoch {} stream {}: {}..{}{}", cloud::name_of(i.kind), claim.fac,
                      i.key.epoch.value % 0x10000, name_of(i.key.stream), i.first.value, i.last.value,
                      i.closed.us == 0 ? "" : ", closed");
      }
      journal_.note("claimed: epoch {} stream {} {}", claim.key.epoch.value % 0x10000, name_of(claim.key.stream), claim.n.value);
      journal_.fail("I13", "{} stream {}: {} was claimed, record {} of it never comes, and no incident says so", claim.fac,
                    name_of(claim.key.stream), claim.n.value, *lost);
      return;
    }
  }
}

// I14: a number that was claimed and is not held may come back with another content: no site writes on there.
void Checker::check_outclaimed() {
  for (const auto& site : sites_) {
    if (!site->runs()) continue;
    for (const edge::EpochView& epoch : site->buffer->view().epochs) {
      journal_.tally.checked[14] += !epoch.final;
      if (!epoch.final && site->overheard.outclaimed.contains(epoch.id)) {
        journal_.fail("I14", "{} writes on in an epoch of which more was claimed than it held", site->name);
      }
    }
  }
}

std::optional<Hash> Checker::digest() const {
  const auto verdict = cloud::verify(cloud_disk_, nullptr);
  return verdict ? std::optional(verdict->digest) : std::nullopt;
}

// I18: the digest of the store is that of what was accepted, and the store proves itself.
void Checker::check_store() {
  std::set<Bytes> keys;
  for (Id id : cloud_.stored()) {
    const Fact& fact = history_.fact(id);
    if (!fact.poison) keys.insert(cloud::natural_key(fact.fac, fact.key));
  }
  Bytes all;
  for (const Bytes& key : keys) all += key;
  journal_.tally.checked[18]++;
  const auto verdict = cloud::verify(cloud_disk_, nullptr);
  if (!verdict) return journal_.fail("I18", "the store cannot be verified: {}", verdict.error().text);
  if (verdict->wrong > 0) journal_.fail("I18", "verify: {}", cloud::text_of(verdict->findings.front()));
  if (verdict->digest != sha256(all)) journal_.fail("I18", "the store digest is not that of the accepted records");
}

void Checker::end() {
  cloud_.check_all();
  conserve();
  check_claims();
  check_outclaimed();
  check_store();
  auto store = cloud::open_store(cloud_disk_, *std::make_unique<SeededEntropy>(1));
  std::set<Facility> facs;
  for (const auto& site : sites_) facs.insert(site->fac);
  Tally& tally = journal_.tally;
  for (const Facility& fac : facs) {
    const auto incidents = (*store)->begin()->incidents(fac, false);
    for (const cloud::Incident& i : *incidents) {
      tally[Met::tail_lost] += i.kind == IncidentKind::tail_lost;
      tally[Met::orphans] += i.kind == IncidentKind::orphan;
      tally[Met::fork_incidents] += i.kind == IncidentKind::fork;
      tally[Met::duplicate_identities] += i.kind == IncidentKind::duplicate_identity;
      tally[Met::restored] += i.kind == IncidentKind::restored;
      tally[Met::closed_incidents] += i.closed.us != 0 && i.kind != IncidentKind::restored;
    }
  }
  for (Id id = 0; id < history_.facts(); id++) tally[Met::excused] += history_.fact(id).excused;
}

std::string describe(const Opened& opened) {
  auto tail = [](uint64_t epoch) { return epoch % 0x10000; };
  es1::Hello hello;
  es1::Welcome welcome;
  es1::Batch batch;
  es1::Ack ack;
  std::string out = name_of(opened.prefix.type);
  if (opened.prefix.type == FrameType::hello && hello.ParseFromString(opened.body)) {
    out += fmt::format(" no {} ticket {}", hello.hello_no(), hello.ticket());
    for (const auto& e : hello.epochs()) {
      out += fmt::format(" e{:04x}{}", tail(e.epoch()), e.final() ? "F" : "");
      for (const auto& s : e.streams()) {
        if (s.head() > 0) out += fmt::format(" s{}:P{}/{}{}", s.stream(), s.purged(), s.head(), s.moved() ? "m" : "");
      }
    }
    out += fmt::format(" finished {}+{}@{}", hello.finished().count(), hello.finished().entries_size(), hello.finished().offset());
  } else if (opened.prefix.type == FrameType::welcome && welcome.ParseFromString(opened.body)) {
    out += fmt::format(" status {} seen {} ticket {} finished {}", int(welcome.status()), welcome.hello_no_seen(), welcome.ticket(), welcome.finished_count());
    for (const auto& e : welcome.entries()) {
      if (e.w() + e.claimed() == 0) continue;
      out += fmt::format(" e{:04x} s{}:W{} S{} claimed {} gaps {}", tail(e.epoch()), e.stream(), e.w(), e.s(), e.claimed(), e.gaps_size());
    }
  } else if (opened.prefix.type == FrameType::batch && batch.ParseFromString(opened.body)) {
    out += fmt::format(" e{:04x} s{} {}..{} head {}", tail(batch.epoch()), batch.stream(), batch.first(), batch.last(), batch.head());
    for (const auto& i : batch.items()) out += i.gap() == es1::GAP_NONE ? " data" : fmt::format(" gap{}x{}", int(i.gap()), i.count());
  } else if (opened.prefix.type == FrameType::ack && ack.ParseFromString(opened.body)) {
    out += fmt::format(" e{:04x} s{} status {} W{}", tail(ack.epoch()), ack.stream(), int(ack.status()), ack.w());
  }
  return out;
}

}  // namespace egret::sim
