#include "train/step_work.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/timing.h"
#include "nn/matrix_product.h"
#include "recipe/decoder_shape.h"
#include "spec/adapted_sites.h"

namespace lmoe::train {
namespace {

/// Pairs of a query and a key that it sees, in documents with `prompts` positions in front.
double visible_pairs(const data::PackedRow& row, int64_t prompts, int64_t window) {
  double pairs = 0;
  for (const data::Segment& segment : row.segments) {
    const auto length = static_cast<double>(prompts + segment.length);
    const double hidden = window > 0 && window < prompts + segment.length
                              ? length - static_cast<double>(window)
                              : 0.0;
    pairs += length * (length + 1) / 2 - hidden * (hidden + 1) / 2;
  }
  return pairs;
}

}  // namespace

double step_flops(const spec::MixtureSpec& spec,
                  const arch::ModelConfig& config,
                  std::span<const data::PackedRow> rows) {
  const spec::DecoderShape shape = recipe::decoder_shape(config);
  const int lowest = spec::lowest_adapted_layer(spec, shape);
  const int64_t prompts = spec.prompts.positions();
  double tokens = 0, labelled = 0, pairs = 0, backward_pairs = 0;  // pairs: over the layers
  for (const data::PackedRow& row : rows) {
    tokens += static_cast<double>(row.length() + prompts * std::ssize(row.segments));
    labelled += static_cast<double>(row.labelled());
    for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
      const auto index = static_cast<size_t>(layer);
      const double visible = visible_pairs(
          row, prompts, index < config.sliding_window.size() ? config.sliding_window[index] : 0);
      pairs += visible;
      if (layer >= lowest) backward_pairs += visible;
    }
  }
  const auto frozen = static_cast<double>(spec::frozen_multiply_adds(shape));
  const auto lm_head = static_cast<double>(config.vocab_size * config.hidden_size);
  const auto query_size = static_cast<double>(shape.query_size);
  auto mixture = static_cast<double>(spec::mixture_cost(spec, shape).multiply_adds);
  double forwards = 1;
  if (spec.gate.share == spec::GateShare::kModel) {  // its cost has the first pass in it
    mixture -= frozen;
    forwards = 2;
  }
  const double backward = static_cast<double>(shape.layers - lowest) / shape.layers;
  return 2 * (tokens * ((forwards + backward) * frozen + 3 * mixture) + 2 * labelled * lm_head +
              query_size * (2 * forwards * pairs + 5 * backward_pairs));
}

GemmRate::GemmRate(const arch::ModelConfig& config, int64_t tokens, at::ScalarType dtype)
    : x_(at::randn({tokens, config.hidden_size}).to(dtype)),
      weight_(at::randn({config.intermediate_size, config.hidden_size}).to(dtype)),
      y_(at::empty({tokens, config.intermediate_size}, dtype)) {}

void GemmRate::measure() {
  const c10::NoGradGuard no_grad;
  for (int repetition = 0; repetition < 4; ++repetition) {
    const double aten = seconds_of([&] { at::mm_out(y_, x_, weight_.t()); });
    const double product = seconds_of([&] { y_ = nn::product(x_, weight_); });
    if (repetition == 0) continue;
    aten_seconds_.push_back(aten);
    product_seconds_.push_back(product);
  }
}

double GemmRate::gflops() const {
  if (aten_seconds_.empty()) return 0.0;
  const double flops = 2.0 * static_cast<double>(x_.numel()) * static_cast<double>(weight_.size(0));
  return flops / std::min(median(aten_seconds_), median(product_seconds_)) / 1e9;
}

}  // namespace lmoe::train
