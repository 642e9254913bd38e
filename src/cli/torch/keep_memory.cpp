#include "cli/torch/keep_memory.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace lmoe::cli {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kNever = -1, kLargestMapped = 1 << 30;
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_MMAP_THRESHOLD, kLargestMapped);
#endif
}

}  // namespace lmoe::cli
