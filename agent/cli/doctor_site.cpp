#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "agent/certificate.h"
#include "agent/cli/doctor.h"
#include "agent/host.h"
#include "agent/keys.h"
#include "schemas/limits.h"

namespace egret::agent::cli {
namespace {

constexpr int64_t kClockErrorMsMax = 1'000;
constexpr int64_t kCertificateDaysMin = 14;

// Why nothing can be written into `dir`; empty: it can. A trial, for permissions are not all of it.
std::string unwritable(const std::filesystem::path& dir) {
  std::filesystem::path trial = dir / fmt::format(".doctor-{}", ::getpid());
  int fd = ::open(trial.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  bool written = fd >= 0 && ::write(fd, "trial", 5) == 5 && ::fsync(fd) == 0;
  std::string why = written ? "" : std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (fd >= 0) ::unlink(trial.c_str());
  return why;
}

// Whole days until a PEM certificate ends, negative afterwards; nullopt: it cannot be read.
std::optional<int64_t> days_left(const std::filesystem::path& file) {
  constexpr int64_t kDayS = 24 * 3600;
  const std::optional<int64_t> end = certificate_end(file);
  if (!end) return std::nullopt;
  const int64_t left_s = *end - std::time(nullptr);
  return left_s < 0 ? left_s / kDayS - 1 : left_s / kDayS;
}

void look_at_site_key(const Config& config, Findings& f) {
  Result<SitePrivateKey> key = read_site_key(config.site_key_file);
  if (key) return f.ok("site_key", "public key " + hex(view(key->public_key().point)));
  f.fail("site_key", key.error().text,
         "run egret-agent init for a new one, or put the key back with mode 600");
}

}  // namespace

bool Findings::failed() const {
  for (const Check& c : checks) {
    if (std::string_view(c.level) == "fail") return true;
  }
  return false;
}

void look_at_state(const Config& config, Findings& f) {
  std::string dir = config.state_dir.string();
  struct stat st{};
  if (::stat(dir.c_str(), &st) != 0) {
    f.fail("state_dir", fmt::format("{}: {}", dir, std::strerror(errno)),
           "run egret-agent init, or name another folder in state_dir");
  } else if (!S_ISDIR(st.st_mode)) {
    f.fail("state_dir", dir + ": is not a folder", "name a folder in state_dir");
  } else if (std::string why = unwritable(config.state_dir); !why.empty()) {
    f.fail("state_dir", fmt::format("{}: cannot be written to: {}", dir, why),
           fmt::format("run this as the agent's user; chown it to that user; or make its file "
                       "system writable (now owner {}, mode {:o})",
                       st.st_uid, st.st_mode & 07777));
  } else if ((st.st_mode & 0077) != 0) {
    f.warn("state_dir", dir + ": others may look into it", "chmod 700 " + dir);
  } else {
    f.ok("state_dir", dir);
  }
  look_at_site_key(config, f);
}

void look_at_disk(const Config& config, Findings& f) {
  std::error_code failed;
  std::filesystem::space_info space = std::filesystem::space(config.state_dir, failed);
  uint64_t budget = static_cast<uint64_t>(config.buffer.budget_mb) * kMiB;
  std::string text = fmt::format("{} MiB free, the budget is {} MiB", space.available / kMiB,
                                 config.buffer.budget_mb);
  if (failed) {
    f.fail("disk", "free space of the state folder is not known: " + failed.message(),
           "check that the folder is there");
  } else if (space.available < kReserveBytes) {
    f.fail("disk", text, "make room on this file system");
  } else if (space.available < budget) {
    f.warn("disk", text, "make room, or lower buffer.budget_mb");
  } else {
    f.ok("disk", text);
  }
}

void look_at_clock(Findings& f) {
  constexpr const char* kAdvice =
      "enable systemd-timesyncd or chrony; times are repaired later, nothing is lost";
  ClockTrust clock = clock_trust();
  if (!clock.synced) return f.warn("clock", "not synchronised", kAdvice);
  std::string text = fmt::format("synchronised, off by at most {} ms", clock.error_ms);
  clock.error_ms <= kClockErrorMsMax ? f.ok("clock", text) : f.warn("clock", text, kAdvice);
}

bool look_at_certificates(const Config& config, Findings& f) {
  bool usable = true;
  for (const auto& [name, file] : {std::pair{"broker.ca_file", config.broker.ca_file},
                                   std::pair{"broker.cert_file", config.broker.cert_file}}) {
    if (file.empty()) continue;
    std::optional<int64_t> days = days_left(file);
    usable = usable && days && *days >= 0;
    if (!days) {
      f.fail("tls", fmt::format("{}: {}: no certificate can be read there", name, file.string()),
             "put the PEM file there, readable for the agent's user");
    } else if (*days < 0) {
      f.fail("tls", fmt::format("{}: has ended", name),
             "renew it, or set this server's clock if that is wrong");
    } else if (*days < kCertificateDaysMin) {
      f.warn("tls", fmt::format("{}: ends in {} days", name, *days), "renew it");
    } else {
      f.ok("tls", fmt::format("{}: good for {} days", name, *days));
    }
  }
  return usable;
}

}  // namespace egret::agent::cli
