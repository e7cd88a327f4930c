#include "agent/store.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "schemas/limits.h"

namespace egret::agent {
namespace {

using std::filesystem::path;

Result<OpenStore> open_in(const path& dir, const Facility& fac, Entropy& entropy) {
  OpenStore store;
  Result<std::unique_ptr<Kv>> kv = open_rocksdb(agent_kv_options(dir));
  if (!kv) return kv.error();
  store.kv = std::move(*kv);
  Result<std::unique_ptr<edge::Buffer>> buffer = edge::Buffer::open(*store.kv, fac, entropy);
  if (!buffer) return buffer.error();
  store.buffer = std::move(*buffer);
  return store;
}

}  // namespace

KvOptions agent_kv_options(const path& dir) {
  KvOptions options;
  options.dir = dir;
  options.spaces = edge::kEdgeSpaces;
  options.compress = false;  // blocks are compressed when they are made
  return options;
}

Result<OpenStore> open_agent_store(const Config& config, Entropy& entropy, WallTime now) {
  path dir = config.state_dir / "store";
  Result<OpenStore> store = open_in(dir, config.facility, entropy);
  if (store || store.error().code != Errc::corrupt) return store;
  path aside = config.state_dir / fmt::format("store.damaged-{}", now.us / 1'000'000);
  std::error_code failed;
  std::filesystem::rename(dir, aside, failed);
  if (failed) return Error{Errc::store_failed, fmt::format("{}: cannot be set aside: {}", dir.string(), failed.message())};
  Result<OpenStore> fresh = open_in(dir, config.facility, entropy);
  if (!fresh) return fresh;
  fresh->set_aside = aside;
  fresh->why = store.error().text;
  return fresh;
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
