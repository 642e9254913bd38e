// The flat LoRA keys (adapter, lora_r, …) as part of the mixture section.
#pragma once

#include "base/config_node.h"
#include "base/options.h"

namespace lmoe::recipe {

/// The `mixture:` section of a recipe tree with the flat keys moved into it. Throws
/// kInvalidArgument when a field is given twice with different values in the file; the command line
/// wins.
ConfigNode mixture_section(const ConfigNode& tree, ReadReport& report);

/// Writes lora_target_modules out as a list: all-linear, a mapping of switches, comma-separated
/// text.
void rewrite_targets(ConfigNode& tree);

}  // namespace lmoe::recipe
