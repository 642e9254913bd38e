#include "train/router_statistics.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <numeric>

namespace lmoe::train {

void RouterStatistics::add(const nn::RouterLog& log) {
  const c10::NoGradGuard no_grad;
  for (const nn::GateRecord& record : log.records) {
    Layer& layer = layers_[record.layer];
    const at::Tensor p = record.probabilities.detach();
    layer.entropy_sum -= at::xlogy(p, p).sum(at::kDouble).item<double>();
    layer.gate_tokens += static_cast<double>(p.size(0));
    const at::Tensor sums = record.weights.detach().sum(0, /*keepdim=*/false, at::kDouble);
    layer.weight_sums.resize(static_cast<size_t>(sums.size(0)), 0.0);
    for (int64_t e = 0; e < sums.size(0); ++e)
      layer.weight_sums[static_cast<size_t>(e)] += sums.const_data_ptr<double>()[e];
  }
}

std::vector<double> RouterStatistics::entropy() const {
  std::vector<double> result;
  for (const auto& [number, layer] : layers_)
    result.push_back(layer.gate_tokens > 0 ? layer.entropy_sum / layer.gate_tokens : 0.0);
  return result;
}

std::vector<std::vector<double>> RouterStatistics::load() const {
  std::vector<std::vector<double>> result;
  for (const auto& [number, layer] : layers_) {
    std::vector<double> shares = layer.weight_sums;
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (double& share : shares) share = total > 0 ? share / total : 0.0;
    result.push_back(std::move(shares));
  }
  return result;
}

std::vector<double*> RouterStatistics::sums() {
  std::vector<double*> result;
  for (auto& [number, layer] : layers_) {
    result.push_back(&layer.entropy_sum);
    result.push_back(&layer.gate_tokens);
    for (double& sum : layer.weight_sums) result.push_back(&sum);
  }
  return result;
}

}  // namespace lmoe::train
