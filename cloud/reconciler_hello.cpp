// HELLO in, WELCOME out: rows, claims, the finished list, who speaks, what is missing (es1 section
// 6).
#include <algorithm>

#include "cloud/reconciler_impl.h"
#include "cloud/merge/moment.h"
#include "schemas/buggify.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::cloud {
namespace {


// Numbers and sizes of a HELLO, before anything is done with it.
bool in_bounds(const es1::Hello& hello) {
  if (hello.hello_nonce().size() != sizeof(uint64_t) ||
      hello.epochs_size() > static_cast<int>(kListedEpochsMax))
    return false;
  if (hello.agent_version().size() > kFacilityCharsMax) return false;
  if (hello.finished().entries_size() > static_cast<int>(kFinishedPerHelloMax)) return false;
  for (const es1::HelloEpoch& epoch : hello.epochs()) {
    if (epoch.epoch() == 0 || epoch.streams_size() > static_cast<int>(kStreamCount)) return false;
    for (const es1::HelloStream& s : epoch.streams()) {
      bool sizes = s.stream() < kStreamCount && s.c_head().size() == kDigestWireBytes;
      if (!sizes || s.border() > s.purged() || s.purged() > s.head() || s.head() > UINT64_MAX / 2)
        return false;
    }
  }
  return true;
}

// Bytes that a WELCOME may still grow by.
size_t room_in(const es1::Welcome& welcome) {
  const size_t used = welcome.ByteSizeLong() + kHelloFixedBytesMax;
  return kHelloBytesMax - std::min(used, kHelloBytesMax);
}

Vitals vitals_of(const es1::Hello& hello, WallTime now) {
  Vitals v;
  v.agent_version = hello.agent_version();
  v.disk_used_permille = hello.disk_used_permille();
  v.accepted = hello.accepted_total();
  v.shed = hello.shed_total();
  v.refused = hello.refused_total();
  v.parked = hello.parked();
  v.oldest_unsynced_ms = hello.oldest_unsynced_ms();
  v.waiting_records = hello.waiting_records();
  v.link_bytes_per_s = hello.link_bytes_per_s();
  v.clock_offset_ms = (hello.wall_us() - now.us) / 1000;
  v.w_falls = hello.w_falls_total();
  v.disk_hours_left = std::min(hello.disk_hours_left(), kDiskHoursLeftMax);
  const int64_t ends_s = hello.certificate_ends_s();
  if (ends_s > 0 && ends_s <= kCertificateEndsMaxS) v.certificate_ends.us = ends_s * 1'000'000;
  return v;
}

std::vector<StreamKey> streams_of(const es1::Hello& hello) {
  std::vector<StreamKey> listed;
  for (const es1::HelloEpoch& epoch : hello.epochs()) {
    for (const es1::HelloStream& stream : epoch.streams())
      listed.push_back({{epoch.epoch()}, static_cast<StreamId>(stream.stream())});
  }
  return listed;
}

void take_newest(const es1::Hello& hello, WallTime now, SessionRow& session) {
  session.hello_no = hello.hello_no();
  session.hello_nonce = hello.hello_nonce();
  session.heard = now;
  session.listed = streams_of(hello);
}

// What its site says of a stream for the last time. Of a moved one the head that lives on elsewhere
// is remembered; the other claims have been judged, and any that is there later came late.
void finish(LedgerRow& row, const es1::FinishedStream& stream) {
  const bool moved = stream.moved() && stream.c_head().size() == kDigestWireBytes;
  row.finished_c = {};
  const ByteView c = moved ? stream.c_head() : stream.c_purged();
  std::copy(c.begin(), c.end(), row.finished_c.begin());
  if (!moved) return;
  std::erase_if(row.claims,
                [&](const Claim& claim) { return claim.n > row.w && view(claim.c) != c; });
}

// All that this site has finished is known: its list, and no other's.
bool knows_list(const FacilityRow& facility, const es1::FinishedPart& part) {
  return facility.finished_count == part.count() && (part.count() == 0 || part.hash() == wire_bytes(facility.finished_hash));
}

}  // namespace

