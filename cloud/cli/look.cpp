// facilities, gaps, quarantine, incidents: how things stand.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/facilities.h"
#include "cloud/incidents.h"
#include "cloud/json_text.h"
#include "schemas/record.h"
#include "schemas/record_json.h"

namespace egret::cloud::cli {
namespace {

std::string age_text(int64_t ms) {
  int64_t s = ms / 1000;
  if (s < 120) return fmt::format("{} s", s);
  if (s < 7200) return fmt::format("{} min", s / 60);
  if (s < 172800) return fmt::format("{} h", s / 3600);
  return fmt::format("{} days", s / 86400);
}

std::string disk_text(const Vitals& site) {
  return site.disk_hours_left == 0 ? "-" : age_text(int64_t{site.disk_hours_left} * 3600 * 1000);
}

std::string certificate_text(const Vitals& site, WallTime now) {
  if (site.certificate_ends.us == 0) return "-";
  return site.certificate_ends < now ? "has ended" : age_text((site.certificate_ends.us - now.us) / 1000);
}

int show_facilities(const Where& where, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const FacilitiesQuery query = facilities_query(where);
  Result<std::vector<FacilityView>> views = facilities(*store->store, query);
  if (!views) return complain(views.error());
  if (json) {
    std::printf("%s\n", to_json(*views, query.now).c_str());
    return kOk;
  }
  std::printf("%-20s %-12s %-10s %10s %10s %10s %8s %8s %10s %10s %10s\n", "facility", "attention", "last seen", "complete", "behind", "oldest", "shed", "quarant.", "ETA", "disk full", "cert. ends");
  for (const FacilityView& v : *views) {
    uint64_t complete = 0;
    for (const RowView& row : v.rows) complete += row.w.value;
    std::string seen = v.row.last_seen.us == 0 ? "never" : age_text((query.now.us - v.row.last_seen.us) / 1000);
    std::string oldest = v.row.vitals.oldest_unsynced_ms == 0 ? "-" : age_text(static_cast<int64_t>(v.row.vitals.oldest_unsynced_ms));
    std::printf("%-20s %-12s %-10s %10llu %10llu %10s %8llu %8llu %10s %10s %10s\n", v.fac.c_str(), name_of(v.attention), seen.c_str(),
                static_cast<unsigned long long>(complete), static_cast<unsigned long long>(v.behind), oldest.c_str(),
                static_cast<unsigned long long>(v.row.vitals.shed), static_cast<unsigned long long>(v.row.quarantined),
                v.eta_ms ? age_text(*v.eta_ms).c_str() : "-", disk_text(v.row.vitals).c_str(), certificate_text(v.row.vitals, query.now).c_str());
  }
  return kOk;
}

// Walks a table of the meta space; `each` returns what to print, or "" for nothing.
int list_table(const Where& where, char table, const Facility& fac, bool json, const std::function<std::string(ByteView, ByteView, bool)>& each) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  Bytes first = fac.empty() ? table_prefix(table) : table_prefix(table, fac);
  bool any = false;
  if (json) std::printf("[");
  Result<void> scanned = store->kv->scan(kMetaSpace, first, after_prefix(first), [&](ByteView key, ByteView value) {
    std::string line = each(key, value, json);
    if (line.empty()) return true;
    std::printf("%s%s%s", json && any ? ",\n" : "", line.c_str(), json ? "" : "\n");
    any = true;
    return true;
  });
  if (json) std::printf("]\n");
  if (!scanned) return complain(scanned.error());
  return kOk;
}

std::string gap_line(ByteView key, ByteView value, bool json) {
  std::optional<NumberedName> name = numbered_of('g', key);
  Result<GapRow> gap = name ? decode_gap(value, name->seq) : Result<GapRow>(Error{});
  if (!gap) return json ? R"({"error":"unreadable row"})" : "a gap row cannot be read: run egret-cloud verify";
  if (json) {
    return fmt::format(R"({{"facility":"{}","epoch":"{:016x}","stream":"{}","first":{},"last":{},"kind":"{}","reason":{},"unverified":{},"at":{}}})", name->fac,
                       name->key.epoch.value, name_of(name->key.stream), gap->first.value, gap->last.value, name_of(gap->kind), static_cast<int>(gap->reason), gap->unverified, json_time(gap->at));
  }
  return fmt::format("{:20} {:016x} {:9} {:>10}-{:<10} {}{}", name->fac, name->key.epoch.value, name_of(name->key.stream), gap->first.value, gap->last.value, name_of(gap->kind),
                     gap->unverified ? " (unverified)" : "");
}

std::string quarantine_line(ByteView key, ByteView value, bool json) {
  std::optional<Facility> fac = facility_of('q', key.substr(0, key.size() > 32 ? key.size() - 32 : 0));
  Result<QuarantineRow> row = decode_quarantine(value);
  if (!fac || !row) return json ? R"({"error":"unreadable row"})" : "a row of the quarantine cannot be read: run egret-cloud verify";
  std::string id = hex(key.substr(key.size() - 32));
  if (json) {
    return fmt::format(R"({{"facility":"{}","id":"{}","reason":"{}","detail":{},"bytes":{},"epoch":"{:016x}","stream":"{}","seq":{},"at":{}}})", *fac, id, name_of(row->reason),
                       json_string(row->detail), row->record.size(), row->place.key.epoch.value, name_of(row->place.key.stream), row->place.seq.value, json_time(row->at));
  }
  return fmt::format("{:20} {:.16}  {:15} {} bytes  {}", *fac, id, name_of(row->reason), row->record.size(), row->detail);
}

// The bytes of one record: the only place beside the export that shows them.
int show_quarantined(const Where& where, const std::string& id) {
  int found = 0;
  int code = list_table(where, 'q', "", false, [&](ByteView key, ByteView value, bool) -> std::string {
    Result<QuarantineRow> row = decode_quarantine(value);
    if (key.size() < 32 || hex(key.substr(key.size() - 32)).rfind(id, 0) != 0 || !row) return "";
    found++;
    Result<RecordView> parts = split_record(row->record);
    Result<std::string> json = parts ? json_from_body(parts->body) : Result<std::string>(Error{});
    return quarantine_line(key, value, false) + "\n" + (json ? *json : "hex " + hex(row->record));
  });
  if (code != kOk) return code;
  if (found == 0) std::fprintf(stderr, "%s: nothing in the quarantine begins with this\n", id.c_str());
  return found > 0 ? kOk : kFoundProblem;
}

std::string incident_line(ByteView key, ByteView value, bool json, bool all) {
  Result<Incident> i = decode_incident(value);
  // 'i' fac 0 state id: the name ends at its zero byte.
  Facility fac(key.substr(1, key.find('\0', 1) - 1));
  if (!i) return json ? R"({"error":"unreadable row"})" : "an incident cannot be read: run egret-cloud verify";
  bool open = i->closed.us == 0;
  if (!open && !all) return "";
  if (json) return to_json(fac, *i);
  std::string range = i->last.value == 0 ? "" : fmt::format(" epoch {:016x} {} {}-{}", i->key.epoch.value, name_of(i->key.stream), i->first.value, i->last.value);
  return fmt::format("{:20} #{} {}{}{}", fac, i->id, name_of(i->kind), range, open ? "  OPEN" : "  closed: " + i->note);
}

}  // namespace

