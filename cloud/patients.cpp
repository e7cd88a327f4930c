#include "cloud/patients.h"

#include <algorithm>

#include "cloud/decoded.h"
#include "cloud/row_bytes.h"
#include "schemas/merge_rules.h"
#include "schemas/record.pb.h"
#include "schemas/seal.h"

namespace egret::cloud {
namespace {

PatientName text_name(const Hash& patient) {
  return Bytes(view(patient));
}

Bytes link_key(const PatientName& from, const PatientName& to, const Hash& body) {
  return Bytes("i").append(from).append(to).append(view(body));
}

Bytes of_patient_key(const PatientName& patient) {
  return Bytes("s").append(patient);
}

Bytes encode(const StatedLink& row) {
  RowWriter out(64 + row.authority.size());
  out.u8(row.link.same).i64(row.link.t_us).text(row.authority).text(row.by);
  return out.u64(row.place.key.epoch.value).u8(uint8_t(row.place.key.stream)).u64(row.place.seq.value).take();
}

Result<StatedLink> decode_link(ByteView key, ByteView value) {
  if (key.size() != 1 + 3 * sizeof(Hash)) return damaged_view();
  StatedLink row;
  row.link.a = Bytes(key.substr(1, sizeof(Hash)));
  row.link.b = Bytes(key.substr(1 + sizeof(Hash), sizeof(Hash)));
  row.link.body = take<sizeof(Hash)>(key.substr(1 + 2 * sizeof(Hash)));
  RowReader in(value);
  row.link.same = in.flag();
  row.link.t_us = in.i64();
  row.authority = in.text();
  row.by = Facility(in.text());
  row.place.key.epoch.value = in.u64();
  row.place.key.stream = StreamId(in.u8());
  row.place.seq.value = in.u64();
  if (!in.done()) return damaged_view();
  return row;
}

Result<std::vector<StatedLink>> links_of(const Kv& kv, const PatientName& name) {
  const Bytes first = Bytes("i").append(name);
  return decoded(kv, kViewSpace, first, after_prefix(first), decode_link);
}

std::set<Hash> patients_in(const ResultRow& row) {
  std::set<Hash> out;
  for (const PlacedStatement& s : row.statements) {
    const auto* version = std::get_if<Version>(&s.statement);
    if (version && version->subject != Hash{}) out.insert(version->subject);
  }
  return out;
}

}  // namespace

Hash patient_of(const Key32& store_key, const v1::Identifier& identifier) {
  Bytes name = "patient";
  name.push_back('\0');
  put_u32(name, static_cast<uint32_t>(identifier.system().size()));
  name.append(identifier.system()).append(identifier.value());
  return hmac_sha256(view(store_key), name);
}

Result<Key32> patient_key(const Kv& kv) {
  const auto stored = kv.get(kMetaSpace, meta_key());
  if (!stored) return stored.error();
  if (!*stored) return Error{Errc::corrupt, "cloud store: its meta row is gone; restore from a backup"};
  const auto meta = decode_meta(**stored);
  if (!meta) return meta.error();
  return meta->store_key;
}

StatedLink read_link(const v1::IdentityLink& link, const Key32& store_key, const Hash& body, const Facility& by, const Place& place) {
  StatedLink out;
  out.link.a = text_name(patient_of(store_key, link.phi().a()));
  out.link.b = text_name(patient_of(store_key, link.phi().b()));
  out.link.same = link.verdict() == v1::IdentityLink::VERDICT_SAME;
  out.link.t_us = link.t().us();
  out.link.body = body;
  out.authority = link.authority();
  out.by = by;
  out.place = place;
  return out;
}

void put_link(KvBatch& batch, const StatedLink& link) {
  batch.put(kViewSpace, link_key(link.link.a, link.link.b, link.link.body), encode(link));
  batch.put(kViewSpace, link_key(link.link.b, link.link.a, link.link.body), encode(link));
}

void change_patients(const ResultName& name, const ResultRow& before, const ResultRow& after, KvBatch& batch) {
  if (off(Rule::unknown_patient)) return;
  const std::set<Hash> was = patients_in(before), is = patients_in(after);
  for (const Hash& patient : was) {
    if (is.contains(patient)) continue;
    Bytes key = of_patient_key(text_name(patient));
    put_name(key, name);
    batch.erase(kViewSpace, std::move(key));
  }
  for (const Hash& patient : is) {
    if (was.contains(patient)) continue;
    Bytes key = of_patient_key(text_name(patient));
    put_name(key, name);
    batch.put(kViewSpace, std::move(key), {});
  }
}

Result<Patient> resolve(const Kv& kv, const Hash& name) {
  Patient out;
  std::map<Hash, StatedLink> found;  // by body
  std::set<PatientName> seen{text_name(name)};
  std::vector<PatientName> open{text_name(name)};
  while (!open.empty()) {
    const PatientName at = std::move(open.back());
    open.pop_back();
    const auto links = links_of(kv, at);
    if (!links) return links.error();
    for (const StatedLink& stated : *links) {
      found.emplace(stated.link.body, stated);
      if (seen.contains(stated.link.b)) continue;
      // However the links go in circles, a name is followed once, and only so many are.
      if (seen.size() == kPatientGroupNames) {
        out.too_many = true;
        continue;
      }
      seen.insert(stated.link.b);
      open.push_back(stated.link.b);
    }
  }
  std::vector<IdentityLink> links;
  for (auto& [body, stated] : found) {
    // Of a group that nobody has seen to its end only what is said of this very name is believed.
    const bool of_name = stated.link.a == text_name(name) || stated.link.b == text_name(name);
    if (!out.too_many || of_name) links.push_back(stated.link);
    out.links.push_back(std::move(stated));
  }
  const Identities identities(links);
  out.names = identities.names_of(text_name(name));
  out.contradictions = identities.contradictions();
  return out;
}

Result<void> each_of_patient(const Kv& kv, const PatientName& name, const std::function<bool(const ResultName&)>& each) {
  const Bytes first = of_patient_key(name);
  std::optional<Error> damaged;
  auto scanned = kv.scan(kViewSpace, first, after_prefix(first), [&](ByteView key, ByteView) {
    const auto result = name_in(key.substr(first.size()));
    if (!result) damaged = damaged_view();
    return result && each(*result);
  });
  if (!scanned) return scanned;
  if (damaged) return std::move(*damaged);
  return {};
}

}  // namespace egret::cloud
