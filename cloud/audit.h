// Audit: who read or wrote what through the region's interfaces: a log in the store that only grows at its end.
// Promises: entries have numbers without holes, in the order in which they were written; each has SHA-256 over its content and
// the entry before, so that one that was changed, left out, moved or cut off is named (verify_audit); what retention takes away
// goes from the beginning, and the chain holds from there. No patient's data: names below.
// Leaves to others: when an entry is written and what a failure means (api/audit_desk.h), who may read it (api/feeds).
//
//   'x' number u64   entry: see AuditEntry, encode_audit; its last 32 bytes are c, SHA-256("egret-audit-1", 0, c of the entry
//                    before, number u64, the bytes before them). c of number 0 is zero.
//   'y'              how far it is: last number u64, its c 32; what retention has taken: last number u64, its c 32
//   'y' day u32      root of a day (UTC, since 1970): number u64, c 32, at i64, signer 32, signature text
// A root is the log's end when the day's first entry could have come. It is signed with statement.key over "egret-audit-root-1",
// 0, day u32, number u64, c: whoever keeps a copy elsewhere finds out about an end that was cut off, or a log that was made anew.
//
// What an entry is about is named so that nobody learns who the patient is: a result by facility and logical id, a patient by
// the first 16 bytes of the store's pseudonym (an HMAC), what FHIR clients wrote by type and an HMAC under the same key.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "cloud/merge/read.h"
#include "cloud/tables.h"
#include "schemas/seal.h"

namespace egret::cloud {

inline constexpr size_t kAuditTextBytesMax = 128;       // who, what
inline constexpr size_t kAuditSubjectsMax = 10'000;     // of one entry; an answer that shows more has several
inline constexpr int64_t kAuditDaysMin = 180;           // no retention takes an entry that is younger

// On disk. Never renumbered.
enum class AuditStep : uint8_t {
  asked = 1,      // let in, and about to be done: written before anything is
  done = 2,       // and what came of it
  refused = 3,    // not let in
  read = 4,       // read, and answered
  more = 5,       // further subjects of the entry before
  retention = 6,  // the log's own: `count` entries were old enough, and went
};
enum class AuditKind : uint8_t {
  result = 1,     // of: facility; id: its logical id
  patient = 2,    // id: of the store's pseudonym
  model = 3,      // id: of its reference
  run = 4,        // of: facility; id: the run
  record = 5,     // of: facility; id: of SHA-256(body)
  facility = 6,   // of: it
  order = 7,      // id: its number, in the last 8 bytes
  resource = 8,   // of: FHIR type; id: HMAC(store's key, "Type/id")
};
const char* name_of(AuditStep step);
const char* name_of(AuditKind kind);

struct AuditSubject {
  AuditKind kind = AuditKind::result;
  std::string of;
  Uuid id{};
  auto operator<=>(const AuditSubject&) const = default;
};
AuditSubject subject_of(const ResultName& name);
AuditSubject subject_of_patient(const Hash& pseudonym);
AuditSubject subject_of_order(uint64_t number);
// "result clinic-7/6f1c…", "patient 3f2a…", "Observation #77ab…".
std::string text_of(const AuditSubject& subject);

struct AuditEntry {
  AuditStep step = AuditStep::read;
  WallTime at;
  std::string who;        // a token's name, or an account's; empty: nobody showed a token
  std::string role;       // empty: none
  std::string what;       // an endpoint, or a command of the control socket
  uint32_t status = 0;    // of HTTP; of a command its exit code. 0 while it is only asked
  uint32_t count = 1;     // so many of the same within a minute, the last of them then: only what showed no record
  std::vector<AuditSubject> about;
  auto operator<=>(const AuditEntry&) const = default;
};
struct AuditRow {
  uint64_t number = 0;
  AuditEntry entry;
  Hash c{};
};

// Appends, synced: all or nothing. Errors: disk_full, store_failed, conflict (others write too, and won every time),
// corrupt, unknown_outcome.
Result<void> append_audit(Kv& kv, std::span<const AuditEntry> entries);

struct AuditHead {
  uint64_t last = 0;     // 0: nothing was ever written
  Hash c{};
  uint64_t expired = 0;  // entries up to this one are gone
  Hash expired_c{};
};
Result<AuditHead> audit_head(const Kv& kv);
// Entries after `after`, in order, until `each` returns false. Errors: corrupt, store_failed.
Result<void> each_audit(const Kv& kv, uint64_t after, const std::function<bool(const AuditRow&)>& each);
// The newest first.
Result<void> each_audit_back(const Kv& kv, const std::function<bool(const AuditRow&)>& each);

// ---- roots ----

struct AuditRoot {
  uint32_t day = 0;
  uint64_t number = 0;
  Hash c{};
  WallTime at;
  SitePublicKey signer;
  Bytes signature;
};
bool is_genuine(const AuditRoot& root);
// Today's, made if it is not there; nullopt: it was. Errors: as append_audit.
Result<std::optional<AuditRoot>> make_root(Kv& kv, const SitePrivateKey& key, WallTime now);
Result<std::vector<AuditRoot>> audit_roots(const Kv& kv);

// ---- proving ----

struct AuditVerdict {
  AuditHead head;
  uint64_t entries = 0, roots = 0;
  std::vector<std::string> wrong;  // for a person; at most 200
};
// What somebody noted down elsewhere: this entry had this c.
struct AuditKnown {
  uint64_t number = 0;
  Hash c{};
};
// Errors: only when the log cannot be walked.
Result<AuditVerdict> verify_audit(const Kv& kv, const std::optional<AuditKnown>& known = std::nullopt, const std::optional<SitePublicKey>& signer = std::nullopt);
// NUMBER:64 hex digits.
std::optional<AuditKnown> audit_known(std::string_view text);

// ---- retention ----

// Takes away what is older than `days` (at least kAuditDaysMin are kept), at most `most` entries, and says so in the log.
// How many went. Errors: as append_audit.
Result<uint64_t> expire_audit(Kv& kv, int64_t days, WallTime now, size_t most);

// ---- reading ----

// What somebody wants to see of it. Empty: everything.
struct AuditAsked {
  std::string who;
  std::optional<AuditSubject> about;
  bool wants(const AuditEntry& entry) const;
};
// Who has read the results that `touched` says yes to, by who and role.
struct AuditReader {
  std::string who, role;
  uint64_t results = 0;  // of them, each once
  uint64_t reads = 0;
  WallTime first, last;
};
struct AuditReaders {
  std::vector<AuditReader> readers;
  uint64_t from = 0;  // entries before this one were not looked at
};
// Looks at the newest `most` entries. `touched` is asked once a result. Errors: corrupt, store_failed, and of touched.
Result<AuditReaders> audit_readers(const Kv& kv, size_t most, const std::function<Result<bool>(const ResultName&)>& touched);

std::string to_json(const AuditRow& row);
std::string to_json(const AuditRoot& root);
std::string to_json(const AuditReader& reader);

// An entry as it is stored, without its number and c.
Bytes encode_audit(const AuditEntry& entry);
Result<AuditEntry> decode_audit(ByteView bytes);

}  // namespace egret::cloud
