#include <spdlog/fmt/fmt.h>

#include "agent/cli/config_file.h"
#include "schemas/record_json_syntax.h"

namespace egret::agent::cli {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

void add_check_config(CLI::App& app, Chosen& chosen) {
  auto* check = app.add_subcommand("check-config", "Says every mistake of a configuration file.\nExample: egret-agent check-config --config agent.toml --json");
  auto file = std::make_shared<std::string>(kConfigDefault);
  auto json = std::make_shared<bool>(false);
  check->add_option("--config", *file, "configuration file")->capture_default_str();
  check->add_flag("--json", *json, "mistakes as a JSON array");
  check->callback([&chosen, file, json] {
    chosen = [file, json] {
      CheckedConfig checked = read_config(*file);
      if (*json) {
        std::string out = "[";
        for (const Mistake& m : checked.mistakes) {
          out += fmt::format(R"({}{{"file":{},"line":{},"key":{},"value":{},"message":{}}})", out.size() > 1 ? "," : "", as_json(m.file), m.line,
                             as_json(m.key), as_json(m.value), as_json(m.message));
        }
        std::printf("%s]\n", out.c_str());
      } else {
        for (const Mistake& m : checked.mistakes) std::fprintf(stderr, "%s\n", text_of(m).c_str());
        if (checked.mistakes.empty()) std::printf("%s: ok\n", file->c_str());
      }
      return checked.mistakes.empty() ? kOk : kBadConfig;
    };
  });
}

}  // namespace egret::agent::cli
