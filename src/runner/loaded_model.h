// A base model, with the mixture of a run where one is named, ready to use.
//
//   auto model = runner::load_model({.base = "smollm2-135m", .run = "runs/l-moe"});
//   model->steps->step(…);  model->base->tokenizer->encode(…);
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "arch/base_model.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "runner/torch_step_model.h"

namespace lmoe::runner {

enum class ComputeType { kAuto, kF32, kBf16 };

struct LoadOptions {
  std::string base;  ///< empty: the base that `run` was trained on
  /// A run folder, or an adapter folder of MoE-PEFT, which needs `base`.
  std::optional<std::filesystem::path> run;
  ComputeType dtype = ComputeType::kAuto;
  arch::HashProgress on_hash = {};  ///< of the base, where a run says which one it needs
  std::function<void(int64_t done, int64_t total)> on_read = {};  ///< as models::DecoderOptions
};

/// "auto", "float32" (or "f32"), "bfloat16" (or "bf16"). Throws kInvalidArgument.
ComputeType compute_type(const std::string& name);

/// The type to compute in; `auto` takes bfloat16 only where the processor has instructions for it.
at::ScalarType choose_dtype(ComputeType type);

struct LoadedModel {
  /// Where the mixture was read: the run, or its newest checkpoint while it is not finished.
  std::optional<std::filesystem::path> run;
  std::unique_ptr<arch::BaseModel> base;
  std::unique_ptr<models::Decoder> decoder;
  std::unique_ptr<mixture::Mixture> mixture;    ///< null without a run; plugged in
  std::unique_ptr<nn::RewardHead> reward_head;  ///< null unless the run is a reward model
  std::unique_ptr<TorchStepModel> steps;
};

/// The manifest of the run is checked. Throws kNotFound, kCorruptData; kInvalidArgument naming the
/// difference when base.json of the run describes another base.
std::unique_ptr<LoadedModel> load_model(const LoadOptions& options);

}  // namespace lmoe::runner
