// One adapter folder into the parameters of a mixture that it stands for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "io/peft_folder.h"
#include "mixture/expert_bank.h"
#include "mixture/mixture.h"

namespace lmoe::mixture {

/// What becomes of an adapter that was not made by the mixture. kRefuse: another scaling or rank is
/// an error. kIntoB: B is multiplied by the ratio of the scalings, a smaller rank is filled up with
/// zeros, which gradients leave zeros.
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

/// The spec for the finished adapters that it names: rank (the largest) and targets are theirs.
/// Throws as reading a folder does, kInvalidArgument when they adapt different projections.
spec::MixtureSpec with_adapters(spec::MixtureSpec spec);

/// A finished adapter alone, as a plain LoRA that is ready to be plugged in. Throws as
/// with_adapters and load_adapter do.
std::unique_ptr<Mixture> mixture_of_adapter(const std::filesystem::path& adapter,
                                            const nn::Sockets& sockets);

/// Fills the experts with the adapters that the spec names, if it names any.
void begin_with_adapters(const Mixture& mixture);

}  // namespace lmoe::mixture
