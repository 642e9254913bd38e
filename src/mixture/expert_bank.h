// The LoRA experts of projections that read the same x, stacked for two GEMMs per projection.
//
// Legend: P projections, E experts, R rank. Rows of A run over projection, expert, rank; columns of
// each B over expert, rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "nn/projection.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// One adapted projection.
struct BankTarget {
  std::string site;         ///< "layers.3.self_attn.q_proj"
  std::string module_path;  ///< "model.layers.3.self_attn.q_proj"
  size_t linear = 0;        ///< position in its group
  int64_t out = 0;
};

/// A_i [R, in] and B_i [out, R] of one expert, views of the parameters.
struct ExpertFactors {
  at::Tensor a, b;
};

class ExpertBank {
 public:
  /// A uniform in ±1/sqrt(in), drawn independently for each projection and expert; B zero.
  ExpertBank(const spec::ExpertsSpec& spec,
             std::vector<BankTarget> targets,
             int64_t in,
             at::ScalarType dtype,
             Rng& rng);

  const std::vector<BankTarget>& targets() const { return targets_; }
  int64_t in() const { return in_; }
  int64_t experts() const { return experts_; }
  int64_t rank() const { return rank_; }
  double scaling() const { return scaling_; }
  const at::Tensor& a() const { return a_; }                       ///< [P * E * R, in]
  const at::Tensor& b(size_t target) const { return b_[target]; }  ///< [out, E * R]
  ExpertFactors factors(size_t target, int64_t expert) const;
  std::vector<nn::NamedTensor> parameters() const;

 private:
  std::vector<BankTarget> targets_;
  int64_t in_, experts_, rank_;
  double scaling_;
  at::Tensor a_;
  std::vector<at::Tensor> b_;
};

}  // namespace lmoe::mixture
