// A gate that no gradient trains: documents are clustered, clusters are given to the experts that
// answer them best, and the gate is fitted to that by least squares (MixER, arXiv 2502.05335).
//
// Legend: N documents, D numbers of a document's context, E experts and as many clusters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace lmoe::mixture {

struct Clusters {
  at::Tensor centroids;  ///< [E, D] float64
  at::Tensor labels;     ///< [N] int64, whose cluster each context is in
};

/// [count, D] contexts to begin with, far from each other: the one farthest from the mean, then
/// always the one farthest from those chosen.
at::Tensor distant_contexts(const at::Tensor& contexts, int64_t count);

/// K-means of `contexts` [N, D] from `start` [E, D], which may be the centroids of an earlier call.
/// Distances are mean absolute differences, centroids means. Nothing when a cluster gets empty or
/// centroids still move by more than 1e-4 after 20 rounds: then a gate is to stay as it is.
std::optional<Clusters> cluster_contexts(const at::Tensor& contexts, const at::Tensor& start);

/// Each cluster's expert, a permutation: cluster by cluster the one with the lowest median loss
/// that no earlier cluster has taken. `losses` [N, E] of every expert on every document.
std::vector<int64_t> match_experts(const at::Tensor& losses, const at::Tensor& labels);

/// Rows [E, D] of a linear gate: argmin of |contexts rows^T - one_hot(experts)|² + ridge |rows|²,
/// float64, without a history for autograd. `experts` [N] int64.
at::Tensor fit_rows(const at::Tensor& contexts,
                    const at::Tensor& experts,
                    int64_t count,
                    double ridge = 1e-8);

}  // namespace lmoe::mixture
