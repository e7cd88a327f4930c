// BATCH in, ACK out: compare-and-append to the ledger (es1 section 6).
#include <algorithm>

#include "cloud/reconciler_impl.h"
#include "schemas/buggify.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/merge_rules.h"
#include "schemas/mutants.h"

namespace egret::cloud {
namespace {

bool digests_off() {
  return off(Rule::forked_record) || mutant(Mutant::no_digest) || mutant(Mutant::batch_digest_off) ||
         mutant(Mutant::old_epoch_resumed);
}

bool poison_ends_group() {
  return off(Rule::quarantine) || mutant(Mutant::poison_aborts_group);
}

bool agrees(const Hash& ours, ByteView digest) {
  return digests_off() || view(ours).substr(0, kDigestWireBytes) == digest;
}

// Does a batch that begins at `first` leave a hole behind W?
bool skips(Seq w, Seq first) {
  if (mutant(Mutant::unguarded_difference)) return first.value - w.value - 1 > 0;
  return first > w.next();
}

RowKind kind_of(const LedgerRow& row) {
  return row.finished      ? RowKind::finished
         : row.moved       ? RowKind::moved
         : row.final       ? RowKind::final
         : row.w.value > 0 ? RowKind::open
                           : RowKind::fresh;
}

es1::AckStatus told(Verdict verdict, const LedgerRow& row, es1::AckStatus status) {
  met_ledger(verdict, kind_of(row));
  return status;
}

QuarantineReason reason_of(const Error& error) {
  switch (error.code) {
    case Errc::unknown_kind:
      return QuarantineReason::unknown_kind;
    case Errc::wrong_facility:
      return QuarantineReason::wrong_facility;
    case Errc::too_large:
      return QuarantineReason::too_large;
    default:
      return QuarantineReason::rule_broken;
  }
}

JudgedRecord judge(ByteView record, const Facility& fac) {
  JudgedRecord judged;
  judged.record = record;
  Result<RecordView> parts = split_record(record);
  if (!parts) {
    judged.quarantine = QuarantineReason::undecodable;
    judged.detail = parts.error().text;
    return judged;
  }
  Result<CheckedBody> body = check_body(parts->body, fac);
  Result<void> arrival = check_arrival(parts->arrival);
  if (!body || !arrival) {
    const Error& error = !body ? body.error() : arrival.error();
    judged.quarantine = reason_of(error);
    judged.detail = error.text;
    return judged;
  }
  judged.key = body->key;
  return judged;
}

}  // namespace

Result<void> Reconciler::Impl::batch(Handling& h) {
  const SessionId& sid = h.frame.prefix.sid;
  Result<std::optional<SessionRow>> session = h.txn.session(h.in.fac, sid);
  if (!session) return session.error();
  if (!*session) {
    h.out.drop = DropReason::unknown_session;
    h.out.replies.push_back({h.in.fac, need_hello_frame(sid, h.frame.prefix.nonce)});
    return {};
  }
  Result<std::shared_ptr<Channel>> channel =
      keys.join(h.in.fac, (*session)->kid, view((*session)->enc));
  Result<Opened> opened = channel ? (*channel)->open(h.in.frame) : Result<Opened>(channel.error());
  if (!opened) {
    h.out.drop = channel ? DropReason::bad_tag : DropReason::unknown_session;
    return {};
  }
  Push p;
  Result<Unpacked> outlined = p.batch.ParseFromString(opened->body)
                                  ? outline(p.batch)
                                  : Result<Unpacked>(Error{Errc::bad_input, "batch"});
  if (!outlined || (mutant(Mutant::unknown_field_refused) &&
                    !p.batch.GetReflection()->GetUnknownFields(p.batch).empty())) {
    h.out.drop = DropReason::undecodable;
    return {};
  }
  p.unpacked = std::move(*outlined);
  Result<std::optional<LedgerRow>> row = h.txn.row(h.in.fac, p.unpacked.key);
  if (!row) return row.error();
  if (!*row) {
    met_ledger(Verdict::row_missing, RowKind::fresh);
    h.out.drop = DropReason::unknown_session;
    h.out.replies.push_back({h.in.fac, need_hello_frame(sid, h.frame.prefix.nonce)});
    return {};
  }
  p.row = std::move(**row);
  h.out.batch = h.out.wrote = true;
  Result<es1::AckStatus> status = push(h, p);
  if (!status) return status.error();
  h.out.fork = *status == es1::ACK_FORK;
  h.out.gap = *status == es1::ACK_GAP;
  h.out.bad_body = *status == es1::ACK_BAD_BODY || *status == es1::ACK_NEED_DICT;
  ack(h, **channel, p, *status);
  return {};
}

Result<es1::AckStatus> Reconciler::Impl::push(Handling& h, Push& p) {
  const Unpacked& u = p.unpacked;
  p.w_before = p.row.w;
  p.c_before = p.row.c;
  if (mutant(Mutant::moved_closes_row) && p.row.moved) return es1::ACK_FORK;
  // A batch holds what it carries, whatever it says of its head.
  const bool says_head = p.batch.c_head().size() == kDigestWireBytes &&
                         p.batch.head() >= u.last.value && p.batch.head() <= UINT64_MAX / 2;
  add_claim(p.row, says_head ? Claim{{p.batch.head()}, take<sizeof(Digest16)>(p.batch.c_head())}
                             : Claim{u.last, take<sizeof(Digest16)>(p.batch.c_last())});
  es1::AckStatus status = es1::ACK_OK;
  if (u.last <= p.row.w) {  // a duplicate
    const bool fork = u.last == p.row.w && !agrees(p.row.c, p.batch.c_last());
    status = fork ? told(Verdict::duplicate_fork, p.row, es1::ACK_FORK)
                  : told(Verdict::duplicate, p.row, off(Rule::same_record) ? es1::ACK_GAP : es1::ACK_OK);
  } else if (skips(p.row.w, u.first)) {
    status = told(Verdict::ahead, p.row, es1::ACK_GAP);
  } else {
    Result<void> unpacked = unpack(p.batch, p.unpacked);
    if (!unpacked) {
      status = unpacked.error().code == Errc::unsupported
                   ? told(Verdict::no_dictionary, p.row, es1::ACK_NEED_DICT)
                   : told(Verdict::undecodable, p.row, es1::ACK_BAD_BODY);
    } else {
      examine(h, p);
      Result<es1::AckStatus> prefix = check_prefix(h, p);
      if (!prefix) return prefix.error();
      status = *prefix == es1::ACK_OK ? fold_above(p) : *prefix;
    }
    if (status == es1::ACK_OK) {
      met_ledger(Verdict::appended, kind_of(p.row));
      if (Result<void> r = write_parts(h, p); !r) return r.error();
      p.row.w = u.last;
      mark_w(p.row, config.safe_age_ms, h.now.wall);
    }
  }
  if (Result<void> r = settle(h, p); !r) return r.error();
  return status;
}

// What looks at one block alone: its leaves, and what is to be said of its records.
void Reconciler::Impl::examine(const Handling& h, Push& p) const {
  std::vector<Part>& parts = p.unpacked.parts;
  p.judged.resize(parts.size());
  config.each(parts.size(), [&](size_t i) {
    parts[i].leaves = leaves_of(parts[i].records);
    if (parts[i].first <= p.w_before) return;
    p.judged[i].reserve(parts[i].records.size());
    for (ByteView record : parts[i].records) p.judged[i].push_back(judge(record, h.in.fac));
  });
}

// Is what this batch stands on what we have? Its parts up to W are folded and compared at W.
Result<es1::AckStatus> Reconciler::Impl::check_prefix(Handling& h, Push& p) {
  Unpacked& u = p.unpacked;
  Part& head = u.parts.front();
  bool stated = !p.batch.c_from().empty();
  if (!stated && head.gap != GapKind::purged)
    return told(Verdict::no_prefix, p.row, es1::ACK_BAD_BODY);
  const auto other = [&] { return told(Verdict::other_prefix, p.row, es1::ACK_FORK); };
  if (u.first == p.row.w.next()) {
    if (mutant(Mutant::gap_prefix_unchecked) && head.gap != GapKind::none) return es1::ACK_OK;
    if (stated) return agrees(p.row.c, p.batch.c_from()) ? es1::ACK_OK : other();
    p.row.unverified = true;
    return told(Verdict::joined, p.row, es1::ACK_OK);
  }
  Hash c{};
  if (stated) {
    Result<std::optional<Hash>> before = h.txn.c_at(h.in.fac, u.key, {u.first.value - 1});
    if (!before) return before.error();
    if (!*before && !digests_off()) return other();
    c = before->value_or(Hash{});
    if (!agrees(c, p.batch.c_from())) return other();
  }
  for (Part& part : u.parts) {
    if (part.first > p.row.w) break;
    // A block that crosses W was cut elsewhere: other history. A gap that does must be cut again at
    // W.
    if (part.last() > p.row.w && part.gap != GapKind::none)
      return told(Verdict::gap_crosses, p.row, es1::ACK_GAP);
    if (part.last() > p.row.w) return told(Verdict::block_crosses, p.row, es1::ACK_FORK);
    c = fold(part, c);
  }
  return c == p.row.c || digests_off() ? es1::ACK_OK : other();
}

// The prefix agrees: a fold that ends elsewhere means that codec or memory is wrong, not history.
es1::AckStatus Reconciler::Impl::fold_above(Push& p) {
  Hash c = p.row.c;
  for (Part& part : p.unpacked.parts) {
    if (part.first > p.row.w) c = fold(part, c);
  }
  if (!agrees(c, p.batch.c_last())) return told(Verdict::other_end, p.row, es1::ACK_BAD_BODY);
  p.row.c = c;
  return es1::ACK_OK;
}

Result<void> Reconciler::Impl::write_parts(Handling& h, Push& p) {
  const Unpacked& u = p.unpacked;
  if (mutant(Mutant::overlap_dropped) && u.first <= p.w_before) return {};
  std::vector<JudgedBlock> blocks;
  for (size_t i = 0; i < u.parts.size(); i++) {
    const Part& part = u.parts[i];
    if (part.first <= p.w_before) continue;
    if (part.gap == GapKind::none) {
      auto poison = [](const JudgedRecord& j) { return j.quarantine != QuarantineReason::none; };
      if (poison_ends_group() && std::ranges::any_of(p.judged[i], poison)) return Error{Errc::bad_input, "poison"};
      blocks.push_back({part.first, p.judged[i], part.leaves, part.c_end});
      continue;
    }
    bool unverified =
        p.row.unverified && part.gap == GapKind::purged && part.first == p.w_before.next();
    h.txn.add_gap(
        h.in.fac, u.key,
        {part.first, part.last(), part.gap, part.reason, part.c_end, unverified, h.now.wall});
    h.out.gap_records += part.count;
  }
  Result<std::vector<Disposition>> done = h.txn.add_blocks(h.in.fac, u.key, blocks, h.now.wall);
  if (!done) return done.error();
  count_dispositions(h, p, blocks, *done);
  return {};
}

void Reconciler::Impl::count_dispositions(Handling& h, Push& p, std::span<const JudgedBlock> blocks,
                                          std::span<const Disposition> done) {
  size_t at = 0;
  for (const JudgedBlock& block : blocks) {
    for (size_t i = 0; i < block.records.size(); i++) {
      const Disposition disposition = done[at++];
      h.out.applied += disposition == Disposition::applied;
      h.out.duplicates +=
          disposition == Disposition::duplicate || disposition == Disposition::deleted;
      if (disposition != Disposition::quarantined) continue;
      h.out.quarantined++;
      p.rejected.push_back({block.first + i, block.records[i].quarantine});
    }
  }
}

// Claims that are reached now are compared; then the row moves by compare-and-append, or keeps its
// (W, c).
Result<void> Reconciler::Impl::settle(Handling& h, Push& p) {
  StreamKey key = p.unpacked.key;
  bool moved_on = p.row.w > p.w_before;
  Result<std::optional<Hash>> read{std::optional<Hash>{}};
  auto c_at = [&](Seq n) -> std::optional<Hash> {
    if (n == p.row.w) return p.row.c;
    read = h.txn.c_at(h.in.fac, key, n);
    return read ? *read : std::nullopt;
  };
  for (const Claim& broken : settle_claims(p.row, c_at)) {
    if (!read) return read.error();
    Incident fork{0,        IncidentKind::fork, key, std::min(p.w_before.next(), broken.n),
                  broken.n, broken.c,           {},  {},
                  ""};
    if (Result<void> r = open_incident(h, fork); !r) return r;
  }
  if (!read) return read.error();
  if (!moved_on) {
    h.txn.put(h.in.fac, key, p.row);
    return {};
  }
  Result<bool> advanced = h.txn.advance(h.in.fac, key, p.w_before, p.c_before, p.row);
  if (!advanced) return advanced.error();
  if (!*advanced) return Error{Errc::conflict, "the ledger row has moved meanwhile"};
  if (Result<void> r = judge_incidents(h, key, p.row, c_at); !r) return r;
  return count(h);
}

Result<void> Reconciler::Impl::count(Handling& h) {
  Result<std::optional<FacilityRow>> known = h.txn.facility(h.in.fac);
  if (!known) return known.error();
  FacilityRow facility = known->value_or(FacilityRow{});
  facility.records += h.out.applied;
  facility.duplicates += h.out.duplicates;
  facility.quarantined += h.out.quarantined;
  facility.gap_records += h.out.gap_records;
  facility.last_progress = h.now.wall;
  h.txn.put(h.in.fac, facility);
  return {};
}

void Reconciler::Impl::ack(Handling& h, Channel& channel, const Push& p, es1::AckStatus status) {
  es1::Ack ack;
  ack.set_nonce(Bytes(view(h.frame.prefix.nonce)));
  ack.set_epoch(p.unpacked.key.epoch.value);
  ack.set_stream(static_cast<uint32_t>(p.unpacked.key.stream));
  ack.set_status(status);
  ack.set_w(p.row.w.value);
  ack.set_c(wire_bytes(p.row.c));
  ack.set_rejected_count(static_cast<uint32_t>(p.rejected.size()));
  for (size_t i = 0; i < std::min(p.rejected.size(), kRejectedPerAckMax); i++) {
    es1::Rejected* rejected = ack.add_rejected();
    rejected->set_seq(p.rejected[i].first.value);
    rejected->set_reason(static_cast<uint32_t>(p.rejected[i].second));
  }
  ack.set_credit(credit.current(h.in.fac));
  ack.set_max_batch_bytes(static_cast<uint32_t>(config.frame_bytes_max));
  reply(h, channel, FrameType::ack, ack);
}

}  // namespace egret::cloud
