#include "schemas/error.h"

#include <cstdio>
#include <cstdlib>

namespace egret {

void invariant_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "egret: invariant broken: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace egret
