#include "train/document_caches.h"

#include <cstdio>
#include <string>

#include "base/log.h"
#include "recipe/decoder_shape.h"

namespace lmoe::train {
namespace {

std::string text_of(const nn::DocumentCache& cache) {
  char megabytes[32];
  std::snprintf(megabytes, sizeof megabytes, "%.1f MB", static_cast<double>(cache.bytes()) / 1e6);
  return std::to_string(cache.documents()) + " documents, " + megabytes +
         (cache.is_full() ? "; the others do not fit and are computed each time" : "");
}

}  // namespace

CacheLimits cache_limits(const recipe::Recipe& recipe, const arch::ModelConfig& config) {
  CacheLimits limits;
  if (!recipe.batch.repeats_data()) return limits;
  const spec::GateSpec& gate = recipe.mixture.gate;
  if (gate.source == spec::GateSource::kLastHidden && gate.first_pass_weight == 0.0)
    limits.first_pass = recipe.run.first_pass_cache_mb << 20;
  if (spec::lowest_adapted_layer(recipe.mixture, recipe::decoder_shape(config)) > 0)
    limits.frozen_prefix = recipe.run.frozen_prefix_cache_mb << 20;
  return limits;
}

DocumentCaches::DocumentCaches(const recipe::Recipe& recipe, const arch::ModelConfig& config)
    : lowest_layer_(spec::lowest_adapted_layer(recipe.mixture, recipe::decoder_shape(config))) {
  const CacheLimits limits = cache_limits(recipe, config);
  if (limits.first_pass > 0) first_pass_.emplace(limits.first_pass);
  if (limits.frozen_prefix > 0) frozen_prefix_.emplace(limits.frozen_prefix);
}

void DocumentCaches::say_once() {
  if (is_said_) return;
  is_said_ = true;
  if (first_pass_) log().info("first passes kept: {}", text_of(*first_pass_));
  if (frozen_prefix_)
    log().info("kept what enters layer {} (frozen_prefix_cache_mb): {}", lowest_layer_,
               text_of(*frozen_prefix_));
}

}  // namespace lmoe::train
