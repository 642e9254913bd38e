// Opening the default base, dequantising it, and tokenising text.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "arch/base_model.h"
#include "io/gguf.h"

namespace lmoe {
namespace {

void open_base_model(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(arch::open_base_model("smollm2-135m"));
}

void dequantise_all_weights(benchmark::State& state) {
  const auto base = arch::open_base_model("smollm2-135m");
  std::vector<float> buffer;
  int64_t elements = 0;
  for (auto _ : state) {
    for (const std::string& name : base->source->names()) {
      const io::TensorView& view = *base->source->find(name);
      buffer.resize(static_cast<size_t>(view.elements()));
      io::to_float32(view, buffer);
      elements += view.elements();
    }
  }
  state.SetItemsProcessed(elements);
}

void tokenise(benchmark::State& state) {
  const auto base = arch::open_base_model("smollm2-135m");
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += "User request: what is application number " + std::to_string(i) + " about?\nIntent:";
  for (auto _ : state) benchmark::DoNotOptimize(base->tokenizer->encode(text));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

BENCHMARK(open_base_model)->Unit(benchmark::kMillisecond);
BENCHMARK(dequantise_all_weights)->Unit(benchmark::kMillisecond);
BENCHMARK(tokenise)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lmoe
