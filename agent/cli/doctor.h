// Doctor: what is looked at between this site and the cloud.
// Promises: each look says what is so, and when it is not well, what to do; nothing is changed.
// Leaves to others: what is said (doctor_words.h), which looks, in which order, and how they are shown (doctor.cpp).
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <type_traits>
#include <vector>

#include "agent/cli/doctor_words.h"
#include "agent/config.h"

namespace egret::agent::cli {

struct Check {
  const Finding* finding = nullptr;
  std::vector<std::string> values;
  std::string message(Language in) const;
  std::string todo(Language in) const;  // empty: nothing
};

// What the first argument of add() turns into: a row of kFindings, or it does not compile.
template <class... Args>
struct FindingNamed {
  consteval FindingNamed(const char* id) {
    for (const Finding& one : kFindings) {
      if (std::string_view(one.id) == id) finding = &one;
    }
    if (finding == nullptr) throw "no such finding in kFindings";
    if (finding->values() != static_cast<int>(sizeof...(Args))) throw "as many values as it has places";
  }
  const Finding* finding = nullptr;
};

class Findings {
 public:
  std::vector<Check> checks;
  template <class... Args>
  void add(FindingNamed<std::type_identity_t<Args>...> what, const Args&... values) {
    checks.push_back({what.finding, {fmt::format("{}", values)...}});
  }
  void add(const Findings& others) { checks.insert(checks.end(), others.checks.begin(), others.checks.end()); }
  bool failed() const;
};

// ---- on this server (doctor_site.cpp) ----
void look_at_state(const Config& config, Findings& f);
void look_at_disk(const Config& config, Findings& f);
void look_at_clock(Findings& f);
bool look_at_certificates(const Config& config, Findings& f);  // false: one cannot be used

// ---- on the way to the cloud (doctor_road.cpp); false: what comes behind makes no sense ----
bool reach_broker(const Config& config, Findings& f);    // dns, tcp
bool agree_on_tls(const Config& config, Findings& f);    // tls, with mqtts only
void call_the_cloud(const Config& config, Findings& f);  // login, hello

// The file, and what is on this server.
Findings look_on_this_server(const CheckedConfig& checked);
// All of it; `offline`: only what can be seen on this server.
Findings examine(const CheckedConfig& checked, bool offline);
// [{"check","id","level","message","todo"}], in English.
std::string to_json(const Findings& findings);

}  // namespace egret::agent::cli
