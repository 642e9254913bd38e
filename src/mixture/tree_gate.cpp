#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"
#include "mixture/stacked_linear.h"

namespace lmoe::mixture {
namespace {

/// At depth d (0 at the root) there are E^d parents, each known by the keys of its d ancestors:
///
///   q = W_out relu(W_in [down(input), keys of the ancestors] + b_in) + b_out,  logits = keys q
class TreeGate : public GateNet {
 public:
  TreeGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape), width_(spec.hidden_size) {
    const auto matrix = [&](int64_t columns) {
      return gate_parameter(shape.gates * width_, columns, spec, shape.options, rng);
    };
    const auto bias = [&] { return zero_parameter({shape.gates * width_}, shape.options); };
    down_ = matrix(shape.input_width);
    down_bias_ = bias();
    for (int64_t depth = 0; depth < shape.levels; ++depth) {
      Level level = {matrix((depth + 1) * width_), bias(), matrix(width_), bias(),
                     zero_parameter({shape.gates * shape.experts, width_}, shape.options)};
      fill_uniform(level.keys.detach(), 0.5, rng);
      level.keys.detach().add_(0.5);  // uniform in [0, 1], as the authors' code
      levels_.push_back(std::move(level));
    }
  }

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    const int64_t tokens = input.size(0), gates = shape_.gates;
    const at::Tensor down = stacked_linear(input, down_, gates) + down_bias_.view({gates, width_});
    at::Tensor ancestors;  // keys of each parent [G, Q, depth * M]
    std::vector<at::Tensor> all;
    for (const Level& level : levels_) {
      const at::Tensor keys = level.keys.view({gates, shape_.experts, width_});
      const at::Tensor in = level.in.view({gates, width_, level.in.size(1)});
      at::Tensor hidden = of_input(down, in.narrow(/*dim=*/2, 0, width_)).unsqueeze(/*dim=*/2) +
                          level.in_bias.view({gates, 1, width_});
      if (ancestors.defined()) {
        const at::Tensor rest = in.narrow(/*dim=*/2, width_, ancestors.size(2));
        hidden = hidden + at::bmm(ancestors, rest.transpose(1, 2));
      }
      const int64_t parents = hidden.size(2);
      const at::Tensor out = level.out.view({gates, width_, width_});
      const at::Tensor query = at::matmul(at::relu(hidden), out.transpose(1, 2)) +
                               level.out_bias.view({gates, 1, width_});
      all.push_back(at::matmul(query, keys.transpose(1, 2)));  // [N, G, Q, E]
      ancestors = children_of(ancestors, keys, parents);
    }
    return at::cat(all, /*dim=*/2).reshape({tokens, -1, shape_.experts});
  }

  std::vector<StackedTensor> tensors() const override {
    std::vector<StackedTensor> all = {{"down.weight", down_}, {"down.bias", down_bias_}};
    for (size_t depth = 0; depth < levels_.size(); ++depth) {
      const std::string name = "depth" + std::to_string(depth);
      const Level& level = levels_[depth];
      all.push_back({name + ".in.weight", level.in});
      all.push_back({name + ".in.bias", level.in_bias});
      all.push_back({name + ".out.weight", level.out});
      all.push_back({name + ".out.bias", level.out_bias});
      all.push_back({name + ".keys", level.keys});
    }
    return all;
  }

  std::vector<std::string> choices() const override {
    std::vector<std::string> all = {""};
    std::vector<std::string> parents = {""};
    for (int64_t depth = 1; depth < shape_.levels; ++depth) {
      std::vector<std::string> children;
      for (const std::string& parent : parents)
        for (int64_t i = 0; i < shape_.experts; ++i)
          children.push_back((parent.empty() ? ".under" : parent + ".") + std::to_string(i));
      all.insert(all.end(), children.begin(), children.end());
      parents = std::move(children);
    }
    return all;
  }

 private:
  /// in [G * M, (depth + 1) * M], out [G * M, M], keys [G * E, M].
  struct Level {
    at::Tensor in, in_bias, out, out_bias, keys;
  };

  /// down [N, G, M], weight [G, M, M] -> [N, G, M]
  static at::Tensor of_input(const at::Tensor& down, const at::Tensor& weight) {
    return at::bmm(down.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1);
  }

  /// Keys of the ancestors of every child, in the order of the paths [G, Q * E, (depth + 1) * M].
  at::Tensor children_of(const at::Tensor& ancestors,
                         const at::Tensor& keys,
                         int64_t parents) const {
    const int64_t gates = shape_.gates, experts = shape_.experts;
    at::Tensor own = keys.unsqueeze(/*dim=*/1)
                         .expand({gates, parents, experts, width_})
                         .reshape({gates, parents * experts, width_});
    if (!ancestors.defined()) return own;
    return at::cat({ancestors.repeat_interleave(experts, /*dim=*/1), own}, /*dim=*/2);
  }

  GateShape shape_;
  int64_t width_;
  at::Tensor down_;       ///< [G * M, D]
  at::Tensor down_bias_;  ///< [G * M]
  std::vector<Level> levels_;
};

}  // namespace

std::unique_ptr<GateNet> make_tree_gate(const spec::GateSpec& spec,
                                        const GateShape& shape,
                                        Rng& rng) {
  return std::make_unique<TreeGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
