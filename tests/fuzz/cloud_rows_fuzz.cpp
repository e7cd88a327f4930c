// Fuzz entry: rows and keys of the cloud's store: any bytes are refused, or read and written again
// as the very same bytes.
#include "cloud/audit.h"
#include "cloud/holds.h"
#include "cloud/restrictions.h"
#include "cloud/rollup.h"
#include "cloud/tables.h"
#include "cloud/timeline.h"
#include "cloud/view_tables.h"
#include "schemas/chain.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/kv_memory.h"

using namespace egret;
using namespace egret::cloud;
using fuzz::require;

namespace {

template <class Row>
void same(ByteView value, Result<Row> (*decode)(ByteView)) {
  if (auto row = decode(value)) require(encode(*row) == value, "a row is written as it was read");
}

void keys(ByteView key) {
  if (const auto name = stream_of('l', key))
    require(ledger_key(name->fac, name->key) == key || !valid_facility(name->fac), "a ledger key");
  if (const auto name = numbered_of(key))
    require(numbered_key(name->fac, name->key, name->seq) == key, "a block's key");
  if (const auto name = numbered_of('g', key))
    require(gap_key(name->fac, name->key, name->seq) == key, "a gap's key");
  if (const auto name = natural_of(key))
    require(natural_key(name->fac, name->key) == key, "a natural key");
  if (const auto name = result_of('r', key))
    require(result_key(*name) == key, "a result's key");
  if (const auto fac = facility_of('r', key))
    require(key.starts_with(registration_key(*fac)), "a registration's key");
}

constexpr uint8_t kMinutes = 0xff;  // rows that came later than these

// Input: table(1) · value.
void run(ByteView input) {
  if (input.empty()) return;
  const ByteView value = input.substr(1);
  if (uint8_t(input[0]) == kMinutes) {
    same(value, &decode_region_minute);
    return same(value, &decode_site_minute);
  }
  switch (input[0] % 17) {
    case 0:
      return same(value, &decode_meta);
    case 1:
      return same(value, &decode_registration);
    case 2:
      return same(value, &decode_session);
    case 3:
      return same(value, &decode_facility);
    case 4:
      return same(value, &decode_ledger);
    case 5:
      if (auto row = decode_gap(value, {9}))
        require(encode(*row) == value, "a gap is written as it was read");
      return;
    case 6:
      return same(value, &decode_quarantine);
    case 7:
      return same(value, &decode_incident);
    case 11:
      if (auto state = decode_views_state(value); state && state->format == kViewsFormat)
        require(encode(*state) == value, "how far the views are is written as it was read");
      return;
    case 12:
      if (auto row = decode_result(value)) {
        require(encode(*row) == value, "a result is written as it was read");
        row->view();
      }
      return;
    case 13: {
      KvMemory kv(kCloudSpaces);
      KvBatch batch;
      batch.put(kMetaSpace, table_prefix('h') + Bytes(8, '\1'), Bytes(value));
      require(kv.write(batch, true).has_value(), "a write to memory");
      (void)holds(kv);
      return;
    }
    case 15:
      if (auto entry = decode_audit(value)) require(encode_audit(*entry) == value, "an entry of the audit log is written as it was read");
      return;
    case 16: {
      KvMemory kv(kCloudSpaces);
      KvBatch batch;
      batch.put(kMetaSpace, table_row('x', 1), Bytes(value));
      batch.put(kMetaSpace, "y", Bytes(value));
      batch.put(kMetaSpace, Bytes("y") + Bytes(4, '\1'), Bytes(value));
      batch.put(kMetaSpace, table_row('z', 1), Bytes(value));
      require(kv.write(batch, true).has_value(), "a write to memory");
      (void)verify_audit(kv);
      (void)restriction_orders(kv);
      return;
    }
    case 14: {  // buckets of a series
      KvMemory kv(kCloudSpaces);
      KvBatch batch;
      batch.put(kMetaSpace, table_prefix('u', "fac") + Bytes(32, 's') + char(Grain::hour) + Bytes(8, '\0'), Bytes(value));
      require(kv.write(batch, true).has_value(), "a write to memory");
      RolledSeries series;
      series.fac = "fac";
      series.id.fill('s');
      (void)each_bucket(kv, series, Grain::hour, 0, INT64_MAX, [](int64_t, const Bucket&) { return true; });
      (void)rolled_series(kv, "fac");
      return;
    }
    case 8:
      if (auto place = decode_place(value))
        require(encode_place(*place) == value, "a place is written as it was read");
      return;
    case 9:
      if (auto row = decode_leaves(value))
        require(encode_leaves(row->first, row->c_end, row->leaves) == value, "leaves");
      return;
    default:
      return keys(value);
  }
}

std::vector<Bytes> seeds() {
  const StreamKey key{{77}, StreamId::result};
  MetaRow meta;
  meta.meta.format = 1;
  meta.meta.backup_confirmed = true;
  meta.meta.last_backup_confirmed = {1};
  SessionRow session;
  session.hello_nonce = "nonce";
  session.listed = {key, {{78}, StreamId::bulk}};
  LedgerRow ledger;
  ledger.final = ledger.unverified = true;
  ledger.claims = {{{7}, {}}};
  ledger.marks = {{{1}, {2}}, {{3}, {4}}};
  Incident incident;
  incident.note = "note";
  ResultRow result;
  result.add(Version{}, {key, {1}}, "clinic-1");
  result.add(Retraction{2, sha256("r"), RetractionReason::test_data}, {key, {2}}, "clinic-1");
  result.add(Review{1, sha256("w"), 3, ReviewVerdict::agreed, 4}, {key, {3}}, "clinic-1");
  result.add(Successor{sha256("s"), {}, {}}, {key, {4}}, "clinic-1");
  const std::vector<Hash> leaves(2, sha256("leaf"));
  std::vector<Bytes> out{
      fuzz::tagged(0, encode(meta)),
      fuzz::tagged(11, encode(ViewsState{kViewsFormat, 5, "next"})),
      fuzz::tagged(12, encode(result)),
      fuzz::tagged(1, encode(Registration{{{}, {}}, true, false})),
      fuzz::tagged(1, encode(Registration{{{}}, false, false, "district", "name"})),
      fuzz::tagged(kMinutes, encode(SiteMinute{0, Attention::silent, true, 1, 2, 3, {4}})),
      fuzz::tagged(kMinutes, encode(RegionMinute{0, 1, 2, 3, 4})),
      fuzz::tagged(2, encode(session)),
      fuzz::tagged(3, encode(FacilityRow{})),
      fuzz::tagged(4, encode(ledger)),
      fuzz::tagged(5, encode(GapRow{})),
      fuzz::tagged(
          6, encode(QuarantineRow{QuarantineReason::undecodable, "why", {key, {3}}, {}, "record"})),
      fuzz::tagged(7, encode(incident)),
      fuzz::tagged(8, encode_place({key, {300}})),
      fuzz::tagged(15, encode_audit({AuditStep::read, {7}, "ward", "fhir", "GET /x", 200, 1, {{AuditKind::result, "clinic-7", {}}}})),
      fuzz::tagged(9, encode_leaves({1}, {}, leaves))};
  for (const Bytes& k :
       {ledger_key("clinic-7", key), gap_key("clinic-7", key, {5}),
        numbered_key("clinic-7", key, {5}), natural_key("clinic-7", {Kind::ai_result, sha256("x")}),
        registration_key("clinic-7")})
    out.push_back(fuzz::tagged(10, k));
  return out;
}

const fuzz::Registered registered({"cloud_rows", run, seeds});

}  // namespace
