// What a mixture adds to one group of projections (gate, up of SmolLM2), forward and backward and
// without the frozen GEMMs, beside the GEMMs that it cannot do without.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "base/timing.h"
#include "mixture/mixture.h"
#include "mixture/site_bank.h"
#include "nn/matrix_product.h"
#include "nn/product_over_rows.h"
#include "nn/projection.h"
#include "spec/method_info.h"

namespace lmoe {
namespace {

constexpr int64_t kTokens = 2048, kHidden = 576, kInner = 1536, kProjections = 2;

/// The GEMMs of forward and backward: A and the gates stacked over projections, one B each; every
/// one by the faster of the libraries that the op itself may use.
class BareGemms {
 public:
  explicit BareGemms(const spec::MixtureSpec& spec) {
    const int64_t width = spec.experts.count * spec.experts.rank;
    const int64_t gates = spec.gate.source == spec::GateSource::kConstant ? 0 : spec.experts.count;
    const at::Tensor x = at::randn({kTokens, kHidden}), dy = at::randn({kTokens, kInner});
    const at::Tensor down = at::randn({kProjections * (width + gates), kHidden});
    const at::Tensor dh = at::randn({kTokens, down.size(0)});
    const at::Tensor up = at::randn({kInner, width}), h = at::randn({kTokens, width});
    add_forward(x, down);
    add_backward(dh, down);
    add_over_rows(dh, x);
    for (int64_t i = 0; i < kProjections; ++i) {
      add_forward(h, up);
      add_backward(dy, up);
      add_over_rows(h, dy);
    }
  }

  void run() {
    for (const Gemm& gemm : gemms_) gemm();
  }

 private:
  using Gemm = std::function<void()>;

  void add_forward(const at::Tensor& x, const at::Tensor& weight) {
    add(x, weight.t(), [=] { nn::product(x, weight); });
  }
  void add_backward(const at::Tensor& dy, const at::Tensor& weight) {
    add(dy, weight, [=] { nn::product_back(dy, weight); });
  }
  void add_over_rows(const at::Tensor& narrow, const at::Tensor& wide) {
    add(narrow.t(), wide, [=] { nn::product_over_rows(narrow, wide); });
  }

  void add(const at::Tensor& left, const at::Tensor& right, const Gemm& as_the_op_does) {
    const Gemm by_blas = [left, right, out = at::mm(left, right)]() mutable {
      at::mm_out(out, left, right);
    };
    const auto fastest = [](const Gemm& gemm) {
      double seconds = seconds_of(gemm);
      for (int turn = 0; turn < 5; ++turn) seconds = std::min(seconds, seconds_of(gemm));
      return seconds;
    };
    gemms_.push_back(fastest(as_the_op_does) < fastest(by_blas) ? as_the_op_does : by_blas);
  }

  std::vector<Gemm> gemms_;
};

/// The counter `bound_share` is the time of the bare GEMMs, measured in turn, over that of the
/// delta.
void run(benchmark::State& state, spec::MixtureSpec spec) {
  std::vector<nn::FrozenLinear> linears;
  for (const char* name : {"gate_proj", "up_proj"}) {
    linears.push_back(
        {name, std::string("model.layers.0.mlp.") + name, at::zeros({kInner, kHidden}), {}});
  }
  nn::ProjectionGroup group(0, "mlp", std::move(linears));
  spec.target_modules = {"gate_proj", "up_proj"};
  const mixture::Mixture mixture(spec, std::vector{&group}, /*seed=*/1);
  const at::Tensor dy = at::randn({kTokens, kInner});
  BareGemms gemms(spec);
  std::vector<double> delta_seconds, gemm_seconds;
  for (auto _ : state) {
    const at::Tensor x = at::randn({kTokens, kHidden}).set_requires_grad(true);
    // Written to, so that no first touch of their memory is counted: the frozen GEMMs make them.
    std::vector<at::Tensor> outputs(kProjections);
    for (at::Tensor& output : outputs) output = at::zeros({kTokens, kInner});
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = kTokens}};
    delta_seconds.push_back(seconds_of([&] {
      outputs = mixture.banks().front()->apply({x, x}, std::move(outputs), context);
      torch::autograd::backward(outputs, {dy, dy});
    }));
    state.SetIterationTime(delta_seconds.back());
    for (const nn::NamedTensor& parameter : mixture.parameters())
      parameter.tensor.mutable_grad().reset();
    gemm_seconds.push_back(seconds_of([&] { gemms.run(); }));
  }
  state.SetItemsProcessed(state.iterations() * kTokens);
  state.counters["bound_share"] = median(gemm_seconds) / median(delta_seconds);
}

void mixture_op_lora_rank_64(benchmark::State& state) {
  spec::MixtureSpec spec = spec::find_method("lora").preset();
  spec.experts.rank = 64;
  run(state, spec);
}

void mixture_op_l_moe_8_by_8(benchmark::State& state) {
  run(state, spec::find_method("l-moe").preset());
}

BENCHMARK(mixture_op_lora_rank_64)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK(mixture_op_l_moe_8_by_8)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace
}  // namespace lmoe
