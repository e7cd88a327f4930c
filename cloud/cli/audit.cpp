// audit: who read or wrote what through the region's interfaces, and that nobody has changed what is written of it.
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <iostream>

#include "cloud/audit.h"
#include "cloud/cli/cli.h"
#include "cloud/cursor.h"
#include "cloud/json_text.h"
#include "cloud/patients.h"
#include "cloud/results.h"
#include "schemas/record.pb.h"
#include "schemas/record_text.h"

namespace egret::cloud::cli {
namespace {

struct Options {
  std::string after, who, result, patient, known, signer;
  bool json = false, verify = false, roots = false;
};

// SYSTEM|VALUE, as egret-cloud patient takes it. nullopt after a complaint.
std::optional<AuditSubject> patient_in(const Kv& kv, std::string text, int& code) {
  if (text == "-") std::getline(std::cin, text);
  const size_t bar = text.find('|');
  code = kUsage;
  if (bar == std::string::npos) {
    std::fprintf(stderr, "--patient: SYSTEM|VALUE, as the sites write it\n");
    return std::nullopt;
  }
  const auto key = patient_key(kv);
  if (!key) {
    code = complain(key.error());
    return std::nullopt;
  }
  v1::Identifier identifier;
  identifier.set_system(text.substr(0, bar));
  identifier.set_value(text.substr(bar + 1));
  return subject_of_patient(patient_of(*key, identifier));
}

std::optional<AuditAsked> asked_in(const Kv& kv, const Options& o, int& code) {
  AuditAsked out;
  out.who = o.who;
  if (!o.patient.empty()) {
    out.about = patient_in(kv, o.patient, code);
    if (!out.about) return std::nullopt;
  }
  if (o.result.empty()) return out;
  const auto name = result_name_of(o.result);
  if (!name) {
    std::fprintf(stderr, "--result: a result is named FACILITY/UUID\n");
    code = kUsage;
    return std::nullopt;
  }
  out.about = subject_of(*name);
  return out;
}

void print(const AuditRow& row, bool json) {
  if (json) {
    std::printf("%s\n", to_json(row).c_str());
    return;
  }
  const AuditEntry& e = row.entry;
  std::string about;
  for (size_t i = 0; i < e.about.size() && i < 3; i++) about += "  " + text_of(e.about[i]);
  if (e.about.size() > 3) about += fmt::format("  and {} more", e.about.size() - 3);
  std::printf("%llu  %s  %-9s %s%s  %s  %s%s%s\n", static_cast<unsigned long long>(row.number), json_time(e.at).c_str(), name_of(e.step), e.who.empty() ? "nobody's token" : e.who.c_str(),
              e.role.empty() ? "" : fmt::format(" ({})", e.role).c_str(), e.what.c_str(), e.status == 0 ? "" : std::to_string(e.status).c_str(),
              e.count == 1 ? "" : fmt::format("  {} times", e.count).c_str(), about.c_str());
}

// The number of the last entry that was seen. nullopt after a complaint.
std::optional<uint64_t> after_in(OpenedStore& store, const std::string& text, int& code) {
  if (text.empty()) return 0;
  const auto cursor = cursor_of(text);
  if (text.find_first_not_of("0123456789") == std::string::npos && text.size() < 19) return std::strtoull(text.c_str(), nullptr, 10);
  const auto meta = store.store->meta();
  code = kUsage;
  if (!cursor) std::fprintf(stderr, "--after: the number of an entry, or what the API calls \"cursor\"\n");
  if (!cursor || !meta) return std::nullopt;
  if (cursor->gen == meta->gen) return cursor->number;
  code = kFoundProblem;
  std::fprintf(stderr, "--after: the store was restored from a backup since this cursor: begin again without it\n");
  return std::nullopt;
}

int list(const Where& where, const Options& o) {
  int code = kOk;
  auto store = look(where, code);
  if (!store) return code;
  const auto after = after_in(*store, o.after, code);
  if (!after) return code;
  const auto asked = asked_in(*store->kv, o, code);
  if (!asked) return code;
  const auto walked = each_audit(*store->kv, *after, [&](const AuditRow& row) {
    if (asked->wants(row.entry)) print(row, o.json);
    return true;
  });
  if (!walked) return complain(walked.error());
  if (std::fflush(stdout) != 0) return complain({Errc::store_failed, "the output cannot be written"});
  return kOk;
}

int prove(const Where& where, const Options& o) {
  const auto known = o.known.empty() ? std::optional<AuditKnown>() : audit_known(o.known);
  const auto signer = o.signer.empty() ? std::optional<Bytes>() : bytes_from_hex(o.signer);
  const bool no_signer = !o.signer.empty() && (!signer || signer->size() != sizeof(Key32));
  if ((!o.known.empty() && !known) || no_signer) {
    std::fprintf(stderr, no_signer ? "--signer: 64 hex digits, as egret-cloud init prints them\n" : "--known: NUMBER:64 hex digits, as a root names an entry\n");
    return kUsage;
  }
  int code = kOk;
  auto store = look(where, code);
  if (!store) return code;
  const auto verdict = verify_audit(*store->kv, known, signer ? std::optional(SitePublicKey{take<sizeof(Key32)>(*signer)}) : std::nullopt);
  if (!verdict) return complain(verdict.error());
  std::string findings;
  for (const std::string& wrong : verdict->wrong) {
    if (!o.json) std::printf("WRONG  %s\n", wrong.c_str());
    findings += (findings.empty() ? "" : ",") + json_string(wrong);
  }
  const std::string c = hex(view(verdict->head.c));
  if (o.json) {
    std::printf(R"({"entries":%llu,"last":%llu,"c":"%s","expired":%llu,"roots":%llu,"wrong":%zu,"findings":[%s]})"
                "\n",
                static_cast<unsigned long long>(verdict->entries), static_cast<unsigned long long>(verdict->head.last), c.c_str(), static_cast<unsigned long long>(verdict->head.expired),
                static_cast<unsigned long long>(verdict->roots), verdict->wrong.size(), findings.c_str());
  } else {
    std::printf("%llu entries, %llu roots: %s\nend %llu:%s\n", static_cast<unsigned long long>(verdict->entries), static_cast<unsigned long long>(verdict->roots),
                verdict->wrong.empty() ? "all true" : fmt::format("{} things are wrong", verdict->wrong.size()).c_str(), static_cast<unsigned long long>(verdict->head.last), c.c_str());
  }
  return verdict->wrong.empty() ? kOk : kFoundProblem;
}

int list_roots(const Where& where, bool json) {
  int code = kOk;
  auto store = look(where, code);
  if (!store) return code;
  const auto roots = audit_roots(*store->kv);
  if (!roots) return complain(roots.error());
  for (const AuditRoot& root : *roots) {
    if (json) std::printf("%s\n", to_json(root).c_str());
    else std::printf("%s  %llu:%s\n", json_time(root.at).c_str(), static_cast<unsigned long long>(root.number), hex(view(root.c)).c_str());
  }
  return kOk;
}

}  // namespace

void add_audit(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("audit", "Who read or wrote what through the API, FHIR and the control socket, and that the log of it is whole.\n"
                                          "Examples: egret-cloud audit --result clinic-7/6f1c1c52-0b58-4f0e-9d5a-3f7c1a2b3c4d; egret-cloud audit --who ward-3 --json\n"
                                          "          egret-cloud audit --verify --known 1207:9f3c… (a root that was noted down elsewhere)");
  auto where = add_where(sub);
  auto o = std::make_shared<Options>();
  sub->add_option("--after", o->after, "entries after this number, or cursor of the API");
  sub->add_option("--who", o->who, "of one token, or account");
  auto* result = sub->add_option("--result", o->result, "FACILITY/UUID: who read or wrote it");
  sub->add_option("--patient", o->patient, "SYSTEM|VALUE: who read anything that names this patient; - takes it from the standard input")->excludes(result);
  auto* verify = sub->add_flag("--verify", o->verify, "proves the log; exit 1 when something is wrong");
  sub->add_option("--known", o->known, "with --verify: NUMBER:HASH that it must have")->needs(verify);
  sub->add_option("--signer", o->signer, "with --verify: the only key that may have signed roots")->needs(verify);
  sub->add_flag("--roots", o->roots, "the signed root of each day, to be kept elsewhere")->excludes(verify);
  sub->add_flag("--json", o->json, "as JSON, one object a line");
  sub->callback([&chosen, where, o] { chosen = [where, o] { return o->roots ? list_roots(*where, o->json) : o->verify ? prove(*where, *o) : list(*where, *o); }; });
}

}  // namespace egret::cloud::cli
