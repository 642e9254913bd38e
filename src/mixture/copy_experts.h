// What mixtures made from others take over from them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "mixture/expert_bank.h"
#include "mixture/gate.h"

namespace lmoe::mixture {

/// In `sources`: an expert that has no original.
constexpr int64_t kNewExpert = -1;

/// Expert e of `to` gets A, B and magnitudes of expert sources[e].
void copy_bank(const ExpertBank& from, const ExpertBank& to, const std::vector<int64_t>& sources);

/// Expert e of `to` gets the row and the bias of expert sources[e]; a new one zeros and the mean
/// bias. Of staged experts those take part that did. Linear and cosine gates only.
void copy_gate(const Gate& from, const Gate& to, const std::vector<int64_t>& sources);

/// The weight of a linear gate, or the keys of a cosine one, by site [G, E, D].
at::Tensor gate_rows(const Gate& gate);

}  // namespace lmoe::mixture
