#include "cloud/erase.h"

#include <set>

#include "cloud/follower.h"
#include "schemas/record.pb.h"

namespace egret::cloud {
namespace {

// Every result that one of these records says something about: they supersede others, too.
Result<std::set<ResultName>> said_about(const Kv& kv, const ResultRow& row) {
  std::set<ResultName> out;
  BlockReader reader(kv);
  for (const PlacedStatement& s : row.statements) {
    const auto record = reader.at(s.by, s.place);
    if (!record) return record.error();
    const auto parts = split_record(record->record);
    v1::Body body;
    if (!parts || !body.ParseFromArray(parts->body.data(), static_cast<int>(parts->body.size()))) continue;
    for (const Stated& stated : statements_in(body, body_of(s.statement))) out.insert(stated.about);
  }
  return out;
}

}  // namespace

Result<Erased> erase_result(OpenedStore& store, const ResultName& name, const std::string& reason) {
  const auto behind = Follower::behind(*store.kv);
  if (!behind) return behind.error();
  if (!*behind || **behind > 0) return Error{Errc::locked, "the views are behind: not everything that was said of it is known yet; try again"};
  const auto row = find_result(*store.kv, name);
  if (!row) return row.error();
  if (!*row) return Error{Errc::not_found, "nothing was ever said of this result"};
  // First the note that it must be looked at again: a kill in between leaves a look too many, never a view too many.
  const auto about = said_about(*store.kv, **row);
  if (!about) return about.error();
  KvBatch note;
  for (const ResultName& each : *about) note.put(kViewSpace, look_again_key(each), {});
  if (auto written = store.kv->write(note, true); !written) return std::move(written).error();
  std::set<std::pair<Facility, NaturalKey>> records;  // one that makes several statements is one
  for (const PlacedStatement& s : (*row)->statements) {
    if (std::holds_alternative<Successor>(s.statement)) continue;  // part of what another result says
    records.insert({s.by, {kind_of(s.statement), body_of(s.statement)}});
  }
  if (records.empty()) return Error{Errc::not_found, "nothing of it is left: only other results name it"};
  auto txn = store.store->begin();
  for (const auto& [fac, key] : records) {
    if (auto erased = txn->erase(fac, key, reason); !erased) return std::move(erased).error();
  }
  if (store.store->commit(std::move(txn)) != CommitResult::committed) return store.store->last_error();
  return Erased{records.size()};
}

}  // namespace egret::cloud
