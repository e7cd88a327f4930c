// recall: which results a model touched; marking them, and taking that back.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "cloud/recall_report.h"
#include "cloud/results.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  Where* where = nullptr;
  RecallAsked asked;
  std::string reason, by, undo, show;
  bool preview = false, commit = false, list = false, results = false, json = false;
};

// One line a result: status, review state, who has read it.
int print_results(const Kv& kv, const RecallScope& scope, bool json) {
  std::optional<Error> failed;
  const auto walked = each_use(kv, scope, [&](const ResultName& name) {
    const auto row = find_result(kv, name);
    if (!row) failed = row.error();
    if (!row || !*row) return !failed;
    const auto detail = detail_of(kv, name, **row);
    if (!detail) failed = detail.error();
    if (!detail) return false;
    if (json) {
      std::printf("%s\n", to_json(name, **row, *detail).c_str());
      return true;
    }
    const ResultView view = (*row)->view();
    std::string readers;
    for (const Reader& r : detail->readers) readers += fmt::format("{}{} of {}", readers.empty() ? "" : ", ", r.reviewer, r.fac);
    std::printf("%s  %s%s  review: %s  read by: %s\n", text_of(name).c_str(), status_name(view.status).c_str(), view.critical ? " CRITICAL" : "",
                verdict_name(view.verdict ? uint8_t(*view.verdict) : 0).c_str(), readers.empty() ? "nobody known" : readers.c_str());
    return true;
  });
  if (!walked) return complain(walked.error());
  return failed ? complain(*failed) : kOk;
}

void print(const RecallReport& counted, bool json) {
  if (json) {
    std::printf("%s\n", to_json(counted).c_str());
    return;
  }
  std::printf("%s", to_text(counted).c_str());
  if (!counted.views_behind) std::fprintf(stderr, "the views are being made anew: results may be missing here\n");
  else if (*counted.views_behind > 0) std::fprintf(stderr, "the views are %llu blocks behind what is committed\n", static_cast<unsigned long long>(*counted.views_behind));
}

int preview(const Options& o) {
  int code = kOk;
  std::optional<OpenedStore> store = look(*o.where, code);
  if (!store) return code;
  const auto counted = report(*store->kv, o.asked, progress_bar());
  if (!counted) return counted.error().code == Errc::bad_input ? (complain(counted.error()), kUsage) : complain(counted.error());
  if (o.results) return print_results(*store->kv, counted->scope, o.json);
  if (!o.commit || !o.json) print(*counted, o.json);
  if (!o.commit) {
    if (!o.json) std::printf("nothing is marked yet: once more with --commit --reason TEXT\n");
    return kOk;
  }
  store.reset();  // the command may have to write here
  ControlArgs args = args_of(*counted, o.asked);
  args["reason"] = o.reason;
  args["by"] = who(o.by);
  return control(*o.where, "recall.commit", args, o.json, fmt::format("{} results are marked; egret-cloud recall --list shows the number to take it back by", counted->all()));
}

int list(const Options& o) {
  int code = kOk;
  std::optional<OpenedStore> store = look(*o.where, code);
  if (!store) return code;
  if (o.json) {
    const auto text = recalls_text(*store->kv, "", "");
    if (!text) return complain(text.error());
    std::printf("%s\n", text->c_str());
    return kOk;
  }
  const auto all = orders(*store->kv);
  if (!all) return complain(all.error());
  for (const Order& order : *all) {
    const std::string what = order.kind == Order::Kind::undo ? fmt::format("undoes {}", order.undoes) : fmt::format("recall of {} {}", order.model, order.version);
    std::printf("#%-4llu %s  %s  by %s: %s\n", static_cast<unsigned long long>(order.id), json_time(order.at).c_str(), what.c_str(), order.by.c_str(), order.reason.c_str());
  }
  return kOk;
}

int show(const Options& o) {
  int code = kOk;
  std::optional<OpenedStore> store = look(*o.where, code);
  if (!store) return code;
  const auto known = recalls(*store->kv);
  if (!known) return complain(known.error());
  for (const Recall& recall : *known) {
    if (std::to_string(recall.id) != o.show) continue;
    Recall asked = recall;
    if (asked.scope.fac.empty()) asked.scope.fac = o.asked.fac;
    if (o.results) return print_results(*store->kv, asked.scope, o.json);
    const auto counted = report(*store->kv, asked, progress_bar());
    if (!counted) return complain(counted.error());
    if (recall.undone) std::fprintf(stderr, "this recall was undone: it marks nothing\n");
    print(*counted, o.json);
    return kOk;
  }
  std::fprintf(stderr, "%s: there is no recall of this number\n", o.show.c_str());
  return kFoundProblem;
}

int run(const Options& o) {
  if (o.list) return list(o);
  if (!o.show.empty()) return show(o);
  if (!o.undo.empty()) return control(*o.where, "recall.undo", {{"id", o.undo}, {"reason", o.reason}, {"by", who(o.by)}}, o.json, fmt::format("recall {} marks nothing any more", o.undo));
  if (o.asked.model.empty()) {
    std::fprintf(stderr, "recall: name a --model, or one of --list, --show, --undo\n");
    return kUsage;
  }
  if (o.commit && o.reason.empty()) {
    std::fprintf(stderr, "recall: say why with --reason; it is kept with the recall\n");
    return kUsage;
  }
  return preview(o);
}

}  // namespace

void add_recall(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand(
      "recall",
      "Every result that a model made in a time, by site, status and review: first a preview, then one order that marks them.\n"
      "Results that come later are marked too; nothing of them is changed, and --undo takes the marks back.\n"
      "Examples: egret-cloud recall --model retina-net --version 2.1 --from 2026-03-01 --to 2026-03-31\n"
      "          egret-cloud recall --model retina-net --version 2.1 --from 2026-03-01 --commit --reason \"drift at night\"\n"
      "          egret-cloud recall --list; egret-cloud recall --show 3 --results; egret-cloud recall --undo 3 --reason \"false alarm\"");
  auto where = add_where(sub);
  auto o = std::make_shared<Options>();
  sub->add_option("--model", o->asked.model, "its id, its name, or the 64 hex digits that results name it by");
  sub->add_option("--version", o->asked.version, "one version; every one without");
  sub->add_option("--from", o->asked.from, "a day (UTC) or a time, of what the results are about; open without");
  sub->add_option("--to", o->asked.to, "a day, included, or a time, excluded; open without");
  sub->add_option("--facility", o->asked.fac, "of one site; with --show its own worklist");
  sub->add_flag("--preview,--dry-run", o->preview, "only show what it would touch (this is what happens without --commit)");
  auto* commit = sub->add_flag("--commit", o->commit, "mark them")->excludes("--preview");
  sub->add_option("--reason", o->reason, "why; kept, so no patient in it");
  sub->add_option("--by", o->by, "who orders it; the account without");
  sub->add_flag("--results", o->results, "one line a result, with who is known to have read it")->excludes(commit);
  sub->add_flag("--list", o->list, "every recall, who ordered it, and those undone");
  sub->add_option("--show", o->show, "what a recall touches now, by its number");
  sub->add_option("--undo", o->undo, "take a recall back, by its number")->excludes(commit);
  sub->add_flag("--json", o->json, "as JSON; with --results one object a line");
  sub->callback([&chosen, where, o] {
    chosen = [where, o] {
      o->where = where.get();
      return run(*o);
    };
  });
}

}  // namespace egret::cloud::cli
