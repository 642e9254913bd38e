#include "train/memory_shortage.h"

#include "base/error.h"
#include "train/memory_forecast.h"

namespace lmoe::train {
namespace {

/// What forecasts depend on besides the recipe.
struct Machine {
  const arch::ModelConfig& config;
  int64_t dtype_bytes;
  const std::optional<arch::WeightInventory>& weights;

  MemoryForecast forecast(const recipe::Recipe& recipe) const {
    return forecast_memory(recipe, config, dtype_bytes, weights);
  }
};

/// "micro_batch_size=2 needs 1.20 GB", the most rows that fit, or nothing.
std::string fitting_rows(recipe::Recipe recipe, const Machine& machine, int64_t available) {
  const auto needed = [&] { return machine.forecast(recipe).total(); };
  int64_t& rows = recipe.batch.micro_batch_size;
  int64_t fitting = 0;
  for (int64_t too_many = rows + 1; too_many - fitting > 1;) {
    rows = fitting + (too_many - fitting) / 2;
    (needed() <= available ? fitting : too_many) = rows;
  }
  if (fitting == 0) return "";
  rows = fitting;
  return concat("micro_batch_size=", rows, " needs ", gigabytes(needed()), " GB");
}

/// Nothing kept of documents, or weights as the file has them, or fewer rows, or layers that are
/// recomputed, or both, or else the longest rows of one.
std::string what_fits(recipe::Recipe recipe, const Machine& machine, int64_t available) {
  const auto needed = [&] { return machine.forecast(recipe).total(); };
  if (machine.forecast(recipe).cache_bytes > 0) {
    recipe::Recipe bare = recipe;
    bare.run.first_pass_cache_mb = bare.run.frozen_prefix_cache_mb = 0;
    const int64_t bytes = machine.forecast(bare).total();
    if (bytes <= available)
      return concat("first_pass_cache_mb=0 with frozen_prefix_cache_mb=0 needs ", gigabytes(bytes),
                    " GB");
  }
  if (recipe.batch.frozen_weights == arch::FrozenWeights::kDense) {
    recipe::Recipe stored = recipe;
    stored.batch.frozen_weights = arch::FrozenWeights::kFile;
    const int64_t bytes = machine.forecast(stored).total();
    if (bytes <= available) return concat("frozen_weights=file needs ", gigabytes(bytes), " GB");
  }
  std::string fewer = fitting_rows(recipe, machine, available);
  recipe.batch.gradient_checkpointing = true;
  if (const int64_t bytes = needed(); bytes <= available)
    return concat(fewer, fewer.empty() ? "" : ", or ", "gradient_checkpointing=true needs ",
                  gigabytes(bytes), " GB");
  if (!fewer.empty()) return fewer;
  if (const std::string both = fitting_rows(recipe, machine, available); !both.empty())
    return "gradient_checkpointing=true with " + both;
  constexpr int64_t kShortest = 32;
  recipe.batch.micro_batch_size = 1;
  int64_t& length = recipe.data.sequence_len;
  for (length /= 2; length >= kShortest; length /= 2) {
    if (const int64_t bytes = needed(); bytes <= available)
      return concat("gradient_checkpointing=true and micro_batch_size=1 with sequence_len=", length,
                    " needs ", gigabytes(bytes), " GB");
  }
  return machine.dtype_bytes > 2
             ? "bf16=true, fewer experts, a smaller rank or a smaller base_model"
             : "fewer experts, a smaller rank or a smaller base_model";
}

}  // namespace

std::string memory_shortage(const recipe::Recipe& recipe,
                            const arch::ModelConfig& config,
                            int64_t dtype_bytes,
                            int64_t available,
                            const std::optional<arch::WeightInventory>& weights) {
  const Machine machine{config, dtype_bytes, weights};
  const MemoryForecast forecast = machine.forecast(recipe);
  if (available == 0 || forecast.total() <= available) return "";
  return concat("needs ", forecast.text(), ", ", gigabytes(available),
                " GB free; hint: ", what_fits(recipe, machine, available));
}

void check_memory(const recipe::Recipe& recipe,
                  const arch::ModelConfig& config,
                  int64_t dtype_bytes,
                  int64_t available,
                  const std::optional<arch::WeightInventory>& weights) {
  const std::string shortage = memory_shortage(recipe, config, dtype_bytes, available, weights);
  if (!shortage.empty()) fail(ErrorCode::kOutOfMemory, "[train] ", shortage);
}

}  // namespace lmoe::train
