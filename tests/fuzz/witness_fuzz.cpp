// Fuzz entry: the head witness: a file of any bytes opens; what is written into it is what is read
// next.
#include <sys/mman.h>
#include <unistd.h>

#include "edge/witness.h"
#include "schemas/limits.h"
#include "tests/fuzz/fuzz.h"

using namespace egret;
using namespace egret::edge;
using fuzz::require;

namespace {

bool same(const WitnessPoint& a, const WitnessPoint& b) {
  return a.epoch == b.epoch && a.stream == b.stream && a.head == b.head && a.c_prefix == b.c_prefix;
}

void run(ByteView input) {
  const int fd = memfd_create("witness", MFD_CLOEXEC);
  require(fd >= 0 && ::write(fd, input.data(), input.size()) == ssize_t(input.size()),
          "a file in memory");
  const std::filesystem::path file = "/proc/self/fd/" + std::to_string(fd);
  auto witness = Witness::open(file);
  require(witness.has_value(), "whatever is in the file, it opens");
  fuzz::Script script(input);
  for (uint64_t n = 1; n <= 3; n++) {
    const WitnessPoint point{{script.u64()},
                             StreamId(script.u8() % kStreamCount),
                             {n + script.u16()},
                             uint32_t(script.u64())};
    require(witness->write(point).has_value(), "a point is written");
    const auto again = Witness::open(file);
    require(again && again->last() && same(*again->last(), point),
            "the newest point is the one written last");
  }
  ::close(fd);
}

std::vector<Bytes> seeds() {
  const int fd = memfd_create("witness", MFD_CLOEXEC);
  auto witness = Witness::open("/proc/self/fd/" + std::to_string(fd));
  std::vector<Bytes> out{Bytes(), Bytes(kWitnessBytes, '\xff')};
  for (uint64_t n = 1; n <= 2; n++) {
    (void)witness->write({{n}, StreamId::result, {n}, 1});
    Bytes file(kWitnessBytes, '\0');
    file.resize(size_t(std::max<ssize_t>(::pread(fd, file.data(), file.size(), 0), 0)));
    out.push_back(file);
  }
  ::close(fd);
  return out;
}

const fuzz::Registered registered({"witness", run, seeds});

}  // namespace
