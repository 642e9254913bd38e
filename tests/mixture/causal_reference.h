// The oracle for causal gates: every token of a document in plain loops over doubles, attention by
// its definition.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "mixture/gate.h"
#include "naive_matrix.h"

namespace lmoe::test {

class NaiveCausal {
 public:
  NaiveCausal(const spec::GateSpec& spec, const mixture::Gate& gate) : spec_(spec), gate_(gate) {}

  /// Logits of gate `g` for the last of the tokens of a document, `rows` being what all of them
  /// read.
  Vector logits(int64_t g, std::vector<Vector> rows) const {
    for (Vector& h : rows) h = times(tensor("down"), h);
    for (int64_t block = 0; block < spec_.depth; ++block) run_block(block, rows);
    const Vector all = times(tensor("output"), normed(rows.back(), tensor("norm")));
    const auto first = all.begin() + g * gate_.experts();
    return Vector(first, first + gate_.experts());
  }

 private:
  at::Tensor tensor(const std::string& name) const {
    for (const mixture::StackedTensor& one : gate_.tensors())
      if (one.suffix == name + ".weight") return one.tensor;
    return {};
  }

  static Vector normed(const Vector& x, const at::Tensor& weight) {
    double square = 0;
    for (const double v : x) square += v * v;
    const double scale = 1 / std::sqrt(square / static_cast<double>(x.size()) + 1e-5);
    Vector y = row(weight.unsqueeze(0), 0);
    for (size_t i = 0; i < y.size(); ++i) y[i] *= x[i] * scale;
    return y;
  }

  static void add(Vector& to, const Vector& what) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += what[i];
  }

  /// Pairs (i, i + half) of each head, turned by the token's position.
  Vector turned(const Vector& x, size_t position) const {
    const size_t dim = x.size() / static_cast<size_t>(spec_.heads), half = dim / 2;
    Vector y = x;
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t in_head = i % dim, pair = in_head % half;
      const double angle =
          static_cast<double>(position) *
          std::pow(10'000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(dim));
      const bool is_first = in_head < half;
      const double other = is_first ? -x[i + half] : x[i - half];
      y[i] = x[i] * std::cos(angle) + other * std::sin(angle);
    }
    return y;
  }

  void run_block(int64_t block, std::vector<Vector>& rows) const {
    const std::string name = "blocks." + std::to_string(block) + ".";
    std::vector<Vector> q, k, v;
    for (size_t t = 0; t < rows.size(); ++t) {
      const Vector all =
          times(tensor(name + "qkv"), normed(rows[t], tensor(name + "attention_norm")));
      const size_t width = rows[t].size();
      const auto part = [&](size_t i) {
        return Vector(all.begin() + static_cast<int64_t>(i * width),
                      all.begin() + static_cast<int64_t>((i + 1) * width));
      };
      q.push_back(turned(part(0), t));
      k.push_back(turned(part(1), t));
      v.push_back(part(2));
    }
    for (size_t t = 0; t < rows.size(); ++t)
      add(rows[t], times(tensor(name + "attention_output"), attended(q[t], k, v, t)));
    for (Vector& h : rows) {
      const Vector both = times(tensor(name + "gate_up"), normed(h, tensor(name + "mlp_norm")));
      Vector inner(h.size());
      for (size_t i = 0; i < inner.size(); ++i)
        inner[i] = both[i] / (1 + std::exp(-both[i])) * both[i + inner.size()];
      add(h, times(tensor(name + "mlp_output"), inner));
    }
  }

  Vector attended(const Vector& q,
                  const std::vector<Vector>& k,
                  const std::vector<Vector>& v,
                  size_t t) const {
    const size_t dim = q.size() / static_cast<size_t>(spec_.heads);
    Vector out(q.size(), 0.0);
    for (size_t head = 0; head < q.size(); head += dim) {
      Vector weights;
      double sum = 0;
      for (size_t s = 0; s <= t; ++s) {
        double score = 0;
        for (size_t i = head; i < head + dim; ++i) score += q[i] * k[s][i];
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
        sum += weights.back();
      }
      for (size_t s = 0; s <= t; ++s)
        for (size_t i = head; i < head + dim; ++i) out[i] += weights[s] / sum * v[s][i];
    }
    return out;
  }

  const spec::GateSpec& spec_;
  const mixture::Gate& gate_;
};

}  // namespace lmoe::test
