// slow_sync_shim: an LD_PRELOAD library that makes a process's disk slow.
// Promises: each fsync and fdatasync takes as many milliseconds longer as the file EGRET_SLOW_SYNC_MS says at that moment;
// without such a file, or with nothing in it, none.
// Leaves to others: when the disk is slow (alert_rules_test.py).
#include <dlfcn.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <cstdlib>

namespace {

void be_slow() {
  const char* name = getenv("EGRET_SLOW_SYNC_MS");
  const int fd = name != nullptr ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  char text[16] = {};
  const ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  const long ms = got > 0 ? strtol(text, nullptr, 10) : 0;
  const timespec wait{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&wait, nullptr);
}

int next(const char* call, int fd) {
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, call))(fd);
}

}  // namespace

extern "C" {

int fsync(int fd) {
  be_slow();
  return next("fsync", fd);
}

int fdatasync(int fd) {
  be_slow();
  return next("fdatasync", fd);
}

}  // extern "C"
