#include "mixture/cluster_gate.h"

#include <ATen/ATen.h>

#include <limits>

namespace lmoe::mixture {
namespace {

constexpr int kMostRounds = 20;
constexpr double kTolerance = 1e-4;

/// [N, E] mean absolute differences.
at::Tensor distances(const at::Tensor& contexts, const at::Tensor& centroids) {
  return at::cdist(contexts, centroids, /*p=*/1.0) / static_cast<double>(contexts.size(1));
}

/// Of each column of [n, E]; the mean of both middle values where n is even.
at::Tensor medians(const at::Tensor& values) {
  const at::Tensor sorted = std::get<0>(at::sort(values, /*dim=*/0));
  const int64_t n = values.size(0);
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

}  // namespace

at::Tensor distant_contexts(const at::Tensor& contexts, int64_t count) {
  const at::Tensor points = contexts.detach().to(at::kDouble);
  at::Tensor nearest = distances(points, points.mean(0, /*keepdim=*/true)).select(1, 0);
  std::vector<at::Tensor> chosen;
  for (int64_t i = 0; i < count; ++i) {
    chosen.push_back(points[nearest.argmax().item<int64_t>()]);
    const at::Tensor from_it = distances(points, chosen.back().unsqueeze(0)).select(1, 0);
    nearest = i == 0 ? from_it : at::minimum(nearest, from_it);
  }
  return at::stack(chosen);
}

std::optional<Clusters> cluster_contexts(const at::Tensor& contexts, const at::Tensor& start) {
  const at::Tensor points = contexts.detach().to(at::kDouble);
  at::Tensor centroids = start.detach().to(at::kDouble);
  for (int round = 0; round < kMostRounds; ++round) {
    const at::Tensor labels = distances(points, centroids).argmin(/*dim=*/1);
    const at::Tensor sizes = at::bincount(labels, /*weights=*/{}, centroids.size(0));
    if (sizes.eq(0).any().item<bool>()) return std::nullopt;
    const at::Tensor means =
        at::zeros_like(centroids).index_add_(0, labels, points) / sizes.unsqueeze(1);
    const double moved = (means - centroids).abs().mean(1).max().item<double>();
    centroids = means;
    if (moved <= kTolerance) return Clusters{centroids, labels};
  }
  return std::nullopt;
}

std::vector<int64_t> match_experts(const at::Tensor& losses, const at::Tensor& labels) {
  std::vector<int64_t> experts;
  at::Tensor taken = at::zeros({losses.size(1)}, at::kBool);
  for (int64_t cluster = 0; cluster < losses.size(1); ++cluster) {
    const at::Tensor own = losses.detach().index_select(0, labels.eq(cluster).nonzero().view(-1));
    const at::Tensor left =
        medians(own).masked_fill(taken, std::numeric_limits<double>::infinity());
    experts.push_back(left.argmin().item<int64_t>());
    taken[experts.back()].fill_(true);
  }
  return experts;
}

at::Tensor fit_rows(const at::Tensor& contexts,
                    const at::Tensor& experts,
                    int64_t count,
                    double ridge) {
  const at::Tensor x = contexts.detach().to(at::kDouble);
  const at::Tensor y = at::one_hot(experts, count).to(at::kDouble);
  const auto with_ridge = [&](const at::Tensor& gram) {
    return gram + ridge * at::eye(gram.size(0), at::kDouble);
  };
  // Both are the same rows; the smaller system is the better conditioned one.
  if (x.size(0) < x.size(1))
    return at::matmul(y.t(), at::linalg_solve(with_ridge(at::matmul(x, x.t())), x));
  return at::linalg_solve(with_ridge(at::matmul(x.t(), x)), at::matmul(x.t(), y)).t().contiguous();
}

}  // namespace lmoe::mixture
