#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
#include "mixture/gate_net.h"

namespace lmoe::mixture {
namespace {

/// Log-probabilities, so that a softmax gives back the probabilities.
at::Tensor logs(const at::Tensor& probabilities) {
  const at::Tensor nobody = probabilities.le(0.0);  // whose logarithm would have no gradient
  return probabilities.masked_fill(nobody, 1.0)
      .log()
      .masked_fill(nobody, -std::numeric_limits<double>::infinity());
}

class NearestGate : public GateNet {
 public:
  NearestGate(const spec::GateSpec& spec, const GateShape& shape)
      : shape_(shape),
        retrieval_{spec.neighbours, spec.temperature, spec.heads},
        references_{at::zeros({spec.references, shape.input_width}, shape.options),
                    at::full({spec.references}, -1.0, shape.options.dtype(at::kFloat))} {
    LMOE_CHECK_ARG(shape.input_width % spec.heads == 0, "[attach] mixture.gate.heads: given ",
                   spec.heads, ", expected a divisor of the width that a gate reads, ",
                   shape.input_width);
  }

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    LMOE_CHECK_ARG(
        references_.values.min().item<double>() >= 0.0,
        "[route] the memory of a gate with net nearest is empty; hint: `lmoe experts RUN "
        "refit --net nearest` fills it, and training goes on from that run by init_from");
    const nn::Neighbours found = nn::nearest_references(input, references_.keys, retrieval_);
    return logs(nn::value_distribution(found, references_.values, shape_.experts))
        .unsqueeze(/*dim=*/1)
        .expand({-1, shape_.gates, -1});
  }

  std::vector<StackedTensor> tensors() const override { return {}; }
  const nn::References* references() const override { return &references_; }

 private:
  GateShape shape_;
  nn::Retrieval retrieval_;
  nn::References references_;
};

}  // namespace

std::unique_ptr<GateNet> make_nearest_gate(const spec::GateSpec& spec, const GateShape& shape) {
  return std::make_unique<NearestGate>(spec, shape);
}

}  // namespace lmoe::mixture
