// A mixture is a sentence: the parts of the grammar as plain data.
//
//   attach      where?                       projection | ffn_block
//   experts     what is mixed?               lora | rank_one | shared_a | core | kronecker |
//                                            residual
//   gate        who decides, from what?      constant | input | block_input | rank_activation |
//                                            task_id | last_hidden | learned | embedding;
//                                            linear | mlp | self | tree | classifier | scalars |
//                                            recurrent | cosine | nearest | causal;
//                                            one per projection, block or model;
//                                            per token, or one decision per prompt
//   select      how many take part?          all | top_k | top_p | threshold | entropy_switch |
//                                            sample
//   normalize   what becomes of weights?     softmax | softmax_selected | softmax_twice |
//                                            renormalize | sigmoid | sum_to_k | logits | bounded |
//                                            constant
//   apply       what is averaged?            deltas | factors | outputs
//   losses      what is added?               cv2 | switch | kl | topk_switch | topk_share |
//                                            soft_switch | importance | entropy | z | localized |
//                                            localized_paper | task_cross_entropy
//   schedule    what changes over time?      hard_until, freeze_experts, freeze_gates_from, staged
//   bias        what is nudged?              a bias per expert, by load, outside autograd
//   plain       what is beside it?           one LoRA without a gate for other projections
//   prompts     what is in front?            trained embeddings, found by cosine in a bank
//
// A method is a preset of these parts (methods/, one file each); a recipe may name a preset and
// change any part. Lists are open: a new value is one enum entry here and one small file in room
// `mixture`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/options.h"
#include "spec/gate_spec.h"
#include "spec/loss_spec.h"
#include "spec/prompts_spec.h"
#include "spec/schedule_spec.h"

namespace lmoe::spec {

/// kFfnBlock: an expert is the whole FFN with LoRAs on its projections; its output, after the
/// non-linearity, is what is mixed.
enum class Attach { kProjection, kFfnBlock };
/// kLora: own A [R, in] and B [out, R]. kRankOne: the same with R = 1, each rank of one adapter an
/// expert. kSharedA: one A for all, own B. kCore: one A and one B for all, own core [R, R] between
/// them. kKronecker: one A and one B for all, whose product is blown up by an own kernel [s, s]:
/// (B A) ⊗ K. kResidual: `levels` of experts with an own A and B each, where an expert also takes
/// in what its children of the level below give; one projection on top of all (smore.md).
enum class ExpertKind { kLora, kRankOne, kSharedA, kCore, kKronecker, kResidual };
enum class ExpertActivation { kIdentity, kTanh, kRelu };
/// What alpha is divided by: the rank of an expert, the number of experts, the number that take
/// part in a token, the ranks of these together, or nothing.
enum class ScaleBy { kRank, kCount, kActive, kActiveRank, kNone };
/// Whose own `private_experts` are: of tasks of the data, or of the two kinds of tokens, first
/// those of prompts, then those of answers.
enum class PrivateBy { kTask, kRole, kPassage };
/// kTopP: the likeliest until their probabilities reach top_p. kThreshold: those whose score
/// reaches a value. kEntropySwitch: all where the gate is undecided, else top_p (dynmole.md).
/// kSample: k drawn without replacement from the softmax while training, top-k otherwise; the gate
/// learns from several forwards of each micro-batch by their losses (remix.md).
enum class SelectKind { kAll, kTopK, kTopP, kThreshold, kEntropySwitch, kSample };
/// kSoftmax: over all experts, kept as it is after selection. kSoftmaxSelected: over the selected
/// logits. kRenormalize: softmax over all, then divided by what the selected ones sum to. kSigmoid:
/// sigmoid of each logit, kept as it is. kSumToK: sigmoids scaled so that the selected ones sum to
/// their number. kConstant: 1 for each selected expert. kSoftmaxTwice: softmax over the selected
/// probabilities, X-LoRA's enable_softmax_topk. kLogits: the logits themselves.
/// kBounded: 1 + 0.2 tanh(logit), so 1 for a logit of 0 and never beyond (0.8, 1.2).
enum class Normalize {
  kSoftmax,
  kSoftmaxSelected,
  kRenormalize,
  kSigmoid,
  kSumToK,
  kConstant,
  kSoftmaxTwice,
  kLogits,
  kBounded
};
/// kDeltas: sum of w_i B_i A_i. kFactors: (sum of w_j B_j)(sum of w_i A_i). kOutputs: sum of w_i
/// times what FFN number i returns.
enum class Apply { kDeltas, kFactors, kOutputs };
/// Where the bias of an expert enters: the choice of experts; the score, and so the weight too; or
/// A x before the activation of a self gate.
enum class BiasUse { kNone, kSelection, kScore, kActivation };

std::span<const EnumName<Attach>> enum_names(Attach);
std::span<const EnumName<ExpertKind>> enum_names(ExpertKind);
std::span<const EnumName<ExpertActivation>> enum_names(ExpertActivation);
std::span<const EnumName<ScaleBy>> enum_names(ScaleBy);
std::span<const EnumName<PrivateBy>> enum_names(PrivateBy);
std::span<const EnumName<SelectKind>> enum_names(SelectKind);
std::span<const EnumName<Normalize>> enum_names(Normalize);
std::span<const EnumName<Apply>> enum_names(Apply);
std::span<const EnumName<BiasUse>> enum_names(BiasUse);

struct ExpertsSpec {
  ExpertKind kind = ExpertKind::kLora;
  int64_t count = 8;  ///< experts per site; 1 with a constant gate is plain LoRA
  /// Experts per site for equal groups of layers, bottom to top (MoLA's 2-4-6-8); empty: `count`
  /// everywhere. The largest entry is `count`.
  std::vector<int64_t> count_by_layer;
  /// Sides of the kernels of `kronecker`, one per expert.
  std::vector<int64_t> kernel_sizes;
  int64_t levels = 1;  ///< of `residual`, each with `count` experts
  ExpertActivation activation = ExpertActivation::kIdentity;  ///< of `residual`
  int64_t rank = 8;
  std::optional<double> alpha;  ///< default 2 x rank (l-moe.md)
  ScaleBy scale_by = ScaleBy::kRank;
  bool use_rslora = false;  ///< scaling alpha / sqrt(rank) instead of alpha / rank
  bool use_dora = false;    ///< trains the length of each row of W + s B A apart
  double dropout = 0.0;     ///< on the adapter path; one mask for all experts of a site
  bool train_a = true;      ///< false: A keeps its first values (LoRA-FA, FlyLoRA)
  /// Share of the inputs each row of A reads, at random places, with values of deviation 1 / count
  /// (flylora.md); for an A that is not trained. Unset: all of them, uniform in ±1/sqrt(in).
  std::optional<double> a_density;
  bool detach_input = false;  ///< no gradient to x through the experts (FlyLoRA's fork of PEFT)
  std::vector<std::string> names;  ///< empty: "expert0", "expert1", …
  /// Experts whose A and B training leaves as they are; their gates go on learning.
  std::vector<std::string> frozen;
  /// Finished adapters to begin with, a PEFT folder for each expert; `adapters: {name: folder}`
  /// names them too. Those of a smaller rank are filled up with zeros, which stay zeros; `base` in
  /// place of a folder is an expert of zeros alone: the model as it is (FlexMoRE's public expert).
  std::vector<std::string> adapters;

