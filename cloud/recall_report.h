// RecallReport: what a recall touches, for people and scripts: by site, status, review state.
// Promises: numbers and names, no value and no patient; the same words for a preview and for a recall that stands.
// Leaves to others: counting (model_uses.h), making the order (orders.h).
#pragma once

#include "cloud/audit.h"
#include "cloud/model_uses.h"
#include "cloud/orders.h"

namespace egret::cloud {

struct RecallReport {
  std::vector<ModelText> models;
  RecallScope scope;
  std::map<Facility, Touched> by_site;
  std::optional<AuditReaders> readers;   // who has read one of them over the region's API or as FHIR; nullopt: not asked
  std::optional<uint64_t> views_behind;  // blocks; nullopt: the views are being made anew
  uint64_t all() const;
};
// Of models, times, and how many results of which site it touches, and how many of them are critical: the same until one of that changes.
// Whoever was shown a preview says by it what was shown.
Hash digest_of(const RecallReport& report);
// What a person asks for. Times are RFC 3339 or a day (UTC); empty: open. Errors: bad_input, not_found (no such model),
// corrupt, store_failed.
struct RecallAsked {
  std::string model, version, from, to;
  Facility fac;
};
inline constexpr size_t kReadersLookedMax = 200'000;  // entries of the audit log, for one answer of the API
// `entries` of the audit log, the newest, are looked at for readers; 0: they are not asked for.
Result<RecallReport> report(const Kv& kv, const RecallAsked& asked, const UsesProgress& progress = {}, size_t entries = SIZE_MAX);
// Of a recall that stands. Errors: corrupt, store_failed.
Result<RecallReport> report(const Kv& kv, const Recall& recall, const UsesProgress& progress = {}, size_t entries = SIZE_MAX);
std::string to_json(const RecallReport& report);
std::string to_text(const RecallReport& report);
// What the page's API answers: `which` is empty (all orders), a number (that recall and what it touches), or `preview`,
// asked by a query model, version, from, to, facility. Errors: as report(); not_found: no such recall.
// `entries` of the audit log are looked at for readers; 0: they are not told.
Result<std::string> recalls_text(const Kv& kv, const std::string& which, const std::string& query, size_t entries = 0);
// As the control command `recall.commit` takes it.
std::map<std::string, std::string> args_of(const RecallReport& report, const RecallAsked& asked);
Result<Order> order_of(const std::map<std::string, std::string>& args, WallTime now);

// The one way in which a recall is made, and undone: of the command line, the control socket and the API. The order, with its number.
// Errors: as add_order().
Result<Order> make_recall(Kv& kv, const std::map<std::string, std::string>& args, WallTime now);
Result<Order> undo_recall(Kv& kv, uint64_t id, const std::string& by, const std::string& reason, WallTime now);

}  // namespace egret::cloud
