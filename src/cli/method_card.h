// What `lmoe methods NAME` prints: the method as a recipe, and as comments what it costs and can
// do.
#pragma once

#include <string>

#include "spec/adapted_sites.h"
#include "spec/method_info.h"

namespace lmoe::cli {

/// Valid YAML. `shape` is that of the base called `base_name`.
std::string method_card(const spec::MethodInfo& method,
                        const std::string& base_name,
                        const spec::DecoderShape& shape);

}  // namespace lmoe::cli
