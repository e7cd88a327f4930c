// power_shim: an LD_PRELOAD library that writes down what a process does to one folder.
// Promises: bytes, names and syncs are in the journal, and outlive kill -9, before the call
// returns; a sync covers only what was in the journal when it began. Leaves to others: what a power
// cut makes of it (power.py). Not seen: what stdio writes (RocksDB's LOG), and memory maps, which
// are reported as trouble.
//
// - EGRET_POWER_ROOT: the folder, absolute.
// - EGRET_POWER_JOURNAL: where to, outside of it; when a file of that name with .now appears, the
//   power goes in the middle of the next sync.
// - EGRET_POWER_FUSE=n: the power goes at the n-th step on the disk; -n: in the middle of the n-th
//   sync.
// - EGRET_POWER_FAIL=n: the n-th sync fails, and no later one saves what it should have saved.
// - EGRET_POWER_LIES=1: syncs succeed and are not written down.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace {

// As power.py reads it; little-endian.
struct Header {
  char what;
  char zeros[3] = {};
  uint32_t first_len = 0, second_len = 0, data_len = 0;
  uint64_t a = 0, b = 0, c = 0;
};
static_assert(sizeof(Header) == 40, "the journal's format");

struct Place {
  uint64_t dir = 0;
  std::string name;
};

class Shim {
 public:
  Shim();
  bool on() const { return journal_ >= 0; }
  bool lies() const { return lies_; }

  // 0: a file or folder that is not in ours.
  uint64_t ours(int fd);
  // Empty when `path` is not below our folder.
  std::string below(int dir_fd, const char* path) const;
  static bool stat_of(const std::string& path, struct stat& facts) {
    return syscall(SYS_newfstatat, AT_FDCWD, path.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0;
  }
  static Place place_of(const std::string& path);
  void know(const struct stat& facts) { known_.insert(facts.st_ino); }

  // One entry. The caller holds `mutex`.
  void write_down(Header header, std::string_view first = {}, std::string_view second = {},
                  const iovec* data = nullptr, int pieces = 0);
  void trouble(std::string_view what);
  uint64_t journal_end() const { return uint64_t(lseek(journal_, 0, SEEK_END)); }
  // The fuse.
  void step() { burn(1); }
  bool sync_fails() {
    if (fail_ == 0) return false;
    fail_--;
    return fail_ == 0;
  }
  void sync_begins() {
    if (syscall(SYS_faccessat, AT_FDCWD, now_.c_str(), F_OK) == 0)
      syscall(SYS_kill, getpid(), SIGKILL);
    burn(-1);
  }

  // Entries and what they describe are in one order.
  std::mutex mutex;

 private:
  void burn(int64_t ends);

  std::string root_, now_;
  int journal_ = -1;
  bool lies_ = false;
  int64_t fuse_ = 0, fail_ = 0;
  uint64_t device_ = 0;
  std::unordered_set<uint64_t> known_;
};

Shim::Shim() {
  const char *root = getenv("EGRET_POWER_ROOT"), *journal = getenv("EGRET_POWER_JOURNAL");
  if (root == nullptr || journal == nullptr) return;
  root_ = root;
  now_ = std::string(journal) + ".now";
  lies_ = getenv("EGRET_POWER_LIES") != nullptr;
  if (const char* fuse = getenv("EGRET_POWER_FUSE")) fuse_ = atoll(fuse);
  if (const char* fail = getenv("EGRET_POWER_FAIL")) fail_ = atoll(fail);
  struct stat facts{};
  if (!stat_of(root_, facts)) abort();
  device_ = facts.st_dev;
  know(facts);
  journal_ =
      int(syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (journal_ < 0) abort();
}

// Made at the first call, which may come before this library's own constructors; never destroyed.
Shim& shim() {
  static Shim* one = new Shim;
  return *one;
}

uint64_t Shim::ours(int fd) {
  struct stat facts{};
  if (syscall(SYS_fstat, fd, &facts) != 0 || facts.st_dev != device_) return 0;
  if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) return 0;
  return known_.count(facts.st_ino) != 0 ? facts.st_ino : 0;
}

std::string Shim::below(int dir_fd, const char* path) const {
  std::string full;
  if (path[0] != '/') {
    char at[4096];
    const std::string link =
        dir_fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(dir_fd);
    const auto n = syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), at, sizeof at);
    if (n <= 0) return {};
    full.assign(at, size_t(n)).push_back('/');
  }
  full += path;
  while (full.size() > 1 && full.back() == '/') full.pop_back();
  const bool inside = full.compare(0, root_.size(), root_) == 0 &&
                      (full.size() == root_.size() || full[root_.size()] == '/');
  return inside ? full : std::string();
}

