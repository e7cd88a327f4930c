// ReconcilerImpl: the reconciler's inside, shared by reconciler*.cpp only.
// Promises: none to others. Leaves to others: everything reconciler.h says.
#pragma once

#include "cloud/claims.h"
#include "cloud/fold.h"
#include "cloud/reconciler.h"
#include "schemas/es1.pb.h"
#include "schemas/limits.h"

namespace egret::cloud {

// All that one frame's handling shares.
struct Handling {
  const Inbound& in;
  const ParsedFrame& frame;
  Txn& txn;
  const StoreMeta& meta;
  Now now;
  Outcome& out;
};

// One batch on its way into the ledger.
struct Push {
  es1::Batch batch;
  Unpacked unpacked;
  std::vector<std::vector<JudgedRecord>> judged;  // a part of `unpacked`
  LedgerRow row;                                  // as it will be
  Seq w_before;
  Hash c_before{};
  std::vector<std::pair<Seq, QuarantineReason>> rejected;
};

struct Reconciler::Impl {
  ReconcilerConfig config;
  KeyRing& keys;
  Entropy& entropy;
  Credit credit;

  Impl(ReconcilerConfig c, KeyRing& k, Entropy& e)
      : config(std::move(c)), keys(k), entropy(e), credit(config.credit) {}

  int64_t alone_us() const { return (config.alone_ms > 0 ? config.alone_ms : kAloneMs) * 1000; }

  // reconciler.cpp
  Result<void> apply(Handling& h);
  void reply(Handling& h, Channel& channel, FrameType type,
             const google::protobuf::MessageLite& body);
  Result<void> judge_incidents(Handling& h, StreamKey key, const LedgerRow& row,
                               const std::function<std::optional<Hash>(Seq)>& c_at);
  Result<void> open_incident(Handling& h, Incident incident);

  // reconciler_hello.cpp
  Result<void> hello(Handling& h, const Registration& registration);
  Result<void> take_rows(Handling& h, const es1::Hello& hello);
  Result<void> take_listed(Handling& h, StreamKey key, const es1::HelloStream& stream, bool final);
  Result<void> take_finished(Handling& h, const es1::FinishedPart& part, FacilityRow& facility);
  Result<void> forget_list(Handling& h);
  Result<void> judge_purged(Handling& h, StreamKey key, LedgerRow& row, const Digest16& c_purged);
  Result<void> take_finished_epoch(Handling& h, const es1::FinishedEpoch& epoch);
  Result<void> take_holder(Handling& h, const es1::Hello& hello, FacilityRow& facility,
                           SessionRow& session);
  Result<void> drop_unused_sessions(Handling& h);
  Result<void> judge_holder(Handling& h, FacilityRow& facility, const SessionRow& session);
  Result<void> judge_tail(Handling& h, const es1::Hello& hello);
  Result<void> judge_held(Handling& h, StreamKey key, const LedgerRow& row, Seq held,
                          ByteView c_held);
  Result<void> judge_moved(Handling& h, StreamKey key, const LedgerRow& row,
                           std::span<const Claim> claims, ByteView c_moved);
  Result<void> judge_late_claims(Handling& h, StreamKey key, LedgerRow& row);
  Result<void> judge_orphans(Handling& h, const es1::Hello& hello, bool duplicate_open);
  Result<void> fill_welcome(Handling& h, const es1::Hello& hello, es1::Welcome& welcome);
  void add_entry(Handling& h, StreamKey key, const LedgerRow& row, es1::Welcome& welcome);
  Result<void> add_gaps(Handling& h, std::span<const Seq> purged, es1::Welcome& welcome);

  // reconciler_batch.cpp
  Result<void> batch(Handling& h);
  Result<es1::AckStatus> push(Handling& h, Push& p);
  Result<es1::AckStatus> check_prefix(Handling& h, Push& p);
  es1::AckStatus fold_above(Push& p);
  void examine(const Handling& h, Push& p) const;
  Result<void> write_parts(Handling& h, Push& p);
  static void count_dispositions(Handling& h, Push& p, std::span<const JudgedBlock> blocks,
                                 std::span<const Disposition> done);
  Result<void> settle(Handling& h, Push& p);
  Result<void> count(Handling& h);
  void ack(Handling& h, Channel& channel, const Push& p, es1::AckStatus status);
};

Digest16 wire16(const Hash& c);
Bytes wire_bytes(const Hash& c);
LedgerRow fresh_row(const Facility& fac, StreamKey key);

}  // namespace egret::cloud
