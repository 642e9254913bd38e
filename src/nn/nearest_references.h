// What stored references say about a query: the nearest ones by squared distance, a softmax over
// these distances, and what their values add up to (reference trustable decoding, arXiv
// 2409.20181).
//
// Legend: N queries, R references, D width, K neighbours, V values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lmoe::nn {

struct References {
  at::Tensor keys;    ///< [R, D]
  at::Tensor values;  ///< [R] whole numbers from 0 on, float32; -1 where nothing is stored yet
};

/// Defaults: rtd.md's scripts.
struct Retrieval {
  int64_t neighbours = 32;
  double temperature = 1000.0;
  /// Queries and keys fall into so many equal parts, each with neighbours of its own.
  int64_t heads = 1;
};

struct Neighbours {
  at::Tensor indices;  ///< [N, heads, K] int64, nearest first
  at::Tensor weights;  ///< [N, heads, K] softmax over K of -heads d / temperature
};

/// The K nearest of `keys` [R, D] to each of `queries` [N, D], both of one type; a gradient reaches
/// the queries. One GEMM finds K + 16 candidates, whose distances are then computed term by term: a
/// query that is a reference has distance 0. Throws kInvalidArgument for K > R and for heads that
/// do not divide D.
Neighbours nearest_references(const at::Tensor& queries,
                              const at::Tensor& keys,
                              const Retrieval& retrieval);

/// [N, V], rows sum to 1: the weight of each of `count` values, the mean over the heads. `values`
/// [R] as in References.
at::Tensor value_distribution(const Neighbours& neighbours,
                              const at::Tensor& values,
                              int64_t count);

}  // namespace lmoe::nn
