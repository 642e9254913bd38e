// Sums of many tensors over all workers, a few at a time as one flat buffer.
#pragma once

#include <vector>

#include "distributed/bucket.h"

namespace lmoe::distributed {

/// Adds the tensors (contiguous, float32 or float64) up over all workers, in place. Every worker
/// gives the same shapes in the same order; a bucket travels while the next one is filled.
void sum_in_buckets(ProcessGroup& group,
                    const std::vector<at::Tensor>& tensors,
                    int64_t bucket_bytes = kBucketBytes);

}  // namespace lmoe::distributed
