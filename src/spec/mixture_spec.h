// A mixture is a sentence: the parts of the grammar as plain data.
//
//   attach      where?                       projection
//   experts     what is mixed?               lora
//   gate        who decides, from what?      constant | input | block_input; linear | mlp;
//                                            one per projection or one per block
//   select      how many take part?          all | top_k
//   normalize   what becomes of weights?     softmax | softmax_selected | renormalize | constant
//   apply       what is averaged?            deltas | factors
//   losses      what is added?               cv2 | switch | kl
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

enum class Attach { kProjection };
enum class ExpertKind { kLora };
/// kInput: what the projection reads. kBlockInput: the normalised input of the attention or the
/// MLP.
enum class GateSource { kConstant, kInput, kBlockInput };
enum class GateNet { kLinear, kMlp };
enum class GateShare { kProjection, kBlock };
enum class SelectKind { kAll, kTopK };
/// kSoftmax: over all experts, kept as it is after selection. kSoftmaxSelected: over the selected
/// logits. kRenormalize: softmax over all, then divided by what the selected ones sum to.
/// kConstant: 1, for the only expert of a constant gate.
enum class Normalize { kSoftmax, kSoftmaxSelected, kRenormalize, kConstant };
/// kDeltas: sum of w_i B_i A_i. kFactors: (sum of w_j B_j)(sum of w_i A_i).
enum class Apply { kDeltas, kFactors };
enum class BalanceLoss { kCv2, kSwitch, kKl };

std::span<const EnumName<Attach>> enum_names(Attach);
std::span<const EnumName<ExpertKind>> enum_names(ExpertKind);
std::span<const EnumName<GateSource>> enum_names(GateSource);
std::span<const EnumName<GateNet>> enum_names(GateNet);
std::span<const EnumName<GateShare>> enum_names(GateShare);
std::span<const EnumName<SelectKind>> enum_names(SelectKind);
std::span<const EnumName<Normalize>> enum_names(Normalize);
std::span<const EnumName<Apply>> enum_names(Apply);
std::span<const EnumName<BalanceLoss>> enum_names(BalanceLoss);

struct ExpertsSpec {
  ExpertKind kind = ExpertKind::kLora;
  int64_t count = 8;  ///< experts per site; 1 with a constant gate is plain LoRA
  int64_t rank = 8;
  std::optional<double> alpha;     ///< default 2 x rank (l-moe.md)
  bool use_rslora = false;         ///< scaling alpha / sqrt(rank) instead of alpha / rank
  double dropout = 0.0;            ///< on the adapter path; one mask for all experts of a site
  std::vector<std::string> names;  ///< empty: "expert0", "expert1", …

  /// alpha / rank, or alpha / sqrt(rank) with use_rslora.
  double scaling() const;
  double effective_alpha() const { return alpha.value_or(2.0 * static_cast<double>(rank)); }

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "what an expert is"));
    visit(field("count", count, "experts per site").range(1, 4096));
    visit(field("rank", rank, "rank of each expert").range(1, 65536));
    visit(field("alpha", alpha, "numerator of the scaling; default 2 x rank").range(1e-6, 1e6));
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
  double init_range = 0.02;  ///< standard deviation of the initial weights

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("source", source, "what the gate reads"));
    visit(field("net", net, "form of the gate"));
    visit(field("share", share, "one gate per projection or per block"));
    visit(field("hidden_size", hidden_size, "hidden width of an mlp gate").range(1, 65536));
    visit(field("temperature", temperature, "softmax temperature").range(1e-3, 1e3));
    visit(field("init_range", init_range, "standard deviation of the initial gate weights")
              .range(0.0, 10.0));
  }
};

struct SelectSpec {
  SelectKind kind = SelectKind::kAll;
  std::optional<int64_t> k;  ///< with top_k only

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("kind", kind, "how many experts take part"));
    visit(field("k", k, "experts per token, with top_k").range(1, 4096));
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

/// Value of a balance loss when all experts carry the same load: 0, 1 (switch) or 0.
double value_at_balance(BalanceLoss kind);

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
  }

  bool has_gate() const { return gate.source != GateSource::kConstant; }
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
