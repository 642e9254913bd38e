// Parts of check_mixture, one file each; `where` opens the messages.
#pragma once

#include <string>

#include "spec/mixture_spec.h"

namespace lmoe::spec {

/// Losses that cannot act, or do not fit what they measure.
void check_losses(const MixtureSpec& spec, const std::string& where);

}  // namespace lmoe::spec
