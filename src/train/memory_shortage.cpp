#include "train/memory_shortage.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "arch/tensor_names.h"
#include "base/error.h"
#include "train/memory_forecast.h"

namespace lmoe::train {
namespace {

using arch::FrozenWeights;

/// What forecasts depend on besides the recipe.
struct Machine {
  const arch::ModelConfig& config;
  int64_t dtype_bytes;
  const std::optional<arch::WeightInventory>& weights;

  MemoryForecast forecast(const recipe::Recipe& recipe) const {
    return forecast_memory(recipe, config, dtype_bytes, weights);
  }
  /// Whether all rows of its matrices are whole blocks of the type they are rounded to.
  bool can_round_to(FrozenWeights frozen) const {
    const auto type = arch::kept_type(frozen, io::DType::kF32, dtype_bytes);
    const auto tensors = arch::expected_tensors(config);
    return type && std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) {
             return tensor.shape.size() == 1 ||
                    tensor.shape.back() % io::block_elements(*type) == 0;
           });
  }
};

/// What can be done about it, in the order of preference where one is enough.
enum Change : unsigned { kNoCaches = 1, kWeights = 2, kFewerRows = 4, kRecompute = 8, kAll = 15 };

/// "a", "a with b", "a and b with c"
std::string joined(const std::vector<std::string>& settings) {
  std::string text;
  for (size_t i = 0; i < settings.size(); ++i) {
    if (i > 0) text += i + 1 == settings.size() ? " with " : " and ";
    text += settings[i];
  }
  return text;
}

class Remedies {
 public:
  Remedies(const recipe::Recipe& recipe, const Machine& machine, int64_t available)
      : recipe_(recipe), machine_(machine), available_(available) {}

  /// The fewest changes that round nothing; else those that round the base least; else the longest
  /// rows, one at a time.
  std::string first_that_fits() const {
    constexpr FrozenWeights kRounded[] = {FrozenWeights::kBf16, FrozenWeights::kInt8,
                                          FrozenWeights::kInt4};
    std::string found = fewest_changes(FrozenWeights::kFile, /*must_change_weights=*/false);
    for (const FrozenWeights weights : kRounded)
      if (found.empty() && machine_.can_round_to(weights))
        found = fewest_changes(weights, /*must_change_weights=*/true);
    if (found.empty()) found = shorter_rows(FrozenWeights::kFile);
    for (const FrozenWeights weights : kRounded)
      if (found.empty() && machine_.can_round_to(weights)) found = shorter_rows(weights);
    return found;
  }

 private:
  std::string fewest_changes(FrozenWeights weights, bool must_change_weights) const {
    for (int count = 1; count <= std::popcount(unsigned{kAll}); ++count) {
      for (unsigned changes = 1; changes <= kAll; ++changes) {
        if (std::popcount(changes) != count) continue;
        if (must_change_weights && (changes & kWeights) == 0) continue;
        if (std::string found = with(changes, weights); !found.empty()) return found;
      }
    }
    return "";
  }

  /// "frozen_weights=file with micro_batch_size=2 needs 1.20 GB", or nothing where that does not
  /// fit or would not be a change.
  std::string with(unsigned changes, FrozenWeights weights) const {
    recipe::Recipe changed = recipe_;
    std::vector<std::string> settings;
    if ((changes & kNoCaches) != 0) {
      if (machine_.forecast(recipe_).cache_bytes == 0) return "";
      drop_caches(changed, settings);
    }
    if ((changes & kWeights) != 0 && !keep_as(weights, changed, settings)) return "";
    if ((changes & kRecompute) != 0) {
      if (recipe_.batch.gradient_checkpointing) return "";
      changed.batch.gradient_checkpointing = true;
      settings.emplace_back("gradient_checkpointing=true");
    }
    if ((changes & kFewerRows) != 0) {
      const int64_t rows = most_rows(changed);
      if (rows == 0) return "";
      changed.batch.micro_batch_size = rows;
      settings.push_back(concat("micro_batch_size=", rows));
    }
    return if_it_fits(changed, settings);
  }

  /// All changes, and rows that are cut in halves.
  std::string shorter_rows(FrozenWeights weights) const {
    constexpr int64_t kShortest = 32;
    recipe::Recipe changed = recipe_;
    std::vector<std::string> settings;
    if (machine_.forecast(recipe_).cache_bytes > 0) drop_caches(changed, settings);
    keep_as(weights, changed, settings);
    changed.batch.gradient_checkpointing = true;
    changed.batch.micro_batch_size = 1;
    for (const char* setting : {"gradient_checkpointing=true", "micro_batch_size=1", ""})
      settings.emplace_back(setting);
    int64_t& length = changed.data.sequence_len;
    for (length /= 2; length >= kShortest; length /= 2) {
      settings.back() = concat("sequence_len=", length);
      if (std::string found = if_it_fits(changed, settings); !found.empty()) return found;
    }
    return "";
  }

  static void drop_caches(recipe::Recipe& changed, std::vector<std::string>& settings) {
    changed.run.first_pass_cache_mb = changed.run.frozen_prefix_cache_mb = 0;
    settings.emplace_back("first_pass_cache_mb=0");
    settings.emplace_back("frozen_prefix_cache_mb=0");
  }

  /// False, and nothing happens, where weights would not be smaller than they are.
  bool keep_as(FrozenWeights weights,
               recipe::Recipe& changed,
               std::vector<std::string>& settings) const {
    const int64_t before = machine_.forecast(changed).base_bytes;
    const FrozenWeights given = std::exchange(changed.batch.frozen_weights, weights);
    if (machine_.forecast(changed).base_bytes >= before) {
      changed.batch.frozen_weights = given;
      return false;
    }
    settings.push_back(concat("frozen_weights=", enum_name(weights),
                              weights == FrozenWeights::kFile ? "" : " (which rounds the base)"));
    return true;
  }

  /// Fewer than the recipe has; 0: not even one fits.
  int64_t most_rows(recipe::Recipe recipe) const {
    int64_t& rows = recipe.batch.micro_batch_size;
    int64_t fitting = 0;
    for (int64_t too_many = rows; too_many - fitting > 1;) {
      rows = fitting + (too_many - fitting) / 2;
      (machine_.forecast(recipe).total() <= available_ ? fitting : too_many) = rows;
    }
    return fitting;
  }

  std::string if_it_fits(const recipe::Recipe& changed,
                         const std::vector<std::string>& settings) const {
    const int64_t bytes = machine_.forecast(changed).total();
    return bytes <= available_ ? concat(joined(settings), " needs ", gigabytes(bytes), " GB") : "";
  }

  const recipe::Recipe& recipe_;
  const Machine& machine_;
  int64_t available_;
};

std::string hint(const recipe::Recipe& recipe, const Machine& machine, int64_t available) {
  std::string found = Remedies(recipe, machine, available).first_that_fits();
  if (!found.empty()) return found;
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
                " GB free; hint: ", hint(recipe, machine, available));
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
