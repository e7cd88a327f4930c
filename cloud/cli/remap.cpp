// remap: what this program makes of records that an older one refused: the diff, and then its commit.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/follower.h"
#include "cloud/remap.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  std::string fac, id, by;
  bool commit = false, json = false;
};

int run(const Where& where, const Options& o) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  std::vector<Facility> facs{o.fac};
  if (o.fac.empty()) {
    auto all = store->store->facilities();
    if (!all) return complain(all.error());
    facs = std::move(*all);
  }
  const auto behind = Follower::behind(*store->kv);
  if (!behind || !*behind || **behind > 0) std::fprintf(stderr, "the views are behind what is committed: what becomes of results is not all shown\n");
  const auto seen = remap(*store->kv, facs, o.id);
  if (!seen) return complain(seen.error());
  if (!o.commit || !o.json) std::printf("%s%s", (o.json ? to_json(*seen) : to_text(*seen)).c_str(), o.json ? "\n" : "");
  const uint64_t taken = seen->records.size() - seen->count(Reread::Becomes::refused);
  if (!o.commit) {
    if (!o.json && taken > 0) std::printf("nothing is written yet: once more with --commit\n");
    return kOk;
  }
  store.reset();  // the command may have to write here
  const ControlArgs args{{"fac", o.fac}, {"id", o.id}, {"digest", hex(view(seen->digest))}, {"by", who(o.by)}};
  return control(where, "remap.commit", args, o.json, fmt::format("{} records are taken; egret-cloud quarantine list shows what stays", taken));
}

}  // namespace

void add_remap(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("remap", "Reads records that were refused once more, after an upgrade, and shows what it would make of them, and of the results that they speak of; --commit does it.\n"
                                          "Examples: egret-cloud remap; egret-cloud remap --facility clinic-7 --json; egret-cloud remap --commit");
  auto where = add_where(sub);
  auto o = std::make_shared<Options>();
  sub->add_option("--facility", o->fac, "of one site");
  sub->add_option("--id", o->id, "of one record: the first digits of its id in egret-cloud quarantine list");
  sub->add_flag("--commit", o->commit, "writes what was shown, or nothing when something has come since");
  sub->add_option("--by", o->by, "who orders it; the account without");
  sub->add_flag("--json", o->json, "as JSON");
  sub->callback([&chosen, where, o] { chosen = [where, o] { return run(*where, *o); }; });
}

}  // namespace egret::cloud::cli
