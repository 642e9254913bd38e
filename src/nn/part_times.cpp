#include "nn/part_times.h"

namespace lmoe::nn {
namespace {

// One that is no thread's own is never asked; backward runs in the thread that calls it.
thread_local PartTimes* listener = nullptr;

}  // namespace

PartTimes::PartTimes() { listener = this; }
PartTimes::~PartTimes() { listener = nullptr; }

PartScope::PartScope(Part part, Direction direction) {
  if (listener == nullptr) return;
  seconds_ = &listener->seconds_[PartTimes::place(part, direction)];
  begin_ = std::chrono::steady_clock::now();
}

PartScope::~PartScope() {
  if (seconds_ != nullptr)
    *seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

}  // namespace lmoe::nn
