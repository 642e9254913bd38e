#include "cli/torch/keep_memory.h"

#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace lmoe::cli {
namespace {

constexpr size_t kAlignment = 64;  // LibTorch's own

/// The address that malloc gave stands in front of a block.
void release(void* block) {
  if (block != nullptr) std::free(static_cast<void**>(block)[-1]);
}

/// malloc's blocks, aligned inside.
class Allocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, at::kCPU};
    void* const given = std::malloc(bytes + sizeof(void*) + kAlignment);
    if (given == nullptr) throw std::bad_alloc();
    const auto first = reinterpret_cast<uintptr_t>(given) + sizeof(void*);
    void* const block = reinterpret_cast<void*>((first + kAlignment - 1) / kAlignment * kAlignment);
    static_cast<void**>(block)[-1] = given;
    return {block, block, &release, at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kNever = -1, kLargest = 1 << 30, kLargestOfOlder = 32 << 20;  // before glibc 2.35
  mallopt(M_TRIM_THRESHOLD, kNever);
  if (mallopt(M_MMAP_THRESHOLD, kLargest) == 0) mallopt(M_MMAP_THRESHOLD, kLargestOfOlder);
  static Allocator allocator;
  c10::SetCPUAllocator(&allocator);
#endif
}

}  // namespace lmoe::cli
