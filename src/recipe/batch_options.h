// How much is worked on at once and for how long.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "arch/frozen_weights.h"
#include "base/options.h"

namespace lmoe::recipe {

/// Type of frozen weights and activations; adapters, optimizer, norms and softmax are float32.
/// kAuto: bfloat16 where the processor multiplies it natively, float32 elsewhere.
enum class Bf16 { kAuto, kTrue, kFalse };
std::span<const EnumName<Bf16>> enum_names(Bf16);

struct BatchOptions {
  int64_t micro_batch_size = 4;
  int64_t gradient_accumulation_steps = 1;
  /// Rows per optimizer step; once a recipe is read it is the product of the two above.
  std::optional<int64_t> batch_size;
  double num_epochs = 1.0;
  std::optional<int64_t> max_steps;
  int64_t seed = 42;
  Bf16 bf16 = Bf16::kAuto;
  arch::FrozenWeights frozen_weights = arch::FrozenWeights::kDense;
  bool gradient_checkpointing = false;

  /// Whether any record may come twice: only then is it worth keeping what it leads to.
  bool repeats_data() const { return max_steps || num_epochs > 1.0; }

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "training";
    visit(field("micro_batch_size", micro_batch_size, "rows per forward")
              .section(section)
              .range(1, 1 << 20)
              .alias("per_device_train_batch_size"));
    visit(field("gradient_accumulation_steps", gradient_accumulation_steps,
                "forwards per optimizer step; the loss is normalised over the whole step")
              .section(section)
              .range(1, 1 << 20)
              .alias("grad_accumulation_steps"));
    visit(field("batch_size", batch_size,
                "rows per optimizer step: micro_batch_size x gradient_accumulation_steps")
              .section(section)
              .range(1, 1LL << 40));
    visit(field("num_epochs", num_epochs, "passes over the data, fractions allowed")
              .section(section)
              .range(1e-9, 1e6)
              .alias("num_train_epochs")
              .alias("epochs"));
    visit(field("max_steps", max_steps, "optimizer steps; wins over num_epochs")
              .section(section)
              .range(1)
              .alias("iters"));
    visit(
        field("seed", seed, "of experts, order of the data and dropout").section(section).range(0));
    visit(field("bf16", bf16, "type of the frozen model and of activations")
              .section(section)
              .alias("dtype")
              .alias("torch_dtype"));
    visit(
        field("frozen_weights", frozen_weights,
              "matrices of the frozen model in memory. dense: in the type of bf16; all others are "
              "expanded where they are used. file: as base_model stores them, same results; bf16, "
              "int8 (Q8_0) and int4 (Q4_1) round them, so results are those of another base")
            .section(section));
    visit(field("gradient_checkpointing", gradient_checkpointing,
                "layers keep only their input and are computed again in the backward: less memory, "
                "more time, the same gradients")
              .section(section)
              .alias("grad_checkpoint")
              .alias("enable_activation_checkpointing"));
  }
};

}  // namespace lmoe::recipe
