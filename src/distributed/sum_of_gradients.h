// Gradients added up over all workers while the last backward is still running.
//
//   SumOfGradients sum(group, parameters);   // those first that the backward is done with first
//   …                                        // all micro-batches but the last
//   sum.watch();                             // a gradient that is accumulated is whole from here
//   loss.backward();                         // full buckets travel
//   sum.start_rest();                        // in every worker, whatever has happened in it
//   …                                        // agree that all went well
//   sum.finish(has_gradient);
//
// Every worker starts all buckets, always in the same order: those of a parameter without gradient
// carry zeros, and a worker that fails, be it for want of memory while a gradient is handed out,
// carries what it has, so that nobody waits for another one. Buffers are there from the beginning
// and stay until nothing travels in them.
// The sums are those of `sum_in_buckets`, bit for bit.
#pragma once

#include <vector>

#include "distributed/bucket.h"

namespace lmoe::distributed {

class SumOfGradients {
 public:
  /// `parameters` (leaves that require gradients, float32 or float64) in the same order in every
  /// worker. While the object lives, it holds the hook that each has for an accumulated gradient.
  SumOfGradients(ProcessGroup& group,
                 std::vector<at::Tensor> parameters,
                 int64_t bucket_bytes = kBucketBytes);
  /// Waits for what was started.
  ~SumOfGradients();
  SumOfGradients(const SumOfGradients&) = delete;
  SumOfGradients& operator=(const SumOfGradients&) = delete;

  /// Before the last backward of this worker, which must be one that reaches each parameter once.
  /// Then WorkerLost may come out of the backward.
  void watch() { is_watching_ = true; }
  /// Starts what the backward has not.
  void start_rest();
  /// Waits for all sums and makes them the gradients of those parameters that have one in any
  /// worker; of the others they stay undefined.
  void finish(const std::vector<bool>& has_gradient);

  size_t buckets() const { return buckets_.size(); }
  size_t started() const { return started_; }

 private:
  void set_hooks();
  void on_accumulated(size_t parameter);
  void start_next();

  ProcessGroup& group_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> gradients_;  ///< of a bucket that is being filled, in their places
  std::vector<Bucket> buckets_;
  std::vector<size_t> bucket_of_;  ///< of each parameter
  std::vector<size_t> missing_;    ///< gradients that each bucket waits for
  std::vector<bool> is_there_;     ///< of each parameter
  size_t started_ = 0;
  bool is_watching_ = false;
};

}  // namespace lmoe::distributed
