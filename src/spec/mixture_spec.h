// A mixture is a sentence: the parts of the grammar as plain data.
//
//   attach      where?                       projection | ffn_block
//   experts     what is mixed?               lora | rank_one | shared_a | core
//   gate        who decides, from what?      constant | input | block_input | rank_activation;
//                                            linear | mlp; one per projection or one per block
//   select      how many take part?          all | top_k
//   normalize   what becomes of weights?     softmax | softmax_selected | renormalize | sigmoid |
//                                            sum_to_k | constant
//   apply       what is averaged?            deltas | factors | outputs
//   losses      what is added?               cv2 | switch | kl
//   bias        what is nudged?              a bias per expert, by load, outside autograd
//   plain       what is beside it?           one LoRA without a gate for other projections
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

namespace lmoe::spec {

/// kFfnBlock: an expert is the whole FFN with LoRAs on its projections; its output, after the
/// non-linearity, is what is mixed.
enum class Attach { kProjection, kFfnBlock };
/// kLora: own A [R, in] and B [out, R]. kRankOne: the same with R = 1, each rank of one adapter an
/// expert. kSharedA: one A for all, own B. kCore: one A and one B for all, own core [R, R] between
/// them.
enum class ExpertKind { kLora, kRankOne, kSharedA, kCore };
/// What alpha is divided by: the rank of an expert, the number of experts, the number that take
/// part in a token, or nothing.
enum class ScaleBy { kRank, kCount, kActive, kNone };
/// kInput: what the projection reads. kBlockInput: the normalised input of the attention or the
/// MLP. kRankActivation: A x of the experts themselves.
enum class GateSource { kConstant, kInput, kBlockInput, kRankActivation };
enum class GateNet { kLinear, kMlp };
/// kNormal: deviation init_range. kKaimingUniform: uniform in ±1/sqrt(width of the input), the
/// default of a linear layer in PyTorch.
enum class GateInit { kNormal, kKaimingUniform };
enum class GateShare { kProjection, kBlock };
enum class SelectKind { kAll, kTopK };
/// kSoftmax: over all experts, kept as it is after selection. kSoftmaxSelected: over the selected
/// logits. kRenormalize: softmax over all, then divided by what the selected ones sum to. kSigmoid:
/// sigmoid of each logit, kept as it is. kSumToK: sigmoids scaled so that the selected ones sum to
/// their number. kConstant: 1 for each selected expert.
enum class Normalize { kSoftmax, kSoftmaxSelected, kRenormalize, kSigmoid, kSumToK, kConstant };
/// kDeltas: sum of w_i B_i A_i. kFactors: (sum of w_j B_j)(sum of w_i A_i). kOutputs: sum of w_i
/// times what FFN number i returns.
enum class Apply { kDeltas, kFactors, kOutputs };
enum class BalanceLoss { kCv2, kSwitch, kKl };
/// Where the bias of an expert enters: the choice of experts, or the score, and so the weight too.
enum class BiasUse { kNone, kSelection, kScore };

std::span<const EnumName<Attach>> enum_names(Attach);
std::span<const EnumName<ExpertKind>> enum_names(ExpertKind);
std::span<const EnumName<ScaleBy>> enum_names(ScaleBy);
std::span<const EnumName<GateSource>> enum_names(GateSource);
std::span<const EnumName<GateNet>> enum_names(GateNet);
std::span<const EnumName<GateInit>> enum_names(GateInit);
std::span<const EnumName<GateShare>> enum_names(GateShare);
std::span<const EnumName<SelectKind>> enum_names(SelectKind);
std::span<const EnumName<Normalize>> enum_names(Normalize);
std::span<const EnumName<Apply>> enum_names(Apply);
std::span<const EnumName<BalanceLoss>> enum_names(BalanceLoss);
std::span<const EnumName<BiasUse>> enum_names(BiasUse);

struct ExpertsSpec {
  ExpertKind kind = ExpertKind::kLora;
  int64_t count = 8;  ///< experts per site; 1 with a constant gate is plain LoRA
  /// Experts per site for equal groups of layers, bottom to top (MoLA's 2-4-6-8); empty: `count`
  /// everywhere. The largest entry is `count`.
  std::vector<int64_t> count_by_layer;
  int64_t rank = 8;
  std::optional<double> alpha;  ///< default 2 x rank (l-moe.md)
  ScaleBy scale_by = ScaleBy::kRank;
  bool use_rslora = false;         ///< scaling alpha / sqrt(rank) instead of alpha / rank
  double dropout = 0.0;            ///< on the adapter path; one mask for all experts of a site
  std::vector<std::string> names;  ///< empty: "expert0", "expert1", …

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
    visit(field("rank", rank, "rank of each expert").range(1, 65536));
    visit(field("alpha", alpha, "numerator of the scaling; default 2 x rank").range(1e-6, 1e6));
    visit(field("scale_by", scale_by, "what alpha is divided by"));
    visit(field("use_rslora", use_rslora, "scaling alpha / sqrt(rank)"));
    visit(field("dropout", dropout, "dropout on the adapter path").range(0.0, 0.95));
    visit(field("names", names, "names of the experts; default expert0, expert1, …"));
  }
};