Result<void> Reconciler::Impl::hello(Handling& h, const Registration& registration) {
  auto signs = [&](const SitePublicKey& key) { return keys.signed_by(key, h.in.fac, h.frame); };
  if (std::none_of(registration.keys.begin(), registration.keys.end(), signs)) {
    h.out.drop = DropReason::bad_signature;
    return {};
  }
  KeyId kid = take<sizeof(KeyId)>(h.frame.hello_clear);
  ByteView enc = h.frame.hello_clear.substr(sizeof(KeyId));
  Result<std::shared_ptr<Channel>> channel = keys.join(h.in.fac, kid, enc);
  Result<Opened> opened = channel ? (*channel)->open(h.in.frame) : Result<Opened>(channel.error());
  es1::Hello hello;
  if (!opened || !hello.ParseFromString(opened->body) || !in_bounds(hello)) {
    h.out.drop = !channel  ? DropReason::unknown_session
                 : !opened ? DropReason::bad_tag
                           : DropReason::undecodable;
    return {};
  }
  const SessionId& sid = h.frame.prefix.sid;
  Result<std::optional<SessionRow>> stored = h.txn.session(h.in.fac, sid);
  if (!stored) return stored.error();
  Result<std::optional<FacilityRow>> known = h.txn.facility(h.in.fac);
  if (!known) return known.error();
  SessionRow session = stored->value_or(SessionRow{});
  FacilityRow facility = known->value_or(FacilityRow{});
  session.kid = kid;
  session.enc = take<sizeof(Key32)>(enc);
  session.last_used = h.now.wall;
  if (mutant(Mutant::old_hello_ignored) && hello.hello_no() < session.hello_no) return {};
  if (hello.hello_no() > session.hello_no) take_newest(hello, h.now.wall, session);
  h.out.hello = h.out.wrote = true;

  es1::Welcome welcome;
  const bool speaks =
      hello.proto_min() <= kProtocolVersion && hello.proto_max() >= kProtocolVersion;
  if ((!speaks && !mutant(Mutant::version_not_compared)) || turn(Turn::no_version)) {
    welcome.set_status(es1::WELCOME_VERSION);
  } else if (registration.blocked) {
    welcome.set_status(es1::WELCOME_BLOCKED);
  }
  if (Result<void> r = take_rows(h, hello); !r) return r;
  if (Result<void> r = take_finished(h, hello.finished(), facility); !r) return r;
  if (Result<void> r = judge_tail(h, hello); !r) return r;
  if (Result<void> r = take_holder(h, hello, facility, session); !r) return r;
  h.txn.put(h.in.fac, sid, session);
  h.txn.put(h.in.fac, facility);

  welcome.set_hello_nonce(hello.hello_nonce());
  welcome.set_hello_no_seen(session.hello_no);
  welcome.set_hello_no_nonce(session.hello_nonce);
  welcome.set_ticket(facility.ticket);
  welcome.set_finished_count(facility.finished_count);
  welcome.set_finished_hash(wire_bytes(facility.finished_hash));
  welcome.set_quarantined_total(facility.quarantined);
  if (Result<void> r = fill_welcome(h, hello, welcome); !r) return r;
  reply(h, **channel, FrameType::welcome, welcome);
  return {};
}

Result<void> Reconciler::Impl::take_rows(Handling& h, const es1::Hello& hello) {
  for (const es1::HelloEpoch& epoch : hello.epochs()) {
    for (const es1::HelloStream& stream : epoch.streams()) {
      StreamKey key{{epoch.epoch()}, static_cast<StreamId>(stream.stream())};
      if (Result<void> r = take_listed(h, key, stream, epoch.final()); !r) return r;
    }
  }
  return {};
}

