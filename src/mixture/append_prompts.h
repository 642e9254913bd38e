// A trained bank of prompts with more entries, without training it again.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "mixture/mixture.h"
#include "mixture/prompt_bank.h"

namespace lmoe::mixture {

/// K entries of a bank.
struct PromptEntries {
  at::Tensor keys;        ///< [K, H]
  at::Tensor embeddings;  ///< [K, L, H]
};

/// `count` entries for documents that the bank does not know yet, by what their prompts are about
/// (`features` [D, H], as PromptBank::choose makes them): keys are prototypes of the features
/// (key_prototypes.h), and the prompt behind a key is the mean of the prompts that its documents
/// have found so far: a new style begins as a combination of known ones (uni-rag.md). Where all
/// found one and the same, it is that prompt. Throws kInvalidArgument for fewer features than
/// `count`.
PromptEntries entries_for(const PromptBank& bank,
                          int64_t select,
                          const at::Tensor& features,
                          int64_t count);

/// `mixture` with these entries behind its own, which keep every bit. Throws kInvalidArgument for a
/// mixture without a bank.
std::unique_ptr<Mixture> with_prompts_added(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            const PromptEntries& entries);

}  // namespace lmoe::mixture
