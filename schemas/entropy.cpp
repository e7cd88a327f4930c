#include "schemas/entropy.h"

#include <sys/random.h>

#include <cerrno>

#include "schemas/error.h"

namespace egret {

uint64_t OsEntropy::next() {
  uint64_t value = 0;
  ssize_t got;
  // Reads of at most 256 bytes come whole once the pool is ready; only waiting for the pool can be
  // interrupted.
  do {
    got = getrandom(&value, sizeof value, 0);
  } while (got < 0 && errno == EINTR);
  EGRET_INVARIANT(got == ssize_t{sizeof value}, "the operating system gave no random numbers");
  return value;
}

}  // namespace egret
