// Cli: the commands of egret-cloud.
// Promises: results on stdout, everything else on stderr; exit codes below; each --help shows an example; a command
// works whether or not the service runs (it looks beside it, or asks it over its control socket).
// Leaves to others: what the commands do (control, verify, export, backup, facilities, server).
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>

#include "cloud/access.h"
#include "cloud/config.h"
#include "cloud/control.h"
#include "cloud/facilities.h"
#include "cloud/merge/read.h"

namespace egret::cloud::cli {

inline constexpr int kOk = 0;
inline constexpr int kFoundProblem = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnavailable = 69;
inline constexpr int kIo = 74;
inline constexpr int kTryLater = 75;
inline constexpr int kBadConfig = 78;

int main(int argc, char** argv);

using Chosen = std::function<int()>;
// Where the store is: --state-dir, or the configuration's.
struct Where {
  std::string config = "/etc/egret/cloud.toml", state_dir;
};
std::shared_ptr<Where> add_where(CLI::App* sub);
// nullopt after a complaint on stderr.
std::optional<std::filesystem::path> state_dir_of(const Where& where);
// With --state-dir on RocksDB there; else as the configuration says. nullopt after a complaint.
std::optional<StorePlace> store_of(const Where& where, int& code);
int complain(const Error& error);
// On a terminal, once it takes longer than two seconds: how far, and how long it will take.
std::function<void(uint64_t done, uint64_t all)> progress_bar();
// Who runs this command, for what is written down: --by, or the name of the account.
std::string who(const std::string& by);
// How the running service would look at its sites now, as far as the configuration can be read.
FacilitiesQuery facilities_query(const Where& where);
// Opens the store beside whoever has it. nullopt after a complaint.
std::optional<OpenedStore> look(const Where& where, int& code);
// Runs a control command here, or asks the running service. Prints the answer as it is, or `plain` when it went well.
int control(const Where& where, const std::string& name, const ControlArgs& args, bool json, const std::string& plain);

// Prints results one after the other; `walk` names them.
using WalkResults = std::function<Result<void>(const Kv&, const std::function<bool(const ResultName&)>&)>;
int list_results(const Where& where, bool json, const WalkResults& walk);

void add_init(CLI::App& app, Chosen& chosen);
void add_serve(CLI::App& app, Chosen& chosen);
void add_check_config(CLI::App& app, Chosen& chosen);
void add_facility(CLI::App& app, Chosen& chosen);
void add_token(CLI::App& app, Chosen& chosen);
void add_facilities(CLI::App& app, Chosen& chosen);
void add_completeness(CLI::App& app, Chosen& chosen);
void add_gaps(CLI::App& app, Chosen& chosen);
void add_quarantine(CLI::App& app, Chosen& chosen);
void add_incidents(CLI::App& app, Chosen& chosen);
void add_result(CLI::App& app, Chosen& chosen);
void add_worklist(CLI::App& app, Chosen& chosen);
void add_alerts(CLI::App& app, Chosen& chosen);
void add_changes(CLI::App& app, Chosen& chosen);
void add_quality(CLI::App& app, Chosen& chosen);
void add_recall(CLI::App& app, Chosen& chosen);
void add_erase(CLI::App& app, Chosen& chosen);
void add_patient(CLI::App& app, Chosen& chosen);
void add_live(CLI::App& app, Chosen& chosen);
void add_retention(CLI::App& app, Chosen& chosen);
void add_hold(CLI::App& app, Chosen& chosen);
void add_history(CLI::App& app, Chosen& chosen);
void add_audit(CLI::App& app, Chosen& chosen);
void add_remap(CLI::App& app, Chosen& chosen);
void add_restrict(CLI::App& app, Chosen& chosen);
void add_views(CLI::App& app, Chosen& chosen);
void add_logs(CLI::App& app, Chosen& chosen);
void add_verify(CLI::App& app, Chosen& chosen);
void add_export(CLI::App& app, Chosen& chosen);
void add_backup(CLI::App& app, Chosen& chosen);
void add_restore(CLI::App& app, Chosen& chosen);
void add_migrate(CLI::App& app, Chosen& chosen);

}  // namespace egret::cloud::cli