Result<void> Reconciler::Impl::take_listed(Handling& h, StreamKey key,
                                           const es1::HelloStream& stream, bool final) {
  Result<std::optional<LedgerRow>> stored = h.txn.row(h.in.fac, key);
  if (!stored) return stored.error();
  LedgerRow row = *stored ? **stored : fresh_row(h.in.fac, key);
  row.final |= final;
  row.moved |= stream.moved();
  row.purged = std::max(row.purged, {stream.purged()});
  add_claim(row, {{stream.head()}, take<sizeof(Digest16)>(stream.c_head())});
  Result<std::optional<Hash>> read{std::optional<Hash>{}};
  auto c_at = [&](Seq n) -> std::optional<Hash> {
    read = h.txn.c_at(h.in.fac, key, n);
    return read ? *read : std::nullopt;
  };
  for (const Claim& broken : settle_claims(row, c_at)) {
    if (!read) return read.error();
    Incident fork{0, IncidentKind::fork, key, broken.n, broken.n, broken.c, {}, {}, ""};
    if (Result<void> r = open_incident(h, fork); !r) return r;
  }
  if (!read) return read.error();
  if (*stored) {
    h.txn.put(h.in.fac, key, row);
    return {};
  }
  Result<bool> inserted = h.txn.advance(h.in.fac, key, {0}, row.c, row);
  if (!inserted) return inserted.error();
  return *inserted ? Result<void>{} : Error{Errc::conflict, "ledger row was inserted elsewhere"};
}

// What a site deleted and finished is here, by its digest; or the numbers here are another history's, and what it deleted is
// nowhere. What has not come this far is judged when it has.
Result<void> Reconciler::Impl::judge_purged(Handling& h, StreamKey key, LedgerRow& row, const Digest16& c_purged) {
  const Claim purged{row.finished_at, c_purged};
  if (row.w < purged.n && !row.moved) add_claim(row, purged);
  if (purged.n.value == 0 || row.w < purged.n) return {};
  const Result<std::optional<Hash>> c = h.txn.c_at(h.in.fac, key, purged.n);
  if (!c) return c.error();
  if (claim_holds(purged, *c)) return {};
  return open_incident(h, {0, IncidentKind::fork, key, {1}, purged.n, purged.c, {}, {}, ""});
}

// The list continues what we know, or starts over: a site whose disk went back has another list,
// and a cloud that went back knows a shorter one.
Result<void> Reconciler::Impl::take_finished(Handling& h, const es1::FinishedPart& part,
                                             FacilityRow& facility) {
  if (part.count() == 0) {  // a fresh store: its list begins now
    facility.finished_count = 0;
    facility.finished_hash = {};
  }
  const bool begins = part.count() == 0 || (part.entries_size() > 0 && part.offset() == 0);
  if (begins) {
    if (Result<void> r = forget_list(h); !r) return r;
  }
  if (part.entries_size() == 0) return {};
  if (part.offset() != facility.finished_count && part.offset() != 0) return {};
  Hash hash = part.offset() == 0 ? Hash{} : facility.finished_hash;
  for (const Bytes& entry : part.entries()) {
    es1::FinishedEpoch epoch;
    if (!epoch.ParseFromString(entry)) return {};
    if (Result<void> r = take_finished_epoch(h, epoch); !r) return r;
    Bytes chained(view(hash));
    chained += entry;
    hash = sha256(chained);
  }
  uint64_t count = part.offset() + static_cast<uint64_t>(part.entries_size());
  bool other_list = count == part.count() && part.hash() != wire_bytes(hash);
  facility.finished_count = other_list ? 0 : count;
  facility.finished_hash = other_list ? Hash{} : hash;
  return {};
}

