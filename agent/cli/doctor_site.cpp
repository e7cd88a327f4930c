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
  key ? f.add("site_key_ok", hex(view(key->public_key().point))) : f.add("site_key_unusable", key.error().text);
}

}  // namespace

void look_at_state(const Config& config, Findings& f) {
  std::string dir = config.state_dir.string();
  struct stat st{};
  if (::stat(dir.c_str(), &st) != 0) {
    f.add("state_dir_missing", dir, std::strerror(errno));
  } else if (!S_ISDIR(st.st_mode)) {
    f.add("state_dir_no_folder", dir);
  } else if (std::string why = unwritable(config.state_dir); !why.empty()) {
    f.add("state_dir_not_writable", dir, why, st.st_uid, fmt::format("{:o}", st.st_mode & 07777));
  } else if ((st.st_mode & 0077) != 0) {
    f.add("state_dir_open", dir);
  } else {
    f.add("state_dir_ok", dir);
  }
  look_at_site_key(config, f);
}

void look_at_disk(const Config& config, Findings& f) {
  std::error_code failed;
  std::filesystem::space_info space = std::filesystem::space(config.state_dir, failed);
  const int64_t budget = config.buffer.budget_mb;
  const uint64_t free = space.available / kMiB;
  if (failed) {
    f.add("disk_unknown", failed.message());
  } else if (space.available < kReserveBytes) {
    f.add("disk_full", free, budget);
  } else if (space.available < static_cast<uint64_t>(budget) * kMiB) {
    f.add("disk_below_budget", free, budget);
  } else {
    f.add("disk_ok", free, budget);
  }
}

void look_at_clock(Findings& f) {
  ClockTrust clock = clock_trust();
  if (!clock.synced) return f.add("clock_unsynchronised");
  clock.error_ms <= kClockErrorMsMax ? f.add("clock_ok", clock.error_ms) : f.add("clock_off", clock.error_ms);
}

bool look_at_certificates(const Config& config, Findings& f) {
  bool usable = true;
  for (const auto& [name, file] : {std::pair{"broker.ca_file", config.broker.ca_file},
                                   std::pair{"broker.cert_file", config.broker.cert_file}}) {
    if (file.empty()) continue;
    std::optional<int64_t> days = days_left(file);
    usable = usable && days && *days >= 0;
    if (!days) {
      f.add("certificate_unreadable", name, file.string());
    } else if (*days < 0) {
      f.add("certificate_ended", name);
    } else if (*days < kCertificateDaysMin) {
      f.add("certificate_ends_soon", name, *days);
    } else {
      f.add("certificate_ok", name, *days);
    }
  }
  return usable;
}

}  // namespace egret::agent::cli
