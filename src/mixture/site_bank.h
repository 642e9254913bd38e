// What plugs into the socket of one group of projections: an expert bank and the gate that weighs
// it.
//
//   y_p += s * B_p * M(x) * A * x        two GEMMs per projection, the first one stacked over p
#pragma once

#include <memory>
#include <vector>

#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/top_k_table.h"
#include "nn/projection.h"

namespace lmoe::mixture {

/// What a bank holds: experts, which evaluation can disable, or the plain LoRA beside them.
enum class SiteRole { kExperts, kPlain };

/// Whether experts of such a mixture may get no A x of all and be computed by `mix_selected`, once
/// the gate has spoken. Not where a weight of 0 may belong to an expert that was chosen, and
/// learns.
bool may_select_few(const spec::MixtureSpec& spec);

class SiteBank : public nn::ProjectionDelta {
 public:
  /// `group`: position among the decoder's groups. `gate` is null for a constant weight of 1; a
  /// gate with one site for several projections is shared through the forward's context.
  SiteBank(const spec::MixtureSpec& spec,
           SiteRole role,
           size_t group,
           std::unique_ptr<ExpertBank> bank,
           std::shared_ptr<Gate> gate);

  std::vector<at::Tensor> apply(const nn::SocketInput& input,
                                std::vector<at::Tensor> outputs,
                                nn::ForwardContext& context) override;

  size_t group() const { return group_; }
  const ExpertBank& bank() const { return *bank_; }
  const std::shared_ptr<Gate>& gate() const { return gate_; }

 private:
  /// One GEMM for A x and the gate's logits when the gate is linear and reads what the adapters
  /// read.
  BankInput down_and_route(const nn::SocketInput& input, nn::ForwardContext& context) const;
  /// What the gate reads: [N, width], or A x of each projection [N, P, D / P].
  at::Tensor gate_input(const nn::SocketInput& input,
                        const at::Tensor& down,
                        const nn::ForwardContext& context) const;

  /// Whether the chosen experts are computed alone, without A x of all.
  bool selects_few(const at::Tensor& x) const;
  /// Position of this bank's first projection among the choices of a gate for the whole model.
  int64_t first_choice() const;
  /// Of those for the whole model, the bank's own [N, P, E]; others as they are.
  at::Tensor own_weights(const at::Tensor& weights) const;

  SiteRole role_;
  size_t group_;
  std::unique_ptr<ExpertBank> bank_;
  std::shared_ptr<Gate> gate_;
  spec::GateSource source_;
  spec::GateShare share_;
  int64_t first_choice_;
  double first_pass_weight_;
  int64_t default_task_;
  double hard_until_;
  double dropout_;
  bool detach_input_;
  std::shared_ptr<const TopKTable> top_k_table_;  ///< null where all experts must be computed
  TopKShape top_k_shape_;
};

}  // namespace lmoe::mixture