  /// Experts of the sites of `layer` in a model of `layers`: `count`, or the entry of
  /// count_by_layer whose share of the layers it lies in.
  int64_t count_at(int layer, int layers) const;
  double effective_alpha() const { return alpha.value_or(2.0 * static_cast<double>(rank)); }

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "what an expert is"));
    visit(field("count", count, "experts per site").range(1, 4096));
    visit(field("count_by_layer", count_by_layer,
                "experts per site of equal groups of layers, bottom to top"));
    visit(field("kernel_sizes", kernel_sizes, "sides of the kernels, one per expert; kronecker"));
    visit(field("levels", levels, "levels of experts; residual").range(1, 8));
    visit(field("activation", activation, "what an expert does to its output; residual"));
    visit(field("rank", rank, "rank of each expert").range(1, 65536));
    visit(field("alpha", alpha, "numerator of the scaling; default 2 x rank").range(1e-6, 1e6));
    visit(field("scale_by", scale_by, "what alpha is divided by"));
    visit(field("use_rslora", use_rslora, "scaling alpha / sqrt(rank)"));
    visit(
        field("use_dora", use_dora,
              "the length of each row of the adapted weight is trained apart from its direction"));
    visit(field("dropout", dropout, "dropout on the adapter path").range(0.0, 0.95));
    visit(field("train_a", train_a, "whether A is trained, besides B"));
    visit(field("a_density", a_density, "share of the inputs that a row of a sparse, fixed A reads")
              .range(0.0, 1.0));
    visit(field("detach_input", detach_input, "no gradient to the input through the experts"));
    visit(field("names", names, "names of the experts; default expert0, expert1, …"));
    visit(field("frozen", frozen, "names of experts that training leaves as they are"));
    visit(field("adapters", adapters, "PEFT folders that the experts begin with, one for each"));
  }
};