Place Shim::place_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  Place place;
  place.name = path.substr(slash + 1);
  struct stat facts{};
  if (stat_of(path.substr(0, slash), facts)) place.dir = facts.st_ino;
  return place;
}

void Shim::burn(int64_t ends) {
  if (fuse_ * ends <= 0) return;  // it burns with the other kind
  fuse_ -= ends;
  if (fuse_ == 0) syscall(SYS_kill, getpid(), SIGKILL);
}

void Shim::write_down(Header header, std::string_view first, std::string_view second,
                      const iovec* data, int pieces) {
  std::vector<iovec> all{{&header, sizeof header},
                         {const_cast<char*>(first.data()), first.size()},
                         {const_cast<char*>(second.data()), second.size()}};
  size_t length = 0;
  for (int i = 0; i < pieces; i++) {
    all.push_back(data[i]);
    length += data[i].iov_len;
  }
  header.first_len = uint32_t(first.size());
  header.second_len = uint32_t(second.size());
  header.data_len = uint32_t(length);
  if (syscall(SYS_writev, journal_, all.data(), all.size()) !=
      ssize_t(sizeof header + first.size() + second.size() + length))
    abort();
}

void Shim::trouble(std::string_view what) {
  write_down({'!'}, what);
}

// ---- what the calls below share ----

// Runs `call` on one of our files and writes down what it did: the header comes from `entry` when
// the call succeeded.
template <typename Call, typename Entry>
auto follow(int fd, Call call, Entry entry) {
  Shim& s = shim();
  if (!s.on()) return call();
  std::unique_lock lock(s.mutex);
  const uint64_t ino = s.ours(fd);
  if (ino == 0) {
    lock.unlock();
    return call();
  }
  s.step();
  auto result = call();
  const int error = errno;
  entry(s, ino, result);
  errno = error;
  return result;
}

void wrote(Shim& s, uint64_t ino, int64_t at, const iovec* data, int pieces, ssize_t written) {
  if (written <= 0) return;
  std::vector<iovec> kept;
  size_t left = size_t(written);
  for (int i = 0; i < pieces && left > 0; i++) {
    kept.push_back({data[i].iov_base, std::min(left, data[i].iov_len)});
    left -= kept.back().iov_len;
  }
  s.write_down({.what = 'w', .a = ino, .c = uint64_t(at)}, {}, {}, kept.data(), int(kept.size()));
}

// A write where the file's own position says where.
ssize_t write_on(int fd, const iovec* data, int pieces) {
  return follow(
      fd, [&] { return ssize_t(syscall(SYS_writev, fd, data, pieces)); },
      [&](Shim& s, uint64_t ino, ssize_t n) {
        wrote(s, ino, syscall(SYS_lseek, fd, 0, SEEK_CUR) - std::max<ssize_t>(n, 0), data, pieces,
              n);
      });
}

ssize_t write_at(int fd, const iovec* data, int pieces, off_t at) {
  return follow(
      fd, [&] { return ssize_t(syscall(SYS_pwritev, fd, data, pieces, at, 0)); },
      [&](Shim& s, uint64_t ino, ssize_t n) { wrote(s, ino, at, data, pieces, n); });
}

void note_size(Shim& s, int fd, uint64_t ino) {
  struct stat facts{};
  if (syscall(SYS_fstat, fd, &facts) == 0)
    s.write_down({.what = 't', .a = ino, .c = uint64_t(facts.st_size)});
}

int resize(int fd, off_t size) {
  return follow(
      fd, [&] { return int(syscall(SYS_ftruncate, fd, size)); },
      [&](Shim& s, uint64_t ino, int failed) {
        if (failed == 0) s.write_down({.what = 't', .a = ino, .c = uint64_t(size)});
      });
}

