// Tables: the rows and keys of the cloud's store, as bytes: the format on disk.
// Promises: what encode wrote, decode reads; a row of another length is corrupt, never half read.
// The letters, spaces and numbers below are never reused; a change of a row is a new kCloudFormat.
// Leaves to others: what is written together (store_kv), blocks (stored_block.h), the files (Kv).
//
// Integers are big-endian, so that keys sort by number. `fac` in a key is the facility's name and a
// zero byte, so that no facility's keys begin with another's. A stream is named `fac, epoch u64,
// stream u8`.
//
//   space 0, by the first byte of the key; 'A' is the timeline (timeline.h), 'a' to 'e' are alerts (alerts.h), 'x' 'y' the audit log (audit.h), 'z' restrictions
//     'm'                        meta: format u32, gen u64, store key 32, last backup confirmed (UTC, us) i64 or 0
//     'n'                        number of the last incident u64
//     'o'                        number of the last row of space 4 u64
//     'o' 't'                    how often something was erased, or restricted u64 (taken_away.h)
//     'r' fac                    registration: flags u8 (1 revoked, 2 blocked), count u8, public keys 32 each; then, where one of
//                                them is said: district text, name text
//     's' fac sid 8              session: kid 4, enc 32, hello_no u64, nonce text, ticket echoed u64, lost u64,
//                                used i64, heard i64, count u32, what it listed: epoch u64, stream u8 each
//     'f' fac                    facility: ticket, holder, finished list, when seen, counters, vitals
//     'l' stream                 ledger row: (W, c), S, claims, flags, marks
//     'g' stream last u64        gap: first u64, kind u8, reason u8, c_end 32, unverified u8, at i64
//     'q' fac SHA-256(record)    quarantine: reason u8, detail text, where first seen, at i64, the record's bytes
//     'i' fac state u8 id u64    incident; state 0 is open, 1 closed
//     'p' stream first u64       a block without a number in space 4 yet; only of a store that several write
//     'h' id u64                 a legal hold: see holds.h
//     'k' 'j'                    how far retention has come: see retention.h
//     'u' fac                    what is kept of telemetry that has expired: see rollup.h
//     'w' member 16              one of several reconcilers: its beat u64, its outputs, a line each; see shards.h
//     'v' number u64             what the region decided about results: see orders.h
//     't' HMAC 32                tombstone: reason text; HMAC-SHA-256(store key, natural key as in space 3)
//   space 1   stream first u64   a block: see stored_block.h
//   space 2   stream last u64    its border and leaves: first u64, c 32, leaf 32 each; outlives the block's data
//   space 3   fac kind u8 SHA-256(body)
//                                natural key of what is applied: epoch u64, stream u8, seq u64 without its leading
//                                zero bytes
//   space 4   number u64         the feed: the key in space 1 of a block, in the order of commits
//   space 5   views, made anew at any time from the rest: see view_tables.h
//
// The store digest is SHA-256 over the keys of space 3, one after the other in byte order: of each
// applied record the facility's name, a zero byte, the kind as one byte, the 32 bytes of
// SHA-256(body).
#pragma once

#include "cloud/store.h"
#include "schemas/kv.h"

namespace egret::cloud {

inline constexpr Space kMetaSpace = 0;
inline constexpr Space kBlockSpace = 1;
inline constexpr Space kLeafSpace = 2;
inline constexpr Space kNaturalSpace = 3;
inline constexpr Space kFeedSpace = 4;
inline constexpr Space kViewSpace = 5;
inline constexpr Space kCloudSpaces = 6;

// ---- rows that only the store itself knows ----

struct MetaRow {
  StoreMeta meta;
  Key32 store_key{};  // of the tombstones' HMAC; never leaves the store
};

// One record's place.
struct Place {
  StreamKey key;
  Seq seq;
  auto operator<=>(const Place&) const = default;
};

struct QuarantineRow {
  QuarantineReason reason = QuarantineReason::none;
  std::string detail;
  Place place;  // where it came first
  WallTime at;
  Bytes record;
};

struct LeafRow {
  Seq first;
  Hash c_end{};
  std::vector<Hash> leaves;
};

// ---- keys ----

Bytes meta_key();
Bytes incident_number_key();
Bytes feed_number_key();
Bytes taken_away_key();
Bytes registration_key(const Facility& fac);
Bytes session_key(const Facility& fac, const SessionId& sid);
Bytes facility_key(const Facility& fac);
Bytes ledger_key(const Facility& fac, StreamKey key);
Bytes gap_key(const Facility& fac, StreamKey key, Seq last);
Bytes quarantine_key(const Facility& fac, const Hash& record);
Bytes incident_key(const Facility& fac, bool closed, uint64_t id);
Bytes tombstone_key(const Hash& hmac);
Bytes stream_key(const Facility& fac, StreamKey key);  // prefix in spaces 1 and 2
Bytes numbered_key(const Facility& fac, StreamKey key,
                   Seq seq);  // in spaces 1 (first) and 2 (last)
Bytes natural_key(const Facility& fac, const NaturalKey& key);
Bytes feed_key(uint64_t number);
Bytes arrived_key(ByteView block);      // of a block's key in space 1
ByteView arrived_block(ByteView key);   // the way back

// All keys of a table; of a facility in it; of a stream in it. Prefixes, to be used with
// after_prefix.
Bytes table_prefix(char table);
Bytes table_prefix(char table, const Facility& fac);
// A row of a table whose rows are numbered.
Bytes table_row(char table, uint64_t number);
// One past every key that begins with `prefix`, which must hold a byte below 0xff.
Bytes after_prefix(Bytes prefix);
// One past every key of a space: none begins with its byte.
Bytes end_of_space();

// What a key names; nullopt when it has another form.
struct StreamName {
  Facility fac;
  StreamKey key;
};
std::optional<Facility> facility_of(char table, ByteView key);
std::optional<StreamName> stream_of(char table, ByteView key);
struct NumberedName {
  Facility fac;
  StreamKey key;
  Seq seq;
};
std::optional<NumberedName> numbered_of(ByteView key);              // spaces 1 and 2
std::optional<NumberedName> numbered_of(char table, ByteView key);  // gaps
struct NaturalName {
  Facility fac;
  NaturalKey key;
};
std::optional<NaturalName> natural_of(ByteView key);

// ---- values. Errors of decode: corrupt ----

Bytes encode(const MetaRow& row);
Result<MetaRow> decode_meta(ByteView value);  // also newer_format
Bytes encode(const Registration& row);
Result<Registration> decode_registration(ByteView value);
Bytes encode(const SessionRow& row);
Result<SessionRow> decode_session(ByteView value);
Bytes encode(const FacilityRow& row);
Result<FacilityRow> decode_facility(ByteView value);
Bytes encode(const LedgerRow& row);
Result<LedgerRow> decode_ledger(ByteView value);
Bytes encode(const GapRow& row);
Result<GapRow> decode_gap(ByteView value, Seq last);
Bytes encode(const QuarantineRow& row);
Result<QuarantineRow> decode_quarantine(ByteView value);
Bytes encode(const Incident& row);
Result<Incident> decode_incident(ByteView value);
Bytes encode_place(const Place& place);
Result<Place> decode_place(ByteView value);
// Straight from the caller's leaves: this is written for every block.
Bytes encode_leaves(Seq first, const Hash& c_end, std::span<const Hash> leaves);
Result<LeafRow> decode_leaves(ByteView value);

}  // namespace egret::cloud
