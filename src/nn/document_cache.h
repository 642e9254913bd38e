// What documents were seen to become once, kept for the next epochs: hidden states that no training
// changes.
//
//   hidden = hidden_of_documents(ids, context.segments, cache, compute);      [N, H]
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/forward_context.h"

namespace lmoe::nn {

/// Hidden states of documents seen before, by their tokens, up to a limit of memory; what does not
/// fit is computed each time.
class DocumentCache {
 public:
  explicit DocumentCache(int64_t limit_bytes) : left_(limit_bytes) {}

  /// ids [L] -> [L, H], or undefined.
  at::Tensor find(const at::Tensor& ids) const;
  /// Nothing happens when they are kept already.
  void keep(const at::Tensor& ids, const at::Tensor& hidden);

  int64_t documents() const { return static_cast<int64_t>(documents_.size()); }
  int64_t bytes() const { return bytes_; }
  bool is_full() const { return is_full_; }  ///< a document did not fit

 private:
  static std::string key(const at::Tensor& ids);

  int64_t left_, bytes_ = 0;
  bool is_full_ = false;
  std::map<std::string, at::Tensor> documents_;
};

/// Hidden states [N, H] of packed documents, each within itself: those that `cache` keeps from
/// there, all others by one call of `compute`, with the segments and positions of these documents
/// alone; then they are kept. `compute` must do the same to a row whatever other rows there are.
///
/// The GEMMs of the frozen layers are such, bit for bit, but for those of a few rows, for which
/// libraries have other kernels. So fewer are never computed alone, and documents that come with
/// fewer are not kept: with and without a cache, and after resuming with an empty one, a run sees
/// the same numbers.
at::Tensor hidden_of_documents(
    const at::Tensor& ids,
    const std::vector<Segment>& segments,
    DocumentCache& cache,
    const std::function<at::Tensor(const at::Tensor& ids, ForwardContext& context)>& compute);

}  // namespace lmoe::nn
