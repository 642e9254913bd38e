// What travels with every forward: where documents begin, positions, the KV cache, training or not,
// and the router log. No state of a forward hides in members of modules.
//
// Shapes: N = tokens of the whole forward (documents one after another, no padding), H = hidden
// size, E = experts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/passage.h"
#include "base/rng.h"

namespace lmoe::nn {

class DocumentCache;
class KvCache;

/// One document of the packed tokens. Attention never crosses segments.
struct Segment {
  int64_t start = 0;  ///< first token in the packed order
  int64_t length = 0;
  int64_t past = 0;   ///< tokens already in the cache; positions continue there
  int64_t slot = -1;  ///< row of the KV cache, -1 without one
  int64_t task = -1;  ///< which of the run's tasks it belongs to, -1 where nobody knows
  /// How many of its first tokens, counted from the beginning of the document, come before its
  /// first answer; -1 where nobody knows.
  int64_t prompt = -1;
  /// Of the whole document, also of what is in the cache already; attention keeps them apart.
  Passages passages = {};
};

/// What one gate decided in this forward; tensors keep their autograd history.
struct GateRecord {
  std::string site;  ///< "layers.3.self_attn.q_proj", or "layers.3.self_attn" for a block gate
  int layer = 0;
  at::Tensor probabilities;  ///< [N, E] over all experts, sum to 1, float32
  at::Tensor weights;        ///< [N, E] after selection and normalisation
  at::Tensor selected;       ///< bool [N, E], or undefined when all experts take part
  at::Tensor logits;         ///< [N, E], temperature applied
  at::Tensor log_draw;  ///< [N] log probability of the ordered draw, where experts were sampled
  at::Tensor input;     ///< [N, D] what the gate read, where the log keeps inputs
};

/// Collects gates when asked: the trainer turns it into balance losses, evaluation into usage
/// tables.
struct RouterLog {
  bool keeps_inputs = false;
  std::vector<GateRecord> records;
  std::vector<Segment> segments;  ///< of the forward, for losses that look at documents or tasks
  /// Of a bank of prompts: what the documents that begin here found in it.
  at::Tensor prompt_cosines;  ///< [D, entries], with their autograd history
  at::Tensor chosen_prompts;  ///< int64 [D, n], the nearest first
};

struct ForwardContext {
  std::vector<Segment> segments;
  at::Tensor positions;  ///< [N] int64; see `make_positions`
  KvCache* kv_cache = nullptr;
  RouterLog* router_log = nullptr;
  bool is_training = false;    ///< dropout on
  Rng* dropout_rng = nullptr;  ///< needed when training with dropout, noise or sampled experts
  double progress = 1.0;       ///< share of the training that is done
  int disabled_expert = -1;    ///< evaluation: this expert takes no part
  /// A mixture that decides from the end of the model runs it twice (see FirstPassSocket).
  bool is_first_pass = false;
  at::Tensor last_hidden;  ///< [N, H] what the first pass ended with, in the second
  at::Tensor embedded;     ///< [N, H] what enters the first layer
  DocumentCache* first_pass_cache = nullptr;  ///< training: what documents ended with before
  /// Training: what documents enter the lowest layer with that has something plugged in.
  DocumentCache* frozen_prefix_cache = nullptr;
  /// Gradient checkpointing (recomputed_layer.h): everything that is trained, each requiring its
  /// gradient; outlives the backward. Null: layers keep their activations.
  const std::vector<at::Tensor>* recompute_for = nullptr;
  /// What gates hand on within this forward, by whose it is: weights that several projections
  /// share, the state of recurrent nets.
  std::map<const void*, at::Tensor> shared_gates;
};

/// Positions of all tokens of `segments`, each counting from its `past`. [N] int64
at::Tensor make_positions(const std::vector<Segment>& segments);

}  // namespace lmoe::nn
