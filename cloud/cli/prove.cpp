// verify, export, backup, restore: proving the store, taking it out, keeping it.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cloud/audit.h"
#include "cloud/backup.h"
#include "cloud/cli/cli.h"
#include "cloud/export.h"
#include "cloud/json_text.h"
#include "cloud/shared_kv.h"
#include "cloud/verify.h"
#include "cloud/verify_views.h"
#include "schemas/durable_file.h"
#include "schemas/entropy.h"

namespace egret::cloud::cli {
namespace {

int run_verify(const Where& where, bool json) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  const AtOnce at_once(*store->kv);  // reconcilers go on
  Result<Verdict> v = verify(*store->kv, progress_bar());
  if (!v) return complain(v.error());
  Result<ViewsVerdict> views = verify_views(*store->kv);
  if (!views) {
    v->wrong++;
    v->findings.push_back({{}, {}, {}, {}, "the views cannot be compared: " + views.error().text});
  } else {
    v->wrong += views->wrong.size();
    for (const std::string& wrong : views->wrong) v->findings.push_back({{}, {}, {}, {}, wrong + "; run `egret-cloud views --rebuild`"});
  }
  const auto audit = verify_audit(*store->kv);
  if (!audit) {
    v->wrong++;
    v->findings.push_back({{}, {}, {}, {}, "the audit log cannot be read: " + audit.error().text});
  } else {
    v->wrong += audit->wrong.size();
    for (const std::string& wrong : audit->wrong) v->findings.push_back({{}, {}, {}, {}, wrong});
  }
  const std::string said = !views ? "unreadable" : !views->compared() ? (views->behind ? "behind" : "being_made_anew") : views->wrong.empty() ? "as_made_anew" : "wrong";
  for (const Finding& f : v->findings) {
    if (!json) std::printf("WRONG  %s\n", text_of(f).c_str());
  }
  if (json) {
    std::string findings;
    for (const Finding& f : v->findings) findings += (findings.empty() ? "" : ",") + json_string(text_of(f));
    std::printf(R"({"facilities":%llu,"rows":%llu,"blocks":%llu,"records":%llu,"gap_records":%llu,"quarantined":%llu,"applied":%llu,"digest":"%s","views":"%s","results":%llu,"audit_entries":%llu,"wrong":%llu,"findings":[%s]})"
                "\n",
                static_cast<unsigned long long>(v->facilities), static_cast<unsigned long long>(v->rows), static_cast<unsigned long long>(v->blocks),
                static_cast<unsigned long long>(v->records), static_cast<unsigned long long>(v->gap_records), static_cast<unsigned long long>(v->quarantined),
                static_cast<unsigned long long>(v->digest_records), hex(view(v->digest)).c_str(), said.c_str(),
                static_cast<unsigned long long>(views ? views->results : 0), static_cast<unsigned long long>(audit ? audit->entries : 0), static_cast<unsigned long long>(v->wrong), findings.c_str());
  } else {
    std::printf("%llu facilities, %llu rows, %llu blocks, %llu records, %llu numbers in gaps, %llu in quarantine: %s\ndigest %s over %llu records\nviews of %llu results: %s\naudit log: %llu entries\n",
                static_cast<unsigned long long>(v->facilities), static_cast<unsigned long long>(v->rows), static_cast<unsigned long long>(v->blocks),
                static_cast<unsigned long long>(v->records), static_cast<unsigned long long>(v->gap_records), static_cast<unsigned long long>(v->quarantined),
                v->wrong == 0 ? "all true" : fmt::format("{} things are wrong", v->wrong).c_str(), hex(view(v->digest)).c_str(), static_cast<unsigned long long>(v->digest_records),
                static_cast<unsigned long long>(views ? views->results : 0), said == "as_made_anew" ? "as if made anew" : said == "behind" ? "behind, not compared" : said == "being_made_anew" ? "being made anew, not compared" : said.c_str(),
                static_cast<unsigned long long>(audit ? audit->entries : 0));
  }
  return v->wrong == 0 ? kOk : kFoundProblem;
}

int run_export(const Where& where, const ExportOptions& options) {
  int code = kOk;
  std::optional<OpenedStore> store = look(where, code);
  if (!store) return code;
  Result<Exported> done = export_records(*store->kv, options, [](const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  if (!done) return complain(done.error());
  if (std::fflush(stdout) != 0) return complain({Errc::store_failed, "the output cannot be written"});
  if (!options.documents.empty()) {
    std::fprintf(stderr, "%llu documents written, %llu not complete\n", static_cast<unsigned long long>(done->documents), static_cast<unsigned long long>(done->incomplete_documents));
  }
  return kOk;
}

int confirm_postgres(const Where& where, const PgOptions& store, const std::string& url, bool json) {
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    std::fprintf(stderr, "%s: the store is in PostgreSQL: start a server on the copy, and name it (postgresql://...)\n", url.c_str());
    return kUsage;
  }
  PgOptions copy;
  copy.url = url;
  Result<uint64_t> records = check_copy(store, copy, progress_bar());
  if (!records) return complain(records.error());
  return control(where, "backup.confirm", {{"copy", url}, {"records", std::to_string(*records)}}, json, fmt::format("the copy is verified and confirmed, {} records", *records));
}

// Proves the copy here, not in the service: it takes long, and commits must go on.
int run_confirm(const Where& where, const std::string& dir, bool same_filesystem, bool json) {
  int code = kOk;
  const std::optional<StorePlace> place = store_of(where, code);
  if (!place) return code;
  if (place->postgres) return confirm_postgres(where, *place->postgres, dir, json);
  std::optional<std::filesystem::path> state = state_dir_of(where);
  if (!state) return kBadConfig;
  if (Result<void> elsewhere = check_elsewhere(store_dir(*state), dir, same_filesystem); !elsewhere) return complain(elsewhere.error());
  // Sites will delete what it holds: that it can be read does not say yet that it is on the disk.
  if (Result<void> synced = sync_tree(dir); !synced) return complain(synced.error());
  Result<uint64_t> records = check_copy(dir, progress_bar());
  if (!records) return complain(records.error());
  ControlArgs args{{"dir", dir}, {"same_filesystem", same_filesystem ? "1" : "0"}, {"records", std::to_string(*records)}};
  return control(where, "backup.confirm", args, json, fmt::format("{}: verified and confirmed, {} records", dir, *records));
}

std::string json_list(const std::vector<Facility>& facs) {
  std::string out;
  for (const Facility& fac : facs) out += (out.empty() ? "" : ",") + json_string(fac);
  return out;
}

void tell_behind(const std::vector<Facility>& behind) {
  for (const Facility& fac : behind) std::printf("%s: has claimed more than this copy holds; it will send that again\n", fac.c_str());
}

// The database was put back with PostgreSQL's own tools: what is left is to say so, to sites and people.
int mark_restored(const StorePlace& place, const std::string& name, bool json) {
  OsEntropy entropy;
  Result<OpenedStore> store = open_to_write(place, entropy);
  if (!store) return complain(store.error());
  Result<std::vector<Facility>> behind = store->store->mark_restored(entropy, clock_now().wall, "restored from " + name);
  if (!behind) return complain(behind.error());
  if (json) {
    std::printf("{\"restored\":%s,\"set_aside\":\"\",\"behind\":[%s]}\n", json_string(name).c_str(), json_list(*behind).c_str());
    return kOk;
  }
  std::printf("marked as restored from %s\n", name.c_str());
  tell_behind(*behind);
  return kOk;
}

int run_restore(const Where& where, const std::string& dir, bool json) {
  int code = kOk;
  const std::optional<StorePlace> place = store_of(where, code);
  if (!place) return code;
  if (place->postgres) return mark_restored(*place, dir, json);
  std::optional<std::filesystem::path> state = state_dir_of(where);
  if (!state) return kBadConfig;
  OsEntropy entropy;
  Result<Restored> done = restore_backup(*state, dir, entropy, clock_now().wall);
  if (!done) {
    if (done.error().code == Errc::locked) std::fprintf(stderr, "stop the service first: ");
    return complain(done.error());
  }
  if (json) {
    std::printf("{\"restored\":%s,\"set_aside\":%s,\"behind\":[%s]}\n", json_string(dir).c_str(), json_string(done->set_aside.string()).c_str(), json_list(done->behind).c_str());
    return kOk;
  }
  std::printf("restored from %s\n", dir.c_str());
  if (!done->set_aside.empty()) std::printf("what was there before: %s\n", done->set_aside.c_str());
  tell_behind(done->behind);
  return kOk;
}

}  // namespace

void add_verify(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("verify", "Recomputes every chain from leaves and data, every disposition, the digest, the views of results, and the audit log's chain.\nExample: egret-cloud verify --json");
  auto where = add_where(sub);
  auto json = std::make_shared<bool>(false);
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, json] { chosen = [where, json] { return run_verify(*where, *json); }; });
}

