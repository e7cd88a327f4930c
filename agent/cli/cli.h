// Cli: the commands of egret-agent, one file each.
// Promises: results on stdout, everything else on stderr; exit codes below; each --help shows an
// example. Leaves to others: what the commands do with records (daemon), the formats they print
// (status).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace egret::agent::cli {

// What a script can tell apart. From 64 on: sysexits(3).
inline constexpr int kOk = 0;
inline constexpr int kFoundProblem = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnavailable = 69;  // EX_UNAVAILABLE: the agent does not answer
inline constexpr int kIo = 74;           // EX_IOERR
inline constexpr int kTryLater = 75;     // EX_TEMPFAIL
inline constexpr int kBadConfig = 78;    // EX_CONFIG, also a store of a newer program

inline constexpr const char* kConfigDefault = "/etc/egret/agent.toml";

int main(int argc, char** argv);

// --lang of a command that speaks both languages; language_of() takes what it holds.
std::shared_ptr<std::string> add_language(CLI::App* sub);

// Each adds its subcommand to `app`; `chosen` is what main runs when it was named.
using Chosen = std::function<int()>;
void add_run(CLI::App& app, Chosen& chosen);
void add_init(CLI::App& app, Chosen& chosen);
void add_status(CLI::App& app, Chosen& chosen);
void add_put(CLI::App& app, Chosen& chosen);
void add_check_config(CLI::App& app, Chosen& chosen);
void add_doctor(CLI::App& app, Chosen& chosen);
void add_queue(CLI::App& app, Chosen& chosen);
void add_support(CLI::App& app, Chosen& chosen);
void add_logs(CLI::App& app, Chosen& chosen);
void add_verify_statement(CLI::App& app, Chosen& chosen);

}  // namespace egret::agent::cli
