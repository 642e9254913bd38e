// Parts of check_mixture, one file each; `where` opens the messages.
#pragma once

#include <string>
#include <vector>

#include "spec/mixture_spec.h"

namespace lmoe::spec {

/// Keys of `select` that are missing or cannot act, more experts per token than there are, weights
/// of nobody that should sum to one.
void check_selection(const MixtureSpec& spec, const std::string& where);

/// Losses that cannot act, or do not fit what they measure.
void check_losses(const MixtureSpec& spec, const std::string& where);
/// Nets and other parts of a gate that do not go together.
void check_gate_parts(const MixtureSpec& spec, const std::string& where);

/// A memory of references in place of a net: what it goes together with.
void check_nearest_gate(const MixtureSpec& spec, const std::string& where);

/// A gate for the whole model and what only it can do; learned scalars.
void check_model_gate(const MixtureSpec& spec, const std::string& where);

/// Finished adapters to begin with.
void check_adapters(const MixtureSpec& spec, const std::string& where);

/// Empty entries and doubles; `key` names the list.
void check_target_list(const std::vector<std::string>& targets, const std::string& key);

/// Plain LoRAs on what has experts, or in a folder that an expert has.
void check_plain(const MixtureSpec& spec, const std::string& where);

/// A bank of prompts that cannot act, or not with the other parts.
void check_prompts(const MixtureSpec& spec, const std::string& where);

/// Experts that learn one after another.
void check_staged(const MixtureSpec& spec, const std::string& where);

/// What a mixture of whole FFNs needs of the other parts, and what only it can do.
void check_ffn_block(const MixtureSpec& spec, const std::string& where);

}  // namespace lmoe::spec
