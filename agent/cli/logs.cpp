#include "agent/cli/cli.h"
#include "agent/log.h"

namespace egret::agent::cli {

void add_logs(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("logs", "What the agent writes into its log, and what it means. The log itself: journalctl -u egret-agent.\n"
                                         "Examples: egret-agent logs; egret-agent logs --explain store_failed; egret-agent logs --list --json");
  auto id = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  sub->add_option("--explain", *id, "what this event means, and what to do");
  sub->add_flag("--list")->description("every event: what is told without --explain, too");
  sub->add_flag("--json", *json, "as JSON, in English");
  auto lang = add_language(sub);
  sub->callback([&chosen, id, json, lang] {
    chosen = [id, json, lang] {
      const LogEvent* event = find_event(kEvents, *id);
      if (!id->empty() && event == nullptr) {
        std::fprintf(stderr, "%s: no such event; egret-agent logs lists them\n", id->c_str());
        return kUsage;
      }
      const std::span<const LogEvent> asked = event != nullptr ? std::span(event, 1) : std::span(kEvents);
      const Language in = language_of(*lang);
      std::printf("%s", (*json ? list_json(asked) : event != nullptr ? explained(*event, in) : list_text(asked, in)).c_str());
      return kOk;
    };
  });
}

}  // namespace egret::agent::cli
