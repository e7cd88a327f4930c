#include "agent/cli/doctor.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>

#include "agent/cli/cli.h"
#include "agent/cli/client.h"
#include "agent/phrases.h"
#include "schemas/log.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

const char* name_of(Level level) { return level == Level::ok ? "ok" : level == Level::warn ? "warn" : "fail"; }
Phrase phrase_of(Level level) { return level == Level::ok ? words::doctor_ok : level == Level::warn ? words::doctor_warn : words::doctor_fail; }

// Does the agent run, and has it the cloud's answer?
bool linked(const Config& config, Findings& f) {
  Where where;
  where.config = config.file.string();
  Ask ask;
  ask.path = "/v1/status";
  Result<Answer> agent = ask_agent(where, ask);
  if (!agent) return f.add("agent_silent", agent.error().text), false;
  bool link = agent->body.find("\"linked\":true") != std::string::npos;
  link ? f.add("agent_linked") : f.add("agent_not_linked");
  return link;
}

// The configuration, and what this server gives.
Findings look_at_base(const CheckedConfig& checked) {
  Findings f;
  for (const Mistake& mistake : checked.mistakes) f.add("config_mistake", text_of(mistake));
  if (!checked.mistakes.empty()) return f;
  f.add("config_ok", checked.config.file.string());
  look_at_state(checked.config, f);
  look_at_disk(checked.config, f);
  look_at_clock(f);
  return f;
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

void print(const Findings& f, Language in) {
  for (const Check& c : f.checks) {
    const std::string todo = c.todo(in);
    std::printf("%s\n", fmt::format("{:<4}  {:<10} {}{}{}", phrase_of(c.finding->level).in(in), c.finding->check, c.message(in), todo.empty() ? "" : "\n                 -> ", todo).c_str());
  }
}

}  // namespace

std::string Check::message(Language in) const { return filled(finding->message.in(in), values); }
std::string Check::todo(Language in) const { return finding->todo ? filled(finding->todo->in(in), values) : ""; }

bool Findings::failed() const {
  return std::ranges::any_of(checks, [](const Check& c) { return c.finding->level == Level::fail; });
}

Findings look_on_this_server(const CheckedConfig& checked) {
  Findings f = look_at_base(checked);
  if (checked.mistakes.empty()) look_at_certificates(checked.config, f);
  return f;
}

Findings examine(const CheckedConfig& checked, bool offline) {
  Findings f = look_at_base(checked);
  if (!checked.mistakes.empty()) return f;
  const Config& config = checked.config;
  bool has_link = linked(config, f);
  bool certificates = look_at_certificates(config, f);
  if (offline || !certificates || !reach_broker(config, f) || !agree_on_tls(config, f)) return f;
  has_link ? f.add("hello_by_agent") : call_the_cloud(config, f);
  return f;
}

std::string to_json(const Findings& f) {
  std::string out;
  for (const Check& c : f.checks) {
    out += fmt::format(R"({}{{"check":"{}","id":"{}","level":"{}","message":{},"todo":{}}})", out.empty() ? "" : ",", c.finding->check, c.finding->id, name_of(c.finding->level),
                       json_text(c.message(Language::english)), json_text(c.todo(Language::english)));
  }
  return "[" + out + "]";
}

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand(
      "doctor",
      "Looks at everything between this site and the cloud, and says what to do.\nExamples: "
      "egret-agent doctor; egret-agent doctor --offline; egret-agent doctor --json; egret-agent doctor --lang zh");
  auto file = std::make_shared<std::string>(kConfigDefault);
  auto json = std::make_shared<bool>(false), offline = std::make_shared<bool>(false);
  sub->add_option("--config", *file, "configuration file")->capture_default_str();
  sub->add_flag("--json", *json, "as a JSON array, in English, with an id for each finding");
  sub->add_flag("--offline", *offline, "only what can be seen on this server");
  auto lang = add_language(sub);
  sub->callback([&chosen, file, json, offline, lang] {
    chosen = [file, json, offline, lang] {
      set_log_level(LogLevel::off);
      const Findings f = examine(read_config(*file), *offline);
      if (*json) {
        std::printf("%s\n", to_json(f).c_str());
      } else {
        print(f, language_of(*lang));
      }
      return f.failed() ? kFoundProblem : kOk;
    };
  });
}

}  // namespace egret::agent::cli