void add_export(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("export", "Everything that is committed, as NDJSON in the order of the ledger (patient data).\nExamples: egret-cloud export --raw > all.ndjson; egret-cloud export --facility clinic-7 --documents out/");
  auto where = add_where(sub);
  auto o = std::make_shared<ExportOptions>();
  sub->add_option("--facility", o->fac, "of one site");
  sub->add_option("--kind", o->kind, "of one kind: ai_result, review, …");
  sub->add_flag("--raw", o->raw, "the body's bytes too (base64), so that its hash can be recomputed");
  sub->add_flag("--restricted", o->restricted, "bodies of patients whose data is restricted too: for a court, not for use");
  sub->add_option("--documents", o->documents, "writes whole documents into this folder, byte for byte");
  sub->callback([&chosen, where, o] { chosen = [where, o] { return run_export(*where, *o); }; });
}

void add_backup(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("backup", "Copies the store into a new folder; then, once it is on other storage, confirms it.\n"
                                           "In PostgreSQL its own tools make the copy; it is confirmed through a server that runs on it.\n"
                                           "Examples: egret-cloud backup /backup/monday; egret-cloud backup confirm /mnt/other/monday\n"
                                           "          egret-cloud backup confirm 'postgresql:///egret?host=/run/drill'");
  struct Options {
    std::string dir;
    bool same = false, json = false;
  };
  auto where = add_where(sub);
  auto o = std::make_shared<Options>();
  sub->add_option("dir", o->dir, "a folder that is not there yet");
  sub->add_flag("--json", o->json, "as JSON");
  auto* confirm = sub->add_subcommand("confirm", "Reads the copy back, verifies it, and lets sites delete what it holds.\nExample: egret-cloud backup confirm /mnt/other/monday");
  auto confirm_where = add_where(confirm);
  auto c = std::make_shared<Options>();
  confirm->add_option("copy", c->dir, "the copy: a folder, or postgresql://… of a server that runs on it")->required();
  confirm->add_flag("--same-filesystem", c->same, "confirm a copy beside the store, which protects from nothing");
  confirm->add_flag("--json", c->json, "as JSON");
  sub->callback([&chosen, where, o, confirm, confirm_where, c] {
    chosen = [=] {
      auto absolute = [](const std::string& dir) { return std::filesystem::absolute(dir).string(); };
      const bool folder = c->dir.find("://") == std::string::npos;
      if (confirm->parsed()) return run_confirm(*confirm_where, folder ? absolute(c->dir) : c->dir, c->same, c->json);
      if (o->dir.empty()) {
        std::fprintf(stderr, "backup: name a folder\n");
        return kUsage;
      }
      return control(*where, "backup", {{"dir", absolute(o->dir)}}, o->json, o->dir + ": copied; now bring it to other storage, and confirm it there");
    };
  });
}

void add_restore(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("restore", "Puts a backup in the store's place; what was there is set aside. The service must not run.\n"
                                            "In PostgreSQL its own tools put the copy back; this then says so to sites and people.\n"
                                            "Examples: egret-cloud restore /mnt/other/monday; egret-cloud restore monday");
  auto where = add_where(sub);
  auto dir = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  sub->add_option("dir", *dir, "the backup")->required();
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, where, dir, json] { chosen = [where, dir, json] { return run_restore(*where, *dir, *json); }; });
}

}  // namespace egret::cloud::cli
