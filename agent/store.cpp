#include "agent/store.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "agent/attempts.h"
#include "edge/kv_options.h"
#include "edge/unnamed.h"
#include "schemas/durable_file.h"
#include "schemas/limits.h"

namespace egret::agent {
namespace {

using std::filesystem::path;

constexpr const char* kDamaged = "store.damaged-";
constexpr const char* kSalvaged = "store.salvaged-";
constexpr const char* kUnreadable = "store.unreadable-";

// store.damaged-N gets another name, for good.
Result<path> renamed(const path& damaged, const char* prefix) {
  const std::string number = damaged.filename().string().substr(std::string(kDamaged).size());
  const path to = damaged.parent_path() / (prefix + number);
  std::error_code failed;
  std::filesystem::rename(damaged, to, failed);
  if (failed) return Error{Errc::store_failed, fmt::format("{}: cannot be renamed: {}", damaged.string(), failed.message())};
  if (Result<void> synced = sync_folder(to.parent_path()); !synced) return synced.error();
  return to;
}

Result<OpenStore> open_in(const path& dir, const Config& config, Entropy& entropy) {
  OpenStore store;
  KvOptions options = edge::kv_options(dir);
  // A small budget must not be filled by the log of what is in tables already: the reserve lies above it.
  size_t budget = static_cast<size_t>(config.buffer.budget_mb) * kMiB;
  options.log_bytes_max = std::min(options.log_bytes_max, std::max(kReclaimLogBytes, budget / 8));
  options.doubt = true;
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(options);
  if (!kv) return kv.error();
  store.kv = std::move(*kv);
  if (Result<void> whole = edge::nothing_missed(*store.kv, config.facility); !whole) return whole.error();
  believe(*store.kv);
  Result<std::unique_ptr<edge::Buffer>> buffer = edge::Buffer::open(*store.kv, config.facility, entropy);
  if (!buffer) return buffer.error();
  store.buffer = std::move(*buffer);
  return store;
}

}  // namespace

Result<OpenStore> open_agent_store(const Config& config, Entropy& entropy, WallTime now, bool distrust) {
  path dir = config.state_dir / "store";
  Attempts opening(config.state_dir / "store.attempts");
  Result<OpenStore> store = distrust           ? Error{Errc::corrupt, "it opens and fails again and again"}
                            : !opening.begin() ? Error{Errc::corrupt, "opening it ends the agent each time"}
                                               : open_in(dir, config, entropy);
  opening.ended();
  if (store || store.error().code != Errc::corrupt) return store;
  // One that was set aside within the same second keeps its name.
  int64_t second = now.us / 1'000'000;
  auto taken = [&](const char* prefix) { return std::filesystem::exists(config.state_dir / fmt::format("{}{}", prefix, second)); };
  while (taken(kDamaged) || taken(kSalvaged) || taken(kUnreadable)) second++;
  path aside = config.state_dir / fmt::format("{}{}", kDamaged, second);
  std::error_code failed;
  std::filesystem::rename(dir, aside, failed);
  if (failed) return Error{Errc::store_failed, fmt::format("{}: cannot be set aside: {}", dir.string(), failed.message())};
  Result<OpenStore> fresh = open_in(dir, config, entropy);
  if (!fresh) return fresh;
  fresh->set_aside = aside;
  fresh->why = store.error().text;
  return fresh;
}

std::optional<path> oldest_damaged_store(const path& state_dir) {
  std::optional<path> oldest;
  std::error_code failed;
  for (std::filesystem::directory_iterator it(state_dir, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kDamaged) || !it->is_directory(failed)) continue;
    if (name.find_first_not_of("0123456789", std::string(kDamaged).size()) != std::string::npos) continue;
    if (!oldest || it->path() < *oldest) oldest = it->path();
  }
  return oldest;
}

Result<path> mark_salvaged(const path& damaged) {
  return renamed(damaged, kSalvaged);
}

Result<path> mark_unreadable(const path& damaged) {
  return renamed(damaged, kUnreadable);
}

Result<void> make_ballast(const path& state_dir) {
  path file = state_dir / "ballast";
  int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return Error{Errc::store_failed, "the ballast file cannot be made"};
  int failed = ::posix_fallocate(fd, 0, static_cast<off_t>(kBallastBytes));
  ::close(fd);
  if (failed == 0) return {};
  ::unlink(file.c_str());
  return Error{Errc::disk_full, "the disk has no room for the ballast file"};
}

void release_ballast(const path& state_dir) {
  std::error_code ignored;
  std::filesystem::remove(state_dir / "ballast", ignored);
}

bool has_ballast(const path& state_dir) {
  std::error_code failed;
  return std::filesystem::file_size(state_dir / "ballast", failed) == kBallastBytes && !failed;
}

}  // namespace egret::agent
