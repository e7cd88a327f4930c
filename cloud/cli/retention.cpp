// retention, hold, history: how long records are kept, what must stay, and what is left of telemetry.
#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "cloud/cli/cli.h"
#include "cloud/holds.h"
#include "cloud/json_text.h"
#include "cloud/retention.h"
#include "cloud/rollup.h"

namespace egret::cloud::cli {
namespace {

// As the configuration says; the defaults with --state-dir alone. nullopt after a complaint.
std::optional<RetentionPolicy> policy_of(const Where& where) {
  const CheckedCloudConfig checked = where.state_dir.empty() ? read_cloud_config(where.config) : parse_cloud_config("[broker]\nuri = \"mqtt://localhost\"", "");
  for (const ConfigMistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
  if (!checked.mistakes.empty()) return std::nullopt;
  return checked.config.retention;
}

int show_retention(const Where& where, bool json) {
  int code = kOk;
  const auto policy = policy_of(where);
  if (!policy) return kBadConfig;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto state = retention_state(*store->kv, *policy, clock_now().wall);
  if (!state) return complain(state.error());
  if (json) {
    std::printf("%s\n", to_json(*state, *policy).c_str());
    return kOk;
  }
  for (size_t c = 0; c < kRetentionClasses; c++) {
    const int64_t days = policy->days[c];
    std::printf("%-10s %s, %llu blocks to look through\n", name_of(RetentionClass(uint8_t(c))), days == 0 ? "for ever" : fmt::format("{} days", days).c_str(),
                static_cast<unsigned long long>(state->due[c] - std::min(state->due[c], state->done[c])));
  }
  std::printf("%-10s %lld days, egret-cloud audit\n", "audit log", static_cast<long long>(policy->audit_days));
  if (state->looked.us == 0) std::printf("the service has not looked yet: ages count from the first time it does\n");
  return kOk;
}

int run_retention(const Where& where, bool clock_is_right, bool json) {
  const auto policy = policy_of(where);
  if (!policy) return kBadConfig;
  ControlArgs args{{"clock_is_right", clock_is_right ? "1" : "0"}};
  for (size_t c = 0; c < kRetentionClasses; c++) args[name_of(RetentionClass(uint8_t(c)))] = std::to_string(policy->days[c]);
  args["audit"] = std::to_string(policy->audit_days);
  return control(where, "retention.run", args, json, "done; egret-cloud retention shows what is left");
}

int list_holds(const Where& where, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto all = holds(*store->kv);
  if (!all) return complain(all.error());
  std::string text;
  for (const Hold& h : *all) {
    if (json) {
      text += (text.empty() ? "" : ",\n") + to_json(h);
      continue;
    }
    const std::string what = h.result ? "result " + hex(view(h.result->id)) + " of " + h.result->fac
                                      : fmt::format("{} of {}", h.what ? name_of(*h.what) : "everything", h.fac.empty() ? "all sites" : h.fac);
    text += fmt::format("#{:<4} {}  {}  by {}: {}{}\n", h.id, json_time(h.at), what, h.by, h.reason,
                        h.counts() ? "" : fmt::format("; released {} by {}: {}", json_time(h.released), h.released_by, h.released_reason));
  }
  std::printf(json ? "[%s]\n" : "%s", text.c_str());
  return kOk;
}

struct HistoryAsked {
  std::string fac, series, grain = "hour";
  bool json = false;
};

int show_history(const Where& where, const HistoryAsked& asked) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto all = rolled_series(*store->kv, asked.fac);
  if (!all) return complain(all.error());
  const Grain grain = asked.grain == "minute" ? Grain::minute : Grain::hour;
  for (const RolledSeries& s : *all) {
    if (!asked.series.empty() && s.name != asked.series) continue;
    if (!asked.json) std::printf("%s %s %s\n", s.name.c_str(), s.unit.c_str(), s.labels.c_str());
    auto walked = each_bucket(*store->kv, s, grain, 0, INT64_MAX, [&](int64_t at_s, const Bucket& b) {
      const std::string at = json_time({at_s * 1'000'000});
      if (!asked.json) {
        std::printf("  %s  %u points  min %g  max %g  sum %g  last %g %s\n", at.c_str(), b.points, b.min, b.max, b.sum, b.last, b.state.c_str());
        return true;
      }
      std::printf(R"({"facility":"%s","series":%s,"unit":%s,"labels":%s,"at":%s,"points":%u,"min":%.17g,"max":%.17g,"sum":%.17g,"last":%.17g,"observations":%llu,"state":%s})"
                  "\n",
                  s.fac.c_str(), json_string(s.name).c_str(), json_string(s.unit).c_str(), s.labels.c_str(), at.c_str(), b.points, b.min, b.max, b.sum, b.last,
                  static_cast<unsigned long long>(b.observations), b.state.empty() ? "null" : json_string(b.state).c_str());
      return true;
    });
    if (!walked) return complain(walked.error());
  }
  return kOk;
}

}  // namespace

void add_retention(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("retention", "How long each class of records is kept ([retention] of the configuration), and how much is due. The service does it by itself.\n"
                                              "Examples: egret-cloud retention --json; egret-cloud retention --run");
  auto where = add_where(sub);
  auto run = std::make_shared<bool>(false), right = std::make_shared<bool>(false), json = std::make_shared<bool>(false);
  auto* now = sub->add_flag("--run", *run, "take away what is due, a thousand blocks at most");
  sub->add_flag("--clock-is-right", *right, "although it has gone more than 30 days since retention last looked")->needs(now);
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, run, right, json] { chosen = [=] { return *run ? run_retention(*where, *right, *json) : show_retention(*where, *json); }; });
}

