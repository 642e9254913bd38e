// Log-probabilities of whole sequences: packed forwards of bounded size, logits of a few rows at a
// time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decode/step_model.h"
#include "models/decoder.h"
#include "runner/output_references.h"
#include "runner/packs.h"

namespace lmoe::runner {

/// One result per sequence, in order. `parts` as in StepModel::score, `disabled_expert` as in
/// ForwardContext, `references` as in next_token_logits.
std::vector<decode::ScoredSequence> score_sequences(const models::Decoder& decoder,
                                                    std::span<const std::vector<int32_t>> sequences,
                                                    const decode::ScoredParts& parts,
                                                    int disabled_expert,
                                                    const OutputReferences* references = nullptr);

}  // namespace lmoe::runner
