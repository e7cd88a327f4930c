// restrict: a patient's data may be kept, and not be used: ordering it, lifting it, what was ordered.
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <iostream>

#include "cloud/cli/cli.h"
#include "cloud/json_text.h"
#include "cloud/patients.h"
#include "cloud/restrictions.h"
#include "cloud/results.h"
#include "schemas/record.pb.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  std::string system, value, result, reason, by, id;
  bool json = false;
};

// The patient's name in this store: by identifier, or by a result. nullopt after a complaint.
std::optional<Hash> patient_in(const Kv& kv, const Options& o, int& code) {
  code = kUsage;
  if (o.result.empty()) {
    v1::Identifier identifier;
    std::string value = o.value;
    if (value == "-") std::getline(std::cin, value);
    if (o.system.empty() || value.empty()) {
      std::fprintf(stderr, "restrict add: --system and --value of an identifier, or --result\n");
      return std::nullopt;
    }
    identifier.set_system(o.system);
    identifier.set_value(value);
    const auto key = patient_key(kv);
    if (key) return patient_of(*key, identifier);
    code = complain(key.error());
    return std::nullopt;
  }
  const auto name = result_name_of(o.result);
  const auto row = name ? find_result(kv, *name) : Result<std::optional<ResultRow>>(std::nullopt);
  if (!row) code = complain(row.error());
  if (!name) std::fprintf(stderr, "--result: a result is named FACILITY/UUID\n");
  if (!name || !row) return std::nullopt;
  const auto current = *row ? (*row)->view().values : std::optional<Hash>();
  const PlacedStatement* of = current ? (*row)->find(*current) : nullptr;
  const auto* version = of != nullptr ? std::get_if<Version>(&of->statement) : nullptr;
  if (version != nullptr) return version->subject;
  code = kFoundProblem;
  std::fprintf(stderr, "%s: no version of this result is there that says whose it is\n", o.result.c_str());
  return std::nullopt;
}

int add(const Where& where, const Options& o) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto patient = patient_in(*store->kv, o, code);
  if (!patient) return code;
  store.reset();  // the command may have to write here
  return control(where, "restrict.add", {{"patient", hex(view(*patient))}, {"reason", o.reason}, {"by", who(o.by)}}, o.json, "restricted; egret-cloud restrict list shows the number to lift it by");
}

int list(const Where& where, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto all = restriction_orders(*store->kv);
  if (!all) return complain(all.error());
  for (const RestrictionOrder& o : *all) {
    bool lifted = false;
    for (const RestrictionOrder& other : *all) lifted = lifted || (other.kind == RestrictionOrder::Kind::lift && other.lifts == o.id);
    if (json) {
      std::printf("%s\n", to_json(o, lifted).c_str());
      continue;
    }
    const std::string what = o.kind == RestrictionOrder::Kind::lift ? fmt::format("lifts {}", o.lifts) : fmt::format("restricts patient {:.16}{}", hex(view(o.patient)), lifted ? " (lifted)" : "");
    std::printf("#%-4llu %s  %s  by %s: %s\n", static_cast<unsigned long long>(o.id), json_time(o.at).c_str(), what.c_str(), o.by.c_str(), o.reason.c_str());
  }
  return kOk;
}

}  // namespace

void add_restrict(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("restrict", "A patient's data may be kept and not be used: hidden from FHIR, the change feed and exports, and kept by retention, until it is lifted.\n"
                                             "Examples: egret-cloud restrict add --system urn:hospital:mrn --value - --reason \"accuracy is disputed\" < identifier\n"
                                             "          egret-cloud restrict lift 3 --reason \"settled\"");
  sub->require_subcommand(1);
  auto* order = sub->add_subcommand("add", "Orders it; what comes later and under joined identifiers is meant, too.\nExample: egret-cloud restrict add --result clinic-7/6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d --reason \"as asked for\"");
  auto* all = sub->add_subcommand("list", "Every order, those lifted too.\nExample: egret-cloud restrict list --json");
  auto* lift = sub->add_subcommand("lift", "It restricts nothing any more.\nExample: egret-cloud restrict lift 3 --reason \"settled\"");
  auto o = std::make_shared<Options>();
  order->add_option("--system", o->system, "who gave the identifier");
  order->add_option("--value", o->value, "the identifier; - reads it from the standard input, where no list of processes shows it");
  order->add_option("--result", o->result, "FACILITY/UUID: whoever this result is of")->excludes("--system")->excludes("--value");
  lift->add_option("id", o->id, "its number in the list")->required();
  for (CLI::App* each : {order, lift}) {
    each->add_option("--reason", o->reason, "why; kept, so no patient in it")->required();
    each->add_option("--by", o->by, "who orders it; the account without");
  }
  for (CLI::App* each : {order, all, lift}) each->add_flag("--json", o->json, "as JSON");
  auto where = add_where(order), where_all = add_where(all), where_lift = add_where(lift);
  order->callback([&chosen, where, o] { chosen = [=] { return add(*where, *o); }; });
  all->callback([&chosen, where_all, o] { chosen = [=] { return list(*where_all, o->json); }; });
  lift->callback([&chosen, where_lift, o] {
    chosen = [=] { return control(*where_lift, "restrict.lift", {{"id", o->id}, {"reason", o->reason}, {"by", who(o->by)}}, o->json, "lifted"); };
  });
}

}  // namespace egret::cloud::cli