// A list that begins anew may be another disk's: a GAP PURGED that the one before owed comes from this one only if it names the
// stream again.
Result<void> Reconciler::Impl::forget_list(Handling& h) {
  Result<std::vector<std::pair<StreamKey, LedgerRow>>> rows = h.txn.rows(h.in.fac);
  if (!rows) return rows.error();
  for (auto& [key, row] : *rows) {
    if (!row.finished || row.w >= row.finished_at) continue;
    row.finished = false;
    h.txn.put(h.in.fac, key, row);
  }
  return {};
}

Result<void> Reconciler::Impl::take_finished_epoch(Handling& h, const es1::FinishedEpoch& epoch) {
  if (epoch.epoch() == 0 || epoch.streams_size() > static_cast<int>(kStreamCount)) return {};
  for (const es1::FinishedStream& stream : epoch.streams()) {
    if (stream.stream() >= kStreamCount || stream.c_purged().size() != sizeof(Hash)) continue;
    StreamKey key{{epoch.epoch()}, static_cast<StreamId>(stream.stream())};
    Result<std::optional<LedgerRow>> stored = h.txn.row(h.in.fac, key);
    if (!stored) return stored.error();
    LedgerRow row = *stored ? **stored : fresh_row(h.in.fac, key);
    row.finished = row.final = true;
    row.moved |= stream.moved();
    row.finished_at = {stream.purged()};
    row.purged = std::max(row.purged, row.finished_at);
    if (Result<void> r = judge_purged(h, key, row, take<sizeof(Digest16)>(stream.c_purged())); !r) return r;
    row.finished_claimed = row.claimed;
    // It may have been re-homed and finished between two HELLOs, and was never listed as final.
    if (Result<void> r =
            judge_held(h, key, row, std::max(row.finished_at, {stream.head()}), stream.c_head());
        !r)
      return r;
    finish(row, stream);
    if (*stored) {
      h.txn.put(h.in.fac, key, row);
      continue;
    }
    Result<bool> inserted = h.txn.advance(h.in.fac, key, {0}, row.c, row);
    if (!inserted) return inserted.error();
    if (!*inserted) return Error{Errc::conflict, "ledger row was inserted elsewhere"};
  }
  return {};
}

// Another sid than the holder: new ticket, new holder. Only a HELLO with the current ticket is
// believed about who is there and what is missing: a replayed or withheld one cannot have it.
Result<void> Reconciler::Impl::take_holder(Handling& h, const es1::Hello& hello,
                                           FacilityRow& facility, SessionRow& session) {
  const SessionId& sid = h.frame.prefix.sid;
  if (sid != facility.holder || facility.ticket == 0) {
    uint64_t minted = facility.ticket + 1 + entropy.below(1u << 16);
    if (facility.ticket != 0) {
      Result<std::optional<SessionRow>> lost = h.txn.session(h.in.fac, facility.holder);
      if (!lost) return lost.error();
      if (*lost) {
        (*lost)->ticket_lost = minted;
        h.txn.put(h.in.fac, facility.holder, **lost);
      }
    }
    facility.ticket = minted;
    facility.holder = sid;
    facility.holder_echoed = false;
    return drop_unused_sessions(h);
  }
  if (hello.ticket() != facility.ticket) return {};
  facility.holder_echoed = true;
  facility.last_seen = h.now.wall;
  facility.vitals = vitals_of(hello, h.now.wall);
  bool lost_before = session.ticket_lost != 0 && hello.ticket() > session.ticket_lost;
  session.ticket_echoed = std::max(session.ticket_echoed, hello.ticket());
  if (lost_before) {
    if (Result<void> r = judge_holder(h, facility, session); !r) return r;
    session.ticket_lost = 0;
  }
  Result<std::vector<Incident>> open = h.txn.incidents(h.in.fac, true);
  if (!open) return open.error();
  bool duplicate_open = false;
  for (Incident& incident : *open) {
    if (incident.kind != IncidentKind::duplicate_identity) continue;
    duplicate_open = true;
    if (h.now.wall.us - facility.last_takeover.us < alone_us()) continue;
    incident.closed = h.now.wall;
    incident.note = "closed itself: one agent alone has spoken for long";
    h.txn.put(h.in.fac, incident);
  }
  if (!knows_list(facility, hello.finished())) return {};
  return judge_orphans(h, hello, duplicate_open);
}

