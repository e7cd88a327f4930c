// What libFuzzer calls: the one entry of this program.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  egret::fuzz::entries().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
