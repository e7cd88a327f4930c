#include "agent/cli/doctor.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdio>

#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

// Does the agent run, and has it the cloud's answer?
bool linked(const Config& config, Findings& f) {
  Where where;
  where.config = config.file.string();
  Ask ask;
  ask.path = "/v1/status";
  Result<Answer> agent = ask_agent(where, ask);
  if (!agent) {
    f.warn("agent", agent.error().text, "systemctl start egret-agent");
    return false;
  }
  bool link = agent->body.find("\"linked\":true") != std::string::npos;
  f.ok("agent", link ? "runs and is linked to the cloud" : "runs, and has no link");
  return link;
}

void examine(const Config& config, bool offline, Findings& f) {
  look_at_state(config, f);
  look_at_disk(config, f);
  look_at_clock(f);
  bool has_link = linked(config, f);
  bool certificates = look_at_certificates(config, f);
  if (offline || !certificates || !reach_broker(config, f) || !agree_on_tls(config, f)) return;
  if (has_link) return f.ok("hello", "the running agent has the cloud's answer");
  call_the_cloud(config, f);
}

int print(const Findings& f, bool json) {
  auto quoted = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  std::string out = "[";
  for (const Check& c : f.checks) {
    if (!json) {
      std::printf("%-4s  %-10s %s%s%s\n", c.level, c.name, c.message.c_str(),
                  c.todo.empty() ? "" : "\n                 -> ", c.todo.c_str());
    }
    out +=
        fmt::format(R"({}{{"check":"{}","level":"{}","message":{},"todo":{}}})",
                    out.size() > 1 ? "," : "", c.name, c.level, quoted(c.message), quoted(c.todo));
  }
  if (json) std::printf("%s]\n", out.c_str());
  return f.failed() ? kFoundProblem : kOk;
}

}  // namespace

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand(
      "doctor",
      "Looks at everything between this site and the cloud, and says what to do.\nExamples: "
      "egret-agent doctor; egret-agent doctor --offline; egret-agent doctor --json");
  auto file = std::make_shared<std::string>(kConfigDefault);
  auto json = std::make_shared<bool>(false), offline = std::make_shared<bool>(false);
  sub->add_option("--config", *file, "configuration file")->capture_default_str();
  sub->add_flag("--json", *json, "as a JSON array");
  sub->add_flag("--offline", *offline, "only what can be seen on this server");
  sub->callback([&chosen, file, json, offline] {
    chosen = [file, json, offline] {
      spdlog::set_level(spdlog::level::off);
      Findings f;
      CheckedConfig checked = read_config(*file);
      for (const Mistake& m : checked.mistakes) f.fail("config", text_of(m), "mend that line");
      if (checked.mistakes.empty()) {
        f.ok("config", *file);
        examine(checked.config, *offline, f);
      }
      return print(f, *json);
    };
  });
}

}  // namespace egret::agent::cli
