// The delta of one group of projections (gate, up of SmolLM2), forward and backward, without the
// frozen GEMMs.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <memory>

#include "mixture/mix_and_project.h"
#include "mixture/mix_selected.h"
#include "mixture/mixture.h"
#include "nn/projection.h"
#include "spec/method_info.h"

namespace lmoe {
namespace {

void run(benchmark::State& state, spec::MixtureSpec spec) {
  const int64_t tokens = 2048, hidden = 576, inner = 1536;
  std::vector<nn::FrozenLinear> linears;
  for (const char* name : {"gate_proj", "up_proj"}) {
    linears.push_back(
        {name, std::string("model.layers.0.mlp.") + name, at::zeros({inner, hidden}), {}});
  }
  nn::ProjectionGroup group(0, "mlp", std::move(linears));
  spec.target_modules = {"gate_proj", "up_proj"};
  mixture::Mixture mixture(spec, std::vector{&group}, /*seed=*/1);
  mixture.plug(std::vector{&group});
  const at::Tensor x = at::randn({tokens, hidden}).set_requires_grad(true),
                   dy = at::randn({tokens, inner});
  for (auto _ : state) {
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = tokens}};
    const auto outputs = group.forward({x, x}, context);
    (outputs[0] * dy + outputs[1] * dy).sum().backward();
  }
  state.SetItemsProcessed(state.iterations() * tokens);
}

void lora_rank_64(benchmark::State& state) {
  spec::MixtureSpec spec = spec::find_method("lora").preset();
  spec.experts.rank = 64;
  run(state, spec);
}

void l_moe_8_by_8(benchmark::State& state) { run(state, spec::find_method("l-moe").preset()); }

void l_moe_8_by_8_factors(benchmark::State& state) {
  spec::MixtureSpec spec = spec::find_method("l-moe").preset();
  spec.apply = spec::Apply::kFactors;
  run(state, spec);
}

/// One projection with top-k of E experts, in the dense form or the one that computes chosen
/// experts only: what chooses_selected was measured with.
void top_k(benchmark::State& state, bool is_selected) {
  const int64_t tokens = 2048, in = 576, out = 1536;
  const int64_t experts = state.range(0), k = state.range(1), rank = state.range(2);
  const at::Tensor x = at::randn({tokens, in}).set_requires_grad(true),
                   a = at::randn({experts * rank, in}).set_requires_grad(true),
                   b = at::randn({out, experts * rank}).set_requires_grad(true),
                   dy = at::randn({tokens, out});
  const at::Tensor chosen = std::get<1>(at::randn({tokens, 1, experts}).topk(k));
  const at::Tensor weights = at::zeros({tokens, 1, experts}).scatter(2, chosen, 0.5);
  weights.set_requires_grad(true);
  for (auto _ : state) {
    const std::vector<at::Tensor> y = {at::zeros({tokens, out})};
    const auto adapted = is_selected ? mixture::mix_selected(x, weights, a, {b}, y, 1.0)
                                     : mixture::mix_and_project(at::linear(x, a), weights, {b}, y,
                                                                spec::Apply::kDeltas, 1.0);
    adapted[0].backward(dy);
  }
  state.SetItemsProcessed(state.iterations() * tokens);
}

void top_k_shapes(benchmark::internal::Benchmark* shapes) {
  for (const int64_t rank : {8, 16})
    for (const auto& [experts, k] :
         {std::pair{4, 1}, {8, 2}, {8, 1}, {16, 2}, {16, 1}, {32, 2}, {64, 2}})
      shapes->Args({experts, k, rank});
  shapes->ArgNames({"E", "k", "R"})->Unit(benchmark::kMillisecond);
}

BENCHMARK_CAPTURE(top_k, dense, false)->Apply(top_k_shapes);
BENCHMARK_CAPTURE(top_k, selected, true)->Apply(top_k_shapes);
BENCHMARK(lora_rank_64)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(l_moe_8_by_8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(l_moe_8_by_8_factors)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace lmoe
