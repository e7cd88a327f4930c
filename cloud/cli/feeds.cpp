// alerts, changes: what became of critical findings, and what was committed, in order.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/alerts.h"
#include "cloud/changes.h"
#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "cloud/results.h"

namespace egret::cloud::cli {
namespace {

struct AlertOptions {
  Facility fac;
  std::string acknowledge, note, by, after;
  bool json = false, withdrawn = false, waiting = false, events = false;
};
struct ChangeOptions {
  std::string after;
  uint64_t lines = 0;
  bool records = false, csv = false;
};

// Where to go on in this store. nullopt after a complaint.
std::optional<Cursor> cursor_in(OpenedStore& store, const std::string& after, int& code) {
  const auto meta = store.store->meta();
  if (!meta) {
    code = complain(meta.error());
    return std::nullopt;
  }
  if (after.empty()) return Cursor{meta->gen, 0, 0};
  const auto cursor = cursor_of(after);
  code = cursor ? kFoundProblem : kUsage;
  if (!cursor) std::fprintf(stderr, "--after: no cursor; it is what a line calls \"cursor\"\n");
  if (!cursor || cursor->gen == meta->gen) return cursor;
  std::fprintf(stderr, "--after: the store was restored from a backup since this cursor: begin again without it; ids have stayed the same\n");
  return std::nullopt;
}

int show_waiting(const Where& where, bool json) {
  int code = kOk;
  const auto store = look(where, code);
  if (!store) return code;
  const auto all = waiting_alerts(*store->kv, SIZE_MAX);
  if (!all) return complain(all.error());
  std::string out;
  for (const auto& [name, row] : *all) {
    if (json) {
      out += (out.empty() ? "" : ",\n") + to_json(name, row);
    } else {
      std::printf("%s  since %s  escalated %u times\n", text_of(name).c_str(), json_time(row.opened).c_str(), row.escalations);
    }
  }
  if (json) std::printf("[%s]\n", out.c_str());
  return all->empty() ? kOk : kFoundProblem;
}

int show_events(const Where& where, const std::string& after) {
  int code = kOk;
  auto store = look(where, code);
  if (!store) return code;
  auto cursor = cursor_in(*store, after, code);
  if (!cursor) return code;
  for (;;) {
    const auto events = alert_events(*store->kv, cursor->number, 1'000);
    if (!events) return complain(events.error());
    if (events->empty()) return kOk;
    for (const AlertEvent& event : *events) std::printf("%s\n", to_json(event, cursor->gen).c_str());
    cursor->number = events->back().number;
  }
}

int list(const Where& where, const AlertOptions& o) {
  const AlertState state = o.withdrawn ? AlertState::withdrawn : AlertState::open;
  return list_results(where, o.json, [&](const Kv& kv, const EachResult& each) { return each_alert(kv, o.fac, state, each); });
}

int run_alerts(const Where& where, const AlertOptions& o) {
  if (!o.acknowledge.empty()) return control(where, "alert.acknowledge", {{"result", o.acknowledge}, {"note", o.note}, {"by", who(o.by)}}, o.json, o.acknowledge + ": acknowledged");
  if (o.events) return show_events(where, o.after);
  return o.waiting ? show_waiting(where, o.json) : list(where, o);
}

int run_changes(const Where& where, const ChangeOptions& o) {
  int code = kOk;
  auto store = look(where, code);
  if (!store) return code;
  const auto cursor = cursor_in(*store, o.after, code);
  if (!cursor) return code;
  ChangesAsked asked;
  asked.after = *cursor;
  asked.records = o.records;
  uint64_t left = o.lines == 0 ? UINT64_MAX : o.lines;
  if (o.csv) std::printf("%s\n", changes_csv_head());
  do {
    asked.lines = static_cast<size_t>(std::min<uint64_t>(left, 10'000));
    asked.csv = o.csv;
    const auto page = changes(*store->kv, asked);
    if (!page) return page.error().code == Errc::bad_input ? (complain(page.error()), kUsage) : complain(page.error());
    std::fwrite(page->lines.data(), 1, page->lines.size(), stdout);
    left -= page->count;
    asked.after = page->next;
    if (!page->more) break;
  } while (left > 0);
  if (std::fflush(stdout) != 0) return complain({Errc::store_failed, "the output cannot be written"});
  std::fprintf(stderr, "go on with --after %s\n", text_of(asked.after).c_str());
  return kOk;
}

}  // namespace

void add_alerts(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("alerts", "Critical results, each once: those that are open, or withdrawn; who waits for an answer; giving it.\n"
                                           "Examples: egret-cloud alerts --waiting --json; egret-cloud alerts --acknowledge clinic-7/6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d --note \"ward informed\"");
  auto where = add_where(sub);
  auto o = std::make_shared<AlertOptions>();
  sub->add_option("--facility", o->fac, "of one site");
  sub->add_flag("--withdrawn", o->withdrawn, "those that were taken back");
  sub->add_flag("--waiting", o->waiting, "those that nobody has acknowledged; exit 1: there are some");
  sub->add_flag("--events", o->events, "what became of all of them, in order, as NDJSON");
  sub->add_option("--after", o->after, "a cursor: events from there on");
  sub->add_option("--acknowledge", o->acknowledge, "FACILITY/UUID: somebody has taken it up");
  sub->add_option("--note", o->note, "kept with it, so no patient in it");
  sub->add_option("--by", o->by, "who acknowledges; the account without");
  sub->add_flag("--json", o->json, "as JSON");
  sub->callback([&chosen, where, o] { chosen = [where, o] { return run_alerts(*where, *o); }; });
}

void add_changes(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("changes", "What was committed, in the order of commits, as NDJSON or CSV; says on stderr where to go on.\n"
                                            "Examples: egret-cloud changes --after CURSOR; egret-cloud changes --records > all.ndjson; egret-cloud changes --csv > all.csv");
  auto where = add_where(sub);
  auto o = std::make_shared<ChangeOptions>();
  sub->add_option("--after", o->after, "a cursor: changes from there on");
  sub->add_option("--lines", o->lines, "at most; 0: all there are")->capture_default_str();
  auto* records = sub->add_flag("--records", o->records, "with the records (patient data)");
  sub->add_flag("--csv", o->csv, "comma-separated, with a head; without records")->excludes(records);
  sub->callback([&chosen, where, o] { chosen = [where, o] { return run_changes(*where, *o); }; });
}

}  // namespace egret::cloud::cli
