#include "cloud/control.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <sstream>

#include "cloud/alerts.h"
#include "cloud/audit.h"
#include "cloud/backup.h"
#include "cloud/erase.h"
#include "cloud/follower.h"
#include "cloud/holds.h"
#include "cloud/incidents.h"
#include "cloud/json_text.h"
#include "cloud/keys.h"
#include "cloud/log.h"
#include "cloud/own_facility.h"
#include "cloud/quarantine.h"
#include "cloud/recall_report.h"
#include "cloud/remap.h"
#include "cloud/restrictions.h"
#include "cloud/retention.h"
#include "cloud/results.h"
#include "cloud/site_names.h"
#include "schemas/record_text.h"

namespace egret::cloud {
namespace {

constexpr int kFoundProblem = 1;
constexpr int kUsage = 2;
constexpr int kIo = 74;
constexpr int kTryLater = 75;

std::string at(const ControlArgs& args, const std::string& name) {
  auto found = args.find(name);
  return found == args.end() ? "" : found->second;
}

ControlAnswer problem(const Error& error) {
  if (error.code == Errc::bad_input) return {kUsage, error.text};
  if (error.code == Errc::locked) return {kTryLater, error.text};
  return {error.code == Errc::store_failed || error.code == Errc::disk_full ? kIo : kFoundProblem, error.text};
}

ControlAnswer commit(OpenedStore& store, std::unique_ptr<Txn> txn, std::string done) {
  if (store.store->commit(std::move(txn)) == CommitResult::committed) return {0, std::move(done)};
  return {kIo, "not written: " + store.store->last_error().text};
}

// What is given; the rest stays.
Result<void> say_names(const ControlArgs& args, Registration& registration) {
  const auto district = args.find("district"), name = args.find("name");
  if (district != args.end()) {
    if (auto fine = check_district(district->second); !fine) return fine;
    registration.district = district->second;
  }
  if (name != args.end()) {
    if (auto fine = check_site_name(name->second); !fine) return fine;
    registration.name = name->second;
  }
  return {};
}

ControlAnswer change_registration(const std::string& name, const ControlArgs& args, OpenedStore& store) {
  Facility fac = at(args, "fac");
  if (!valid_facility(fac)) return {kUsage, fac + ": a facility is 1-32 of [a-z0-9-]"};
  if (fac == kRegionFacility) return {kUsage, fac + ": that is the region itself (cloud/fhir/README.md); no site may be called so"};
  std::unique_ptr<Txn> txn = store.store->begin({&fac, 1});
  Result<std::optional<Registration>> known = txn->registration(fac);
  if (!known) return problem(known.error());
  Registration registration = known->value_or(Registration{});
  if (name == "facility.add") {
    std::optional<Key32> point = key_of_hex(at(args, "key"));
    if (!point) return {kUsage, "--key: 64 hex digits, as egret-agent init prints them"};
    SitePublicKey key{*point};
    bool there = std::find(registration.keys.begin(), registration.keys.end(), key) != registration.keys.end();
    if (!there) registration.keys.push_back(key);
    registration.revoked = false;
    if (auto said = say_names(args, registration); !said) return problem(said.error());
  } else if (!*known) {
    return {kFoundProblem, fac + ": no such facility"};
  } else if (name == "facility.revoke") {
    registration.revoked = true;
  } else if (name == "facility.set") {
    if (!args.contains("district") && !args.contains("name")) return {kUsage, "--district or --name: which shall it have? \"\" takes it away"};
    if (auto said = say_names(args, registration); !said) return problem(said.error());
  } else {
    registration.blocked = at(args, "on") == "1";
  }
  txn->put(fac, registration);
  return commit(store, std::move(txn),
                fmt::format(R"({{"facility":"{}","keys":{},"revoked":{},"blocked":{},"district":{},"name":{}}})", fac, registration.keys.size(), registration.revoked, registration.blocked,
                            json_string(registration.district), json_string(registration.name)));
}

ControlAnswer close_one(const ControlArgs& args, OpenedStore& store, WallTime now) {
  const Result<Incident> closed = close_incident(*store.store, at(args, "fac"), at(args, "id"), at(args, "note"), now);
  return closed ? ControlAnswer{0, fmt::format(R"({{"closed":{}}})", closed->id)} : problem(closed.error());
}

ControlAnswer confirmed(const Result<ConfirmedBackup>& done, const std::string& what, const ControlArgs& args) {
  if (!done) return problem(done.error());
  return {0, fmt::format(R"({{"confirmed":{},"rows":{},"strangers":{},"records":{}}})", json_string(what), done->rows, done->strangers, std::strtoull(at(args, "records").c_str(), nullptr, 10))};
}

ControlAnswer recall(const std::string& name, const ControlArgs& args, OpenedStore& store, WallTime now) {
  const Result<Order> order = name == "recall.undo" ? undo_recall(*store.kv, std::strtoull(at(args, "id").c_str(), nullptr, 10), at(args, "by"), at(args, "reason"), now)
                                                    : make_recall(*store.kv, args, now);
  return order ? ControlAnswer{0, to_json(*order, false)} : problem(order.error());
}

ControlAnswer acknowledge(const ControlArgs& args, OpenedStore& store, WallTime now) {
  const auto name = result_name_of(at(args, "result"));
  if (!name) return {kUsage, "an alert is named FACILITY/UUID"};
  const auto event = acknowledge_alert(*store.kv, *name, at(args, "by"), at(args, "note"), now);
  const auto meta = store.store->meta();
  if (!event || !meta) return problem(event ? meta.error() : event.error());
  log("alert_acknowledged", Word{event->by});
  return {0, to_json(*event, meta->gen)};
}

ControlAnswer erase(const ControlArgs& args, OpenedStore& store, WallTime now) {
  const std::string by = at(args, "by"), reason = at(args, "reason");
  const auto name = result_name_of(at(args, "result"));
  if (!name) return {kUsage, "a result is named FACILITY/UUID"};
  if (by.empty() || reason.empty()) return {kUsage, "say who orders it, and why"};
  if (by.size() + reason.size() > kOrderTextBytes) return {kUsage, fmt::format("who and why together: at most {} bytes are kept", kOrderTextBytes)};
  const Result<Erased> erased = erase_result(store, *name, fmt::format("{} (by {}, {})", reason, by, json_time(now)));
  if (!erased) return problem(erased.error());
  log("erased", erased->statements, Word{by});
  return {0, fmt::format(R"({{"erased":{}}})", erased->statements)};
}

Result<std::vector<Facility>> facilities_in(const ControlArgs& args, OpenedStore& store) {
  if (Facility fac = at(args, "fac"); !fac.empty()) return std::vector<Facility>{fac};
  return store.store->facilities();
}

// `expected`: of what was shown; empty: whatever comes of it.
ControlAnswer retry(const ControlArgs& args, OpenedStore& store, const std::string& expected) {
  const auto facs = facilities_in(args, store);
  if (!facs) return problem(facs.error());
  const auto seen = expected.empty() ? Result<Remapped>(Remapped{}) : remap(*store.kv, *facs, at(args, "id"));
  if (!seen) return problem(seen.error());
  if (!expected.empty() && hex(view(seen->digest)) != expected) return {kFoundProblem, "something has come since it was shown, and nothing was written: look again"};
  Retried sum;
  for (const Facility& fac : *facs) {
    const Result<Retried> done = retry_quarantined(*store.kv, fac, at(args, "id"));
    if (!done) return problem(done.error());
    sum.looked_at += done->looked_at;
    sum.applied += done->applied;
    sum.duplicates += done->duplicates;
    sum.deleted += done->deleted;
    sum.more = sum.more || done->more;
  }
  return {0, fmt::format(R"({{"looked_at":{},"applied":{},"duplicates":{},"deleted":{},"more":{}}})", sum.looked_at, sum.applied, sum.duplicates, sum.deleted, sum.more)};
}

// Steps of a thousand blocks, so that an answer comes: the caller asks again while there are more.
ControlAnswer run_retention(const ControlArgs& args, OpenedStore& store, WallTime now) {
  RetentionPolicy policy;
  for (size_t c = 0; c < kRetentionClasses; c++) {
    const RetentionClass what{uint8_t(c)};
    policy[what] = std::atoll(at(args, name_of(what)).c_str());
  }
  policy.audit_days = std::atoll(at(args, "audit").c_str());
  const Result<Retained> done = retain(store, policy, now, 1'000, at(args, "clock_is_right") == "1");
  return done ? ControlAnswer{0, to_json(*done)} : problem(done.error());
}

ControlAnswer change_restriction(const std::string& name, const ControlArgs& args, OpenedStore& store, WallTime now) {
  RestrictionOrder order{0, RestrictionOrder::Kind::restrict, now, at(args, "by"), at(args, "reason"), {}, 0};
  if (name == "restrict.lift") {
    order.kind = RestrictionOrder::Kind::lift;
    order.lifts = std::strtoull(at(args, "id").c_str(), nullptr, 10);
  } else {
    const auto patient = bytes_from_hex(at(args, "patient"));
    if (!patient || patient->size() != sizeof(Hash)) return {kUsage, "patient: the store's pseudonym, 64 hex digits"};
    order.patient = take<sizeof(Hash)>(*patient);
  }
  const Result<uint64_t> id = add_restriction(*store.kv, order);
  if (!id) return problem(id.error());
  order.id = *id;
  log("restriction_given", *id, Word{name}, Word{order.by});
  return {0, to_json(order, false)};
}

ControlAnswer change_hold(const std::string& name, const ControlArgs& args, OpenedStore& store, WallTime now) {
  if (name == "hold.release") {
    const Result<void> released = release_hold(*store.kv, std::strtoull(at(args, "id").c_str(), nullptr, 10), now, at(args, "by"), at(args, "reason"));
    return released ? ControlAnswer{0, fmt::format(R"({{"released":{}}})", json_string(at(args, "id")))} : problem(released.error());
  }
  Hold hold{0, at(args, "fac"), {}, {}, now, at(args, "by"), at(args, "reason"), {}, {}, {}};
  if (!hold.fac.empty() && !valid_facility(hold.fac)) return {kUsage, hold.fac + ": a facility is 1-32 of [a-z0-9-]"};
  if (const std::string what = at(args, "class"); !what.empty()) {
    hold.what = class_named(what);
    if (!hold.what) return {kUsage, "--class is telemetry, events, documents or results"};
  }
  if (const std::string result = at(args, "result"); !result.empty()) {
    hold.result = result_name_of(result);
    if (!hold.result) return {kUsage, "a result is named FACILITY/UUID"};
  }
  const Result<uint64_t> id = add_hold(*store.kv, hold);
  if (!id) return problem(id.error());
  hold.id = *id;
  return {0, to_json(hold)};
}

ControlAnswer carry_out(const std::string& name, const ControlArgs& args, OpenedStore& store, const std::filesystem::path& store_at, WallTime now) {
  if (name.rfind("facility.", 0) == 0) return change_registration(name, args, store);
  if (name == "incident.close") return close_one(args, store, now);
  if (name == "backup") {
    Result<void> made = make_backup(store, at(args, "dir"));
    return made ? ControlAnswer{0, fmt::format(R"({{"backup":{}}})", json_string(at(args, "dir")))} : problem(made.error());
  }
  if (name == "backup.confirm" && !at(args, "copy").empty()) {
    PgOptions copy;
    copy.url = at(args, "copy");
    return confirmed(confirm_backup(store, copy, now), copy.url, args);
  }
  if (name == "backup.confirm") {
    const std::string dir = at(args, "dir");
    if (Result<void> elsewhere = check_elsewhere(store_at, dir, at(args, "same_filesystem") == "1"); !elsewhere) return problem(elsewhere.error());
    return confirmed(confirm_backup(store, dir, now), dir, args);
  }
  if (name == "recall.commit" || name == "recall.undo") return recall(name, args, store, now);
  if (name == "alert.acknowledge") return acknowledge(args, store, now);
  if (name == "result.erase") return erase(args, store, now);
  if (name == "retention.run") return run_retention(args, store, now);
  if (name == "hold.add" || name == "hold.release") return change_hold(name, args, store, now);
  if (name == "restrict.add" || name == "restrict.lift") return change_restriction(name, args, store, now);
  if (name == "quarantine.retry") return retry(args, store, "");
  if (name == "remap.commit") return at(args, "digest").empty() ? ControlAnswer{kUsage, "digest: of what was shown"} : retry(args, store, at(args, "digest"));
  if (name == "views.rebuild") {
    Result<void> asked = Follower::ask_rebuild(*store.kv);
    return asked ? ControlAnswer{0, R"({"rebuild":"asked"})"} : problem(asked.error());
  }
  return {kUsage, name + ": no such command"};
}

constexpr std::string_view kCommands[] = {"facility.add", "facility.set", "facility.revoke", "facility.block", "incident.close", "backup", "backup.confirm", "recall.commit", "recall.undo", "alert.acknowledge",
                                          "result.erase", "retention.run", "hold.add", "hold.release", "quarantine.retry", "remap.commit", "restrict.add", "restrict.lift", "views.rebuild"};

// What a command is about, as far as it can be named.
std::vector<AuditSubject> subjects_in(const std::string& name, const ControlArgs& args) {
  std::vector<AuditSubject> out;
  if (const auto result = result_name_of(at(args, "result"))) out.push_back(subject_of(*result));
  if (const Facility fac = at(args, "fac"); valid_facility(fac)) out.push_back({AuditKind::facility, fac, {}});
  if (const auto patient = bytes_from_hex(at(args, "patient")); patient && patient->size() == sizeof(Hash)) out.push_back(subject_of_patient(take<sizeof(Hash)>(*patient)));
  if (name == "recall.undo" || name == "hold.release" || name == "restrict.lift") out.push_back(subject_of_order(std::strtoull(at(args, "id").c_str(), nullptr, 10)));
  return out;
}

}  // namespace

ControlAnswer run_control(const std::string& name, const ControlArgs& args, OpenedStore& store, const std::filesystem::path& store_at, WallTime now) {
  if (std::ranges::find(kCommands, name) == std::end(kCommands)) return {kUsage, name + ": no such command"};
  AuditEntry entry{AuditStep::asked, now, at(args, "by"), "", "control " + name, 0, 1, subjects_in(name, args)};
  if (const auto written = append_audit(*store.kv, {&entry, 1}); !written) {
    ControlAnswer refused = problem(written.error());
    refused.text = "the audit log cannot be written, so nothing was done: " + refused.text;
    return refused;
  }
  ControlAnswer done = carry_out(name, args, store, store_at, now);
  entry.step = AuditStep::done;
  entry.status = static_cast<uint32_t>(done.code);
  // That it was asked for is in the log already.
  if (const auto written = append_audit(*store.kv, {&entry, 1}); !written) log("audit_end_unwritten", Word{name}, written.error());
  return done;
}

std::string encode_args(const ControlArgs& args) {
  std::string out;
  for (const auto& [name, value] : args) {
    out += name + "=";
    for (char c : value) {
      if (c == '\n') out += "\\n";
      else if (c == '\\') out += "\\\\";
      else out += c;
    }
    out += "\n";
  }
  return out;
}

ControlArgs decode_args(const std::string& text) {
  ControlArgs args;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string& value = args[line.substr(0, equals)];
    value.clear();
    for (size_t i = equals + 1; i < line.size(); i++) {
      const bool escaped = line[i] == '\\' && i + 1 < line.size();
      if (escaped) i++;
      value += escaped && line[i] == 'n' ? '\n' : line[i];
    }
  }
  return args;
}

std::filesystem::path control_socket(const std::filesystem::path& state_dir) { return state_dir / "control.sock"; }

}  // namespace egret::cloud
