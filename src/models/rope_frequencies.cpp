#include "models/rope_frequencies.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nn/dispatch.h"

namespace lmoe::models {

namespace {

using arch::ModelConfig;
using arch::RopeScaling;

std::vector<double> plain_frequencies(int64_t head_dim, double theta) {
  std::vector<double> inverse;
  for (int64_t i = 0; i < head_dim; i += 2)
    inverse.push_back(std::pow(theta, -static_cast<double>(i) / static_cast<double>(head_dim)));
  return inverse;
}

/// The base grows with the sequence, so that the longest wave always spans it.
double dynamic_theta(const ModelConfig& config, int64_t sequence_length) {
  const auto limit = static_cast<double>(config.max_position_embeddings);
  const double length = std::max(static_cast<double>(sequence_length), limit);
  const double factor = config.rope_scaling.factor;
  const auto dim = static_cast<double>(config.head_dim);
  return config.rope_theta * std::pow(factor * length / limit - (factor - 1), dim / (dim - 2));
}

/// Llama 3: long waves are divided, short ones kept, those between blended.
double llama3_frequency(double inverse, const RopeScaling& scaling) {
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  const double turns = original * inverse / (2 * std::numbers::pi);
  if (turns > scaling.high_freq_factor) return inverse;
  if (turns < scaling.low_freq_factor) return inverse / scaling.factor;
  const double smooth =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - smooth) * inverse / scaling.factor + smooth * inverse;
}

/// YaRN: the dimension that turns `rotations` times within the original length.
double yarn_dimension(double rotations, const ModelConfig& config) {
  const auto original = static_cast<double>(config.rope_scaling.original_max_position_embeddings);
  return static_cast<double>(config.head_dim) *
         std::log(original / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.rope_theta));
}

void apply_yarn(const ModelConfig& config, std::vector<double>& inverse) {
  const RopeScaling& scaling = config.rope_scaling;
  double low = yarn_dimension(scaling.beta_fast, config);
  double high = yarn_dimension(scaling.beta_slow, config);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inverse.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inverse[i] = inverse[i] / scaling.factor * ramp + inverse[i] * (1 - ramp);
  }
}

}  // namespace

RopeFrequencies rope_frequencies(const ModelConfig& config, int64_t sequence_length) {
  const RopeScaling& scaling = config.rope_scaling;
  const bool is_dynamic = scaling.kind == RopeScaling::Kind::kDynamicNtk;
  const double theta = is_dynamic ? dynamic_theta(config, sequence_length) : config.rope_theta;
  RopeFrequencies result{plain_frequencies(config.head_dim, theta), 1.0};
  std::vector<double>& inverse = result.inverse;
  switch (scaling.kind) {
    case RopeScaling::Kind::kNone:
    case RopeScaling::Kind::kDynamicNtk:
      break;
    case RopeScaling::Kind::kLinear:
      for (double& value : inverse) value /= scaling.factor;
      break;
    case RopeScaling::Kind::kLlama3:
      for (double& value : inverse) value = llama3_frequency(value, scaling);
      break;
    case RopeScaling::Kind::kYarn:
      apply_yarn(config, inverse);
      result.attention_factor = scaling.attention_factor.value_or(
          scaling.factor > 1 ? 0.1 * std::log(scaling.factor) + 1 : 1.0);
      break;
    case RopeScaling::Kind::kFactors:
      LMOE_CHECK_DATA(scaling.factors.size() == inverse.size(), "[load_base] rope factors: given ",
                      scaling.factors.size(), ", expected ", inverse.size(), " (half of head_dim)");
      for (size_t i = 0; i < inverse.size(); ++i) inverse[i] /= scaling.factors[i];
      break;
  }
  return result;
}

nn::RopeTable make_rope_table(const ModelConfig& config,
                              const nn::ForwardContext& context,
                              at::ScalarType dtype,
                              at::Device device) {
  const int64_t half = config.head_dim / 2;
  const auto options = at::TensorOptions().dtype(nn::accumulate_dtype(dtype));
  nn::RopeTable table{at::empty({context.positions.size(0), half}, options),
                      at::empty({context.positions.size(0), half}, options)};
  const at::Tensor all = context.positions.to(at::kCPU).contiguous();
  const int64_t* positions = all.const_data_ptr<int64_t>();
  nn::dispatch_dtype(table.cos, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T *cos = table.cos.data_ptr<T>(), *sin = table.sin.data_ptr<T>();
    for (const nn::Segment& segment : context.segments) {
      const RopeFrequencies frequencies = rope_frequencies(config, segment.past + segment.length);
      for (int64_t token = segment.start; token < segment.start + segment.length; ++token) {
        for (int64_t i = 0; i < half; ++i) {
          const double angle =
              frequencies.inverse[static_cast<size_t>(i)] * static_cast<double>(positions[token]);
          cos[token * half + i] = static_cast<T>(std::cos(angle) * frequencies.attention_factor);
          sin[token * half + i] = static_cast<T>(std::sin(angle) * frequencies.attention_factor);
        }
      }
    }
  });
  return {table.cos.to(device), table.sin.to(device)};
}

}  // namespace lmoe::models
