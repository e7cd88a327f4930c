// verify-statement: what the region says it has of this site, proven from the site's own store.
#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <fstream>

#include "agent/cli/config_file.h"
#include "agent/keys.h"
#include "agent/statement.h"
#include "edge/kv_options.h"
#include "edge/look.h"
#include "schemas/entropy.h"
#include "schemas/kv_rocksdb.h"

namespace egret::agent::cli {
namespace {

struct Options {
  std::string file, key, config = kConfigDefault;
  bool json = false;
};
struct Looked {
  std::unique_ptr<Kv> kv;
  std::unique_ptr<edge::Buffer> buffer;
};

int say(const Error& error, int code) {
  std::fprintf(stderr, "%s\n", error.text.c_str());
  return code;
}

Result<Bytes> read_file(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error{Errc::not_found, file + ": cannot be read"};
  Bytes out(kStatementBytesMax + 1, '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  out.resize(static_cast<size_t>(in.gcount()));
  return out;
}

Result<Looked> look(const Config& config, Entropy& entropy) {
  KvOptions options = edge::kv_options(config.state_dir / "store");
  if (!std::filesystem::exists(options.dir / "CURRENT")) return Error{Errc::not_found, options.dir.string() + ": no store there"};
  options.read_only = true;
  Looked out;
  // Beside the agent a file may go while it is being opened: then a second look finds its successor.
  auto kv = open_rocksdb(options);
  for (int again = 0; !kv && again < 5 && kv.error().code == Errc::store_failed; again++) kv = open_rocksdb(options);
  if (!kv) return kv.error();
  out.kv = std::move(*kv);
  auto buffer = edge::look(*out.kv, config.facility, entropy);
  if (!buffer) return buffer.error();
  out.buffer = std::move(*buffer);
  return out;
}

void print_json(const Statement& statement, const StatementCheck& check) {
  std::string rows;
  for (const RowCheck& row : check.rows) {
    rows += fmt::format(R"({}{{"epoch":"{:016x}","stream":"{}","complete_to":{},"verdict":"{}","lacks":{}}})", rows.empty() ? "" : ",", row.key.epoch.value, name_of(row.key.stream),
                        row.complete_to.value, name_of(row.verdict), row.lacks);
  }
  std::printf("%s\n", fmt::format(R"({{"facility":"{}","made_us":{},"holds":{},"lacks":{},"rows":[{}]}})", statement.fac, statement.made.us, check.holds(), check.lacks, rows).c_str());
}

void print_text(const StatementCheck& check) {
  size_t proven = 0, forgotten = 0;
  for (const RowCheck& row : check.rows) {
    proven += row.verdict == RowVerdict::proven;
    forgotten += row.verdict == RowVerdict::forgotten;
    if (row.verdict == RowVerdict::proven || row.verdict == RowVerdict::forgotten) continue;
    std::printf("%016llx %s: complete to %llu: %s\n", static_cast<unsigned long long>(row.key.epoch.value), name_of(row.key.stream),
                static_cast<unsigned long long>(row.complete_to.value), name_of(row.verdict));
  }
  std::printf("%s: %zu streams proven, %zu older than what is kept here; %llu records of this site are not in the statement\n", check.holds() ? "the statement holds" : "the statement does NOT hold",
              proven, forgotten, static_cast<unsigned long long>(check.lacks));
}

int verify_statement(const Options& o) {
  const auto key = key_of_hex(o.key);
  if (!key) return say({Errc::bad_input, "--key: 64 hexadecimal digits, as egret-cloud init prints the region's statement key"}, kUsage);
  const auto config = config_or_complain(o.config);
  if (!config) return kBadConfig;
  const auto file = read_file(o.file);
  if (!file) return say(file.error(), kIo);
  const auto opened = open_statement(*file, SitePublicKey{*key});
  if (!opened) return say(opened.error(), kFoundProblem);
  OsEntropy entropy;
  const auto looked = look(*config, entropy);
  if (!looked) return say(looked.error(), looked.error().code == Errc::newer_format || looked.error().code == Errc::config ? kBadConfig : kIo);
  const auto check = check_statement(opened->statement, config->facility, looked->buffer->view(), *looked->buffer);
  if (!check) return say(check.error(), kFoundProblem);
  if (looked->buffer->failed()) return say(looked->buffer->failure(), kIo);
  if (o.json) {
    print_json(opened->statement, *check);
  } else {
    print_text(*check);
  }
  return check->holds() ? kOk : kFoundProblem;
}

}  // namespace

void add_verify_statement(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("verify-statement", "Checks what the region has signed about this site, against the site's own store; no link is needed, the agent may run.\n"
                                                     "Example: egret-agent verify-statement clinic-7.statement --key HEX");
  auto o = std::make_shared<Options>();
  sub->add_option("file", o->file, "as egret-cloud completeness --statement wrote it")->required();
  sub->add_option("--key", o->key, "the region's statement key, 64 hex digits")->required();
  sub->add_option("--config", o->config, "configuration file")->capture_default_str();
  sub->add_flag("--json", o->json, "each stream with its verdict, as JSON");
  sub->callback([&chosen, o] { chosen = [o] { return verify_statement(*o); }; });
}

}  // namespace egret::agent::cli
