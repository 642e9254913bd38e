// The gates of projections that share an input: net, temperature, selection, normalisation.
#pragma once

#include <memory>
#include <vector>

#include "mixture/gate_net.h"
#include "mixture/mixture.h"
#include "nn/forward_context.h"

namespace lmoe::mixture {

class Gate {
 public:
  /// One gate per site, all reading the same input of width `input_width`.
  Gate(const spec::MixtureSpec& spec,
       std::vector<SiteInfo> sites,
       int64_t input_width,
       at::ScalarType dtype,
       Rng& rng);

  /// Routing weights [N, G, E] of `input` [N, D], in the parameters' precision; probabilities and
  /// weights also go to the context's router log. Throws kInvalidArgument when
  /// `context.disabled_expert` does not exist.
  at::Tensor weights(const at::Tensor& input, nn::ForwardContext& context) const;

  /// The rows to stack into a GEMM over the gate's input, or undefined (see GateNet), and the
  /// weights that follow from their product [N, G * E].
  at::Tensor stackable_rows() const { return net_->stackable_rows(); }
  at::Tensor weights_of_rows(const at::Tensor& product, nn::ForwardContext& context) const;

  const std::vector<SiteInfo>& sites() const { return sites_; }
  int64_t input_width() const { return input_width_; }
  /// Stacked over the sites.
  std::vector<StackedTensor> tensors() const { return net_->tensors(); }
  /// "layers.3.self_attn.q_proj+k_proj+v_proj.gate.weight", …
  std::vector<nn::NamedTensor> parameters() const;

 private:
  at::Tensor weights_of_logits(at::Tensor logits, nn::ForwardContext& context) const;
  void write_log(nn::RouterLog& log,
                 const at::Tensor& probabilities,
                 const at::Tensor& weights) const;

  std::vector<SiteInfo> sites_;
  int64_t experts_, input_width_;
  at::ScalarType dtype_;
  double temperature_;
  spec::SelectSpec select_;
  spec::Normalize normalize_;
  std::unique_ptr<GateNet> net_;
};

}  // namespace lmoe::mixture
