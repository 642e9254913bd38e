// A bank of prompts: `prompts` of the grammar. Documents find theirs by the cosine of what their
// text is about and the keys.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "mixture/mixture.h"
#include "nn/document_prompts.h"
#include "nn/projection.h"
#include "spec/prompts_spec.h"

namespace lmoe::mixture {

class PromptBank : public nn::DocumentPrompts {
 public:
  /// Keys and embeddings normal with deviation `spec.init_range`, from a stream of `seed` of their
  /// own. Throws kInvalidArgument when a document is to have more prompts than there are.
  PromptBank(const spec::PromptsSpec& spec,
             int64_t hidden_size,
             uint64_t seed,
             const at::TensorOptions& options);

  int64_t positions() const override { return spec_.positions(); }
  /// A document's feature is the mean of `embedded` over its prompt (over its first token where the
  /// prompt has none); the prompts of the nearest keys follow by decreasing cosine, the earlier
  /// entry first where two are equal. Logs cosines and choice. Throws kInvalidArgument where nobody
  /// knows the prompt or, with a KV cache, when it is not fed in one piece or was cut inside.
  at::Tensor choose(const at::Tensor& embedded, nn::ForwardContext& context) const override;

  /// [N, H]
  const at::Tensor& keys() const { return keys_; }
  /// [N, L, H]
  const at::Tensor& embeddings() const { return embeddings_; }
  /// "prompts.embeddings" and, when they learn, "prompts.keys".
  std::vector<nn::NamedTensor> parameters() const;
  /// The keys when they do not.
  std::vector<nn::NamedTensor> fixed_tensors() const;
  /// Of what is trained, the entries that stay as they are.
  std::vector<PartOfParameter> frozen_parts() const;

 private:
  std::vector<at::Tensor> features(const at::Tensor& embedded, nn::ForwardContext& context) const;

  spec::PromptsSpec spec_;
  at::Tensor keys_, embeddings_;
};

/// cosines [D, N] -> int64 [D, n]: the n nearest entries of each, by decreasing cosine, the earlier
/// one first where two are equal.
at::Tensor nearest_entries(const at::Tensor& cosines, int64_t n);

/// Mean over the documents of a log of the sum of 1 - cosine over the keys each found; scalar with
/// autograd to the keys, 0 at best.
at::Tensor prompt_matching_loss(const nn::RouterLog& log);

/// Mean over the documents of a log of the sum over the keys each found of
/// max(0, margin + d(key) - d(nearest key it did not find)), d being 1 - cosine; scalar with
/// autograd to the keys, 0 where every document found its keys by the margin.
at::Tensor prompt_triplet_loss(const nn::RouterLog& log, double margin);

}  // namespace lmoe::mixture
