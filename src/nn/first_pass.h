// Two passes through one decoder: what the first ends with, a mixture may decide from in the
// second.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

namespace lmoe::nn {

/// The socket of a whole decoder. While a mixture holds it, Decoder::forward runs a first pass
/// without gradients, in which the mixture keeps out (or takes part by constant weights), and hands
/// its last hidden states to the second as `ForwardContext::last_hidden`. Each pass has its own
/// keys and values.
class FirstPassSocket {
 public:
  bool is_taken() const { return is_taken_; }
  /// Throws kInvalidArgument when another mixture holds it.
  void check_free() const;
  void plug();
  void unplug() { is_taken_ = false; }

 private:
  bool is_taken_ = false;
};

/// Last hidden states of documents seen before, by their tokens, up to a limit of memory; what does
/// not fit is computed each time. Only while the first pass cannot change: the mixture keeps out.
class FirstPassCache {
 public:
  explicit FirstPassCache(int64_t limit_bytes) : left_(limit_bytes) {}

  /// ids [N] -> [N, H], or undefined.
  at::Tensor find(const at::Tensor& ids) const;
  void keep(const at::Tensor& ids, const at::Tensor& hidden);

 private:
  static std::string key(const at::Tensor& ids);

  int64_t left_;
  std::map<std::string, at::Tensor> documents_;
};

}  // namespace lmoe::nn