FacilitiesQuery facilities_query(const Where& where) {
  FacilitiesQuery out;
  out.now = clock_now().wall;
  const CheckedCloudConfig checked = read_cloud_config(where.config);
  if (!checked.mistakes.empty()) return out;
  out.safe = checked.config.safe;
  out.safe_age_ms = checked.config.safe_age_h * 3600 * 1000;
  out.silent_after_ms = checked.config.silent_after_s * 1000;
  return out;
}

void add_facilities(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("facilities", "Every site: last seen, complete to, behind, oldest unsynced age, shed, quarantined, ETA, when its disk is full and its certificate ends.\nExample: egret-cloud facilities --json");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, json] { chosen = [where, json] { return show_facilities(*where, *json); }; });
}

void add_gaps(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("gaps", "What is missing and why.\nExample: egret-cloud gaps --facility clinic-7");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  auto fac = std::make_shared<std::string>();
  sub->add_option("--facility", *fac, "of one site");
  sub->add_flag("--json", *json, "as a JSON array");
  sub->callback([&chosen, where, json, fac] { chosen = [where, json, fac] { return list_table(*where, 'g', *fac, *json, gap_line); }; });
}

void add_quarantine(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("quarantine", "Records that are kept with a reason: list, show, retry.")->require_subcommand(1);
  auto* ls = sub->add_subcommand("list", "Lists them, without their contents.\nExample: egret-cloud quarantine list --json")->alias("ls");
  auto where = add_where(ls);
  auto json = std::make_shared<bool>(false);
  auto fac = std::make_shared<std::string>();
  ls->add_option("--facility", *fac, "of one site");
  ls->add_flag("--json", *json, "as a JSON array");
  ls->callback([&chosen, where, json, fac] { chosen = [where, json, fac] { return list_table(*where, 'q', *fac, *json, quarantine_line); }; });
  auto* show = sub->add_subcommand("show", "Shows one with its contents (patient data).\nExample: egret-cloud quarantine show 3fa9c1");
  auto show_where = add_where(show);
  auto id = std::make_shared<std::string>();
  show->add_option("id", *id, "the first digits of its id")->required();
  show->callback([&chosen, show_where, id] { chosen = [show_where, id] { return show_quarantined(*show_where, *id); }; });
  auto* retry = sub->add_subcommand("retry", "Looks at them again, after an upgrade: what can be taken now is applied, the rest stays.\nExamples: egret-cloud quarantine retry; egret-cloud quarantine retry --facility clinic-7 --id 3fa9c1");
  auto retry_where = add_where(retry);
  auto retry_json = std::make_shared<bool>(false);
  auto retry_fac = std::make_shared<std::string>(), retry_id = std::make_shared<std::string>();
  retry->add_option("--facility", *retry_fac, "of one site");
  retry->add_option("--id", *retry_id, "the first digits of an id");
  retry->add_flag("--json", *retry_json, "as JSON");
  retry->callback([&chosen, retry_where, retry_json, retry_fac, retry_id] {
    chosen = [=] { return control(*retry_where, "quarantine.retry", {{"fac", *retry_fac}, {"id", *retry_id}}, *retry_json, "looked at again; egret-cloud quarantine list shows what stays"); };
  });
}

void add_incidents(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("incidents", "What was claimed and has not come, forks, two agents of one identity.\nExamples: egret-cloud incidents; egret-cloud incidents --close 3 --facility clinic-7 --note \"disk replaced\"");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false), all = std::make_shared<bool>(false);
  auto fac = std::make_shared<std::string>(), id = std::make_shared<std::string>(), note = std::make_shared<std::string>();
  sub->add_option("--facility", *fac, "of one site");
  sub->add_flag("--json", *json, "as a JSON array");
  sub->add_flag("--all", *all, "closed ones too");
  auto* close = sub->add_option("--close", *id, "closes this one");
  sub->add_option("--note", *note, "why it is closed")->needs(close);
  sub->callback([&chosen, where, json, all, fac, id, note] {
    chosen = [where, json, all, fac, id, note] {
      if (!id->empty()) return control(*where, "incident.close", {{"fac", *fac}, {"id", *id}, {"note", *note}}, *json, "closed");
      return list_table(*where, 'i', *fac, *json, [all](ByteView k, ByteView v, bool j) { return incident_line(k, v, j, *all); });
    };
  });
}

}  // namespace egret::cloud::cli
