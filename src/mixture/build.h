// From a spec and the decoder's sockets to fresh banks and gates.
#pragma once

#include <memory>
#include <vector>

#include "mixture/ffn_experts.h"
#include "mixture/site_bank.h"
#include "nn/sockets.h"

namespace lmoe::mixture {

/// One bank per group with a target. Throws kInvalidArgument naming targets that match nothing.
std::vector<std::shared_ptr<SiteBank>> build_banks(const spec::MixtureSpec& spec,
                                                   const std::vector<nn::ProjectionGroup*>& groups,
                                                   uint64_t seed,
                                                   const at::TensorOptions& options);

/// For attach ffn_block: the experts of each FFN. Throws kInvalidArgument naming targets that match
/// none of its projections, or when nothing may replace the FFNs of this model.
std::vector<std::shared_ptr<FfnExperts>> build_ffn_experts(const spec::MixtureSpec& spec,
                                                           const nn::Sockets& sockets,
                                                           uint64_t seed,
                                                           const at::TensorOptions& options);

/// The same as build_banks for spec.plain, whose draws are independent of the experts'; empty
/// without it. Throws kInvalidArgument too for a projection that has experts.
std::vector<std::shared_ptr<SiteBank>> build_plain_banks(
    const spec::MixtureSpec& spec,
    const std::vector<nn::ProjectionGroup*>& groups,
    uint64_t seed,
    const at::TensorOptions& options);

}  // namespace lmoe::mixture
