// The gates of projections that share an input: net, temperature, bias, selection, normalisation.
#pragma once

#include <memory>
#include <vector>

#include "mixture/gate_net.h"
#include "mixture/mixture.h"
#include "mixture/scores.h"
#include "nn/forward_context.h"

namespace lmoe::mixture {

/// What a gate decided for each token.
struct Routing {
  at::Tensor weights;  ///< [N, G, E], 0 for experts that take no part
  /// [N, G] summed weight of the choices that came when their expert was full; undefined without
  /// `select.capacity`.
  at::Tensor overflow;
};

/// The name of a net that decides for the whole model, and its site where it decides once.
inline constexpr const char* kModelSite = "model";

/// What enters the first layer [N, H]. Throws kInvalidArgument where nobody has set it.
const at::Tensor& embedded(const nn::ForwardContext& context);

class Gate {
 public:
  /// One gate per given site, all with inputs of width `input_width`.
  Gate(const spec::MixtureSpec& spec,
       std::vector<SiteInfo> sites,
       int64_t experts,
       int64_t input_width,
       const at::TensorOptions& options,
       Rng& rng,
       std::shared_ptr<const RecurrentCell> cell = nullptr);

  /// Routing weights [N, G * Q, E] of `input` [N, D], or [N, G, D] when each gate reads its own, in
  /// the parameters' precision; what was decided also goes to the context's router log.
  at::Tensor weights(const at::Tensor& input, nn::ForwardContext& context) const;

  /// The same with what did not fit.
  Routing route(const at::Tensor& input, nn::ForwardContext& context) const;

  /// Adds what the gates would log if they were undecided among `experts` and chose them equally
  /// often: equal logits for `tokens` tokens, a multiple of the experts.
  void log_uniform(nn::RouterLog& log, int64_t tokens, int64_t experts) const;

  /// Weights 1 for the expert of each token's task, [N, G, E]: a hard stage of training.
  at::Tensor weights_by_task(int64_t tokens, nn::ForwardContext& context) const;

  /// Adds to the records that the gates have just written what they read.
  void log_input(const at::Tensor& input, nn::RouterLog& log) const;

  /// The rows to stack into a GEMM over the gate's input, or undefined (see GateNet), and the
  /// weights that follow from their product [N, G * E].
  at::Tensor stackable_rows() const {
    const bool reads_as_it_is = jitter_ == 0.0 && input_dropout_ == 0.0 && !samples();
    return reads_as_it_is ? net_->stackable_rows() : at::Tensor();
  }
  at::Tensor weights_of_rows(const at::Tensor& product, nn::ForwardContext& context) const;

  /// Of the projections or the block that each gate is for: whose tensors they are.
  const std::vector<SiteInfo>& owners() const { return owners_; }
  /// Of each choice, as the router log has them: the owners, but for trees and a gate of the model.
  const std::vector<SiteInfo>& sites() const { return sites_; }
  int64_t experts() const { return experts_; }
  int64_t input_width() const { return input_width_; }
  /// Stacked over the owners.
  std::vector<StackedTensor> tensors() const;
  /// "layers.3.self_attn.q_proj+k_proj+v_proj.gate.weight", …
  std::vector<nn::NamedTensor> parameters() const;
  /// "model.gate.gru.weight_ih", …: what all gates of the mixture share.
  std::vector<nn::NamedTensor> common_parameters() const;
  /// What `gate.net: nearest` asks; null for other nets.
  const nn::References* references() const { return net_->references(); }
  /// [G * Q, E], moved by SelectionCounts and never by a gradient; undefined without `bias.use`.
  const at::Tensor& bias() const { return bias_; }
  /// [1] how many experts, the first ones, take part; undefined without `schedule.staged`. All of
  /// them until `let_take_part` says otherwise.
  const at::Tensor& active_experts() const { return active_experts_; }
  void let_take_part(int64_t experts) const { active_experts_.fill_(experts); }

 private:
  bool samples() const { return select_.kind == spec::SelectKind::kSample; }
  /// Of the net, in several passes where their disagreement counts. [N, G * Q, E]
  at::Tensor net_logits(const at::Tensor& read, nn::ForwardContext& context) const;
  /// Their bias, temperature and noise; of a prompt as a whole where it decides.
  at::Tensor finished_logits(at::Tensor logits, nn::ForwardContext& context) const;
  Routing route_logits(at::Tensor logits, nn::ForwardContext& context) const;
  /// bool [1, E] those whose stage has not come yet; undefined when all take part.
  at::Tensor later_experts() const;
  /// Moves weights of `selected` experts that are full to the overflow.
  void limit(Routing& routing, const at::Tensor& selected, nn::ForwardContext& context) const;
  void write_log(nn::RouterLog& log,
                 const Scores& scores,
                 const at::Tensor& weights,
                 const at::Tensor& selected,
                 const at::Tensor& log_draw) const;

  std::vector<SiteInfo> owners_;
  std::unique_ptr<GateNet> net_;
  std::vector<SiteInfo> sites_;
  int64_t experts_, input_width_;
  at::TensorOptions options_;
  double temperature_, jitter_, noise_, input_dropout_;
  int64_t passes_;
  spec::GatePool pool_;
  at::Tensor offset_;  ///< [G * Q * E] trained, added to the logits; undefined without init_bias
  spec::SelectSpec select_;
  spec::Normalize normalize_;
  spec::BiasUse bias_use_;
  at::Tensor bias_, active_experts_;
};

}  // namespace lmoe::mixture
