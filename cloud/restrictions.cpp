#include "cloud/restrictions.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "cloud/block_reader.h"
#include "cloud/decoded.h"
#include "cloud/json_text.h"
#include "cloud/patients.h"
#include "cloud/retention.h"
#include "cloud/row_bytes.h"
#include "cloud/shared_kv.h"
#include "cloud/taken_away.h"
#include "schemas/chain.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

using Kind = RestrictionOrder::Kind;

Bytes encode(const RestrictionOrder& order) {
  RowWriter out(96);
  out.u8(uint8_t(order.kind)).i64(order.at.us).text(order.by).text(order.reason);
  return order.kind == Kind::lift ? out.u64(order.lifts).take() : out.fixed(order.patient).take();
}

Result<RestrictionOrder> decode_order(ByteView key, ByteView value) {
  RowReader in(value);
  RestrictionOrder out;
  out.id = get_u64(key, 1);
  out.kind = Kind(in.u8());
  out.at.us = in.i64();
  out.by = in.text();
  out.reason = in.text();
  if (out.kind == Kind::lift) out.lifts = in.u64();
  else out.patient = in.fixed<32>();
  const bool known = out.kind == Kind::restrict || out.kind == Kind::lift;
  if (!in.done() || !known || key.size() != 1 + sizeof(uint64_t))
    return Error{Errc::corrupt, "cloud store: a row of the table \"restrictions\" is not as it was written; restore from a backup"};
  return out;
}

bool is_lifted(std::span<const RestrictionOrder> all, uint64_t id) {
  return std::ranges::any_of(all, [&](const RestrictionOrder& o) { return o.kind == Kind::lift && o.lifts == id; });
}

Result<void> check(const RestrictionOrder& order, std::span<const RestrictionOrder> known) {
  if (order.by.empty() || order.reason.empty()) return Error{Errc::bad_input, "say who orders it, and why"};
  if (order.by.size() > kRestrictionTextBytes || order.reason.size() > kRestrictionTextBytes)
    return Error{Errc::bad_input, fmt::format("who and why: at most {} bytes each are kept", kRestrictionTextBytes)};
  if (known.size() >= kRestrictionsMax) return Error{Errc::bad_input, fmt::format("{} orders are kept at most", kRestrictionsMax)};
  for (const RestrictionOrder& o : known) {
    if (o.kind != Kind::restrict) continue;
    const bool lifted = is_lifted(known, o.id);
    if (order.kind == Kind::restrict && o.patient == order.patient && !lifted) return Error{Errc::conflict, fmt::format("restricted already, by order {}", o.id)};
    if (order.kind == Kind::restrict || o.id != order.lifts) continue;
    if (lifted) return Error{Errc::conflict, fmt::format("restriction {} is lifted already", o.id)};
    return {};
  }
  if (order.kind == Kind::lift) return Error{Errc::not_found, fmt::format("there is no restriction {}", order.lifts)};
  return {};
}

}  // namespace

Result<std::vector<RestrictionOrder>> restriction_orders(const Kv& kv) {
  const Bytes first = table_prefix('z');
  return decoded(kv, kMetaSpace, first, after_prefix(first), decode_order);
}

Result<uint64_t> add_restriction(Kv& kv, RestrictionOrder order) {
  const AtOnce at_once(kv);
  const auto known = restriction_orders(kv);
  if (!known) return known.error();
  if (auto fine = check(order, *known); !fine) return std::move(fine).error();
  order.id = known->empty() ? 1 : known->back().id + 1;
  KvBatch batch;
  batch.put(kMetaSpace, table_row('z', order.id), encode(order));
  const auto times = kv.get(kMetaSpace, taken_away_key());
  if (!times) return times.error();
  if (order.kind == Kind::restrict) batch.put(kMetaSpace, taken_away_key(), once_more(*times));
  if (order.kind == Kind::lift) look_at_all_again(batch);  // what retention passed over on its account
  if (auto written = kv.write(batch, true); !written) return std::move(written).error();
  return order.id;
}

Result<Restricted> Restricted::read(const Kv& kv) {
  const auto all = restriction_orders(kv);
  if (!all) return all.error();
  Restricted out;
  for (const RestrictionOrder& order : *all) {
    if (order.kind != Kind::restrict || is_lifted(*all, order.id)) continue;
    // Resolved when it is read: a link, or its undoing, counts from the moment it is known.
    const auto patient = resolve(kv, order.patient);
    if (!patient) return patient.error();
    std::set<Hash> names{order.patient};
    for (const PatientName& name : patient->names) names.insert(take<sizeof(Hash)>(ByteView(name)));
    for (const Hash& name : names) out.names_[name].push_back(order.id);
  }
  return out;
}

