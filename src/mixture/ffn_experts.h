// Experts that are whole feed-forward blocks: the frozen block with a LoRA of each expert's own on
// its projections. What is mixed are their outputs, after the non-linearity.
//
//   a_e = act((W1 + s B1_e A1_e) x) * ((W3 + s B3_e A3_e) x)
//   y   = sum_e w_e (W2 + s B2_e A2_e) a_e  =  W2 (sum_e w_e a_e) + s sum_e w_e B2_e A2_e a_e
//
// W1 x and W3 x are computed once for all tokens and W2 runs once per token; only the activation
// and the LoRAs run per expert, on the rows of the tokens that chose it.
//
// Legend: N tokens, E experts, H hidden size, I inner size of the block.
#pragma once

#include <memory>
#include <vector>

#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/mix_ffn.h"
#include "nn/gated_mlp.h"

namespace lmoe::mixture {

class FfnExperts : public nn::BlockMixer {
 public:
  /// `block`: position among the decoder's feed-forward blocks. `gate_up` or `down` is null when
  /// none of its projections is a target, `gate` for one expert of constant weight 1.
  FfnExperts(const spec::MixtureSpec& spec,
             size_t block,
             std::unique_ptr<ExpertBank> gate_up,
             std::unique_ptr<ExpertBank> down,
             std::shared_ptr<Gate> gate);

  at::Tensor apply(const at::Tensor& x,
                   const nn::GatedMlp& mlp,
                   nn::ForwardContext& context) override;

  size_t block() const { return block_; }
  const std::shared_ptr<Gate>& gate() const { return gate_; }
  /// Those that are there, gate_up before down.
  std::vector<const ExpertBank*> banks() const;
  /// Throws kInvalidArgument naming the module when the block has other projections or widths.
  void check_fits(const nn::GatedMlp& mlp) const;

 private:
  FfnFactors factors() const;
  int64_t experts() const;
  /// The weights of each token [N, E], and what did not fit.
  Routing route(const at::Tensor& x, nn::ForwardContext& context) const;

  size_t block_;
  std::unique_ptr<ExpertBank> gate_up_, down_;
  std::shared_ptr<Gate> gate_;
  spec::GateSource source_;
  bool is_shared_;      ///< a gate for the whole model
  int64_t choice_ = 0;  ///< which of the gate's is this block's
  double dropout_;
};

}  // namespace lmoe::mixture
