#include "schemas/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace egret {
namespace {

namespace fs = std::filesystem;

Error failed(const fs::path& path, const char* doing) {
  const int why = errno;
  const Errc code = why == ENOSPC || why == EDQUOT ? Errc::disk_full
                    : why == ENOENT                ? Errc::not_found
                    : why == EEXIST                ? Errc::conflict
                                                   : Errc::store_failed;
  return {code, fmt::format("{}: {}: {}", path.string(), doing, std::strerror(why))};
}

// A file or folder that is open until the end of the block.
class Open {
 public:
  Open(const fs::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Open() {
    if (fd_ >= 0) ::close(fd_);
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Result<void> sync_path(const fs::path& path) {
  const Open open(path, O_RDONLY);
  if (!open || ::fsync(open.fd()) != 0) return failed(path, "cannot be synced");
  return {};
}

bool write_all(int fd, ByteView text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Where a file system cannot refuse to replace, looking first has to do.
int rename_to_new(const fs::path& from, const fs::path& to) {
  const int done = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (done == 0 || (errno != EINVAL && errno != ENOSYS)) return done;
  if (::access(to.c_str(), F_OK) == 0) {
    errno = EEXIST;
    return -1;
  }
  return ::rename(from.c_str(), to.c_str());
}

fs::path folder_of(const fs::path& path) {
  return fs::absolute(path).parent_path();
}

// Written beside, synced, then renamed by `place`: 0, or errno says why not.
template <typename Place>
Result<void> put_file(const fs::path& file, ByteView text, mode_t mode, Place place) {
  const fs::path fresh = file.string() + ".new";
  {
    const Open open(fresh, O_WRONLY | O_CREAT | O_TRUNC, mode);
    // One that a power cut left may have other permissions.
    const bool written = open && ::fchmod(open.fd(), mode) == 0 && write_all(open.fd(), text) &&
                         ::fsync(open.fd()) == 0;
    if (!written) return failed(file, "cannot be written");
  }
  if (place(fresh, file) != 0) {
    Error error = failed(file, "cannot be put in place");
    ::unlink(fresh.c_str());
    return error;
  }
  return sync_folder(folder_of(file));
}

}  // namespace

Result<void> sync_folder(const fs::path& folder) {
  return sync_path(folder.empty() ? fs::path(".") : folder);
}

Result<void> sync_tree(const fs::path& folder) {
  std::error_code gone;
  for (fs::directory_iterator it(folder, gone), end; !gone && it != end; it.increment(gone)) {
    const bool below = it->is_directory(gone) && !it->is_symlink(gone);
    if (!below && !it->is_regular_file(gone)) continue;
    if (auto synced = below ? sync_tree(it->path()) : sync_path(it->path()); !synced) return synced;
  }
  if (auto synced = sync_path(folder); !synced) return synced;
  return sync_folder(folder_of(folder));
}

Result<void> make_folder(const fs::path& folder, mode_t mode) {
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return {};
  const fs::path above = folder_of(folder);
  if (auto made = make_folder(above, 0755); !made) return made;
  const bool made = ::mkdir(folder.c_str(), mode) == 0 && ::chmod(folder.c_str(), mode) == 0;
  if (!made) return failed(folder, "cannot be made");
  return sync_folder(above);
}

Result<void> make_file(const fs::path& file, ByteView text, mode_t mode) {
  return put_file(file, text, mode, rename_to_new);
}

Result<void> replace_file(const fs::path& file, ByteView text, mode_t mode) {
  return put_file(file, text, mode, [](const fs::path& from, const fs::path& to) {
    return ::rename(from.c_str(), to.c_str());
  });
}

}  // namespace egret
