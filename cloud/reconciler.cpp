#include "cloud/reconciler.h"

#include "cloud/reconciler_impl.h"
#include "schemas/chain.h"
#include "schemas/limits.h"
#include "schemas/mutants.h"

namespace egret::cloud {

const char* name_of(DropReason reason) {
  switch (reason) {
    case DropReason::none:
      return "none";
    case DropReason::malformed:
      return "malformed";
    case DropReason::unknown_facility:
      return "unknown_facility";
    case DropReason::revoked:
      return "revoked";
    case DropReason::bad_signature:
      return "bad_signature";
    case DropReason::unknown_session:
      return "unknown_session";
    case DropReason::bad_tag:
      return "bad_tag";
    case DropReason::undecodable:
      return "undecodable";
    case DropReason::store:
      return "store";
    case DropReason::topic_mismatch:
      return "topic_mismatch";
  }
  return "unknown";
}

Digest16 wire16(const Hash& c) {
  return take<sizeof(Digest16)>(view(c));
}
Bytes wire_bytes(const Hash& c) {
  return Bytes(view(c).substr(0, kDigestWireBytes));
}

LedgerRow fresh_row(const Facility& fac, StreamKey key) {
  LedgerRow row;
  row.c = chain_start(fac, key);
  return row;
}

Reconciler::Reconciler(ReconcilerConfig config, KeyRing& keys, Entropy& entropy)
    : impl_(std::make_unique<Impl>(std::move(config), keys, entropy)) {}
Reconciler::~Reconciler() = default;

uint64_t Reconciler::credit_granted() const {
  return impl_->credit.granted();
}

Result<Outcome> Reconciler::apply(const Inbound& in, Txn& txn, const StoreMeta& meta, Now now) {
  Outcome out;
  Result<ParsedFrame> frame = parse_frame(in.frame);
  if (!frame) {
    out.drop = DropReason::malformed;
    return out;
  }
  Handling h{in, *frame, txn, meta, now, out};
  if (Result<void> applied = impl_->apply(h); !applied) return applied.error();
  return out;
}

Result<void> Reconciler::Impl::apply(Handling& h) {
  if (h.in.topic != TopicKind::up_control && h.in.topic != TopicKind::up_bulk) {
    h.out.drop = DropReason::topic_mismatch;
    return {};
  }
  Result<std::optional<Registration>> registration = h.txn.registration(h.in.fac);
  if (!registration) return registration.error();
  if (!*registration || ((*registration)->revoked && !mutant(Mutant::revoked_is_heard))) {
    h.out.drop = *registration ? DropReason::revoked : DropReason::unknown_facility;
    return {};
  }
  switch (h.frame.prefix.type) {
    case FrameType::hello:
      return hello(h, **registration);
    case FrameType::batch:
      return batch(h);
    case FrameType::welcome:
    case FrameType::ack:
    case FrameType::need_hello:
      break;
  }
  h.out.drop = DropReason::malformed;
  return {};
}

void Reconciler::Impl::reply(Handling& h, Channel& channel, FrameType type,
                             const google::protobuf::MessageLite& message) {
  Bytes body;
  message.SerializeToString(&body);
  h.out.replies.push_back({h.in.fac, channel.seal(type, body).frame});
}

// Opens an incident, unless an open one says the same.
Result<void> Reconciler::Impl::open_incident(Handling& h, Incident incident) {
  Result<std::vector<Incident>> open = h.txn.incidents(h.in.fac, true);
  if (!open) return open.error();
  for (Incident& known : *open) {
    if (known.kind != incident.kind || known.key != incident.key) continue;
    if (incident.kind == IncidentKind::duplicate_identity) return {};
    if (known.last >= incident.last && known.c == incident.c) return {};
  }
  incident.opened = h.now.wall;
  h.txn.put(h.in.fac, incident);
  return {};
}

// An incident closes itself once W has reached what was claimed, with the claimed digest.
Result<void> Reconciler::Impl::judge_incidents(
    Handling& h, StreamKey key, const LedgerRow& row,
    const std::function<std::optional<Hash>(Seq)>& c_at) {
  Result<std::vector<Incident>> open = h.txn.incidents(h.in.fac, true);
  if (!open) return open.error();
  for (Incident& incident : *open) {
    if (incident.key != key || incident.last > row.w ||
        !claim_holds({incident.last, incident.c}, c_at(incident.last)))
      continue;
    incident.closed = h.now.wall;
    incident.note = "closed itself: what was claimed has arrived";
    h.txn.put(h.in.fac, incident);
  }
  return {};
}

}  // namespace egret::cloud
