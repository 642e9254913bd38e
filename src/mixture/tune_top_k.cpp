#include "mixture/tune_top_k.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "mixture/mix_and_project.h"
#include "mixture/mix_selected.h"
#include "nn/linear.h"

namespace lmoe::mixture {
namespace {

constexpr std::array<int64_t, 13> kExperts = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128};

/// One projection with parameters in float32, as a bank has them.
struct Product {
  Product(const TopKShape& own_shape, int64_t experts) : shape(own_shape) {
    const auto parameter = [](at::IntArrayRef sizes) {
      return at::randn(sizes).set_requires_grad(true);
    };
    x = at::randn({shape.rows, shape.in}).to(shape.type).set_requires_grad(true);
    a = parameter({experts * shape.rank, shape.in});
    b_rows = parameter({experts * shape.rank, shape.out});
    dy = at::randn({shape.rows, shape.out}).to(shape.type);
    const at::Tensor chosen =
        std::get<1>(at::randn({shape.rows, 1, experts}).topk(shape.k, /*dim=*/2));
    weights = at::zeros({shape.rows, 1, experts}).scatter(2, chosen, 0.5).set_requires_grad(true);
  }

  /// Seconds.
  double run(bool is_selected) const {
    const std::vector<at::Tensor> y = {at::zeros({shape.rows, shape.out}, x.options())};
    const auto begin = std::chrono::steady_clock::now();
    const auto adapted =
        is_selected ? mix_selected(x, weights, a, {b_rows.t()}, y, /*scaling=*/1.0)
                    : mix_and_project(nn::adapter_linear(x, a.to(shape.type)), weights,
                                      {b_rows.t().to(shape.type)}, y, spec::Apply::kDeltas, 1.0);
    adapted[0].backward(dy);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  TopKShape shape;
  at::Tensor x, a, b_rows, dy, weights;
};

}  // namespace

std::vector<TopKShape> tuned_top_k_shapes(bool with_bf16) {
  std::vector<TopKShape> shapes;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (type == at::kBFloat16 && !with_bf16) continue;
    for (const int64_t k : {1, 2, 4})
      for (const int64_t rank : {2, 8, 32})
        for (const auto& [in, out] : {std::pair<int64_t, int64_t>{576, 1536}, {1536, 576}})
          for (const int64_t rows : {64, 512, 2048})
            shapes.push_back({type, k, rank, in, out, rows});
  }
  return shapes;
}

TopKTimes measure_top_k(const TopKShape& shape, int64_t experts) {
  constexpr int kFewest = 3, kMost = 25;
  constexpr double kSeconds = 0.1;
  const Product product(shape, experts);
  for (const bool is_selected : {false, true}) product.run(is_selected);  // warms up
  TopKTimes best = {product.run(false), product.run(true)};
  double spent = best.dense + best.selected;
  for (int turn = 1; turn < kFewest || (turn < kMost && spent < kSeconds); ++turn) {
    const TopKTimes now = {product.run(false), product.run(true)};
    best = {std::min(best.dense, now.dense), std::min(best.selected, now.selected)};
    spent += now.dense + now.selected;
  }
  return best;
}

TopKCrossover find_crossover(const TopKShape& shape,
                             const std::function<TopKTimes(int64_t experts)>& measure) {
  TopKCrossover crossover;
  const auto* least = std::upper_bound(kExperts.begin(), kExperts.end(), shape.k);
  const auto* end = kExperts.end();
  while (least < end) {
    const auto* middle = least + (end - least) / 2;
    const TopKTimes times = measure(*middle);
    crossover.measured[*middle] = times;
    if (times.selected < times.dense)
      end = middle;
    else
      least = middle + 1;
  }
  if (least != kExperts.end()) crossover.experts = *least;
  return crossover;
}

}  // namespace lmoe::mixture