int reserve(int fd, int mode, off_t at, off_t length) {
  return follow(
      fd, [&] { return int(syscall(SYS_fallocate, fd, mode, at, length)); },
      [&](Shim& s, uint64_t ino, int failed) {
        if (failed != 0) return;
        if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0) s.trouble("fallocate that changes bytes");
        if ((mode & FALLOC_FL_KEEP_SIZE) == 0) note_size(s, fd, ino);
      });
}

int sync_file(int fd, long call) {
  Shim& s = shim();
  if (!s.on()) return int(syscall(call, fd));
  uint64_t ino = 0, upto = 0;
  {
    std::lock_guard lock(s.mutex);
    ino = s.ours(fd);
    if (ino != 0) {
      s.step();
      s.sync_begins();
      upto = s.journal_end();
      if (s.sync_fails()) {
        s.write_down({.what = 'f', .a = ino, .c = upto});
        errno = EIO;
        return -1;
      }
    }
  }
  const int failed = int(syscall(call, fd));
  if (ino == 0 || failed != 0 || s.lies()) return failed;
  std::lock_guard lock(s.mutex);
  s.write_down({.what = 's', .a = ino, .c = upto});
  s.step();
  return 0;
}

// What an open changed: a name that was not there, or bytes that are gone.
void opened(Shim& s, const std::string& path, int fd, int flags, bool was_there) {
  struct stat facts{};
  if (syscall(SYS_fstat, fd, &facts) != 0 || (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)))
    return;
  s.know(facts);
  if ((flags & O_CREAT) != 0) {
    const Place place = Shim::place_of(path);
    s.write_down({.what = 'n', .a = facts.st_ino, .b = place.dir, .c = was_there ? 0u : 1u},
                 place.name);
  }
  if ((flags & O_TRUNC) != 0 && was_there) s.write_down({.what = 't', .a = facts.st_ino, .c = 0});
  if ((flags & O_DSYNC) != 0) s.trouble("O_SYNC or O_DSYNC");
}

template <typename Call>
int open_at(int dir_fd, const char* path, int flags, Call call) {
  Shim& s = shim();
  const std::string full = s.on() ? s.below(dir_fd, path) : std::string();
  if (full.empty()) return call();
  std::lock_guard lock(s.mutex);
  struct stat before{};
  const bool was_there = Shim::stat_of(full, before);
  if ((flags & (O_CREAT | O_TRUNC)) != 0) s.step();
  const int fd = call();
  const int error = errno;
  if (fd >= 0) opened(s, full, fd, flags, was_there);
  errno = error;
  return fd;
}

// A change of names: `entry` is written down when the call succeeded.
template <typename Call, typename Entry>
int rename_like(const std::string& path, Call call, Entry entry) {
  Shim& s = shim();
  if (path.empty()) return call();
  std::lock_guard lock(s.mutex);
  s.step();
  const int failed = call();
  const int error = errno;
  if (failed == 0) entry(s);
  errno = error;
  return failed;
}

std::string in_ours(int dir_fd, const char* path) {
  return shim().on() ? shim().below(dir_fd, path) : std::string();
}

int remove_at(int dir_fd, const char* path, int flags) {
  const std::string full = in_ours(dir_fd, path);
  return rename_like(
      full, [&] { return int(syscall(SYS_unlinkat, dir_fd, path, flags)); },
      [&](Shim& s) {
        const Place place = Shim::place_of(full);
        s.write_down({.what = 'u', .b = place.dir}, place.name);
      });
}

int move_at(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  const std::string here = in_ours(from_fd, from), there = in_ours(to_fd, to);
  return rename_like(
      here.empty() ? there : here,
      [&] { return int(syscall(SYS_renameat2, from_fd, from, to_fd, to, flags)); },
      [&](Shim& s) {
        if (here.empty() || there.empty() || (flags & ~RENAME_NOREPLACE) != 0)
          return s.trouble("a rename into or out of the folder, or an exchange");
        const Place a = Shim::place_of(here), b = Shim::place_of(there);
        s.write_down({.what = 'r', .b = a.dir, .c = b.dir}, a.name, b.name);
      });
}

