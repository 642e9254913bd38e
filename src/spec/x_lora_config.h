// Configurations of X-LoRA, PEFT's adapter_config.json and the original xlora_config.json, as a
// mixture and back. Their differences are in methods' keys and defaults, not in the mathematics.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "spec/mixture_spec.h"

namespace lmoe::spec {

struct XLoraConfig {
  MixtureSpec mixture;  ///< experts.names are the adapters' names in their order; rank is unset
  /// Where the adapters are, as the file has it; empty strings in the original layout, which keeps
  /// them in folders of their names.
  std::vector<std::string> paths;
  double global_scaling = 1.0;  ///< every adapter's scaling is multiplied by it
  int64_t hidden_size = 0;      ///< of the base it was made for
};

/// True when the file is PEFT's and its peft_type is XLORA.
bool is_peft_x_lora_config(const Json& config);

/// `where` opens messages. Throws kCorruptData (impossible values), kUnsupported for keys that are
/// unknown or switch on what a mixture cannot do, by name.
XLoraConfig read_peft_x_lora_config(const Json& config, const std::string& where);
XLoraConfig read_original_x_lora_config(const Json& config, const std::string& where);

/// PEFT's, with the adapters' folders in order. Throws kUnsupported naming the part of the mixture
/// that it cannot hold.
Json peft_x_lora_config(const MixtureSpec& spec,
                        int64_t hidden_size,
                        const std::vector<std::string>& paths);

}  // namespace lmoe::spec
