// clock_shim: an LD_PRELOAD library that moves a process's wall clock while it runs.
// Promises: CLOCK_REALTIME and what is made of it are off by the seconds that the file
// EGRET_CLOCK_OFFSET holds (8 bytes, this machine's order), from the moment they are written; waits
// until a wall time, computed from such a clock, take as long as they should; monotonic clocks are
// left alone.
// Leaves to others: when the clock jumps (nemesis.py).
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <cstdint>
#include <cstdlib>

namespace {

// A wait's end that is later than this is a wall time: no machine has been up for three years.
constexpr time_t kWallS = 100'000'000;

const volatile int64_t* shared_offset() {
  static const int64_t none = 0;
  const char* name = getenv("EGRET_CLOCK_OFFSET");
  int fd = name != nullptr ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  void* at = fd >= 0 ? mmap(nullptr, sizeof none, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (fd >= 0) close(fd);
  return at == MAP_FAILED ? &none : static_cast<const volatile int64_t*>(at);
}

time_t offset_s() {
  static const volatile int64_t* offset = shared_offset();
  return static_cast<time_t>(*offset);
}

struct End {
  clockid_t clock;
  timespec at;
};
End real_end(const timespec* at) {
  if (at->tv_sec < kWallS) return {CLOCK_MONOTONIC, *at};
  return {CLOCK_REALTIME, {at->tv_sec - offset_s(), at->tv_nsec}};
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  long failed = syscall(SYS_clock_gettime, clock, out);
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    out->tv_sec += offset_s();
  return static_cast<int>(failed);
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *out = {now.tv_sec, static_cast<suseconds_t>(now.tv_nsec / 1000)};
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* at) {
  End end = real_end(at);
  return pthread_cond_clockwait(condition, mutex, end.clock, &end.at);
}

int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* at) noexcept {
  End end = real_end(at);
  return pthread_mutex_clocklock(mutex, end.clock, &end.at);
}

int sem_timedwait(sem_t* semaphore, const timespec* at) {
  End end = real_end(at);
  return sem_clockwait(semaphore, end.clock, &end.at);
}
}