int new_name_at(int to_fd, const char* to, char what, long call, long x, long y, long z,
                long flags) {
  const std::string full = in_ours(to_fd, to);
  return rename_like(
      full, [&] { return int(syscall(call, x, y, z, to, flags)); },
      [&](Shim& s) {
        struct stat facts{};
        if (!Shim::stat_of(full, facts)) return;
        s.know(facts);
        const Place place = Shim::place_of(full);
        s.write_down({.what = what, .a = facts.st_ino, .b = place.dir}, place.name);
      });
}

int make_dir_at(int dir_fd, const char* path, mode_t mode) {
  const std::string full = in_ours(dir_fd, path);
  return rename_like(
      full, [&] { return int(syscall(SYS_mkdirat, dir_fd, path, mode)); },
      [&](Shim& s) {
        struct stat facts{};
        if (!Shim::stat_of(full, facts)) return;
        s.know(facts);
        const Place place = Shim::place_of(full);
        s.write_down({.what = 'd', .a = facts.st_ino, .b = place.dir}, place.name);
      });
}

// What came into a file from another one without passing through this process: read there, written
// down.
void copied(Shim& s, uint64_t ino, int from, off_t from_at, off_t at, ssize_t n) {
  if (n <= 0) return;
  std::vector<char> bytes(static_cast<size_t>(n));
  const iovec all{bytes.data(), bytes.size()};
  if (syscall(SYS_pread64, from, bytes.data(), n, from_at) != n)
    return s.trouble("a copy that cannot be read back");
  wrote(s, ino, at, &all, 1, n);
}

// Where a copy began that has taken `n` bytes: `at` has moved, or the file's own position has.
off_t begin_of(int fd, const off_t* at, ssize_t n) {
  return (at != nullptr ? *at : off_t(syscall(SYS_lseek, fd, 0, SEEK_CUR))) -
         std::max<ssize_t>(n, 0);
}

int flags_of_mode(const char* mode) {
  const bool plus = strchr(mode, '+') != nullptr;
  if (mode[0] == 'r') return plus ? O_RDWR : O_RDONLY;
  return (plus ? O_RDWR : O_WRONLY) | O_CREAT | (mode[0] == 'w' ? O_TRUNC : O_APPEND);
}

using Fopen = FILE* (*)(const char*, const char*);

FILE* stream_open(const char* path, const char* mode) {
  static const Fopen real = reinterpret_cast<Fopen>(dlsym(RTLD_NEXT, "fopen"));
  FILE* file = nullptr;
  open_at(AT_FDCWD, path, flags_of_mode(mode), [&] {
    file = real(path, mode);
    return file != nullptr ? fileno(file) : -1;
  });
  return file;
}

}  // namespace

// Under the names that programs call: the C library's, by their labels, so that its declarations do
// not stand in the way.
#define EGRET_SEEN(result, name, label) \
  extern "C" __attribute__((visibility("default"))) result name __asm__(label)

EGRET_SEEN(int, seen_open(const char*, int, mode_t), "open");
EGRET_SEEN(int, seen_open64(const char*, int, mode_t), "open64");
EGRET_SEEN(int, seen_openat(int, const char*, int, mode_t), "openat");
EGRET_SEEN(int, seen_openat64(int, const char*, int, mode_t), "openat64");
EGRET_SEEN(int, seen_creat(const char*, mode_t), "creat");
EGRET_SEEN(FILE*, seen_fopen(const char*, const char*), "fopen");
EGRET_SEEN(FILE*, seen_fopen64(const char*, const char*), "fopen64");
EGRET_SEEN(ssize_t, seen_write(int, const void*, size_t), "write");
EGRET_SEEN(ssize_t, seen_writev(int, const iovec*, int), "writev");
EGRET_SEEN(ssize_t, seen_pwrite(int, const void*, size_t, off_t), "pwrite");
EGRET_SEEN(ssize_t, seen_pwrite64(int, const void*, size_t, off_t), "pwrite64");
EGRET_SEEN(ssize_t, seen_pwritev(int, const iovec*, int, off_t), "pwritev");
EGRET_SEEN(ssize_t, seen_pwritev64(int, const iovec*, int, off_t), "pwritev64");
EGRET_SEEN(ssize_t, seen_sendfile(int, int, off_t*, size_t), "sendfile");
EGRET_SEEN(ssize_t, seen_sendfile64(int, int, off_t*, size_t), "sendfile64");
EGRET_SEEN(ssize_t, seen_copy_file_range(int, off_t*, int, off_t*, size_t, unsigned),
           "copy_file_range");
