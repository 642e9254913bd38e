// What a run keeps of each document so that later epochs need not compute it again.
#pragma once

#include <cstdint>
#include <optional>

#include "arch/model_config.h"
#include "nn/document_cache.h"
#include "recipe/recipe.h"

namespace lmoe::train {

/// Bytes that may be taken; 0 where there is nothing to keep: no document comes twice, the setting
/// is 0, or training changes what would be kept.
struct CacheLimits {
  bool keeps_first_pass = false;              ///< what the base alone ends with, for gates
  bool keeps_frozen_prefix = false;           ///< what enters the lowest adapted layer
  int64_t first_pass = 0, frozen_prefix = 0;  ///< of memory
  int64_t file = 0;                           ///< of disk, for what of both does not fit there
};
CacheLimits cache_limits(const recipe::Recipe& recipe, const arch::ModelConfig& config);

/// The recipe with limits no larger than what its documents, of `tokens` together, can fill.
recipe::Recipe with_fillable_caches(recipe::Recipe recipe,
                                    int64_t tokens,
                                    const arch::ModelConfig& config,
                                    int64_t dtype_bytes);

class DocumentCaches {
 public:
  /// Makes the file, in document_cache_dir or else in output_dir. Throws kNotFound or kIo when
  /// nothing can be made there.
  DocumentCaches(const recipe::Recipe& recipe, const arch::ModelConfig& config);

  /// Null where nothing is kept.
  nn::DocumentCache* first_pass() { return first_pass_ ? &*first_pass_ : nullptr; }
  nn::DocumentCache* frozen_prefix() { return frozen_prefix_ ? &*frozen_prefix_ : nullptr; }
  /// Logs how much is kept, the first time it is called.
  void say_once();

 private:
  int lowest_layer_;
  std::optional<ScratchFile> file_;  ///< outlives the caches
  std::optional<nn::DocumentCache> first_pass_, frozen_prefix_;
  bool is_said_ = false;
};

}  // namespace lmoe::train
