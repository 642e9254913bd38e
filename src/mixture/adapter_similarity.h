// How alike finished adapters are, by what they add to the base (k-shot, arXiv 2408.15915).
//
//   const auto bank = read_bank({"adapters/math", "adapters/code"});
//   delta_cosines({&bank[0], &bank[1]})[0][1]
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "io/peft_folder.h"

namespace lmoe::mixture {

/// PEFT LoRA folders that could be experts of one mixture. Throws as reading them does, kNotFound
/// naming a folder that is not there, kUnsupported for a DoRA, whose delta is not B A, and
/// kInvalidArgument naming the first module that one adapts and another does not, or with another
/// shape.
std::vector<io::LoraFolder> read_bank(const std::vector<std::filesystem::path>& folders);

/// Of adapters of the same modules: for each pair the cosine of B1 A1 and B2 A2, taken module by
/// module and averaged over them. No product B A is formed:
/// <B1 A1, B2 A2> = sum((B1^T B2) * (A1 A2^T)). In double precision. A delta of zeros has cosine 0
/// with every other one. Throws kCorruptData for NaN or infinity, naming the module.
std::vector<std::vector<double>> delta_cosines(std::span<const io::LoraFolder* const> adapters);

}  // namespace lmoe::mixture