// Frames of a dropped session get NEED_HELLO, which brings it back.
Result<void> Reconciler::Impl::drop_unused_sessions(Handling& h) {
  Result<std::vector<std::pair<SessionId, SessionRow>>> all = h.txn.sessions(h.in.fac);
  if (!all) return all.error();
  for (const auto& [sid, session] : *all) {
    bool unused = h.now.wall.us - session.last_used.us > kSessionUnusedDays * kDayUs;
    if (unused && sid != h.frame.prefix.sid) h.txn.drop_session(h.in.fac, sid);
  }
  return {};
}

// It had lost the holdership and has it again. If the one that took it was really heard in between
// (echoed the ticket it was given, which no replay can), two agents run under one identity. Never
// fence: both hold real patients.
Result<void> Reconciler::Impl::judge_holder(Handling& h, FacilityRow& facility,
                                            const SessionRow& session) {
  Result<std::vector<std::pair<SessionId, SessionRow>>> all = h.txn.sessions(h.in.fac);
  if (!all) return all.error();
  const SessionId& sid = h.frame.prefix.sid;
  bool other_heard = std::any_of(all->begin(), all->end(), [&](const auto& s) {
    return s.first != sid && s.second.ticket_echoed >= session.ticket_lost;
  });
  if (!other_heard) return {};
  facility.last_takeover = h.now.wall;
  return open_incident(h, {0, IncidentKind::duplicate_identity, {}, {}, {}, {}, {}, {}, ""});
}

// `held`: the last that the site has, or had when it moved it elsewhere. More was claimed: a tail
// was lost. In a moved stream W will not come to a claim below it either, and what stood there is
// gone: only the very head that was moved is known to live on elsewhere, so all else that was
// claimed is named. An honest prefix too: too loud, never silent.
Result<void> Reconciler::Impl::judge_held(Handling& h, StreamKey key, const LedgerRow& row,
                                          Seq held, ByteView c_held) {
  const bool told = row.moved && c_held.size() == kDigestWireBytes;
  std::vector<Claim> below;
  for (const Claim& claim : row.claims) {
    if (!told || claim.n > held) continue;
    if (claim.n == held || !mutant(Mutant::moved_claims_believed)) below.push_back(claim);
  }
  if (Result<void> r = judge_moved(h, key, row, below, c_held); !r) return r;
  const Seq reached = std::max(held, row.w);
  if (reached >= row.claimed) return {};
  // Of a moved stream the claims are judged for good: each is named, for another agent may bring one of them and no other.
  std::vector<Claim> lost;
  for (const Claim& claim : row.claims) {
    if (claim.n > reached && (told || claim.n == row.claimed)) lost.push_back(claim);
  }
  if (lost.empty() || lost.back().n < row.claimed) lost.push_back({row.claimed, {}});
  for (const Claim& claim : lost) {
    Result<void> r = open_incident(h, {0, IncidentKind::tail_lost, key, reached.next(), claim.n, claim.c, {}, {}, ""});
    if (!r) return r;
  }
  return {};
}

// `c_moved`: of the head that was moved.
Result<void> Reconciler::Impl::judge_moved(Handling& h, StreamKey key, const LedgerRow& row,
                                           std::span<const Claim> claims, ByteView c_moved) {
  const Claim* highest = nullptr;
  for (const Claim& claim : claims) {
    if (claim.n <= row.w || view(claim.c) == c_moved) continue;
    highest = &claim;
  }
  if (!highest) return {};
  return open_incident(
      h, {0, IncidentKind::fork, key, row.w.next(), highest->n, highest->c, {}, {}, ""});
}

