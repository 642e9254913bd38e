// Block-diagonal attention at SmolLM2's shape, forward and backward, over packed documents of one
// length.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "nn/attention.h"

namespace lmoe {
namespace {

constexpr nn::AttentionShape kShape = {
    .num_heads = 9, .num_kv_heads = 3, .head_dim = 64, .scale = 0.125};

void attention_forward_backward(benchmark::State& state) {
  const int64_t tokens = 2048, length = state.range(0);
  nn::ForwardContext context;
  for (int64_t start = 0; start < tokens; start += length) {
    context.segments.push_back({.start = start, .length = std::min(length, tokens - start)});
  }
  const auto leaf = [&](int64_t heads) {
    return at::randn({tokens, heads * kShape.head_dim}).set_requires_grad(true);
  };
  const at::Tensor q = leaf(kShape.num_heads), k = leaf(kShape.num_kv_heads),
                   v = leaf(kShape.num_kv_heads);
  const at::Tensor dy = at::randn({tokens, kShape.num_heads * kShape.head_dim});
  for (auto _ : state) nn::attention(q, k, v, kShape, /*layer=*/0, context).backward(dy);
  state.SetItemsProcessed(state.iterations() * tokens);
}

BENCHMARK(attention_forward_backward)
    ->Arg(25)
    ->Arg(128)
    ->Arg(512)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace lmoe
