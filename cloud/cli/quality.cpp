// quality: how a model does, by version and site.
#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/quality.h"

namespace egret::cloud::cli {

void add_quality(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("quality", "How a model does, by version and site: results, ungradable, scores and whether they have moved, what reviewers said. Reads each result.\n"
                                            "Example: egret-cloud quality --model retina-screen --from 2026-03-01 --before-from 2026-02-01 --before-to 2026-02-28");
  auto where = add_where(sub);
  auto o = std::make_shared<QualityAsked>();
  auto json = std::make_shared<bool>(false);
  sub->add_option("--model", o->of.model, "its id, its name, or its reference (64 hex digits)")->required();
  sub->add_option("--version", o->of.version, "of this version alone");
  sub->add_option("--from", o->of.from, "effective from: a day (UTC) or a time");
  sub->add_option("--to", o->of.to, "until: the end of a day, or a time");
  sub->add_option("--facility", o->of.fac, "of one site");
  sub->add_option("--before-from", o->before_from, "scores are compared with those from here");
  sub->add_option("--before-to", o->before_to, "to here");
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, o, json] {
    chosen = [where, o, json] {
      int code = kOk;
      const auto store = look(*where, code);
      if (!store) return code;
      const auto models = model_quality(*store->kv, *o);
      if (!models) return models.error().code == Errc::bad_input ? (complain(models.error()), kUsage) : complain(models.error());
      std::printf("%s%s", *json ? to_json(*models).c_str() : to_text(*models).c_str(), *json ? "\n" : "");
      return kOk;
    };
  });
}

}  // namespace egret::cloud::cli
