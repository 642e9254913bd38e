#include "nn/nearest_references.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace lmoe::nn {
namespace {

/// Beyond the K that count, so that rounding of the GEMM does not lose one of them.
constexpr int64_t kSpareCandidates = 16;
/// Floats of the differences that are in memory at a time.
constexpr int64_t kMostDifferences = int64_t{1} << 22;

struct Found {
  at::Tensor indices, distances;  ///< [N, K]
};

/// Of some queries [n, W], among `candidates` [n, C] in ascending order.
Found nearest_of(const at::Tensor& queries,
                 const at::Tensor& keys,
                 const at::Tensor& candidates,
                 int64_t neighbours) {
  const at::Tensor differences =
      keys.index_select(0, candidates.reshape({-1})).view({queries.size(0), -1, keys.size(1)}) -
      queries.unsqueeze(/*dim=*/1);
  const auto [distances, order] = at::sort(differences.square().sum(/*dim=*/-1), /*stable=*/true,
                                           /*dim=*/-1, /*descending=*/false);
  const at::Tensor first = order.narrow(/*dim=*/-1, 0, neighbours);
  return {candidates.gather(/*dim=*/-1, first), distances.narrow(/*dim=*/-1, 0, neighbours)};
}

/// `closeness` [N, R] falls with the distance.
Found nearest(const at::Tensor& queries,
              const at::Tensor& keys,
              const at::Tensor& closeness,
              int64_t neighbours) {
  const int64_t count = std::min(keys.size(0), neighbours + kSpareCandidates);
  const at::Tensor unordered = std::get<1>(at::topk(closeness, count, /*dim=*/-1));
  const at::Tensor candidates = std::get<0>(at::sort(unordered, /*dim=*/-1));
  const int64_t at_once = std::max<int64_t>(kMostDifferences / (count * keys.size(1)), 1);
  std::vector<at::Tensor> indices, distances;
  for (int64_t start = 0; start == 0 || start < queries.size(0); start += at_once) {
    const int64_t length = std::min(at_once, queries.size(0) - start);
    Found some = nearest_of(queries.narrow(0, start, length), keys,
                            candidates.narrow(0, start, length), neighbours);
    indices.push_back(std::move(some.indices));
    distances.push_back(std::move(some.distances));
  }
  return {at::cat(indices), at::cat(distances)};
}

/// Of one head.
Neighbours nearest_in_part(const at::Tensor& queries,
                           const at::Tensor& keys,
                           int64_t neighbours,
                           double scale) {
  // |q - k|² = |q|² - closeness, and what all references share leaves no trace in a softmax.
  const at::Tensor closeness =
      2 * at::matmul(queries, keys.t()) - keys.square().sum(/*dim=*/-1).unsqueeze(/*dim=*/0);
  Found found;
  {
    const c10::NoGradGuard no_grad;
    found = nearest(queries.detach(), keys, closeness.detach(), neighbours);
  }
  at::Tensor logits = found.distances * -scale;
  if (closeness.requires_grad()) {  // the value of the exact distance, the gradient of the GEMM
    const at::Tensor own = closeness.gather(/*dim=*/-1, found.indices) * scale;
    logits = logits + (own - own.detach());
  }
  return {found.indices, at::softmax(logits, /*dim=*/-1)};
}

}  // namespace

Neighbours nearest_references(const at::Tensor& queries,
                              const at::Tensor& keys,
                              const Retrieval& retrieval) {
  const int64_t heads = retrieval.heads;
  LMOE_CHECK_ARG(queries.dim() == 2 && keys.dim() == 2 && queries.size(1) == keys.size(1),
                 "[references] given queries ", queries.sizes(), " and references ", keys.sizes(),
                 ", expected two matrices of the same width");
  LMOE_CHECK_ARG(retrieval.neighbours <= keys.size(0), "[references] given ", retrieval.neighbours,
                 " neighbours, expected at most as many as there are references, ", keys.size(0));
  LMOE_CHECK_ARG(keys.size(1) % heads == 0, "[references] given ", heads,
                 " heads, expected a divisor of the width, ", keys.size(1));
  const double scale = static_cast<double>(heads) / retrieval.temperature;
  const int64_t width = keys.size(1) / heads;
  std::vector<at::Tensor> indices, weights;
  for (int64_t h = 0; h < heads; ++h) {
    const Neighbours part = nearest_in_part(queries.narrow(/*dim=*/1, h * width, width),
                                            keys.narrow(/*dim=*/1, h * width, width).contiguous(),
                                            retrieval.neighbours, scale);
    indices.push_back(part.indices);
    weights.push_back(part.weights);
  }
  return {at::stack(indices, /*dim=*/1), at::stack(weights, /*dim=*/1)};
}

at::Tensor value_distribution(const Neighbours& neighbours,
                              const at::Tensor& values,
                              int64_t count) {
  const int64_t queries = neighbours.indices.size(0), heads = neighbours.indices.size(1);
  const at::Tensor own =
      values.to(at::kLong).index_select(0, neighbours.indices.reshape({-1})).view({queries, -1});
  const at::Tensor shares = neighbours.weights.reshape({queries, -1}) / static_cast<double>(heads);
  return at::zeros({queries, count}, shares.options()).scatter_add(/*dim=*/1, own, shares);
}

}  // namespace lmoe::nn