void add_hold(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("hold", "Legal holds: what retention may not take away.\n"
                                         "Examples: egret-cloud hold add --facility clinic-7 --reason \"case 12/2026\"; egret-cloud hold list; egret-cloud hold release 3 --reason \"closed\"");
  sub->require_subcommand(1);
  auto* add = sub->add_subcommand("add", "Keep what is there and what comes, until it is released. Example: egret-cloud hold add --class results --reason \"audit 2026\"");
  auto* list = sub->add_subcommand("list", "Every hold, those released too. Example: egret-cloud hold list --json");
  auto* release = sub->add_subcommand("release", "It keeps nothing any more. Example: egret-cloud hold release 3 --reason \"case closed\"");
  struct Words {
    std::string fac, what, result, reason, by, id;
    bool json = false;
  };
  auto w = std::make_shared<Words>();
  add->add_option("--facility", w->fac, "of one site; of all without");
  add->add_option("--class", w->what, "telemetry, events, documents or results; all without");
  add->add_option("--result", w->result, "of one result, FACILITY/UUID")->excludes("--class")->excludes("--facility");
  release->add_option("id", w->id, "its number in the list")->required();
  for (CLI::App* each : {add, release}) {
    each->add_option("--reason", w->reason, "why; kept, so no patient in it")->required();
    each->add_option("--by", w->by, "who orders it; the account without");
  }
  for (CLI::App* each : {add, list, release}) each->add_flag("--json", w->json, "as JSON");
  auto where = add_where(add);
  auto where_list = add_where(list), where_release = add_where(release);
  add->callback([&chosen, where, w] {
    chosen = [=] { return control(*where, "hold.add", {{"fac", w->fac}, {"class", w->what}, {"result", w->result}, {"reason", w->reason}, {"by", who(w->by)}}, w->json, "held"); };
  });
  list->callback([&chosen, where_list, w] { chosen = [=] { return list_holds(*where_list, w->json); }; });
  release->callback([&chosen, where_release, w] {
    chosen = [=] { return control(*where_release, "hold.release", {{"id", w->id}, {"reason", w->reason}, {"by", who(w->by)}}, w->json, "released"); };
  });
}

void add_history(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("history", "What is left of telemetry whose points have gone: a minute or an hour of each series. What is younger is in the records (export).\n"
                                            "Example: egret-cloud history clinic-7 --series gpu.temperature --grain hour --json");
  auto where = add_where(sub);
  auto asked = std::make_shared<HistoryAsked>();
  sub->add_option("facility", asked->fac, "of which site")->required();
  sub->add_option("--series", asked->series, "one name; all without");
  sub->add_option("--grain", asked->grain, "minute or hour")->check(CLI::IsMember({"minute", "hour"}))->capture_default_str();
  sub->add_flag("--json", asked->json, "one object a line");
  sub->callback([&chosen, where, asked] { chosen = [=] { return show_history(*where, *asked); }; });
}

}  // namespace egret::cloud::cli
