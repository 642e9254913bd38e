// Parts of check_mixture, one file each; `where` opens the messages.
#pragma once

#include <string>

#include "spec/mixture_spec.h"

namespace lmoe::spec {

/// Keys of `select` that are missing or cannot act, more experts per token than there are, weights
/// of nobody that should sum to one.
void check_selection(const MixtureSpec& spec, const std::string& where);

/// Losses that cannot act, or do not fit what they measure.
void check_losses(const MixtureSpec& spec, const std::string& where);

}  // namespace lmoe::spec
