// The kernels at SmolLM2's shapes, on one thread.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/rng.h"
#include "kernels/cross_entropy.h"
#include "kernels/gated_activation.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/rows.h"
#include "kernels/softmax.h"

namespace lmoe::kernels {
namespace {

constexpr int64_t kRows = 64, kHidden = 576, kInner = 1536, kHeads = 9, kHalf = 32, kKeys = 512,
                  kVocabulary = 49152;

template <class T>
std::vector<T> random_values(int64_t count) {
  Rng rng(1);
  std::vector<accumulate_t<T>> values(static_cast<size_t>(count));
  for (auto& value : values) value = static_cast<accumulate_t<T>>(rng.normal());
  std::vector<T> stored(values.size());
  store_row(values.data(), count, stored.data());
  return stored;
}

template <class T>
void rms_norm(benchmark::State& state) {
  const auto x = random_values<T>(kRows * kHidden);
  const auto weight = random_values<accumulate_t<T>>(kHidden);
  std::vector<accumulate_t<T>> rstd(kRows);
  std::vector<T> y(x.size());
  for (auto _ : state) {
    rms_norm_rows(x.data(), weight.data(), 1e-5, kRows, kHidden, y.data(), rstd.data());
    rms_norm_backward_rows<T>({.rows = x.data(), .rstd = rstd.data()}, weight.data(),
                              /*dy=*/x.data(), /*dsum=*/nullptr, kRows, kHidden, y.data());
  }
  state.SetItemsProcessed(state.iterations() * kRows * kHidden);
}

template <class T>
void rope(benchmark::State& state) {
  const auto x = random_values<T>(kRows * kHeads * 2 * kHalf);
  const auto angles = random_values<accumulate_t<T>>(kRows * kHalf);
  std::vector<T> y(x.size());
  for (auto _ : state)
    rotate_rows(x.data(), angles.data(), angles.data(), kRows, kHeads, kHalf, false, y.data());
  state.SetItemsProcessed(state.iterations() * std::ssize(x));
}

template <class T>
void silu(benchmark::State& state) {
  const auto z = random_values<T>(kRows * kInner);  // gate, up and the gradient
  std::vector<T> y(z.size()), dgate(z.size()), dup(z.size());
  for (auto _ : state) {
    gated_values(GatedActivation::kSilu, z.data(), z.data(), std::ssize(z), y.data());
    gated_values_backward(GatedActivation::kSilu, z.data(), z.data(), z.data(), std::ssize(z),
                          dgate.data(), dup.data());
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(z));
}

template <class A>
void softmax(benchmark::State& state) {
  const auto scores = random_values<A>(kRows * kKeys);
  auto p = scores, ds = scores;
  for (auto _ : state) {
    p = scores;
    for (int64_t row = 0; row < kRows; ++row) {
      // As attention has them: each query sees one key more.
      const int64_t end = kKeys - kRows + row + 1;
      softmax_row(p.data() + row * kKeys, 0, end, kKeys);
      softmax_backward_row(p.data() + row * kKeys, ds.data() + row * kKeys, kKeys, A(0));
    }
  }
  state.SetItemsProcessed(state.iterations() * std::ssize(p));
}

template <class T>
void cross_entropy(benchmark::State& state) {
  const auto logits = random_values<T>(kVocabulary);
  auto row = logits;
  for (auto _ : state) {
    row = logits;
    RunningCrossEntropy running;
    cross_entropy_panel(row.data(), kVocabulary, 7, 0.0, true, running);
    benchmark::DoNotOptimize(running.loss());
  }
  state.SetItemsProcessed(state.iterations() * kVocabulary);
}

BENCHMARK(rms_norm<float>);
BENCHMARK(rms_norm<BFloat16>);
BENCHMARK(rope<float>);
BENCHMARK(rope<BFloat16>);
BENCHMARK(silu<float>);
BENCHMARK(silu<BFloat16>);
BENCHMARK(softmax<float>);
BENCHMARK(cross_entropy<float>);
BENCHMARK(cross_entropy<BFloat16>);

}  // namespace
}  // namespace lmoe::kernels
