// StepModel: what makes tokens. Generation, scoring and evaluation know models only through this
// interface, so they are tested with a fake four-token model, and run on any engine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/passage.h"

namespace lmoe::decode {

using SequenceId = int64_t;

/// Routing weights of one fed token: `weights[site * num_experts + expert]`, summing to 1 per site,
/// or to 0 where no expert takes part.
struct TokenRouting {
  std::vector<float> weights;
};

/// What to append to one sequence.
struct StepInput {
  SequenceId sequence = 0;
  std::span<const int32_t> ids;  ///< at least one
  /// How many of the sequence's first ids come before its first answer, for models to which that
  /// makes a difference; -1: what it was fed first.
  int64_t prompt = -1;
  /// Of the sequence, counted from its first id, also those that were fed before; empty: as it was
  /// fed before, the new ids belonging to none.
  std::span<const Passage> passages = {};
};

struct StepOutput {
  /// Raw logits after the last id of each input, row-major [inputs, vocab_size].
  std::vector<float> logits;
  /// Per input, per fed id; filled only when routing was asked for and the model has a router.
  std::vector<std::vector<TokenRouting>> routing;
  /// Per input: the entries of a bank of prompts that stand in front of the sequence, the nearest
  /// first; filled only when routing was asked for, of sequences that begin, by models with such a
  /// bank.
  std::vector<std::vector<int64_t>> prompts;
};

/// Log-probability of each id given those before it; the first is absent (JSON null).
struct ScoredSequence {
  std::vector<float> logprobs;  ///< size ids - 1
  std::vector<bool> is_greedy;  ///< whether each was the most likely one
};

/// The router of a mixture, as seen from outside.
struct RouterInfo {
  std::vector<std::string> expert_names;
  std::vector<std::string> sites;  ///< "layers.3.self_attn.q_proj"
  std::vector<int> site_layers;
};

/// What is known of sequences that are scored, each empty or one for every sequence.
struct ScoredParts {
  std::span<const int64_t> prompts = {};  ///< ids before the first answer; without: the first one
  std::span<const Passages> passages = {};
};

/// A whole answer that a reward model is to judge.
struct RewardRequest {
  std::vector<int32_t> ids;
  int64_t task = -1;  ///< which of the run's tasks it belongs to, -1 where nobody knows
  Passages passages = {};
};

class StepModel {
 public:
  virtual ~StepModel() = default;

  virtual int64_t vocab_size() const = 0;
  virtual int64_t max_positions() const = 0;

  virtual SequenceId open_sequence() = 0;
  virtual void close_sequence(SequenceId sequence) = 0;
  /// Forgets ids from position `length` on (a chat goes back, a prompt is shared).
  virtual void truncate_sequence(SequenceId sequence, int64_t length) = 0;
  /// Feeds several sequences at once. Throws kInvalidArgument for ids outside the vocabulary or a
  /// full context.
  virtual StepOutput step(std::span<const StepInput> inputs, bool want_routing = false) = 0;

  /// Scores whole sequences without keeping logits of all positions; opens and closes what it
  /// needs.
  virtual std::vector<ScoredSequence> score(std::span<const std::vector<int32_t>> sequences,
                                            const ScoredParts& parts) = 0;
  std::vector<ScoredSequence> score(std::span<const std::vector<int32_t>> sequences) {
    return score(sequences, ScoredParts{});
  }

  /// True when every token depends on the whole prompt: then a prompt is fed in one step, and none
  /// of its ids may stay for another one.
  virtual bool decides_by_prompt() const { return false; }

  /// One reward per document; absent unless the model is a reward model.
  virtual std::optional<std::vector<double>> rewards(std::span<const RewardRequest> /*documents*/) {
    return std::nullopt;
  }

  /// How many entries its bank of prompts has; 0 without one.
  virtual int64_t prompt_entries() const { return 0; }

  /// Null for a plain base or a single adapter.
  virtual const RouterInfo* router() const { return nullptr; }
  /// Takes one expert out (its weight becomes 0, the others keep their proportions), or puts all
  /// back.
  virtual void disable_expert(std::optional<int> /*expert*/) {}
};

}  // namespace lmoe::decode
