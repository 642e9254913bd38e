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

#include "base/scratch_file.h"
#include "nn/forward_context.h"

namespace lmoe::nn {

/// Hidden states of documents seen before, by their tokens and passages, up to a limit of memory;
/// what does not fit goes to a file where there is one, and is computed each time where that is
/// full.
class DocumentCache {
 public:
  /// `file` may be null, or shared with others; its documents' tokens are in memory all the same,
  /// beyond the limit.
  explicit DocumentCache(int64_t limit_bytes, ScratchFile* file = nullptr)
      : left_(limit_bytes), file_(file) {}

  /// ids [L] -> [L, H], or undefined. Valid until the file is closed.
  at::Tensor find(const at::Tensor& ids, const Passages& passages = {}) const;
  /// Nothing happens when they are kept already.
  void keep(const at::Tensor& ids, const at::Tensor& hidden, const Passages& passages = {});

  int64_t documents() const { return static_cast<int64_t>(documents_.size()); }
  int64_t bytes() const { return bytes_; }            ///< of memory
  int64_t file_bytes() const { return file_bytes_; }  ///< of the file
  bool is_full() const { return is_full_; }           ///< a document did not fit
  /// What was found in the file need not stay in memory.
  void forget_pages() const;

 private:
  static std::string key(const at::Tensor& ids, const Passages& passages);
  /// A copy in the file, or undefined.
  at::Tensor to_file(const at::Tensor& hidden);

  int64_t left_, bytes_ = 0, file_bytes_ = 0;
  ScratchFile* file_;
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
