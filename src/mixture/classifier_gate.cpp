#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "mixture/dropout.h"
#include "mixture/gate_net.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

class ClassifierGate : public GateNet {
 public:
  ClassifierGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape), dropout_(spec.dropout) {
    int64_t width = shape.input_width;
    for (int64_t depth = 0; depth < spec.depth; ++depth) {
      const bool is_last = depth + 1 == spec.depth;
      const int64_t rows = is_last ? shape.gates * shape.experts : spec.hidden_size;
      Layer layer = {gate_parameter(rows, width, spec, shape.options, rng),
                     zero_parameter({rows}, shape.options)};
      // PyTorch's default for a linear layer's bias.
      if (spec.init == spec::GateInit::kKaimingUniform)
        fill_uniform(layer.bias.detach(), 1.0 / std::sqrt(static_cast<double>(width)), rng);
      layers_.push_back(std::move(layer));
      width = rows;
    }
  }

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext& context) const override {
    at::Tensor x = input;
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (i > 0) x = adapter_input(at::relu(x), dropout_, context);
      x = at::linear(x, layers_[i].weight, layers_[i].bias);
    }
    return x.view({x.size(0), shape_.gates, shape_.experts});
  }

  std::vector<StackedTensor> tensors() const override {
    std::vector<StackedTensor> all;
    for (size_t i = 0; i < layers_.size(); ++i) {
      const std::string name = "layers." + std::to_string(i);
      all.push_back({name + ".weight", layers_[i].weight});
      all.push_back({name + ".bias", layers_[i].bias});
    }
    return all;
  }

 private:
  struct Layer {
    at::Tensor weight, bias;
  };

  GateShape shape_;
  double dropout_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<GateNet> make_classifier_gate(const spec::GateSpec& spec,
                                              const GateShape& shape,
                                              Rng& rng) {
  return std::make_unique<ClassifierGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
