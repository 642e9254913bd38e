#include "cli/torch/keep_memory.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace lmoe::cli {

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kNever = -1, kLargest = 1 << 30, kLargestOfOlder = 32 << 20;  // before glibc 2.35
  mallopt(M_TRIM_THRESHOLD, kNever);
  if (mallopt(M_MMAP_THRESHOLD, kLargest) == 0) mallopt(M_MMAP_THRESHOLD, kLargestOfOlder);
#endif
}

}  // namespace lmoe::cli
