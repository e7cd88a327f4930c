#include "agent/status.h"

#include <unistd.h>

#include <cstdio>
#include <thread>

#include "agent/cli/client.h"
#include "agent/cli/cli.h"

namespace egret::agent::cli {
namespace {

int show_once(const Where& where, bool json, Language in) {
  Ask ask;
  ask.path = "/v1/status";
  Result<Answer> answer = ask_agent(where, ask);
  bool wrong = answer && answer->status != 200;
  if (!answer || wrong) {
    if (json) std::printf("{\"running\":%s}\n", wrong ? "true" : "false");
    std::fprintf(stderr, "%s\n", wrong ? error_text_of(*answer).c_str() : answer.error().text.c_str());
    return !answer && answer.error().code == Errc::config ? kBadConfig : kFoundProblem;
  }
  if (json) {
    std::printf("%s", answer->body.c_str());
    return kOk;
  }
  Result<std::string> text = status_text(answer->body, in);
  std::printf("%s", text ? text->c_str() : (text.error().text + "\n").c_str());
  return text ? kOk : kFoundProblem;
}

}  // namespace

void add_status(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("status", "Says in plain words how the agent stands.\nExamples: egret-agent status; egret-agent status --watch; egret-agent status --json; egret-agent status --lang zh");
  auto where = std::make_shared<Where>();
  auto json = std::make_shared<bool>(false), watch = std::make_shared<bool>(false);
  sub->add_option("--socket", where->socket, "the agent's unix socket");
  sub->add_option("--config", where->config, "configuration that names the socket")->capture_default_str();
  sub->add_flag("--json", *json, "as JSON");
  sub->add_flag("--watch", *watch, "again every second");
  auto lang = add_language(sub);
  sub->callback([&chosen, where, json, watch, lang] {
    chosen = [where, json, watch, lang] {
      for (;;) {
        if (*watch && !*json && ::isatty(STDOUT_FILENO)) std::printf("\033[H\033[2J");
        int code = show_once(*where, *json, language_of(*lang));
        std::fflush(stdout);
        if (!*watch) return code;
        std::this_thread::sleep_for(std::chrono::seconds(1));
      }
    };
  });
}

void add_queue(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("queue", "What is done by hand with the buffer.\nExample: egret-agent queue unpark")->require_subcommand(1);
  auto* unpark = sub->add_subcommand("unpark", "Sends parked blocks again now.\nExample: egret-agent queue unpark");
  auto where = std::make_shared<Where>();
  unpark->add_option("--socket", where->socket, "the agent's unix socket");
  unpark->add_option("--config", where->config, "configuration that names the socket")->capture_default_str();
  unpark->callback([&chosen, where] {
    chosen = [where] {
      Ask ask;
      ask.method = "POST";
      ask.path = "/v1/queue/unpark";
      Result<Answer> answer = ask_agent(*where, ask);
      if (!answer) {
        std::fprintf(stderr, "%s\n", answer.error().text.c_str());
        return answer.error().code == Errc::config ? kBadConfig : kUnavailable;
      }
      if (answer->status == 200) {
        std::printf("%s", answer->body.c_str());
        return kOk;
      }
      std::fprintf(stderr, "%s\n", error_text_of(*answer).c_str());
      return try_later(*answer) ? kTryLater : kFoundProblem;
    };
  });
}

}  // namespace egret::agent::cli
