// Bytes of the CPU tensors that a thread makes while one of these lives, less those it frees.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>

namespace lmoe::test {

class LiveTensorBytes {
 public:
  int64_t now() const { return report_->bytes; }

 private:
  struct Report : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void* /*block*/,
                           int64_t size,
                           size_t /*allocated*/,
                           size_t /*reserved*/,
                           c10::Device /*device*/) override {
      bytes += size;
    }
    bool memoryProfilingEnabled() const override { return true; }

    int64_t bytes = 0;
  };

  std::shared_ptr<Report> report_ = std::make_shared<Report>();
  c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, report_};
};

}  // namespace lmoe::test
