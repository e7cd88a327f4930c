// Reconciler: the cloud's half of es1, sans-I/O: one frame in, changes in a transaction, answers
// out. Promises: no thread, clock, random source, socket or disk of its own; unauthenticated bytes
// change nothing; W moves only over what was applied in the same transaction; an answer says only
// what that transaction says. Leaves to others: commit and sending (Committer: answers leave after
// the commit is confirmed), the tables (Store), keys (KeyRing).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cloud/credit.h"
#include "cloud/each_of.h"
#include "cloud/safe.h"
#include "cloud/store.h"
#include "schemas/seal.h"
#include "schemas/topics.h"

namespace egret::cloud {

struct Inbound {
  Facility fac;  // from the topic
  TopicKind topic = TopicKind::up_control;
  Bytes frame;
};
struct Reply {
  Facility fac;  // goes to its down topic
  Bytes frame;
};

// The region's private keys and the signature check.
class KeyRing {
 public:
  virtual ~KeyRing() = default;
  // Errors: unknown_session (no key with this kid), bad_frame (unusable enc).
  virtual Result<std::shared_ptr<Channel>> join(const Facility& fac, const KeyId& kid,
                                                ByteView enc) = 0;
  virtual bool signed_by(const SitePublicKey& key, const Facility& fac,
                         const ParsedFrame& hello) = 0;
  // The key that new runs shall seal to, when it is not the one in use; nullopt: no rotation.
  virtual std::optional<RegionPublicKey> next() const = 0;
};

struct ReconcilerConfig {
  SafePolicy safe = SafePolicy::by_default;
  int64_t safe_age_ms = 72LL * 3600 * 1000;
  size_t frame_bytes_max = 256 * 1024;
  int64_t lease_ms = 0;        // 0: kLeaseMs
  int64_t alone_ms = 0;        // 0: kAloneMs
  int64_t herd_window_ms = 0;  // told to the edges
  CreditLimits credit;
  EachOf each = one_by_one;    // judges the blocks of a batch
};

// Why a frame changed nothing. For metrics; never renumbered in their names.
enum class DropReason : uint8_t {
  none,
  malformed,
  unknown_facility,
  revoked,
  bad_signature,
  unknown_session,
  bad_tag,
  undecodable,
  store,
  topic_mismatch
};
const char* name_of(DropReason reason);

struct Outcome {
  std::vector<Reply> replies;  // to be sent after the commit is confirmed
  DropReason drop = DropReason::none;
  // What it did, for metrics.
  uint64_t applied = 0, duplicates = 0, quarantined = 0, gap_records = 0;
  bool hello = false, batch = false, fork = false, gap = false, bad_body = false;
  bool wrote = false;  // false: nothing to commit
};

class Reconciler {
 public:
  Reconciler(ReconcilerConfig config, KeyRing& keys, Entropy& entropy);
  ~Reconciler();
  // Applies one frame. On an Error (the store could not be read) the caller rolls the frame back
  // and says nothing.
  Result<Outcome> apply(const Inbound& in, Txn& txn, const StoreMeta& meta, Now now);
  // Batches in flight that are granted now, all facilities; for metrics.
  uint64_t credit_granted() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace egret::cloud
