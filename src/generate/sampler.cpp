#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

namespace lmoe::generate {
namespace {

text::TokenId draw(std::span<const float> logits, float largest, Rng& rng) {
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  const double target = rng.uniform() * sum;
  double reached = 0.0;
  text::TokenId last = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double mass = std::exp(static_cast<double>(logits[i]) - largest);
    if (mass == 0.0) continue;
    reached += mass;
    last = static_cast<text::TokenId>(i);
    if (target < reached) break;
  }
  return last;
}

}  // namespace

text::TokenId argmax(std::span<const float> logits) {
  return static_cast<text::TokenId>(std::max_element(logits.begin(), logits.end()) -
                                    logits.begin());
}

Sampler::Sampler(const SampleOptions& options)
    : is_greedy_(options.is_greedy()),
      chain_((check_sample_options(options), make_processor_chain(options))),
      rng_(options.seed) {}

text::TokenId Sampler::sample(std::span<float> logits, std::span<const text::TokenId> history) {
  const bool has_nan =
      std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); });
  const text::TokenId best = argmax(logits);
  if (has_nan || !std::isfinite(logits[best])) {
    fail(ErrorCode::kDiverged,
         "[generate] the model gave no usable logits: the most likely one is ",
         has_nan ? "NaN" : "not finite", "; its weights may come from a run that diverged");
  }
  for (const auto& step : chain_) step->process(logits, history);
  return is_greedy_ ? argmax(logits)
                    : draw(logits, *std::max_element(logits.begin(), logits.end()), rng_);
}

}  // namespace lmoe::generate
