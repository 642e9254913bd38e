// The delta of one group of projections (gate, up of SmolLM2), forward and backward, without the
// frozen GEMMs.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <memory>

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

BENCHMARK(lora_rank_64)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(l_moe_8_by_8)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(l_moe_8_by_8_factors)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace lmoe
