// One adapter folder into the parameters of a mixture that it stands for.
#pragma once

#include <cstdint>
#include <filesystem>

#include "io/peft_folder.h"
#include "mixture/expert_bank.h"

namespace lmoe::mixture {

/// What becomes of an adapter whose scaling is not the mixture's: an error, or its B is multiplied
/// by their ratio.
enum class OtherScaling { kRefuse, kIntoB };

/// `index` is its position in spec.adapter_folders(). Strict: it adapts what the banks do, with the
/// same shapes. Throws kCorruptData naming `path` and module; then nothing may be assumed of
/// the parameters.
void load_adapter(const spec::MixtureSpec& spec,
                  const std::vector<const ExpertBank*>& banks,
                  const io::LoraFolder& adapter,
                  const std::filesystem::path& path,
                  int64_t index,
                  OtherScaling other_scaling);

}  // namespace lmoe::mixture
