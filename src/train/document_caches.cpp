#include "train/document_caches.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "recipe/decoder_shape.h"

namespace lmoe::train {
namespace {

std::string megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string text_of(const nn::DocumentCache& cache) {
  return std::to_string(cache.documents()) + " documents, " + megabytes(cache.bytes()) +
         (cache.file_bytes() > 0 ? " of memory, " + megabytes(cache.file_bytes()) + " of the file"
                                 : "") +
         (cache.is_full() ? "; the others do not fit and are computed each time" : "");
}

}  // namespace

CacheLimits cache_limits(const recipe::Recipe& recipe, const arch::ModelConfig& config) {
  CacheLimits limits;
  if (!recipe.batch.repeats_data()) return limits;
  const recipe::RunOptions& run = recipe.run;
  const spec::GateSpec& gate = recipe.mixture.gate;
  const bool has_first_pass =
      gate.source == spec::GateSource::kLastHidden && gate.first_pass_weight == 0.0;
  const bool has_prefix =
      spec::lowest_adapted_layer(recipe.mixture, recipe::decoder_shape(config)) > 0;
  if (has_first_pass) limits.first_pass = run.first_pass_cache_mb << 20;
  if (has_prefix) limits.frozen_prefix = run.frozen_prefix_cache_mb << 20;
  if (has_first_pass || has_prefix) limits.file = run.document_cache_file_mb << 20;
  limits.keeps_first_pass = has_first_pass && limits.first_pass + limits.file > 0;
  limits.keeps_frozen_prefix = has_prefix && limits.frozen_prefix + limits.file > 0;
  return limits;
}

recipe::Recipe with_fillable_caches(recipe::Recipe recipe,
                                    int64_t tokens,
                                    const arch::ModelConfig& config,
                                    int64_t dtype_bytes) {
  const int64_t bytes_per_token =
      config.hidden_size * dtype_bytes + static_cast<int64_t>(sizeof(int64_t));  // its id
  const int64_t most_mb = ((tokens * bytes_per_token) >> 20) + 1;
  for (int64_t* limit : {&recipe.run.first_pass_cache_mb, &recipe.run.frozen_prefix_cache_mb})
    *limit = std::min(*limit, most_mb);
  int64_t& file_mb = recipe.run.document_cache_file_mb;
  file_mb = std::min(file_mb, 2 * most_mb);
  return recipe;
}

DocumentCaches::DocumentCaches(const recipe::Recipe& recipe, const arch::ModelConfig& config)
    : lowest_layer_(spec::lowest_adapted_layer(recipe.mixture, recipe::decoder_shape(config))) {
  const CacheLimits limits = cache_limits(recipe, config);
  LMOE_CHECK_ARG(
      recipe.run.document_cache_file_mb == 0 || limits.file > 0,
      "[cache] document_cache_file_mb cannot act: expected several epochs, and lowest layers "
      "without adapters and prompts, or a gate that decides from the last hidden states");
  if (limits.file > 0)
    file_.emplace(recipe.run.document_cache_dir.value_or(recipe.run.output_dir), limits.file);
  ScratchFile* file = file_ ? &*file_ : nullptr;
  if (limits.keeps_first_pass) first_pass_.emplace(limits.first_pass, file);
  if (limits.keeps_frozen_prefix) frozen_prefix_.emplace(limits.frozen_prefix, file);
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
