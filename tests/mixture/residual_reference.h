// The oracle for trees: the router's queries and the experts' sums, node by node, with everything
// made anew at each node.
#pragma once

#include <cmath>

#include "mixture/site_bank.h"
#include "naive_matrix.h"

namespace lmoe::test {

/// Choices of one gate: 1 + E + E^2 + … over the levels of a tree.
inline int64_t naive_choice_count(const spec::MixtureSpec& spec) {
  if (spec.gate.net != spec::GateNet::kTree) return 1;
  int64_t count = 0, parents = 1;
  for (int64_t depth = 0; depth < spec.experts.levels; ++depth, parents *= spec.experts.count)
    count += parents;
  return count;
}

struct NaiveTreeGate {
  const spec::MixtureSpec& spec;
  const mixture::Gate& gate;
  int64_t g;  ///< among the stacked gates
  const Vector& input;

  /// Of every group of siblings, root first.
  std::vector<Vector> logits() const {
    std::vector<Vector> all;
    std::vector<Vector> parents = {plus(times(part(0), input), part(1))};  // down, then keys
    for (int64_t depth = 0; depth < spec.experts.levels; ++depth) {
      std::vector<Vector> children;
      const size_t first = 2 + 5 * static_cast<size_t>(depth);
      for (const Vector& parent : parents) {
        Vector hidden = plus(times(part(first), parent), part(first + 1));
        for (double& value : hidden) value = std::max(value, 0.0);
        const Vector query = plus(times(part(first + 2), hidden), part(first + 3));
        all.push_back(times(part(first + 4), query));
        for (int64_t i = 0; i < gate.experts(); ++i) {
          children.push_back(parent);
          const Vector key = row(part(first + 4), i);
          children.back().insert(children.back().end(), key.begin(), key.end());
        }
      }
      parents = children;
    }
    return all;
  }

 private:
  at::Tensor part(size_t tensor) const {
    const auto gates = static_cast<int64_t>(gate.owners().size());
    return gate.tensors()[tensor].tensor.chunk(gates)[static_cast<size_t>(g)];
  }
  static Vector plus(Vector sum, const at::Tensor& bias) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += bias[static_cast<int64_t>(i)].item<double>();
    return sum;
  }
};

struct NaiveResidual {
  const spec::MixtureSpec& spec;
  const mixture::ExpertBank& bank;
  size_t target;
  const std::vector<Vector>& choices;  ///< weights of each group of siblings, root first
  const Vector& x;

  Vector delta() const {
    Vector sum = times(tensor(1), below(spec.experts.levels - 1, 0, 0));
    for (double& value : sum) value *= spec.scaling();
    return sum;
  }

 private:
  at::Tensor tensor(int64_t index) const {
    const int64_t each = 2 * spec.experts.levels + 1;
    return bank.other_tensors()[static_cast<size_t>(static_cast<int64_t>(target) * each + index)]
        .tensor;
  }

  /// What the children of one parent give together: those of `level` whose choice is number `group`
  /// among the choices of their depth, which begin at `first`.
  Vector below(int64_t level, int64_t first, int64_t group) const {
    const int64_t experts = bank.experts(), rank = spec.experts.rank;
    Vector sum(static_cast<size_t>((level + 1) * experts * rank), 0.0);
    int64_t width = 1;  // choices of this depth
    for (int64_t l = level + 1; l < spec.experts.levels; ++l) width *= experts;
    for (int64_t n = 0; n < experts; ++n) {
      const int64_t begin = (level * experts + n) * rank;
      const Vector down = times(tensor(0).slice(0, begin, begin + rank), x);
      Vector given = times(tensor(2 + level)[n], down);
      if (level > 0) {
        const Vector carried = times(tensor(1 + spec.experts.levels + level),
                                     below(level - 1, first + width, group * experts + n));
        for (size_t i = 0; i < given.size(); ++i) given[i] += carried[i];
      }
      const double weight = choices[static_cast<size_t>(first + group)][static_cast<size_t>(n)];
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * activated(given[i]);
    }
    return sum;
  }

  double activated(double value) const {
    switch (spec.experts.activation) {
      case spec::ExpertActivation::kIdentity:
        return value;
      case spec::ExpertActivation::kTanh:
        return std::tanh(value);
      case spec::ExpertActivation::kRelu:
        return std::max(value, 0.0);
    }
    return value;
  }
};

}  // namespace lmoe::test
