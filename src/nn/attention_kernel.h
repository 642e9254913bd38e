// The loops of attention over plain pointers: blocks of queries, small products per block and
// head.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/attention.h"
#include "nn/stored_types.h"

namespace lmoe::nn {

/// Keys and values a segment's queries may see: `past + length` rows of num_kv_heads x head_dim.
template <class T>
struct SegmentKeys {
  const T* keys = nullptr;
  const T* values = nullptr;
};

/// Everything a forward of attention reads and writes. All rows are contiguous.
template <class T>
struct AttentionForward {
  AttentionShape shape;
  const std::vector<Segment>* segments = nullptr;
  std::vector<SegmentKeys<T>> keys;        ///< one per segment
  const T* q = nullptr;                    ///< [N, num_heads, head_dim]
  T* out = nullptr;                        ///< [N, num_heads, head_dim]
  accumulate_t<T>* log_sum_exp = nullptr;  ///< [N, num_heads]
};

template <class T>
void attention_forward(const AttentionForward<T>& work);

/// Gradients, without past keys. dk and dv are per query head, to be summed over each group.
template <class T>
struct AttentionBackward {
  AttentionShape shape;
  const std::vector<Segment>* segments = nullptr;
  const T *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr, *dout = nullptr;
  const accumulate_t<T>* log_sum_exp = nullptr;
  T* dq = nullptr;                ///< [N, num_heads, head_dim]
  accumulate_t<T>* dk = nullptr;  ///< [N, num_heads, head_dim]
  accumulate_t<T>* dv = nullptr;  ///< [N, num_heads, head_dim]
};

template <class T>
void attention_backward(const AttentionBackward<T>& work);

}  // namespace lmoe::nn
