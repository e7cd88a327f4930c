// Store: what the region has committed. One transaction moves ledger, leaves, records, gaps, quarantine and
// incidents together, or nothing.
// Promises (es1 section 6): reads inside a transaction see its own writes; commit says committed only when the
// writes survive power loss; a row of the ledger moves only by compare-and-append; a natural key takes effect once.
// Leaves to others: what may be written when (Reconciler), grouping and replaying (Committer), views and files (cli).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "schemas/error.h"
#include "schemas/gap.h"
#include "schemas/record.h"
#include "schemas/seal.h"
#include "schemas/types.h"

namespace egret::cloud {

using Digest16 = std::array<uint8_t, 16>;  // the half of c that travels

// Who may speak as a facility.
struct Registration {
  std::vector<SitePublicKey> keys;
  bool revoked = false;   // nothing of it is accepted
  bool blocked = false;   // WELCOME says BLOCKED: the site buffers on
  std::string district = {}, name = {};  // for people (site_names.h); empty: nobody has said
};

// One run of an agent.
struct SessionRow {
  KeyId kid{};
  Key32 enc{};
  uint64_t hello_no = 0;         // highest seen
  Bytes hello_nonce;             // that came with it
  uint64_t ticket_echoed = 0;    // highest-minted ticket it has echoed
  uint64_t ticket_lost = 0;      // the ticket that was minted when it lost the holdership; 0: holder or never lost
  WallTime last_used;
  WallTime heard;                // when a HELLO came that was newer than all before; a replay is not
  std::vector<StreamKey> listed;  // what that one listed, at most kListedEpochsMax epochs
};

// What the last HELLOs said, for people.
struct Vitals {
  std::string agent_version;
  uint32_t disk_used_permille = 0;
  uint64_t accepted = 0, shed = 0, refused = 0, parked = 0;
  uint64_t oldest_unsynced_ms = 0, waiting_records = 0, link_bytes_per_s = 0;
  int64_t clock_offset_ms = 0;   // site minus cloud, when the HELLO was handled
  uint64_t w_falls = 0;
  uint32_t disk_hours_left = 0;  // 0: not growing, or not known
  WallTime certificate_ends;     // that it shows the broker; 0: none, or not known
};

struct FacilityRow {
  uint64_t ticket = 0;           // current one; minted rising, so a later ticket is greater
  SessionId holder{};
  bool holder_echoed = false;    // the holder has echoed a ticket
  uint64_t finished_count = 0;
  Hash finished_hash{};
  WallTime last_seen;            // refreshed only by a HELLO with the current ticket
  WallTime last_progress;        // last time a W rose
  WallTime last_takeover;        // last time another sid took the holdership from one that was heard since
  uint64_t records = 0, duplicates = 0, quarantined = 0, gap_records = 0;
  Vitals vitals;
};

struct Claim {
  Seq n;
  Digest16 c{};
};

struct LedgerRow {
  Seq w;
  Hash c{};                      // c_W, all 32 bytes
  Seq safe;                      // S by confirmed backups; the age and commit policies derive theirs from marks
  std::vector<Claim> claims;     // unresolved, at most kClaimsPerRowMax
  Seq claimed;                   // highest n ever claimed
  bool final = false;
  bool moved = false;
  bool finished = false;         // on the site's list of finished epochs
  Seq finished_at;               // its P there
  Hash finished_c{};             // and c_P; of a moved stream the first half of c at the head that was moved
  Seq finished_claimed;          // the highest claim of that time: what was missing then was judged
  bool unverified = false;       // a gap with unknown prefix was taken
  Seq purged;                    // P as the site last said
  struct Mark {                  // W as it stood at a time, for the age policy; thinned, newest last
    WallTime at;
    Seq w;
  };
  std::vector<Mark> marks;
};

// On disk. Never renumbered.
enum class QuarantineReason : uint8_t { none = 0, undecodable = 1, unknown_kind = 2, wrong_facility = 3, rule_broken = 4, too_large = 5 };
const char* name_of(QuarantineReason reason);

// One record of a block, as the reconciler judged it. Views live until commit.
struct JudgedRecord {
  ByteView record;               // body and arrival, as chained
  NaturalKey key;                // when not quarantined
  QuarantineReason quarantine = QuarantineReason::none;
  std::string detail;            // why quarantined: names field and limit, never a value
};
// One block of a batch: its first record has number `first`. Views live until the call returns.
struct JudgedBlock {
  Seq first;
  std::span<const JudgedRecord> records;
  std::span<const Hash> leaves;  // one a record
  Hash c_end{};                  // at its border
};
enum class Disposition : uint8_t { applied = 1, duplicate = 2, deleted = 3, quarantined = 4, gap = 5 };

struct GapRow {
  Seq first, last;
  GapKind kind = GapKind::shed;
  GapReason reason = GapReason::none;
  Hash c_end{};
  bool unverified = false;
  WallTime at;
};

// On disk. Never renumbered.
enum class IncidentKind : uint8_t { tail_lost = 1, orphan = 2, fork = 3, duplicate_identity = 4, restored = 5 };
const char* name_of(IncidentKind kind);
struct Incident {
  uint64_t id = 0;               // given by the store
  IncidentKind kind = IncidentKind::fork;
  StreamKey key;                 // epoch 0: about the facility
  Seq first, last;               // the range it names
  Digest16 c{};                  // the claimed digest at `last`, to know when it has come after all
  WallTime opened, closed;       // closed.us == 0: open
  std::string note;              // an operator's, or how it closed itself
};

// A row of the table 'u': what is left of what has expired.
struct KeptRow {
  Bytes key, value;
};

class Txn {
 public:
  virtual ~Txn() = default;
  // What follows can be undone alone: a frame's changes inside a group.
  virtual void savepoint() = 0;
  virtual void rollback_to_savepoint() = 0;
  // Records are new but for those that a producer sent twice: a store that is a journey away may take all for new, and find out
  // at the commit, which is refused with `conflict` then. For who tries again.
  virtual void suppose_new() {}

