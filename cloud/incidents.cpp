#include "cloud/incidents.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "cloud/json_text.h"

namespace egret::cloud {

Result<Incident> close_incident(KvStore& store, const Facility& fac, const std::string& id, std::string note, WallTime now) {
  auto txn = store.begin({&fac, 1});
  auto open = txn->incidents(fac, true);
  if (!open) return open.error();
  const auto found = std::ranges::find_if(*open, [&](const Incident& i) { return std::to_string(i.id) == id; });
  if (found == open->end()) return Error{Errc::not_found, "no open incident of that facility has this number"};
  found->closed = now;
  found->note = std::move(note);
  txn->put(fac, *found);
  if (store.commit(std::move(txn)) != CommitResult::committed) return Error{Errc::store_failed, "not written: " + store.last_error().text};
  return std::move(*found);
}

std::string to_json(const Facility& fac, const Incident& i) {
  return fmt::format(R"({{"facility":{},"id":{},"kind":"{}","epoch":"{:016x}","stream":"{}","first":{},"last":{},"opened":{},"closed":{},"note":{}}})", json_string(fac), i.id, name_of(i.kind), i.key.epoch.value,
                     egret::name_of(i.key.stream), i.first.value, i.last.value, json_time(i.opened), json_time(i.closed), json_string(i.note));
}

}  // namespace egret::cloud
