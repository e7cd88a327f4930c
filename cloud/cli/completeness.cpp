// completeness: how far the region is complete, and the signed statement of it.
#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/completeness.h"
#include "cloud/keys.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  Facility fac;
  bool json = false, statement = false;
};

int all(OpenedStore& store, const FacilitiesQuery& query, bool json) {
  const auto views = facilities(*store.store, query);
  if (!views) return complain(views.error());
  if (json) std::printf("%s\n", summary_json(*views, query.now).c_str());
  bool complete = true;
  for (const FacilityView& v : *views) {
    const auto of = completeness(*store.store, *store.kv, v.fac, query);
    if (!of) return complain(of.error());
    complete = complete && (v.revoked || of->site.complete());
    if (!json) std::printf("%s%s", &v == &views->front() ? "" : "\n", to_text(*of, query.now).c_str());
  }
  return complete ? kOk : kFoundProblem;
}

int run(const Where& where, const Options& o) {
  if (o.statement && o.fac.empty()) {
    std::fprintf(stderr, "--statement: of which facility?\n");
    return kUsage;
  }
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const FacilitiesQuery query = facilities_query(where);
  if (o.fac.empty()) return all(*store, query, o.json);
  const auto of = completeness(*store->store, *store->kv, o.fac, query);
  if (!of) return complain(of.error());
  if (!o.statement) {
    std::printf("%s%s", o.json ? to_json(*of, query.now).c_str() : to_text(*of, query.now).c_str(), o.json ? "\n" : "");
    return of->site.complete() ? kOk : kFoundProblem;
  }
  const auto state = state_dir_of(where);
  if (!state) return kBadConfig;
  const auto key = read_statement_key(*state);
  if (!key) return complain(key.error());
  const auto meta = store->store->meta();
  if (!meta) return complain(meta.error());
  const auto text = signed_statement(*of, *meta, query.now, *key);
  if (!text) return complain(text.error());
  std::fwrite(text->data(), 1, text->size(), stdout);
  return kOk;
}

}  // namespace

void add_completeness(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("completeness", "How far the region is complete: each stream of each epoch, gaps with reasons, records by day. Exit 1: something is missing.\n"
                                                 "Example: egret-cloud completeness clinic-7 --statement > clinic-7.statement");
  auto where = add_where(sub);
  auto o = std::make_shared<Options>();
  sub->add_option("facility", o->fac, "one site; without it all");
  sub->add_flag("--json", o->json, "as JSON");
  sub->add_flag("--statement", o->statement, "signed by the region, for egret-agent verify-statement; exit 0 whatever is missing");
  sub->callback([&chosen, where, o] { chosen = [where, o] { return run(*where, *o); }; });
}

}  // namespace egret::cloud::cli
