// Adapter folders of MoE-PEFT: all experts and routers of a mixture in one file.
//
//   <prefix>.layers.3.mlp.moe_gate.weight [E, H]                    a router, of an FFN or
//   <prefix>.layers.3.mlp.up_proj.moe_gate.weight [E, in]           of a projection
//   <prefix>.layers.3.mlp.up_proj.experts.0.lora_A.weight [R, in]   …lora_B.weight [out, R]
//   <prefix>.layers.3.self_attn.q_proj.lora_A.weight                a plain LoRA
//
// The package saves a pickle, adapter_model.bin; here the same names are read from and written to
// adapter_model.safetensors.
#pragma once

#include <filesystem>
#include <memory>

#include "mixture/mixture.h"

namespace lmoe::mixture {

/// True when the folder's adapter_config.json is that of a MoE-PEFT mixture.
bool is_moe_peft_folder(const std::filesystem::path& folder);

/// Strict: everything in the files is used and everything the configuration asks for is there.
/// Throws kNotFound, kCorruptData, kUnsupported naming file and key or tensor.
std::unique_ptr<Mixture> load_moe_peft_folder(const std::filesystem::path& folder,
                                              const nn::Sockets& sockets);

/// Creates the folder. Throws kUnsupported naming what the format cannot hold, before anything is
/// written; kIo.
void save_moe_peft_folder(const Mixture& mixture,
                          const std::filesystem::path& folder,
                          const std::string& base_model_name);

}  // namespace lmoe::mixture
