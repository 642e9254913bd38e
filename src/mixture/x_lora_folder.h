// Folders of X-LoRA: PEFT's and those of the original repository.
//
//   PEFT       adapter_config.json (peft_type XLORA), adapter_model.safetensors with
//              base_model.internal_xlora_classifier.layers.{j}.weight|bias
//   original   xlora_config.json, xlora_classifier.safetensors with inner.{j}.* and last.*, and a
//              folder for each adapter
//
// ReLU and dropout count as layers j in both; here any spacing is read.
#pragma once

#include <filesystem>
#include <memory>

#include "mixture/mixture.h"

namespace lmoe::mixture {

bool is_x_lora_folder(const std::filesystem::path& folder);

/// Strict, adapters included: PEFT's `adapters` are looked for as they are given, then below the
/// folder. `hidden_size` of the base is checked. Throws kNotFound, kCorruptData, kUnsupported
/// naming file and key or tensor.
std::unique_ptr<Mixture> load_x_lora_folder(const std::filesystem::path& folder,
                                            const nn::Sockets& sockets);

/// PEFT's layout, the adapters in folders beside it. Throws kUnsupported naming what the format
/// cannot hold, before anything is written; kIo.
void save_x_lora_folder(const Mixture& mixture,
                        const std::filesystem::path& folder,
                        const std::string& base_model_name);

}  // namespace lmoe::mixture
