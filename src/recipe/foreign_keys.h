// Keys and values of other tools that an alias cannot express: refused by name with the way out, or
// rewritten and noted.
#pragma once

#include "base/config_node.h"
#include "base/options.h"

namespace lmoe::recipe {

/// Throws kUnsupported for what is not built, kInvalidArgument for what means something else here.
/// A switch that is off is dropped.
void refuse_foreign_keys(ConfigNode& tree);

/// mask_prompt, load_in_8bit and load_in_4bit, paths as data sets, `optimizer` in parts, report_to
/// as a list, dtype names.
void rewrite_foreign_keys(ConfigNode& tree, ReadReport& report);

}  // namespace lmoe::recipe
