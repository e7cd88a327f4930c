#include "tests/sim/plan_text.h"

#include <spdlog/fmt/fmt.h>

#include <functional>
#include <sstream>

namespace egret::sim {
namespace {

constexpr const char* kPolicies[] = {"default", "backup", "age", "commit"};

// Every number of a plan and its name, for the writer and the reader.
void each_number(Plan& p, const auto& see) {
  see("seed", p.seed);
  see("sites", p.sites);
  see("reconcilers", p.reconcilers);
  see("clones", p.clones);
  see("real_crypto", p.real_crypto);
  see("span_ms", p.span_ms);
  see("safe_age_ms", p.safe_age_ms);
  see("credit_queue", p.credit_queue);
  see("queue_max", p.queue_max);
  see("inflight_max", p.inflight_max);
  see("serve_ms", p.serve_ms);
  see("latency_ms", p.latency_ms);
  see("drop_permille", p.drop_permille);
  see("repeat_permille", p.repeat_permille);
  see("hold_permille", p.hold_permille);
  see("hold_ms", p.hold_ms);
  see("evil_permille", p.evil_permille);
  see("disk_ms", p.disk_ms);
  see("says_limit", p.says_limit);
  see("lying_disk", p.lying_disk);
  see("newer_sites", p.newer_sites);
  see("newer_region", p.newer_region);
  see("telemetry_permille", p.telemetry_permille);
  see("critical_permille", p.critical_permille);
  see("bulk_permille", p.bulk_permille);
  see("poison_permille", p.poison_permille);
  see("large_permille", p.large_permille);
  see("again_permille", p.again_permille);
  see("unit_max", p.unit_max);
}

const char* policy_name(cloud::SafePolicy policy) {
  return kPolicies[static_cast<size_t>(policy)];
}

template <class E>
bool find_name(const std::string& word, const char* (*name)(E), size_t count, E& out) {
  for (size_t i = 0; i < count; i++) {
    if (word != name(static_cast<E>(i))) continue;
    out = static_cast<E>(i);
    return true;
  }
  return false;
}

// "at 12.345 site 0 edge-crash chance 17"
bool read_deed(std::istream& in, Plan& plan) {
  double at_s = 0;
  std::string site, word, chance;
  Planned planned{};
  in >> at_s >> site >> planned.site >> word >> chance >> planned.chance;
  planned.at_ms = static_cast<int64_t>(at_s * 1000 + 0.5);
  if (!in || site != "site" || chance != "chance" || !find_name(word, &name_of, kDeeds, planned.deed)) return false;
  plan.deeds.push_back(planned);
  return true;
}

bool read_line(const std::string& line, Plan& plan) {
  std::istringstream in(line);
  std::string word, value;
  in >> word;
  if (word.empty() || word[0] == '#') return true;
  if (word == "at") return read_deed(in, plan);
  in >> value;
  if (word == "broker") return find_name(value, &name_of, static_cast<size_t>(BrokerKind::count_), plan.broker);
  if (word == "safe") return find_name(value, &policy_name, std::size(kPolicies), plan.safe);
  if (word == "turn") {
    Turn turn{};
    return find_name(value, &name_of, kTurns, turn) && (in >> plan.turns[static_cast<size_t>(turn)]);
  }
  bool known = false;
  each_number(plan, [&](const char* name, auto& number) {
    if (word != name) return;
    known = bool(std::istringstream(value) >> number);
  });
  return known;
}

}  // namespace

std::string text_of(const Plan& plan) {
  std::string out = fmt::format("broker {}\nsafe {}\n", name_of(plan.broker), policy_name(plan.safe));
  Plan copy = plan;
  each_number(copy, [&](const char* name, const auto& number) {
    if (number != 0) out += fmt::format("{} {}\n", name, static_cast<uint64_t>(number));
  });
  for (size_t i = 0; i < kTurns; i++) {
    if (plan.turns[i] > 0) out += fmt::format("turn {} {}\n", name_of(static_cast<Turn>(i)), plan.turns[i]);
  }
  for (const Planned& p : plan.deeds) {
    out += fmt::format("at {}.{:03} site {} {} chance {}\n", p.at_ms / 1000, p.at_ms % 1000, p.site % plan.sites, name_of(p.deed), p.chance);
  }
  return out;
}

Result<Plan> read_plan(const std::string& text) {
  Plan plan;
  plan.queue_max = plan.inflight_max = plan.credit_queue = 0;
  plan.sites = plan.reconcilers = plan.unit_max = 1;
  std::istringstream in(text);
  std::string line;
  for (size_t n = 1; std::getline(in, line); n++) {
    if (!read_line(line, plan)) return Error{Errc::bad_input, fmt::format("scenario, line {}: \"{}\" is not understood", n, line)};
  }
  return plan;
}

}  // namespace egret::sim