EGRET_SEEN(int, seen_ftruncate(int, off_t), "ftruncate");
EGRET_SEEN(int, seen_ftruncate64(int, off_t), "ftruncate64");
EGRET_SEEN(int, seen_truncate(const char*, off_t), "truncate");
EGRET_SEEN(int, seen_truncate64(const char*, off_t), "truncate64");
EGRET_SEEN(int, seen_fallocate(int, int, off_t, off_t), "fallocate");
EGRET_SEEN(int, seen_fallocate64(int, int, off_t, off_t), "fallocate64");
EGRET_SEEN(int, seen_posix_fallocate(int, off_t, off_t), "posix_fallocate");
EGRET_SEEN(int, seen_posix_fallocate64(int, off_t, off_t), "posix_fallocate64");
EGRET_SEEN(int, seen_fsync(int), "fsync");
EGRET_SEEN(int, seen_fdatasync(int), "fdatasync");
EGRET_SEEN(int, seen_unlink(const char*), "unlink");
EGRET_SEEN(int, seen_unlinkat(int, const char*, int), "unlinkat");
EGRET_SEEN(int, seen_rmdir(const char*), "rmdir");
EGRET_SEEN(int, seen_remove(const char*), "remove");
EGRET_SEEN(int, seen_rename(const char*, const char*), "rename");
EGRET_SEEN(int, seen_renameat(int, const char*, int, const char*), "renameat");
EGRET_SEEN(int, seen_renameat2(int, const char*, int, const char*, unsigned), "renameat2");
EGRET_SEEN(int, seen_mkdir(const char*, mode_t), "mkdir");
EGRET_SEEN(int, seen_mkdirat(int, const char*, mode_t), "mkdirat");
EGRET_SEEN(int, seen_link(const char*, const char*), "link");
EGRET_SEEN(int, seen_linkat(int, const char*, int, const char*, int), "linkat");
EGRET_SEEN(int, seen_symlink(const char*, const char*), "symlink");
EGRET_SEEN(void*, seen_mmap(void*, size_t, int, int, int, off_t), "mmap");
EGRET_SEEN(void*, seen_mmap64(void*, size_t, int, int, int, off_t), "mmap64");

