// Doctor: what is looked at between this site and the cloud.
// Promises: each look says what is so, and when it is not well, what to do; nothing is changed.
// Leaves to others: which looks, in which order, and how they are shown (doctor.cpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"

namespace egret::agent::cli {

struct Check {
  const char* name;
  const char* level;  // ok, warn, fail
  std::string message, todo;
};

class Findings {
 public:
  std::vector<Check> checks;
  void ok(const char* name, std::string message) {
    checks.push_back({name, "ok", std::move(message), ""});
  }
  void warn(const char* name, std::string message, std::string todo) {
    checks.push_back({name, "warn", std::move(message), std::move(todo)});
  }
  void fail(const char* name, std::string message, std::string todo) {
    checks.push_back({name, "fail", std::move(message), std::move(todo)});
  }
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

}  // namespace egret::agent::cli
