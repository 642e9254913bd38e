// A PEFT LoRA adapter folder: adapter_config.json and adapter_model.safetensors.
//
// Tensor keys are `base_model.model.<module path>.lora_A.weight` ([r, in]) and `.lora_B.weight`
// ([out, r]); a DoRA has `.lora_magnitude_vector` ([out]) besides.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "io/weight_source.h"

namespace lmoe::io {

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 8;
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> target_modules;
  /// Pattern -> value; the first pattern for which `(.*\.)?(pattern)$` matches a module wins.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::string base_model_name_or_path;
};

/// One adapted linear.
struct LoraPair {
  std::string module;    ///< "model.layers.0.self_attn.q_proj"
  TensorView a;          ///< [r, in]
  TensorView b;          ///< [out, r]
  double scaling = 1.0;  ///< alpha / r, or alpha / sqrt(r), with the patterns applied
  std::optional<TensorView> magnitude = {};  ///< [out] of a DoRA
};

struct LoraFolder {
  LoraConfig config;
  std::vector<LoraPair> pairs;
  std::shared_ptr<WeightSource> storage;  ///< keeps the views alive
};

/// Strict: half pairs, other tensors, unsupported features that are switched on (biases,
/// modules_to_save, …), impossible ranks or alphas, swapped factors are errors that name the tensor
/// or the key. Accepts a `.default.` infix and a missing `base_model.model.` prefix. Pickle files
/// are refused. `target_modules` lists the modules themselves when the file has a regular
/// expression there.
LoraFolder read_peft_folder(const std::filesystem::path& folder);

/// Writes a folder that PEFT loads. `scaling` of the pairs is not written: `config` says it, with
/// its patterns. Empty `target_modules` become the modules of the pairs. Throws kIo, kCorruptData
/// (shapes that contradict `config`).
void write_peft_folder(const std::filesystem::path& folder,
                       const LoraConfig& config,
                       const std::vector<LoraPair>& pairs);

}  // namespace lmoe::io