int seen_openat(int dir_fd, const char* path, int flags, mode_t mode) {
  return open_at(dir_fd, path, flags,
                 [&] { return int(syscall(SYS_openat, dir_fd, path, flags, mode)); });
}
int seen_openat64(int dir_fd, const char* path, int flags, mode_t mode) {
  return seen_openat(dir_fd, path, flags, mode);
}
int seen_open(const char* path, int flags, mode_t mode) {
  return seen_openat(AT_FDCWD, path, flags, mode);
}
int seen_open64(const char* path, int flags, mode_t mode) {
  return seen_openat(AT_FDCWD, path, flags, mode);
}
int seen_creat(const char* path, mode_t mode) {
  return seen_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
FILE* seen_fopen(const char* path, const char* mode) {
  return stream_open(path, mode);
}
FILE* seen_fopen64(const char* path, const char* mode) {
  return stream_open(path, mode);
}

ssize_t seen_write(int fd, const void* bytes, size_t n) {
  const iovec all{const_cast<void*>(bytes), n};
  return write_on(fd, &all, 1);
}
ssize_t seen_writev(int fd, const iovec* data, int pieces) {
  return write_on(fd, data, pieces);
}
ssize_t seen_pwrite(int fd, const void* bytes, size_t n, off_t at) {
  const iovec all{const_cast<void*>(bytes), n};
  return write_at(fd, &all, 1, at);
}
ssize_t seen_pwrite64(int fd, const void* bytes, size_t n, off_t at) {
  return seen_pwrite(fd, bytes, n, at);
}
ssize_t seen_pwritev(int fd, const iovec* data, int pieces, off_t at) {
  return write_at(fd, data, pieces, at);
}
ssize_t seen_pwritev64(int fd, const iovec* data, int pieces, off_t at) {
  return write_at(fd, data, pieces, at);
}
ssize_t seen_sendfile(int to, int from, off_t* at, size_t n) {
  return follow(
      to, [&] { return ssize_t(syscall(SYS_sendfile, to, from, at, n)); },
      [&](Shim& s, uint64_t ino, ssize_t done) {
        copied(s, ino, from, begin_of(from, at, done), begin_of(to, nullptr, done), done);
      });
}
ssize_t seen_sendfile64(int to, int from, off_t* at, size_t n) {
  return seen_sendfile(to, from, at, n);
}
ssize_t seen_copy_file_range(int from, off_t* from_at, int to, off_t* to_at, size_t n,
                             unsigned flags) {
  return follow(
      to, [&] { return ssize_t(syscall(SYS_copy_file_range, from, from_at, to, to_at, n, flags)); },
      [&](Shim& s, uint64_t ino, ssize_t done) {
        copied(s, ino, from, begin_of(from, from_at, done), begin_of(to, to_at, done), done);
      });
}

int seen_ftruncate(int fd, off_t size) {
  return resize(fd, size);
}
int seen_ftruncate64(int fd, off_t size) {
  return resize(fd, size);
}
int seen_truncate(const char* path, off_t size) {
  const int fd = seen_openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int failed = resize(fd, size);
  const int error = errno;
  syscall(SYS_close, fd);
  errno = error;
  return failed;
}
int seen_truncate64(const char* path, off_t size) {
  return seen_truncate(path, size);
}
int seen_fallocate(int fd, int mode, off_t at, off_t length) {
  return reserve(fd, mode, at, length);
}
int seen_fallocate64(int fd, int mode, off_t at, off_t length) {
  return reserve(fd, mode, at, length);
}
int seen_posix_fallocate(int fd, off_t at, off_t length) {
  return reserve(fd, 0, at, length) == 0 ? 0 : errno;
}
int seen_posix_fallocate64(int fd, off_t at, off_t length) {
  return seen_posix_fallocate(fd, at, length);
}

int seen_fsync(int fd) {
  return sync_file(fd, SYS_fsync);
}
int seen_fdatasync(int fd) {
  return sync_file(fd, SYS_fdatasync);
}

int seen_unlink(const char* path) {
  return remove_at(AT_FDCWD, path, 0);
}
int seen_unlinkat(int dir_fd, const char* path, int flags) {
  return remove_at(dir_fd, path, flags);
}
int seen_rmdir(const char* path) {
  return remove_at(AT_FDCWD, path, AT_REMOVEDIR);
}
int seen_remove(const char* path) {
  struct stat facts{};
  const bool dir = Shim::stat_of(path, facts) && S_ISDIR(facts.st_mode);
  return remove_at(AT_FDCWD, path, dir ? AT_REMOVEDIR : 0);
}
int seen_rename(const char* from, const char* to) {
  return move_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int seen_renameat(int from_fd, const char* from, int to_fd, const char* to) {
  return move_at(from_fd, from, to_fd, to, 0);
}
int seen_renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  return move_at(from_fd, from, to_fd, to, flags);
}
int seen_mkdir(const char* path, mode_t mode) {
  return make_dir_at(AT_FDCWD, path, mode);
}
int seen_mkdirat(int dir_fd, const char* path, mode_t mode) {
  return make_dir_at(dir_fd, path, mode);
}
int seen_linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
  return new_name_at(to_fd, to, 'n', SYS_linkat, from_fd, reinterpret_cast<long>(from), to_fd,
                     flags);
}
int seen_link(const char* from, const char* to) {
  return seen_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int seen_symlink(const char* what, const char* path) {
  if (!in_ours(AT_FDCWD, path).empty()) {
    std::lock_guard lock(shim().mutex);
    shim().trouble("a symbolic link");
  }
  return int(syscall(SYS_symlinkat, what, AT_FDCWD, path));
}

void* seen_mmap(void* where, size_t length, int may, int flags, int fd, off_t at) {
  if (fd >= 0 && (may & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 && shim().on()) {
    std::lock_guard lock(shim().mutex);
    if (shim().ours(fd) != 0) shim().trouble("a file is written through memory");
  }
  return reinterpret_cast<void*>(syscall(SYS_mmap, where, length, may, flags, fd, at));
}
void* seen_mmap64(void* where, size_t length, int may, int flags, int fd, off_t at) {
  return seen_mmap(where, length, may, flags, fd, at);
}