struct GateSpec {
  GateSource source = GateSource::kInput;
  GateNet net = GateNet::kLinear;
  GateShare share = GateShare::kProjection;
  int64_t hidden_size = 64;  ///< width of the hidden layer of `mlp` (SiLU)
  double temperature = 1.0;  ///< logits are divided by it
  GateInit init = GateInit::kNormal;
  double init_range = 0.02;  ///< standard deviation of the initial weights, with `normal`
  /// In training the gate reads its input times numbers drawn from 1 ± jitter; mixlora.md has 0.01
  /// for mixlora-switch.
  double jitter = 0.0;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("source", source, "what the gate reads"));
    visit(field("net", net, "form of the gate"));
    visit(field("share", share, "one gate per projection or per block"));
    visit(field("hidden_size", hidden_size, "hidden width of an mlp gate").range(1, 65536));
    visit(field("temperature", temperature, "softmax temperature").range(1e-3, 1e3));
    visit(field("init", init, "initial gate weights"));
    visit(field("init_range", init_range, "standard deviation of the initial gate weights")
              .range(0.0, 10.0));
    visit(field("jitter", jitter, "training: the gate's input is multiplied by 1 ± this")
              .range(0.0, 0.99));
  }
};

struct SelectSpec {
  SelectKind kind = SelectKind::kAll;
  std::optional<int64_t> k;  ///< with top_k only
  /// Tokens of a sequence that one expert takes, with ffn_block; later ones pass through: their
  /// input stands in for its output. Default: no limit. mixlora.md has 32 for mixlora-switch.
  std::optional<int64_t> capacity;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "how many experts take part"));
    visit(field("k", k, "experts per token, with top_k").range(1, 4096));
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

struct LossSpec {
  BalanceLoss kind = BalanceLoss::kCv2;
  double coef = 1e-2;  ///< l-moe.md; sweep {0, 1e-3, 1e-2, 1e-1}

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "balance loss"));
    visit(field("coef", coef, "its coefficient").range(0.0, 1e3));
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

/// Value of a balance loss when all experts carry the same load: 0, 1 (switch) or 0.
double value_at_balance(BalanceLoss kind);

/// The folder under `experts/` that holds the plain LoRAs.
inline constexpr const char* kPlainFolder = "plain";

struct MixtureSpec {
  std::string method = "l-moe";
  Attach attach = Attach::kProjection;
  std::vector<std::string> target_modules;  ///< suffixes; empty never occurs in a checked spec
  ExpertsSpec experts;
  GateSpec gate;
  SelectSpec select;
  Normalize normalize = Normalize::kSoftmax;
  Apply apply = Apply::kDeltas;
  std::vector<LossSpec> losses;
  BiasSpec bias;
  PlainSpec plain;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("method", method, "preset this started from; see `lmoe methods`"));
    visit(field("attach", attach, "where experts attach"));
    visit(field("target_modules", target_modules, "projections that get experts")
              .alias("lora_target_modules"));
    visit(field("experts", experts, "what is mixed"));
    visit(field("gate", gate, "who decides, from what"));
    visit(field("select", select, "how many take part"));
    visit(field("normalize", normalize, "what happens to the weights"));
    visit(field("apply", apply, "what is averaged"));
    visit(field("losses", losses, "balance losses"));
    visit(field("bias", bias, "balancing without a loss"));
    visit(field("plain", plain, "one LoRA each, without a gate, for other projections"));
  }

  bool has_plain() const { return !plain.target_modules.empty(); }
  /// What `plain` is as a mixture: one expert, no gate.
  MixtureSpec plain_part() const;
  bool has_gate() const { return gate.source != GateSource::kConstant; }
  /// The factor in front of B A, by experts.scale_by.
  double scaling() const;
  /// Experts that take part in a token: k, or all.
  int64_t active_experts() const { return select.k.value_or(experts.count); }
  /// What lies under `experts/`, each a PEFT LoRA: one folder per expert, or, where experts are not
  /// LoRAs of their own, one for all: "ranks" (rank_one), "shared" (core).
  std::vector<std::string> adapter_folders() const;
  /// experts.names, or "expert0", "expert1", …
  std::vector<std::string> expert_names() const;
};

/// Refuses parts that contradict each other, with the reason: k > count, top_k without k, k with
/// `all`, block gate that reads each projection's own input, a constant gate with more than one
/// expert, names that cannot be folders or differ only in case, … `where` opens the message
/// ("recipe.yaml:3"). Throws kInvalidArgument.
void check_mixture(const MixtureSpec& spec, const std::string& where);

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
