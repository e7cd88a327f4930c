#include "cloud/cli/cli.h"
#include "cloud/log.h"

namespace egret::cloud::cli {

void add_logs(CLI::App& app, Chosen& chosen) {
  auto* sub = app.add_subcommand("logs", "What the service writes into its log, and what it means. The log itself: journalctl -u egret-cloud.\n"
                                         "Examples: egret-cloud logs; egret-cloud logs --explain store_lost; egret-cloud logs --list --json");
  auto id = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  sub->add_option("--explain", *id, "what this event means, and what to do");
  sub->add_flag("--list")->description("every event: what is told without --explain, too");
  sub->add_flag("--json", *json, "as JSON");
  sub->callback([&chosen, id, json] {
    chosen = [id, json] {
      const LogEvent* event = find_event(kEvents, *id);
      if (!id->empty() && event == nullptr) {
        std::fprintf(stderr, "%s: no such event; egret-cloud logs lists them\n", id->c_str());
        return kUsage;
      }
      const std::span<const LogEvent> asked = event != nullptr ? std::span(event, 1) : std::span(kEvents);
      std::printf("%s", (*json ? list_json(asked) : event != nullptr ? explained(*event, Language::english) : list_text(asked, Language::english)).c_str());
      return kOk;
    };
  });
}

}  // namespace egret::cloud::cli
