#include "tests/sim/shrink.h"

#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include "tests/sim/world.h"

namespace egret::sim {
namespace {

std::string invariant_of(const std::string& violation) {
  return violation.substr(0, violation.find(':'));
}

class Shrinker {
 public:
  Shrinker(Plan plan, const std::string& violation, double seconds)
      : plan_(std::move(plan)), invariant_(invariant_of(violation)),
        ends_(std::chrono::steady_clock::now() + std::chrono::milliseconds(int64_t(seconds * 1000))) {}

  Plan run() {
    for (size_t before = 0; before != plan_.deeds.size() && !over();) {
      before = plan_.deeds.size();
      drop_deeds();
    }
    for (size_t i = 0; i < kTurns; i++) attempt([&](Plan& p) { p.turns[i] = 0; });
    attempt([](Plan& p) { p.reconcilers = 1; });
    attempt([](Plan& p) { p.broker = BrokerKind::wild; });
    attempt([](Plan& p) { p.lying_disk = false; });
    attempt([](Plan& p) { p.evil_permille = 0; });
    attempt([](Plan& p) { p.drop_permille = 0; });
    attempt([](Plan& p) { p.repeat_permille = 0; });
    attempt([](Plan& p) { p.hold_permille = 0; });
    attempt([](Plan& p) { p.poison_permille = 0; });
    attempt([](Plan& p) { p.again_permille = 0; });
    attempt([](Plan& p) { p.unit_max = 1; });
    while (plan_.sites > 1 && attempt([](Plan& p) { lose_site(p); })) {}
    attempt([](Plan& p) { p.span_ms = p.deeds.empty() ? 1 : p.deeds.back().at_ms + 1; });
    drop_deeds();
    return plan_;
  }

 private:
  static void lose_site(Plan& p) {
    for (Planned& d : p.deeds) d.site %= p.sites;
    p.sites--;
    std::erase_if(p.deeds, [&](const Planned& d) { return d.site >= p.sites; });
  }
  bool over() const { return std::chrono::steady_clock::now() > ends_; }

  bool attempt(const std::function<void(Plan&)>& change) {
    if (over()) return false;
    Plan smaller = plan_;
    change(smaller);
    if (invariant_of(violation_of(smaller)) != invariant_) return false;
    plan_ = std::move(smaller);
    return true;
  }

  void drop_deeds() {
    for (size_t many = std::max<size_t>(plan_.deeds.size() / 2, 1); many > 0; many /= 2) {
      for (size_t at = 0; at < plan_.deeds.size() && !over();) {
        const bool gone = attempt([&](Plan& p) {
          const auto from = p.deeds.begin() + static_cast<ptrdiff_t>(at);
          p.deeds.erase(from, p.deeds.begin() + static_cast<ptrdiff_t>(std::min(at + many, p.deeds.size())));
        });
        if (!gone) at += many;
      }
    }
  }

  Plan plan_;
  std::string invariant_;
  std::chrono::steady_clock::time_point ends_;
};

}  // namespace

std::string violation_of(const Plan& plan) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    World world(plan, false);
    world.run();
    const std::string& text = world.journal().violation();
    const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(written ? 0 : 2);
  }
  ::close(ends[1]);
  std::string out;
  char chunk[4096];
  for (ssize_t n; (n = ::read(ends[0], chunk, sizeof(chunk))) > 0;) out.append(chunk, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return "the program: it ended by signal " + std::to_string(WTERMSIG(status));
  return out;
}

Plan shrink(Plan plan, const std::string& violation, double seconds) {
  return Shrinker(std::move(plan), violation, seconds).run();
}

}  // namespace egret::sim
