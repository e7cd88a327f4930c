#include "cloud/tables.h"

#include <spdlog/fmt/fmt.h>

#include "cloud/row_bytes.h"
#include "schemas/limits.h"

namespace egret::cloud {
namespace {

constexpr uint8_t kRevokedFlag = 1;
constexpr uint8_t kBlockedFlag = 2;
constexpr uint8_t kFinalFlag = 1;
constexpr uint8_t kMovedFlag = 2;
constexpr uint8_t kFinishedFlag = 4;
constexpr uint8_t kUnverifiedFlag = 8;
constexpr size_t kStreamBytes = 8 + 1;
constexpr size_t kClaimBytes = 8 + 16;
constexpr size_t kMarkBytes = 8 + 8;

Error corrupt_row(const char* table, size_t size) {
  return {Errc::corrupt,
          fmt::format("cloud store: a row of the table \"{}\" ({} bytes) is not as it was written; "
                      "run `egret-cloud verify` and restore from a backup",
                      table, size)};
}

Bytes key_of(char table, const Facility& fac, size_t more = 0) {
  Bytes key;
  key.reserve(2 + fac.size() + more);
  key.push_back(table);
  key.append(fac);
  key.push_back('\0');
  return key;
}

void put_stream(Bytes& out, StreamKey key) {
  put_u64(out, key.epoch.value);
  out.push_back(char(key.stream));
}

// Takes the facility off the front of `key`; nullopt when there is none.
std::optional<Facility> take_facility(ByteView& key) {
  const size_t end = key.find('\0');
  if (end == ByteView::npos || end == 0 || end > kFacilityCharsMax) return std::nullopt;
  Facility fac(key.substr(0, end));
  key.remove_prefix(end + 1);
  return fac;
}

std::optional<StreamKey> take_stream(ByteView& key) {
  if (key.size() < kStreamBytes || uint8_t(key[8]) >= kStreamCount) return std::nullopt;
  const StreamKey stream{{get_u64(key, 0)}, StreamId(key[8])};
  key.remove_prefix(kStreamBytes);
  return stream;
}

std::optional<NumberedName> numbered_rest(ByteView key) {
  auto fac = take_facility(key);
  if (!fac) return std::nullopt;
  const auto stream = take_stream(key);
  if (!stream || key.size() != 8) return std::nullopt;
  return NumberedName{std::move(*fac), *stream, {get_u64(key, 0)}};
}

bool take_table(char table, ByteView& key) {
  if (key.empty() || key[0] != table) return false;
  key.remove_prefix(1);
  return true;
}

}  // namespace

// ---- keys ----

Bytes meta_key() {
  return "m";
}
Bytes incident_number_key() {
  return "n";
}
Bytes feed_number_key() {
  return "o";
}
Bytes taken_away_key() {
  return "ot";
}
Bytes registration_key(const Facility& fac) {
  return key_of('r', fac);
}
Bytes facility_key(const Facility& fac) {
  return key_of('f', fac);
}

Bytes session_key(const Facility& fac, const SessionId& sid) {
  return key_of('s', fac, sid.size()).append(view(sid));
}

Bytes ledger_key(const Facility& fac, StreamKey key) {
  Bytes out = key_of('l', fac, kStreamBytes);
  put_stream(out, key);
  return out;
}

Bytes gap_key(const Facility& fac, StreamKey key, Seq last) {
  Bytes out = key_of('g', fac, kStreamBytes + 8);
  put_stream(out, key);
  put_u64(out, last.value);
  return out;
}

Bytes quarantine_key(const Facility& fac, const Hash& record) {
  return key_of('q', fac, record.size()).append(view(record));
}

Bytes incident_key(const Facility& fac, bool closed, uint64_t id) {
  Bytes out = key_of('i', fac, 9);
  out.push_back(closed ? 1 : 0);
  put_u64(out, id);
  return out;
}

Bytes tombstone_key(const Hash& hmac) {
  return Bytes("t").append(view(hmac));
}

Bytes stream_key(const Facility& fac, StreamKey key) {
  Bytes out;
  out.reserve(fac.size() + 1 + kStreamBytes + 8);
  out.append(fac).push_back('\0');
  put_stream(out, key);
  return out;
}

Bytes numbered_key(const Facility& fac, StreamKey key, Seq seq) {
  Bytes out = stream_key(fac, key);
  put_u64(out, seq.value);
  return out;
}

Bytes end_of_space() {
  return Bytes(1, char(0xff));
}

Bytes feed_key(uint64_t number) {
  Bytes out;
  put_u64(out, number);
  return out;
}

Bytes arrived_key(ByteView block) { return 'p' + Bytes(block); }

ByteView arrived_block(ByteView key) { return key.substr(1); }

Bytes natural_key(const Facility& fac, const NaturalKey& key) {
  Bytes out;
  out.reserve(fac.size() + 2 + key.content.size());
  out.append(fac).push_back('\0');
  out.push_back(char(key.kind));
  out.append(view(key.content));
  return out;
}

Bytes table_row(char table, uint64_t number) {
  Bytes out = table_prefix(table);
  put_u64(out, number);
  return out;
}

Bytes table_prefix(char table) {
  return Bytes(1, table);
}
Bytes table_prefix(char table, const Facility& fac) {
  return key_of(table, fac);
}

Bytes after_prefix(Bytes prefix) {
  while (!prefix.empty() && uint8_t(prefix.back()) == 0xff) prefix.pop_back();
  EGRET_INVARIANT(!prefix.empty(), "a prefix that something can come after");
  ++prefix.back();
  return prefix;
}

std::optional<Facility> facility_of(char table, ByteView key) {
  if (!take_table(table, key)) return std::nullopt;
  return take_facility(key);
}

std::optional<StreamName> stream_of(char table, ByteView key) {
  if (!take_table(table, key)) return std::nullopt;
  auto fac = take_facility(key);
  if (!fac) return std::nullopt;
  const auto stream = take_stream(key);
  if (!stream || !key.empty()) return std::nullopt;
  return StreamName{std::move(*fac), *stream};
}

std::optional<NumberedName> numbered_of(ByteView key) {
  return numbered_rest(key);
}

std::optional<NumberedName> numbered_of(char table, ByteView key) {
  if (!take_table(table, key)) return std::nullopt;
  return numbered_rest(key);
}

std::optional<NaturalName> natural_of(ByteView key) {
  auto fac = take_facility(key);
  if (!fac || key.size() != 1 + sizeof(Hash)) return std::nullopt;
  return NaturalName{std::move(*fac), {Kind(key[0]), take<sizeof(Hash)>(key.substr(1))}};
}

// ---- values ----

Bytes encode(const MetaRow& row) {
  return RowWriter()
      .u32(row.meta.format)
      .u64(row.meta.gen)
      .fixed(row.store_key)
      .i64(row.meta.backup_confirmed ? row.meta.last_backup_confirmed.us : 0)
      .take();
}

Result<MetaRow> decode_meta(ByteView value) {
  RowReader in(value);
  MetaRow row;
  row.meta.format = in.u32();
  if (in.ok() && row.meta.format > kCloudFormat) {
    return Error{
        Errc::newer_format,
        fmt::format(
            "cloud store: its format is {}, this program knows up to {}; use the newer egret-cloud",
            row.meta.format, kCloudFormat)};
  }
  row.meta.gen = in.u64();
  row.store_key = in.fixed<32>();
  row.meta.last_backup_confirmed.us = in.i64();
  row.meta.backup_confirmed = row.meta.last_backup_confirmed.us != 0;
  if (!in.done() || row.meta.format == 0) return corrupt_row("meta", value.size());
  return row;
}

Bytes encode(const Registration& row) {
  RowWriter out(2 + 32 * row.keys.size());
  out.u8((row.revoked ? kRevokedFlag : 0) | (row.blocked ? kBlockedFlag : 0))
      .u8(uint8_t(row.keys.size()));
  for (const SitePublicKey& key : row.keys) out.fixed(key.point);
  // Left out where nobody has said any: such a row is read by programs that do not know them yet.
  if (!row.district.empty() || !row.name.empty()) out.text(row.district).text(row.name);
  return out.take();
}

Result<Registration> decode_registration(ByteView value) {
  RowReader in(value);
  const uint8_t flags = in.u8();
  Registration row{{}, (flags & kRevokedFlag) != 0, (flags & kBlockedFlag) != 0};
  for (size_t n = in.u8(); n > 0 && in.ok(); --n) row.keys.push_back({in.fixed<32>()});
  if (in.ok() && !in.done()) {
    row.district = in.text();
    row.name = in.text();
    if (row.district.empty() && row.name.empty()) return corrupt_row("registration", value.size());  // never written so
  }
  if (!in.done() || (flags & ~(kRevokedFlag | kBlockedFlag)) != 0) return corrupt_row("registration", value.size());
  return row;
}

constexpr size_t kListedBytes = sizeof(uint64_t) + 1;

Bytes encode(const SessionRow& row) {
  RowWriter out(96 + kListedBytes * row.listed.size());
  out.fixed(row.kid)
      .fixed(row.enc)
      .u64(row.hello_no)
      .text(row.hello_nonce)
      .u64(row.ticket_echoed)
      .u64(row.ticket_lost)
      .i64(row.last_used.us)
      .i64(row.heard.us);
  out.u32(static_cast<uint32_t>(row.listed.size()));
  for (const StreamKey& key : row.listed) out.u64(key.epoch.value).u8(static_cast<uint8_t>(key.stream));
  return out.take();
}

Result<SessionRow> decode_session(ByteView value) {
  RowReader in(value);
  SessionRow row;
  row.kid = in.fixed<4>();
  row.enc = in.fixed<32>();
  row.hello_no = in.u64();
  row.hello_nonce = in.text();
  row.ticket_echoed = in.u64();
  row.ticket_lost = in.u64();
  row.last_used.us = in.i64();
  row.heard.us = in.i64();
  const size_t listed = in.u32();
  if (!in.holds(listed, kListedBytes)) return corrupt_row("session", value.size());
  row.listed.reserve(listed);
  for (size_t i = 0; i < listed; ++i) {
    const EpochId epoch{in.u64()};
    const uint8_t stream = in.u8();
    if (stream >= kStreamCount) return corrupt_row("session", value.size());
    row.listed.push_back({epoch, static_cast<StreamId>(stream)});
  }
  if (!in.done()) return corrupt_row("session", value.size());
  return row;
}

namespace {

void write_vitals(RowWriter& out, const Vitals& v) {
  out.text(v.agent_version)
      .u32(v.disk_used_permille)
      .u64(v.accepted)
      .u64(v.shed)
      .u64(v.refused)
      .u64(v.parked);
  out.u64(v.oldest_unsynced_ms)
      .u64(v.waiting_records)
      .u64(v.link_bytes_per_s)
      .i64(v.clock_offset_ms)
      .u64(v.w_falls);
  // Two that came later. A site that says neither leaves the row as an older region writes and reads it.
  if (v.disk_hours_left == 0 && v.certificate_ends.us == 0) return;
  out.u32(v.disk_hours_left).i64(v.certificate_ends.us);
}

Vitals read_vitals(RowReader& in) {
  Vitals v;
  v.agent_version = in.text();
  v.disk_used_permille = in.u32();
  v.accepted = in.u64();
  v.shed = in.u64();
  v.refused = in.u64();
  v.parked = in.u64();
  v.oldest_unsynced_ms = in.u64();
  v.waiting_records = in.u64();
  v.link_bytes_per_s = in.u64();
  v.clock_offset_ms = in.i64();
  v.w_falls = in.u64();
  if (in.done()) return v;
  v.disk_hours_left = in.u32();
  v.certificate_ends.us = in.i64();
  if (v.disk_hours_left == 0 && v.certificate_ends.us == 0) in.refuse();
  return v;
}

}  // namespace

Bytes encode(const FacilityRow& row) {
  RowWriter out(256);
  out.u64(row.ticket)
      .fixed(row.holder)
      .u8(row.holder_echoed)
      .u64(row.finished_count)
      .fixed(row.finished_hash);
  out.i64(row.last_seen.us).i64(row.last_progress.us).i64(row.last_takeover.us);
  out.u64(row.records).u64(row.duplicates).u64(row.quarantined).u64(row.gap_records);
  write_vitals(out, row.vitals);
  return out.take();
}

Result<FacilityRow> decode_facility(ByteView value) {
  RowReader in(value);
  FacilityRow row;
  row.ticket = in.u64();
  row.holder = in.fixed<8>();
  row.holder_echoed = in.flag();
  row.finished_count = in.u64();
  row.finished_hash = in.fixed<32>();
  row.last_seen.us = in.i64();
  row.last_progress.us = in.i64();
  row.last_takeover.us = in.i64();
  row.records = in.u64();
  row.duplicates = in.u64();
  row.quarantined = in.u64();
  row.gap_records = in.u64();
  row.vitals = read_vitals(in);
  if (!in.done()) return corrupt_row("facility", value.size());
  return row;
}

Bytes encode(const LedgerRow& row) {
  const int flags = (row.final ? kFinalFlag : 0) | (row.moved ? kMovedFlag : 0) |
                    (row.finished ? kFinishedFlag : 0) | (row.unverified ? kUnverifiedFlag : 0);
  RowWriter out(128 + kClaimBytes * row.claims.size() + kMarkBytes * row.marks.size());
  out.u64(row.w.value)
      .fixed(row.c)
      .u64(row.safe.value)
      .u64(row.claimed.value)
      .u64(row.purged.value);
  out.u8(uint8_t(flags)).u64(row.finished_at.value).fixed(row.finished_c).u64(row.finished_claimed.value);
  out.u32(uint32_t(row.claims.size()));
  for (const Claim& claim : row.claims) out.u64(claim.n.value).fixed(claim.c);
  out.u32(uint32_t(row.marks.size()));
  for (const LedgerRow::Mark& mark : row.marks) out.i64(mark.at.us).u64(mark.w.value);
  return out.take();
}

Result<LedgerRow> decode_ledger(ByteView value) {
  RowReader in(value);
  LedgerRow row;
  row.w.value = in.u64();
  row.c = in.fixed<32>();
  row.safe.value = in.u64();
  row.claimed.value = in.u64();
  row.purged.value = in.u64();
  const uint8_t flags = in.u8();
  if ((flags & ~(kFinalFlag | kMovedFlag | kFinishedFlag | kUnverifiedFlag)) != 0)
    return corrupt_row("ledger", value.size());
  row.final = flags & kFinalFlag;
  row.moved = flags & kMovedFlag;
  row.finished = flags & kFinishedFlag;
  row.unverified = flags & kUnverifiedFlag;
  row.finished_at.value = in.u64();
  row.finished_c = in.fixed<32>();
  row.finished_claimed.value = in.u64();
  const uint32_t claims = in.u32();
  if (!in.holds(claims, kClaimBytes)) return corrupt_row("ledger", value.size());
  for (uint32_t i = 0; i < claims; ++i) {
    const Seq n{in.u64()};
    row.claims.push_back({n, in.fixed<16>()});
  }
  const uint32_t marks = in.u32();
  if (!in.holds(marks, kMarkBytes)) return corrupt_row("ledger", value.size());
  for (uint32_t i = 0; i < marks; ++i) {
    const WallTime at{in.i64()};
    row.marks.push_back({at, {in.u64()}});
  }
  if (!in.done()) return corrupt_row("ledger", value.size());
  return row;
}

Bytes encode(const GapRow& row) {
  return RowWriter()
      .u64(row.first.value)
      .u8(uint8_t(row.kind))
      .u8(uint8_t(row.reason))
      .fixed(row.c_end)
      .u8(row.unverified)
      .i64(row.at.us)
      .take();
}

Result<GapRow> decode_gap(ByteView value, Seq last) {
  RowReader in(value);
  GapRow row;
  row.last = last;
  row.first.value = in.u64();
  row.kind = GapKind(in.u8());
  row.reason = GapReason(in.u8());
  row.c_end = in.fixed<32>();
  row.unverified = in.flag();
  row.at.us = in.i64();
  if (!in.done()) return corrupt_row("gap", value.size());
  return row;
}

namespace {

void write_place(RowWriter& out, const Place& place) {
  out.u64(place.key.epoch.value).u8(uint8_t(place.key.stream)).u64(place.seq.value);
}

Place read_place(RowReader& in) {
  Place place;
  place.key.epoch.value = in.u64();
  place.key.stream = StreamId(in.u8());
  place.seq.value = in.u64();
  return place;
}

}  // namespace

Bytes encode(const QuarantineRow& row) {
  RowWriter out(64 + row.detail.size() + row.record.size());
  out.u8(uint8_t(row.reason)).text(row.detail);
  write_place(out, row.place);
  return out.i64(row.at.us).raw(row.record).take();
}

Result<QuarantineRow> decode_quarantine(ByteView value) {
  RowReader in(value);
  QuarantineRow row;
  row.reason = QuarantineReason(in.u8());
  row.detail = in.text();
  row.place = read_place(in);
  row.at.us = in.i64();
  row.record = in.rest();
  const bool known = row.reason <= QuarantineReason::too_large && size_t(row.place.key.stream) < kStreamCount;
  if (!in.done() || !known) return corrupt_row("quarantine", value.size());
  return row;
}

Bytes encode(const Incident& row) {
  RowWriter out(96 + row.note.size());
  out.u64(row.id).u8(uint8_t(row.kind)).u64(row.key.epoch.value).u8(uint8_t(row.key.stream));
  out.u64(row.first.value).u64(row.last.value).fixed(row.c).i64(row.opened.us).i64(row.closed.us);
  return out.text(row.note).take();
}

Result<Incident> decode_incident(ByteView value) {
  RowReader in(value);
  Incident row;
  row.id = in.u64();
  row.kind = IncidentKind(in.u8());
  row.key.epoch.value = in.u64();
  row.key.stream = StreamId(in.u8());
  row.first.value = in.u64();
  row.last.value = in.u64();
  row.c = in.fixed<16>();
  row.opened.us = in.i64();
  row.closed.us = in.i64();
  row.note = in.text();
  const bool known = row.kind >= IncidentKind::tail_lost && row.kind <= IncidentKind::restored &&
                     size_t(row.key.stream) < kStreamCount;
  if (!in.done() || !known) return corrupt_row("incident", value.size());
  return row;
}

Bytes encode_place(const Place& place) {
  std::array<uint8_t, 17> out;
  uint64_t epoch = place.key.epoch.value;
  for (size_t i = 8; i-- > 0; epoch >>= 8) out[i] = uint8_t(epoch);
  out[8] = uint8_t(place.key.stream);
  size_t bytes = 0;  // of seq
  for (uint64_t rest = place.seq.value; rest != 0; rest >>= 8) ++bytes;
  uint64_t seq = place.seq.value;
  for (size_t i = bytes; i-- > 0; seq >>= 8) out[9 + i] = uint8_t(seq);
  return Bytes(view(out).substr(0, 9 + bytes));
}

Result<Place> decode_place(ByteView value) {
  if (value.size() < 10 || value.size() > 17 || uint8_t(value[8]) >= kStreamCount || value[9] == '\0') {
    return corrupt_row("natural key", value.size());
  }
  Place place{{{get_u64(value, 0)}, StreamId(value[8])}, {}};
  for (char b : value.substr(9)) place.seq.value = place.seq.value << 8 | uint8_t(b);
  return place;
}

Bytes encode_leaves(Seq first, const Hash& c_end, std::span<const Hash> leaves) {
  RowWriter out(40 + 32 * leaves.size());
  out.u64(first.value).fixed(c_end);
  return out.raw({reinterpret_cast<const char*>(leaves.data()), 32 * leaves.size()}).take();
}

Result<LeafRow> decode_leaves(ByteView value) {
  RowReader in(value);
  LeafRow row;
  row.first.value = in.u64();
  row.c_end = in.fixed<32>();
  const ByteView rest = in.rest();
  if (!in.done() || rest.empty() || rest.size() % sizeof(Hash) != 0)
    return corrupt_row("leaves", value.size());
  row.leaves.resize(rest.size() / sizeof(Hash));
  std::memcpy(row.leaves.data(), rest.data(), rest.size());
  return row;
}

}  // namespace egret::cloud
