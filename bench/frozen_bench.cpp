// What keeping frozen weights small costs: expanding them, and the loss over a head that is
// expanded in panels beside one that is dense.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include <vector>

#include "nn/frozen_matrix.h"
#include "nn/loss.h"

namespace lmoe::nn {
namespace {

constexpr int64_t kHidden = 576, kInner = 1536, kVocabulary = 49152, kTokens = 512;

/// Values do not matter, but scales that are no number would be slow.
io::StoredTensor stored(io::DType dtype, int64_t rows, int64_t columns) {
  const int64_t blocks = rows * columns / io::block_elements(dtype);
  return {"w",
          dtype,
          {rows, columns},
          std::vector<std::byte>(static_cast<size_t>(blocks * io::block_bytes(dtype)),
                                 std::byte{0x11})};
}

void expand(benchmark::State& state, io::DType dtype) {
  // A row of blocks of 256.
  const FrozenMatrix matrix(stored(dtype, kInner, kHidden / 256 * 256), at::kFloat);
  for (auto _ : state) benchmark::DoNotOptimize(matrix.borrow().data_ptr());
  state.counters["bytes_out"] = benchmark::Counter(static_cast<double>(4 * matrix.numel()),
                                                   benchmark::Counter::kIsIterationInvariantRate,
                                                   benchmark::Counter::kIs1024);
}
BENCHMARK_CAPTURE(expand, F16, io::DType::kF16)->UseRealTime();
BENCHMARK_CAPTURE(expand, BF16, io::DType::kBF16)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q4_0, io::DType::kQ4_0)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q4_1, io::DType::kQ4_1)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q5_0, io::DType::kQ5_0)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q5_1, io::DType::kQ5_1)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q8_0, io::DType::kQ8_0)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q4_K, io::DType::kQ4_K)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q5_K, io::DType::kQ5_K)->UseRealTime();
BENCHMARK_CAPTURE(expand, Q6_K, io::DType::kQ6_K)->UseRealTime();

void loss(benchmark::State& state, bool is_dense) {
  io::StoredTensor head = stored(io::DType::kQ4_1, kVocabulary, kHidden);
  const FrozenMatrix small(std::move(head), at::kFloat);
  const FrozenMatrix matrix = is_dense ? FrozenMatrix(small.expand()) : small;
  const at::Tensor hidden = at::randn({kTokens, kHidden}).set_requires_grad(true);
  const at::Tensor labels = at::randint(kVocabulary, {kTokens}, at::kLong);
  for (auto _ : state) labelled_cross_entropy_sum(hidden, labels, matrix);
}
BENCHMARK_CAPTURE(loss, dense, true)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(loss, Q4_1, false)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lmoe::nn
