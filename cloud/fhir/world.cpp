#include "cloud/fhir/world.h"

namespace egret::cloud::fhir {

Result<Key32> World::key() {
  if (!key_) {
    const auto stored = patient_key(kv);
    if (!stored) return stored.error();
    key_ = *stored;
  }
  return *key_;
}

Result<const std::vector<Recall>*> World::recalls() {
  if (!recalls_) {
    auto stored = cloud::recalls(kv);
    if (!stored) return std::move(stored).error();
    recalls_ = std::move(*stored);
  }
  return &*recalls_;
}

WallTime World::had(const Facility& fac, const Place& place) {
  const auto [at, fresh] = rows_.try_emplace({fac, place.key});
  if (fresh) {
    const auto stored = kv.get(kMetaSpace, ledger_key(fac, place.key));
    auto row = stored && *stored ? decode_ledger(**stored) : Result<LedgerRow>(LedgerRow{});
    if (row) at->second = std::move(*row);
  }
  for (const LedgerRow::Mark& mark : at->second.marks) {
    if (mark.w >= place.seq) return mark.at;
  }
  return now;
}

}  // namespace egret::cloud::fhir
