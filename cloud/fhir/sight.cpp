#include "cloud/fhir/sight.h"

#include "cloud/follower.h"

namespace egret::cloud::fhir {
namespace {

constexpr size_t kRowsKept = 4096;

}  // namespace

Result<Key32> Sight::key() {
  if (!known_->key) {
    const auto stored = patient_key(kv);
    if (!stored) return stored.error();
    known_->key = *stored;
  }
  return *known_->key;
}

Result<const std::vector<Recall>*> Sight::recalls() {
  if (!known_->recalls) {
    auto stored = cloud::recalls(kv);
    if (!stored) return std::move(stored).error();
    known_->recalls = std::move(*stored);
  }
  return &*known_->recalls;
}

Result<const Restricted*> Sight::restricted() {
  if (!known_->restricted) {
    auto read = Restricted::read(kv);
    if (!read) return std::move(read).error();
    known_->restricted = std::move(*read);
  }
  return &*known_->restricted;
}

WallTime Sight::had(const Facility& fac, const Place& place) {
  auto& rows = known_->rows;
  if (rows.size() >= kRowsKept) rows.clear();
  const auto [at, fresh] = rows.try_emplace({fac, place.key});
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

Result<bool> Sight::views_whole() {
  if (!known_->views_whole) {
    const auto behind = Follower::behind(kv);
    if (!behind) return behind.error();
    known_->views_whole = behind->has_value();
  }
  return known_->views_whole;
}

}  // namespace egret::cloud::fhir
