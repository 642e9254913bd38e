// Methods of equal size: the rank that brings a mixture nearest to a number of trained parameters.
#pragma once

#include "spec/adapted_sites.h"

namespace lmoe::spec {

/// `spec` with the rank (kind rank_one: the number of experts) for which `mixture_cost` comes
/// nearest to `parameters`; everything else stays, so that an alpha that was not given follows the
/// rank. Throws kInvalidArgument when the result contradicts the grammar.
MixtureSpec fit_parameters(MixtureSpec spec, const DecoderShape& shape, int64_t parameters);

}  // namespace lmoe::spec
