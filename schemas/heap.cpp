#include "schemas/heap.h"

#include <malloc.h>

namespace egret {

void keep_freed_memory(size_t bytes) {
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(bytes));
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(bytes));
}

}  // namespace egret