  virtual Result<std::optional<Registration>> registration(const Facility& fac) = 0;
  virtual void put(const Facility& fac, const Registration& row) = 0;
  virtual Result<std::optional<SessionRow>> session(const Facility& fac, const SessionId& sid) = 0;
  virtual void put(const Facility& fac, const SessionId& sid, const SessionRow& row) = 0;
  virtual Result<std::vector<std::pair<SessionId, SessionRow>>> sessions(const Facility& fac) = 0;
  virtual void drop_session(const Facility& fac, const SessionId& sid) = 0;
  virtual Result<std::optional<FacilityRow>> facility(const Facility& fac) = 0;
  virtual void put(const Facility& fac, const FacilityRow& row) = 0;

  virtual Result<std::optional<LedgerRow>> row(const Facility& fac, StreamKey key) = 0;
  virtual Result<std::vector<std::pair<StreamKey, LedgerRow>>> rows(const Facility& fac) = 0;
  // Everything of a row but W and c: claims, flags, marks, S. The row must have the stored (W, c).
  virtual void put(const Facility& fac, StreamKey key, const LedgerRow& row) = 0;
  // Compare-and-append: true when the stored row had (w_before, c_before); otherwise nothing is written.
  // Also the way to insert a row (w_before 0, c_before = c_0, row absent).
  virtual Result<bool> advance(const Facility& fac, StreamKey key, Seq w_before, const Hash& c_before,
                               const LedgerRow& after) = 0;

  // Blocks in the order of their numbers: records by natural key, arrivals, leaves, borders.
  // Returns one disposition a record, block after block. A natural key that is in the store already, or twice
  // in here, is a duplicate; a tombstoned one is deleted; a quarantined record is kept with its reason.
  virtual Result<std::vector<Disposition>> add_blocks(const Facility& fac, StreamKey key,
                                                      std::span<const JudgedBlock> blocks, WallTime now) = 0;
  virtual void add_gap(const Facility& fac, StreamKey key, const GapRow& gap) = 0;
  // Gap rows that reach above `after`, in order, at most `limit`.
  virtual Result<std::vector<GapRow>> gaps(const Facility& fac, StreamKey key, Seq after, size_t limit) = 0;
  // c at a number <= W, when it is a border there; nullopt when it is none.
  virtual Result<std::optional<Hash>> c_at(const Facility& fac, StreamKey key, Seq at) = 0;

  virtual Result<std::vector<Incident>> incidents(const Facility& fac, bool open_only) = 0;
  // Opens a new one (id 0) or updates it.
  virtual void put(const Facility& fac, const Incident& incident) = 0;
  // Deletes by natural key, leaving a tombstone HMAC(store key, natural key) with the reason.
  virtual Result<void> erase(const Facility& fac, const NaturalKey& key, const std::string& reason) = 0;
  // Takes the bytes of these records (places in the block that begins with `first`, each applied) away, for they were kept
  // as long as they had to be. Leaves and natural keys stay: a late copy is a duplicate. `kept` is put in the same commit:
  // what is kept of them instead (retention.h).
  virtual Result<void> expire(const Facility& fac, StreamKey key, Seq first, std::span<const size_t> records,
                              std::span<const KeptRow> kept) = 0;
};

// conflict: failed, because another process has committed meanwhile; the same may well succeed now.
enum class CommitResult : uint8_t { committed, failed, unknown, conflict };

struct StoreMeta {
  uint32_t format = 0;
  uint64_t gen = 0;              // new after init and restore
  bool backup_confirmed = false; // the default S policy changes from age to backup with the first one
  WallTime last_backup_confirmed;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual std::unique_ptr<Txn> begin() = 0;
  // The same, for who knows beforehand which facilities it will write about: where others write to the store too they
  // wait for it, or it for them, and nothing is done in vain.
  virtual std::unique_ptr<Txn> begin(std::span<const Facility>) { return begin(); }
  // The transaction is over afterwards whatever the answer. `failed` and `conflict`: nothing of it was written.
  // `unknown`: nobody can tell; say nothing to anyone.
  virtual CommitResult commit(std::unique_ptr<Txn> txn) = 0;
  virtual Result<StoreMeta> meta() = 0;
  virtual Result<std::vector<Facility>> facilities() = 0;
};

}  // namespace egret::cloud