struct SelectSpec {
  SelectKind kind = SelectKind::kAll;
  /// Exactly with top_k and sample, at least with the others.
  std::optional<int64_t> k;
  std::optional<double> top_p;      ///< with top_p and entropy_switch
  std::optional<double> threshold;  ///< with threshold: least score; with entropy_switch: entropy
  /// The expert with which the sum of probabilities passes top_p takes part; MixLoRA's code. False
  /// in DynMoLE's.
  bool include_crossing = true;
  /// While training all experts take part; losses that count selected ones count those of use.
  bool inference_only = false;
  EntropySpec entropy;  ///< with entropy_switch
  /// Outside training, experts whose logit before the temperature is below it get weight 0, the
  /// others keep theirs (moram.md).
  std::optional<double> inference_threshold;
  int64_t rollouts = 2;  ///< forwards of a micro-batch with `sample`; remix.md: 2 to 32
  /// The first experts belong to groups of tokens, by `private_by`, so many to each, in order; a
  /// token is routed among those of its group and the rest, one without a group among the rest
  /// (moiie.md). With `private_by: passage` there may be no rest: tokens of no passage are then
  /// left as they are (omni-effects.md).
  int64_t private_experts = 0;
  PrivateBy private_by = PrivateBy::kTask;
  /// How many tasks or passages have experts of their own; unset: as many tasks as the data have.
  std::optional<int64_t> groups;
  /// Tokens of a sequence that one expert takes, with ffn_block; later ones pass through: their
  /// input stands in for its output. Default: no limit. mixlora.md has 32 for mixlora-switch.
  std::optional<int64_t> capacity;

  /// Whether exactly k experts take part.
  bool takes_k() const { return kind == SelectKind::kTopK || kind == SelectKind::kSample; }
  /// How many groups have experts of their own, as far as it is known.
  int64_t private_groups() const { return private_by == PrivateBy::kRole ? 2 : groups.value_or(0); }

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "how many experts take part"));
    visit(field("k", k, "experts per token with top_k or sample; at least so many otherwise")
              .range(1, 4096));
    visit(field("top_p", top_p, "sum of probabilities that is enough").range(0.0, 1.0));
    visit(field("threshold", threshold,
                "least score of those who take part; entropy above which all do, with "
                "entropy_switch")
              .range(-100.0, 100.0));
    visit(field("include_crossing", include_crossing, "the expert that passes top_p takes part"));
    visit(field("inference_only", inference_only, "while training all experts take part"));
    visit(field("entropy", entropy, "which entropy, with entropy_switch"));
    visit(field("inference_threshold", inference_threshold,
                "outside training: logit below which an expert's weight is 0")
              .range(-1e3, 1e3));
    visit(field("rollouts", rollouts, "forwards of each micro-batch, with sample").range(2, 1024));
    visit(field("private_experts", private_experts, "experts of its own that each group has")
              .range(0, 4096));
    visit(field("private_by", private_by,
                "which tokens are a group: by task, prompt and answer, or by passage"));
    visit(field("groups", groups,
                "tasks or passages that have experts of their own; default: the data's tasks")
              .range(1, 4096));
    visit(field("capacity", capacity, "tokens of a sequence that one expert of ffn_block takes")
              .range(1, int64_t{1} << 30));
  }
};

/// Balancing without a loss: after each optimizer step the bias of an expert that was chosen more
/// often than the mean falls by `rate`, that of one chosen less often rises by it.
struct BiasSpec {
  BiasUse use = BiasUse::kNone;
  double rate = 1e-3;  ///< flylora.md; smora.md has 1e-5

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("use", use, "where each expert's bias enters"));
    visit(field("rate", rate, "by how much a bias moves per optimizer step").range(0.0, 10.0));
  }
};

/// Projections beside the mixture that get one ordinary LoRA each.
struct PlainSpec {
  std::vector<std::string> target_modules;  ///< suffixes; empty: none
  int64_t rank = 8;
  std::optional<double> alpha;  ///< default 2 x rank, as for experts
  double dropout = 0.0;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("target_modules", target_modules, "projections that get one LoRA without a gate"));
    visit(field("rank", rank, "its rank").range(1, 65536));
    visit(field("alpha", alpha, "numerator of its scaling; default 2 x rank").range(1e-6, 1e6));
    visit(field("dropout", dropout, "dropout before it").range(0.0, 0.95));
  }
};

/// In place of a folder in `experts.adapters`.
inline constexpr const char* kBaseAdapter = "base";

/// The folder under `experts/` that holds the plain LoRAs.
inline constexpr const char* kPlainFolder = "plain";

