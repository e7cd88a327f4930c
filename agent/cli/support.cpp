#include "agent/support.h"

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "agent/cli/doctor.h"
#include "agent/host.h"
#include "agent/phrases.h"
#include "schemas/log.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

// What the running agent says of itself, or why it says nothing.
std::string ask_running(const std::string& config) {
  Where where;
  where.config = config;
  Ask ask;
  ask.path = "/v1/support";
  const Result<Answer> answer = ask_agent(where, ask);
  simdjson::dom::parser parser;
  simdjson::dom::element root, agent;
  if (answer && answer->status == 200 && parser.parse(simdjson::padded_string(answer->body)).get(root) == simdjson::SUCCESS && root["agent"].get(agent) == simdjson::SUCCESS) return simdjson::minify(agent);
  std::string out = "{\"not_asked\":";
  append_json_string(out, answer ? "the agent's answer is of another version" : answer.error().code == Errc::config ? "the configuration has mistakes" : answer.error().text);
  return out + "}";
}

// For its owner only, and never over a file that is there.
int write_new(const std::string& file, std::string_view text) {
  const int fd = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  bool written = fd >= 0;
  while (written && !text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    written = n > 0;
    if (written) text.remove_prefix(static_cast<size_t>(n));
  }
  const int why = errno;
  if (fd >= 0) ::close(fd);
  if (written) return kOk;
  std::fprintf(stderr, "%s: %s\n", file.c_str(), std::strerror(why));
  return kIo;
}

int support(const std::string& file, const std::string& config, bool offline, Language in) {
  set_log_level(LogLevel::off);
  const CheckedConfig checked = config_for_support(config);
  const std::string text = support_file(checked, to_json(examine(checked, offline)), ask_running(config), now().wall);
  if (file == "-") return std::printf("%s", text.c_str()) < 0 ? kIo : kOk;
  const int code = write_new(file, text);
  if (code == kOk) std::printf("%s\n", said(words::support_written, in, file).c_str());
  return code;
}

}  // namespace

void add_support(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("support", "Writes a file for whoever helps: what doctor finds, status, settings, versions, latest log lines; no patient data, no keys.\n"
                                            "Example: egret-agent support egret-support.json");
  auto file = std::make_shared<std::string>(), config = std::make_shared<std::string>(kConfigDefault);
  auto offline = std::make_shared<bool>(false);
  sub->add_option("file", *file, "a new file; - for the terminal")->required();
  sub->add_option("--config", *config, "configuration file")->capture_default_str();
  sub->add_flag("--offline", *offline, "without a look at the way to the cloud");
  auto lang = add_language(sub);
  sub->callback([&chosen, file, config, offline, lang] {
    chosen = [file, config, offline, lang] { return support(*file, *config, *offline, language_of(*lang)); };
  });
}

}  // namespace egret::agent::cli