std::vector<uint64_t> Restricted::orders_of(const Hash& patient) const {
  const auto at = names_.find(patient);
  return at == names_.end() ? std::vector<uint64_t>() : at->second;
}

std::vector<uint64_t> Restricted::orders_of(const ResultRow& row) const {
  std::set<uint64_t> out;
  for (const PlacedStatement& s : row.statements) {
    const auto* version = std::get_if<Version>(&s.statement);
    if (version == nullptr || names_.empty()) continue;
    const auto orders = orders_of(version->subject);
    out.insert(orders.begin(), orders.end());
  }
  return {out.begin(), out.end()};
}

Result<std::vector<uint64_t>> Restricted::orders_of(const Kv& kv, const ResultName& name) const {
  if (nobody()) return std::vector<uint64_t>();
  const auto row = find_result(kv, name);
  if (!row) return row.error();
  return *row ? orders_of(**row) : std::vector<uint64_t>();
}

// Read from the records themselves: a result names the document that it was made from, and no view does.
Result<const Restricted::Documents*> Restricted::documents(const Kv& kv) const {
  if (documents_) return &*documents_;
  Documents out;
  BlockReader reader(kv);
  for (const auto& [patient, orders] : names_) {
    std::vector<ResultName> results;
    auto walked = each_of_patient(kv, Bytes(view(patient)), [&](const ResultName& name) { return results.push_back(name), true; });
    if (!walked) return std::move(walked).error();
    for (const ResultName& name : results) {
      const auto row = find_result(kv, name);
      if (!row) return row.error();
      if (!*row) continue;
      for (const PlacedStatement& s : (*row)->statements) {
        const auto record = reader.at(s.by, s.place);
        if (!record && record.error().code == Errc::not_found) continue;
        if (!record) return record.error();
        v1::Body body;
        const auto parts = record->gone ? Result<RecordView>(Error{Errc::not_found, ""}) : split_record(record->record);
        if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size())) || !body.has_source()) continue;
        out[{s.by, body.source().document()}].insert(orders.begin(), orders.end());
      }
    }
  }
  documents_ = std::move(out);
  return &*documents_;
}

Result<std::vector<uint64_t>> Restricted::orders_of(const Kv& kv, const Facility& fac, ByteView bytes) const {
  std::set<uint64_t> out;
  v1::Body body;
  if (nobody() || !body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::vector<uint64_t>();
  if (body.has_source_document() || body.has_document_part()) {
    const auto known = documents(kv);
    if (!known) return known.error();
    const auto at = (*known)->find({fac, body.has_source_document() ? body.source_document().sha256() : body.document_part().document()});
    if (at != (*known)->end()) out = at->second;
    return std::vector<uint64_t>(out.begin(), out.end());
  }
  const auto key = patient_key(kv);
  if (!key) return key.error();
  // The body's own word: the views may not have followed yet.
  std::vector<Hash> patients;
  if (body.has_ai_result()) patients.push_back(patient_of(*key, body.ai_result().phi().subject()));
  if (body.has_identity_link()) patients = {patient_of(*key, body.identity_link().phi().a()), patient_of(*key, body.identity_link().phi().b())};
  for (const Hash& patient : patients) {
    const auto orders = orders_of(patient);
    out.insert(orders.begin(), orders.end());
  }
  for (const Stated& stated : statements_in(body, sha256(bytes))) {
    const auto orders = orders_of(kv, stated.about);
    if (!orders) return orders;
    out.insert(orders->begin(), orders->end());
  }
  return std::vector<uint64_t>(out.begin(), out.end());
}

std::string to_json(const RestrictionOrder& o, bool lifted) {
  const std::string what = o.kind == Kind::lift ? fmt::format(R"("lifts":{})", o.lifts) : fmt::format(R"("lifted":{},"patient":"{}")", lifted, hex(view(o.patient)));
  return fmt::format(R"({{"id":{},"order":"{}",{},"at":{},"by":{},"reason":{}}})", o.id, o.kind == Kind::lift ? "lift" : "restrict", what, json_time(o.at), json_string(o.by), json_string(o.reason));
}

}  // namespace egret::cloud