// A final epoch of which more was claimed than is held or committed: a tail was lost. Any authentic
// HELLO may say so, for the head of a final epoch does not change; and the first of a run must, for
// its WELCOME makes the site re-home what is left, and the epoch is listed no more.
Result<void> Reconciler::Impl::judge_tail(Handling& h, const es1::Hello& hello) {
  for (const es1::HelloEpoch& epoch : hello.epochs()) {
    if (!epoch.final()) continue;
    for (const es1::HelloStream& stream : epoch.streams()) {
      StreamKey key{{epoch.epoch()}, static_cast<StreamId>(stream.stream())};
      Result<std::optional<LedgerRow>> row = h.txn.row(h.in.fac, key);
      if (!row) return row.error();
      if (!*row) continue;
      if (Result<void> r = judge_held(h, key, **row, {stream.head()}, stream.c_head()); !r)
        return r;
    }
  }
  return {};
}

// A row with W < claimed that its site neither lists nor has finished: the disk that held it is
// gone.
Result<void> Reconciler::Impl::judge_orphans(Handling& h, const es1::Hello& hello,
                                             bool duplicate_open) {
  Result<std::vector<std::pair<StreamKey, LedgerRow>>> rows = h.txn.rows(h.in.fac);
  if (!rows) return rows.error();
  // By stream: an older disk may list an epoch without a stream that it had.
  std::vector<StreamKey> listed = streams_of(hello);
  if (duplicate_open) {  // two agents: what either lists is not gone, while both are heard
    Result<std::vector<std::pair<SessionId, SessionRow>>> all = h.txn.sessions(h.in.fac);
    if (!all) return all.error();
    for (const auto& [sid, session] : *all) {
      if (h.now.wall.us - session.heard.us > alone_us()) continue;
      listed.insert(listed.end(), session.listed.begin(), session.listed.end());
    }
  }
  for (auto& [key, row] : *rows) {
    if (row.w >= row.claimed) continue;
    const bool there = std::ranges::count(listed, key) > 0;
    if (!there && row.finished && row.moved && !mutant(Mutant::moved_claims_believed)) {
      if (Result<void> r = judge_late_claims(h, key, row); !r) return r;
    }
    // More than was claimed when it was finished is another agent's, or an older disk's.
    if (row.finished && row.claimed <= row.finished_claimed) continue;
    if (duplicate_open && row.w < row.finished_at) continue;  // the other one's list may owe it
    if (there) continue;
    Incident orphan{0, IncidentKind::orphan, key, row.w.next(), row.claimed, {}, {}, {}, ""};
    for (const Claim& claim : row.claims) {
      if (claim.n == row.claimed) orphan.c = claim.c;
    }
    if (Result<void> r = open_incident(h, orphan); !r) return r;
  }
  return {};
}

// Claimed of a stream that its site has moved and finished, by a frame that came after that was
// said.
Result<void> Reconciler::Impl::judge_late_claims(Handling& h, StreamKey key, LedgerRow& row) {
  const Digest16 moved = wire16(row.finished_c);
  if (Result<void> r = judge_moved(h, key, row, row.claims, view(moved)); !r) return r;
  const auto late = [&](const Claim& claim) { return claim.n > row.w && claim.c != moved; };
  if (std::erase_if(row.claims, late) > 0) h.txn.put(h.in.fac, key, row);
  return {};
}

