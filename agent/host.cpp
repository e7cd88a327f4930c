#include "agent/host.h"

#include <openssl/sha.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace egret::agent {
namespace {

int64_t clock_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}
std::string line_of(const char* file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}
int nibble(char c) {
  return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

}  // namespace

Now now() {
  return {MonoTime{clock_ns(CLOCK_MONOTONIC) / 1'000'000},
          WallTime{clock_ns(CLOCK_REALTIME) / 1'000}};
}

std::array<uint8_t, 16> boot_id() {
  std::array<uint8_t, 16> id{};
  size_t digits = 0;
  for (char c : line_of("/proc/sys/kernel/random/boot_id")) {
    if (c == '-' || digits == 32) continue;
    id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | nibble(c));
    ++digits;
  }
  return id;
}

std::string machine_id() {
  return line_of("/etc/machine-id");
}

std::string host_name() {
  std::array<char, 65> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

ClockTrust clock_trust() {
  timex t{};
  int state = adjtimex(&t);
  return {state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0, t.maxerror / 1000};
}

MixedEntropy::MixedEntropy() : fixed_(std::string(view(boot_id())) + machine_id()) {}

uint64_t MixedEntropy::next() {
  std::array<uint8_t, 32> random{};
  // A short answer costs nothing here: the rest of the mix still tells two runs apart.
  [[maybe_unused]] ssize_t got = getrandom(random.data(), random.size(), 0);
  std::string mix(view(random));
  mix += fixed_;
  for (int64_t v : {clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_BOOTTIME),
                    static_cast<int64_t>(getpid()), static_cast<int64_t>(++counter_)}) {
    mix.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  Hash digest;
  SHA256(reinterpret_cast<const unsigned char*>(mix.data()), mix.size(), digest.data());
  uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

}  // namespace egret::agent
