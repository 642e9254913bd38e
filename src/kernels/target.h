// Which instruction set the kernels run with, by Highway's names: "SSSE3", "SSE4", "AVX2", "AVX3"
// (AVX-512), "NEON", …
#pragma once

#include <string>
#include <vector>

namespace lmoe::kernels {

/// What this processor can run and the program holds, the best first; never empty.
std::vector<std::string> runnable_targets();

/// The one in use: the best, unless another one was chosen.
std::string chosen_target();

/// Uses `name` from now on. For tests and comparisons; not while kernels run in other threads.
/// Throws kInvalidArgument for anything that is not among `runnable_targets`.
void choose_target(const std::string& name);

/// Chooses what the environment variable LMOE_KERNELS names, if it is set. Throws as above.
void choose_target_from_environment();

}  // namespace lmoe::kernels