Result<void> Reconciler::Impl::fill_welcome(Handling& h, const es1::Hello& hello,
                                            es1::Welcome& welcome) {
  int64_t lease = config.lease_ms > 0 ? config.lease_ms : kLeaseMs;
  if (turn(Turn::short_lease)) lease = 1;
  Grant grant = credit.grant(h.in.fac, hello.waiting_records() > 0, lease, h.now.mono, entropy);
  if (turn(Turn::no_credit)) grant.credit = 0;
  if (turn(Turn::come_back_later)) grant.retry = true;
  if (grant.retry && welcome.status() == es1::WELCOME_OK) welcome.set_status(es1::WELCOME_RETRY);
  welcome.set_retry_after_ms(static_cast<uint64_t>(grant.retry_after_ms));
  welcome.set_lease_ms(static_cast<uint64_t>(lease));
  welcome.set_credit(grant.credit);
  welcome.set_max_batch_bytes(static_cast<uint32_t>(config.frame_bytes_max));
  welcome.set_herd_window_ms(static_cast<uint64_t>(config.herd_window_ms));
  welcome.set_cloud_time_us(h.now.wall.us);
  welcome.set_gen(h.meta.gen);
  welcome.set_proto(kProtocolVersion);
  if (std::optional<RegionPublicKey> next = keys.next()) {
    welcome.set_next_kid(Bytes(view(next->kid())));
    welcome.set_next_region_key(Bytes(view(next->point)));
  }
  std::vector<Seq> purged;  // one an entry
  for (const es1::HelloEpoch& epoch : hello.epochs()) {
    for (const es1::HelloStream& stream : epoch.streams()) {
      StreamKey key{{epoch.epoch()}, static_cast<StreamId>(stream.stream())};
      Result<std::optional<LedgerRow>> row = h.txn.row(h.in.fac, key);
      if (!row) return row.error();
      if (!*row) continue;
      add_entry(h, key, **row, welcome);
      purged.push_back({stream.purged()});
    }
  }
  // What its list says is purged, and this store does not have: a GAP PURGED is owed for it. No gap lies above it.
  Result<std::vector<std::pair<StreamKey, LedgerRow>>> rows = h.txn.rows(h.in.fac);
  if (!rows) return rows.error();
  size_t owed = room_in(welcome) / 2 / kHelloEntryBytesMax;
  for (const auto& [key, row] : *rows) {
    if (!row.finished || row.w >= row.finished_at) continue;
    if (owed-- == 0) break;  // the rest comes with the next HELLO
    add_entry(h, key, row, welcome);
  }
  // Gaps after all entries: what is listed must be answered, whatever room is left.
  return add_gaps(h, purged, welcome);
}

void Reconciler::Impl::add_entry(Handling& h, StreamKey key, const LedgerRow& row, es1::Welcome& welcome) {
  es1::WelcomeEntry* entry = welcome.add_entries();
  entry->set_epoch(key.epoch.value);
  entry->set_stream(static_cast<uint32_t>(key.stream));
  entry->set_w(row.w.value);
  entry->set_c(wire_bytes(row.c));
  entry->set_s(
      safe_of(row, config.safe, config.safe_age_ms, h.meta.backup_confirmed, h.now.wall).value);
  entry->set_claimed(row.claimed.value);
}

// Of each entry the first gaps above what its site has purged, as far as there is room.
Result<void> Reconciler::Impl::add_gaps(Handling& h, std::span<const Seq> purged, es1::Welcome& welcome) {
  size_t room = room_in(welcome);
  for (size_t i = 0; i < purged.size(); i++) {
    es1::WelcomeEntry& entry = *welcome.mutable_entries(static_cast<int>(i));
    StreamKey key{{entry.epoch()}, static_cast<StreamId>(entry.stream())};
    Result<std::vector<GapRow>> gaps = h.txn.gaps(h.in.fac, key, purged[i], kGapRangesPerEntryMax);
    if (!gaps) return gaps.error();
    for (const GapRow& gap : *gaps) {
      es1::SeqRange range;
      range.set_first(gap.first.value);
      range.set_last(gap.last.value);
      const size_t more = range.ByteSizeLong() + 4;  // its tag and length, and what its entry's length grows by
      if (more > room) return {};
      room -= more;
      *entry.add_gaps() = range;
    }
  }
  return {};
}

}  // namespace egret::cloud
