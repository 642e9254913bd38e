// Who decides, from what: `gate` of the mixture grammar.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/options.h"

namespace lmoe::spec {

/// kInput: what the projection reads. kBlockInput: the normalised input of the attention or the
/// MLP. kRankActivation: A x of the experts themselves. kTaskId: the document's task, one-hot over
/// experts.count; a self gate takes it as it is, a linear one learns weights for each task.
/// kLastHidden: what the model ends with, in a first pass without the mixture (x-lora.md).
/// kLearned: nothing; weights that are the same for all tokens (lora-soups.md). kEmbedding: what
/// enters the first layer, so that no layer has to run before the choice (read-me.md).
enum class GateSource {
  kConstant,
  kInput,
  kBlockInput,
  kRankActivation,
  kTaskId,
  kLastHidden,
  kLearned,
  kEmbedding
};
/// kSelf: no net, A x of each rank is its own logit (flylora.md, moram.md). kTree: from the root
/// down, children are chosen by what the gate reads and the keys of their ancestors. kClassifier:
/// `depth` layers with biases, ReLU and dropout between them, one for the whole model (x-lora.md).
/// kScalars: one number per expert. kRecurrent: a state of width hidden_size that each token
/// carries from gate to gate in the order in which the layers meet them, through one GRU of the
/// whole model; never from token to token (rmoe.md). kCosine: the cosine of the input and a key per
/// expert (uni-rag.md). kNearest: nothing is trained; each gate has a memory of references, which
/// are inputs it once read with the expert they went to, and an expert's probability is what the
/// references nearest to the input say together (rtd.md; `lmoe experts RUN refit` fills it).
/// kCausal: a small decoder of its own over what a document's tokens enter the first layer as,
/// `depth` blocks of width hidden_size with `heads` heads, one for the whole model: a token's
/// experts depend on all tokens before it, and on no layer (read-me.md, which has 1, 512 and 4, a
/// table of embeddings of its own, and distils the net from a dense model's activations instead).
enum class GateNet {
  kLinear,
  kMlp,
  kSelf,
  kTree,
  kClassifier,
  kScalars,
  kRecurrent,
  kCosine,
  kNearest,
  kCausal
};
/// What a self gate makes of A x. kAbs: absolute values. kUnitNorm: divided by their norm.
enum class GateActivation { kNone, kAbs, kUnitNorm };
/// kNormal: deviation init_range. kKaimingUniform: uniform in ±1/sqrt(width of the input), the
/// default of a linear layer in PyTorch.
enum class GateInit { kNormal, kKaimingUniform };
/// kModel: one gate for all projections, with weights for each of them if `layerwise`.
enum class GateShare { kProjection, kBlock, kModel };
/// kPrompt: the logits of a document's prompt are averaged, and decide for all of its tokens, those
/// of the answer too (wemoe.md). A document's prompt is what comes before its first answer.
enum class GatePool { kNone, kPrompt };

std::span<const EnumName<GateSource>> enum_names(GateSource);
std::span<const EnumName<GateNet>> enum_names(GateNet);
std::span<const EnumName<GateActivation>> enum_names(GateActivation);
std::span<const EnumName<GateInit>> enum_names(GateInit);
std::span<const EnumName<GateShare>> enum_names(GateShare);
std::span<const EnumName<GatePool>> enum_names(GatePool);

struct GateSpec {
  GateSource source = GateSource::kInput;
  GateNet net = GateNet::kLinear;
  GateShare share = GateShare::kProjection;
  GateActivation activation = GateActivation::kNone;  ///< with `self`
  /// Width of the hidden layer of `mlp` (SiLU), of those of a `classifier`, of keys, queries and
  /// all else inside a `tree`, of the state of `recurrent` (rmoe.md has 128), of the blocks of
  /// `causal` and their FFNs.
  int64_t hidden_size = 64;
  int64_t depth = 1;      ///< linear layers of a `classifier`, blocks of `causal`
  double dropout = 0.0;   ///< between the layers of a `classifier`
  bool layerwise = true;  ///< with share `model`: weights for each projection of its own
  /// With `last_hidden`: weight of every expert in the first pass; 0: the base alone.
  double first_pass_weight = 0.0;
  /// Logits are divided by it; with `nearest` squared distances are.
  double temperature = 1.0;
  double jitter = 0.0;  ///< training: inputs times a uniform number in 1 ± jitter; Switch has 0.01
  double noise = 0.0;   ///< training: deviation of normal noise on the logits
  double input_dropout = 0.0;  ///< training: dropout on what the gate reads
  /// While training the gate runs so many times, each with a dropout of its own, and the mean of
  /// its logits is divided by 1 + their deviation: without dropout nothing changes (mofme.md, which
  /// has 5).
  int64_t uncertainty_passes = 1;
  GatePool pool = GatePool::kNone;
  /// Set: every logit has a trained bias that begins with this value (wemoe.md: 0.3).
  std::optional<double> init_bias;
  GateInit init = GateInit::kNormal;
  double init_range = 0.02;  ///< standard deviation of the initial weights, with `normal`
  int64_t references = 0;    ///< in the memory of each gate, with `nearest`
  int64_t neighbours = 32;   ///< references that decide for a token, with `nearest`; rtd.md
  /// With `nearest`: parts of the input, each with neighbours of its own; what they say is
  /// averaged. With `causal`: heads of its attention.
  int64_t heads = 1;
  /// With `task_id`: the task of text that has no label, as in chat and evaluation.
  std::optional<int64_t> default_task;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("source", source, "what the gate reads"));
    visit(field("net", net, "form of the gate"));
    visit(field("share", share, "one gate per projection or per block"));
    visit(field("activation", activation, "what a self gate makes of A x"));
    visit(field("hidden_size", hidden_size,
                "width inside an mlp, tree, classifier, recurrent or causal net")
              .range(1, 65536));
    visit(field("depth", depth, "linear layers of a classifier, blocks of a causal net")
              .range(1, 64));
    visit(field("dropout", dropout, "dropout between the layers of a classifier").range(0.0, 0.95));
    visit(field("layerwise", layerwise, "with share model: own weights for each projection"));
    visit(field("first_pass_weight", first_pass_weight,
                "with last_hidden: weight of every expert in the first pass")
              .range(0.0, 1e3));
    visit(field("temperature", temperature,
                "softmax temperature; of squared distances with net nearest")
              .range(1e-3, 1e6));
    visit(
        field("jitter", jitter, "training: what the gate reads, times 1 ± jitter").range(0.0, 1.0));
    visit(field("noise", noise, "training: deviation of noise on the logits").range(0.0, 1e3));
    visit(field("input_dropout", input_dropout, "training: dropout on what the gate reads")
              .range(0.0, 0.95));
    visit(field("uncertainty_passes", uncertainty_passes,
                "training: passes whose disagreement makes logits smaller")
              .range(1, 64));
    visit(field("pool", pool,
                "whether the tokens of a prompt decide together, for all that follows"));
    visit(
        field("init_bias", init_bias, "first value of a trained bias of each logit; unset: no bias")
            .range(-1e3, 1e3));
    visit(field("init", init, "initial gate weights"));
    visit(field("init_range", init_range, "standard deviation of the initial gate weights")
              .range(0.0, 10.0));
    visit(field("references", references, "references in the memory of each gate; nearest")
              .range(0, int64_t{1} << 24));
    visit(field("neighbours", neighbours, "nearest references that decide for a token; nearest")
              .range(1, int64_t{1} << 24));
    visit(field("heads", heads,
                "parts of the input that have neighbours of their own, with nearest; attention "
                "heads of a causal net")
              .range(1, 1024));
    visit(field("default_task", default_task, "task of text without a label, with source task_id")
              .range(0, 4095));
  }
};

}  // namespace lmoe::spec
