// patient, live: results of one patient, and live values of telemetry.
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <iostream>

#include "cloud/cli/cli.h"
#include "cloud/gauges.h"
#include "cloud/json_text.h"
#include "cloud/patients.h"
#include "cloud/results.h"
#include "schemas/record.pb.h"

namespace egret::cloud::cli {
namespace {

std::string link_json(const StatedLink& l) {
  return fmt::format(R"({{"a":"{}","b":"{}","same":{},"authority":{},"by":"{}","t":{},"body":"{}"}})", hex(l.link.a), hex(l.link.b), l.link.same,
                     json_string(l.authority), l.by, json_time({l.link.t_us}), hex(view(l.link.body)));
}

std::string patient_json(const Patient& patient, const std::vector<ResultName>& results) {
  std::string names, links, found, apart;
  for (const PatientName& name : patient.names) names += (names.empty() ? "\"" : ",\"") + hex(name) + "\"";
  for (const StatedLink& link : patient.links) links += (links.empty() ? "" : ",") + link_json(link);
  for (const ResultName& name : results) found += (found.empty() ? "\"" : ",\"") + text_of(name) + "\"";
  for (const auto& [a, b] : patient.contradictions) apart += fmt::format(R"({}["{}","{}"])", apart.empty() ? "" : ",", hex(a), hex(b));
  return fmt::format(R"({{"names":[{}],"results":[{}],"links":[{}],"contradictions":[{}],"too_many":{}}})", names, found, links, apart, patient.too_many);
}

int show_patient(const Where& where, const std::string& system, const std::string& value, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const auto key = patient_key(*store->kv);
  if (!key) return complain(key.error());
  std::string asked = value;
  if (value == "-" && !std::getline(std::cin, asked)) {
    std::fprintf(stderr, "patient: no identifier on the standard input\n");
    return kUsage;
  }
  v1::Identifier identifier;
  identifier.set_system(system);
  identifier.set_value(asked);
  const auto patient = resolve(*store->kv, patient_of(*key, identifier));
  if (!patient) return complain(patient.error());
  std::vector<ResultName> results;
  for (const PatientName& name : patient->names) {
    const auto walked = each_of_patient(*store->kv, name, [&](const ResultName& r) {
      results.push_back(r);
      return true;
    });
    if (!walked) return complain(walked.error());
  }
  if (json) {
    std::printf("%s\n", patient_json(*patient, results).c_str());
    return kOk;
  }
  for (const ResultName& name : results) std::printf("%s\n", text_of(name).c_str());
  std::printf("%zu results under %zu identifiers\n", results.size(), patient->names.size());
  for (const StatedLink& l : patient->links) std::printf("  %.12s %s %.12s  by %s of %s\n", hex(l.link.a).c_str(), l.link.same ? "is" : "is not", hex(l.link.b).c_str(), l.authority.c_str(), l.by.c_str());
  for (const auto& [a, b] : patient->contradictions) std::printf("  ! %.12s and %.12s are said to differ, and are joined over others: not joined here\n", hex(a).c_str(), hex(b).c_str());
  if (patient->too_many) std::printf("  ! more than %zu identifiers are linked: links over others are not followed\n", kPatientGroupNames);
  return kOk;
}

int show_live(const Where& where, const std::string& fac, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  bool any = false;
  if (json) std::printf("[");
  const auto walked = each_live(*store->kv, fac, [&](const Facility& of, const LiveValue& v) {
    const WallTime at{static_cast<int64_t>(v.point.t_ns / 1000)};
    if (json) {
      std::printf(R"(%s{"facility":"%s","name":%s,"unit":%s,"labels":%s,"value":%s,"t":%s})", any ? ",\n" : "", of.c_str(), json_string(v.name).c_str(),
                  json_string(v.unit).c_str(), v.labels.c_str(), v.value.c_str(), json_time(at).c_str());
    } else {
      std::printf("%-20s %-32s %14s %-8s %s %s\n", of.c_str(), v.name.c_str(), v.value.c_str(), v.unit.c_str(), json_time(at).c_str(), v.labels.c_str());
    }
    any = true;
    return true;
  });
  if (json) std::printf("]\n");
  return walked ? kOk : complain(walked.error());
}

}  // namespace

void add_patient(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("patient", "The results of one patient, over every identifier that is said to be theirs, and who said so.\nExample: egret-cloud patient --system urn:hospital:mrn --value - --json < identifier");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  auto system = std::make_shared<std::string>(), value = std::make_shared<std::string>();
  sub->add_option("--system", *system, "who gave the identifier")->required();
  sub->add_option("--value", *value, "the identifier; - reads it from the standard input, where no list of processes shows it")->required();
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, json, system, value] { chosen = [=] { return show_patient(*where, *system, *value, *json); }; });
}

void add_live(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("live", "Live values of telemetry: gauges and states, never what came late from a backlog.\nExample: egret-cloud live --facility clinic-7 --json");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  auto fac = std::make_shared<std::string>();
  sub->add_option("--facility", *fac, "of one site");
  sub->add_flag("--json", *json, "as a JSON array");
  sub->callback([&chosen, where, json, fac] { chosen = [=] { return show_live(*where, *fac, *json); }; });
}

}  // namespace egret::cloud::cli