struct MixtureSpec {
  std::string method = "l-moe";
  Attach attach = Attach::kProjection;
  std::vector<std::string> target_modules;  ///< suffixes; empty never occurs in a checked spec
  /// Layers whose targets are adapted, counted from 0, `plain` included; empty: all.
  std::vector<int64_t> layers_to_transform;
  ExpertsSpec experts;
  GateSpec gate;
  SelectSpec select;
  Normalize normalize = Normalize::kSoftmax;
  Apply apply = Apply::kDeltas;
  std::vector<LossSpec> losses;
  BiasSpec bias;
  ScheduleSpec schedule;
  PlainSpec plain;
  PromptsSpec prompts;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("method", method, "preset this started from; see `lmoe methods`"));
    visit(field("attach", attach, "where experts attach"));
    visit(field("target_modules", target_modules, "projections that get experts")
              .alias("lora_target_modules"));
    visit(field("layers_to_transform", layers_to_transform,
                "layers whose targets are adapted, counted from 0; default: all"));
    visit(field("experts", experts, "what is mixed"));
    visit(field("gate", gate, "who decides, from what"));
    visit(field("select", select, "how many take part"));
    visit(field("normalize", normalize, "what happens to the weights"));
    visit(field("apply", apply, "what is averaged"));
    visit(field("losses", losses, "losses on what the gates decide"));
    visit(field("bias", bias, "balancing without a loss"));
    visit(field("schedule", schedule, "what changes over the course of training"));
    visit(field("plain", plain, "one LoRA each, without a gate, for other projections"));
    visit(field("prompts", prompts, "a bank of prompts, the nearest in front of each document"));
  }

  bool adapts_layer(int layer) const;
  bool has_plain() const { return !plain.target_modules.empty(); }
  bool has_prompts() const { return prompts.count > 0; }
  /// What `plain` is as a mixture: one expert, no gate.
  MixtureSpec plain_part() const;
  bool has_gate() const { return gate.source != GateSource::kConstant; }
  /// The factor in front of B A, by experts.scale_by.
  double scaling() const;
  /// Experts that belong to a group: the first ones.
  int64_t private_total() const { return select.private_experts * select.private_groups(); }
  /// Experts that take part in a token: k with top_k and sample, else at most all.
  int64_t active_experts() const { return select.takes_k() ? *select.k : experts.count; }
  /// What lies under `experts/`, each a PEFT LoRA: one folder per expert, or, where experts are not
  /// LoRAs of their own, one for all: "ranks" (rank_one), "shared" (core); none for kronecker
  /// and residual.
  std::vector<std::string> adapter_folders() const;
  /// experts.names, or "expert0", "expert1", …
  std::vector<std::string> expert_names() const;
};

/// Refuses parts that contradict each other, with the reason: k > count, top_k without k, k with
/// `all`, block gate that reads each projection's own input, a constant gate with more than one
/// expert, names that cannot be folders or differ only in case, … `where` opens the message
/// ("recipe.yaml:3"). Throws kInvalidArgument.
void check_mixture(const MixtureSpec& spec, const std::string& where);

/// The spec for data with `tasks` tasks: what was left to the data is filled in. Throws
/// kInvalidArgument when the mixture needs to know the task of each record and the data have only
/// one task, more than there are experts, or a number that does not divide the experts.
MixtureSpec with_tasks(MixtureSpec spec, int64_t tasks);

/// Refuses data whose largest number of a passage is `passages` (base/passage.h; 0: none), where
/// the mixture would carry something from one passage to another, or wants other passages. Throws
/// kInvalidArgument.
void check_passages(const MixtureSpec& spec, int64_t passages);

/// Whether it decides by where the prompt of a document ends.
bool knows_prompts(const MixtureSpec& spec);

/// Whether the first token of a document already depends on the whole prompt.
bool decides_by_prompt(const MixtureSpec& spec);

/// Reads a `mixture:` section: first the preset its `method` names (l-moe when it names none), then
/// whatever the section changes. The short spellings of the recipe (num_experts, top_k,
/// router_aux_loss_coef, …; short_spellings.h) reach the same fields and are noted. `losses` may be
/// a list, or a mapping from positions to changes of the preset's list (`losses.0.coef=0.1` on the
/// command line). Throws kInvalidArgument with file, line and the nearest known key; kNotFound for
/// an unknown method.
MixtureSpec read_mixture(const ConfigNode& section, ReadReport& report);

/// Every field, as `mixture.yaml` holds it.
Json write_mixture(const MixtureSpec& spec);

}  // namespace lmoe::spec
