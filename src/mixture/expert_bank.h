// The experts of projections that read the same x: values of `experts.kind`.
//
//   y_p += scaling * B_p * v_p        v from u = A x and the routing weights, by kind
//
// Legend: N tokens, P projections, E experts, R rank, D rows of A of all projections.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
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
  nn::FrozenMatrix weight;  ///< of the frozen projection
  at::Tensor bias;
};

/// A [R, in] and B [out, R] of one adapter, views of the parameters.
struct ExpertFactors {
  at::Tensor a, b;
  at::Tensor magnitude;  ///< [out] of a DoRA, else undefined
};

/// What a group's socket hands to its bank.
struct BankInput {
  at::Tensor x;             ///< [N, in] what the adapters read
  bool is_dropped = false;  ///< dropout has changed `x`
  at::Tensor down;          ///< A x [N, D], when the bank has an A
  at::Tensor weights;       ///< [N, P or 1, E], or undefined for a constant weight of 1;
                            ///< of a tree gate [N, (P or 1) * Q, E], see gate_net.h
};

struct BankShape {
  int64_t in = 0, experts = 1;
  at::TensorOptions options = at::kFloat;  ///< type and device of what is trained
};

class ExpertBank {
 public:
  virtual ~ExpertBank() = default;

  const std::vector<BankTarget>& targets() const { return targets_; }
  int64_t in() const { return in_; }
  int64_t experts() const { return experts_; }
  double scaling() const { return scaling_; }
  /// [D, in]; undefined for kinds that do not begin with A x.
  const at::Tensor& a() const { return a_; }
  /// [out, columns], a view of `b_rows`.
  at::Tensor b(size_t target) const { return b_[target].t(); }
  /// The parameter itself, [columns, out]: what one rank writes lies side by side, as kernels read
  /// it and sum its gradient.
  const at::Tensor& b_rows(size_t target) const { return b_[target]; }

  /// `outputs[p]` is y_p [N, out_p] of the frozen projection, bias included; it may be changed in
  /// place. Returns the adapted outputs.
  virtual std::vector<at::Tensor> project(const BankInput& input,
                                          const std::vector<at::Tensor>& outputs) const = 0;
  /// What of `target` lies in the folder at position `folder` of spec.adapter_folders().
  virtual ExpertFactors folder_factors(size_t target, int64_t folder) const = 0;
  /// What experts.safetensors keeps, as one tensor or more for each target: "<site>.core", …
  virtual std::vector<nn::NamedTensor> other_tensors() const { return {}; }
  /// Throws kInvalidArgument naming the module when the group has other projections or widths.
  void check_fits(const nn::ProjectionGroup& group) const;
  /// What is trained: "layers.3.self_attn.q_proj+k_proj.lora_A",
  /// "layers.3.self_attn.q_proj.lora_B" (its rows), …
  virtual std::vector<nn::NamedTensor> parameters() const;
  /// What is not trained and yet the bank's own: an A with experts.train_a false.
  std::vector<nn::NamedTensor> fixed_tensors() const;

 protected:
  /// `rows` of A for each target: A [targets * rows, in] uniform in ±1/sqrt(in), PEFT's default, or
  /// sparse; each B [out, columns] zero.
  ExpertBank(const spec::MixtureSpec& spec,
             std::vector<BankTarget> targets,
             const BankShape& shape,
             int64_t rows,
             int64_t columns,
             Rng& rng);
  /// Without A and B.
  ExpertBank(const spec::MixtureSpec& spec,
             std::vector<BankTarget> targets,
             const BankShape& shape);
  /// The sites of all targets as one: "layers.3.self_attn.q_proj+k_proj".
  std::string joined_sites() const;
  /// The B's in the type the base computes in.
  std::vector<at::Tensor> ups(at::ScalarType dtype) const;
  int64_t projections() const { return static_cast<int64_t>(targets_.size()); }

 private:
  std::vector<BankTarget> targets_;
  int64_t in_, experts_;
  double scaling_;
  bool train_a_;
  at::Tensor a_;
  std::vector<at::Tensor> b_;  ///< by rows
};

/// Own A and B for each expert; ranks of one adapter are such experts of rank 1.
std::unique_ptr<ExpertBank> make_lora_bank(const spec::MixtureSpec&,
                                           std::vector<BankTarget>,
                                           const BankShape&,
                                           Rng&);
/// LoRAs with `use_dora`: own A, own B and an own magnitude of each output.
std::unique_ptr<ExpertBank> make_dora_bank(const spec::MixtureSpec&,
                                           std::vector<BankTarget>,
                                           const BankShape&,
                                           Rng&);
/// One A, own B's.
std::unique_ptr<ExpertBank> make_shared_a_bank(const spec::MixtureSpec&,
                                               std::vector<BankTarget>,
                                               const BankShape&,
                                               Rng&);
/// One A, one B, own cores between them.
std::unique_ptr<ExpertBank> make_core_bank(const spec::MixtureSpec&,
                                           std::vector<BankTarget>,
                                           const BankShape&,
                                           Rng&);
/// One A, one B, blown up by a small square kernel for each expert.
std::unique_ptr<ExpertBank> make_kronecker_bank(const spec::MixtureSpec&,
                                                std::vector<BankTarget>,
                                                const BankShape&,
                                                Rng&);
/// Levels of experts above each other.
std::unique_ptr<ExpertBank> make_residual_bank(const spec::MixtureSpec&,
                                               std::vector<BankTarget>,
                                               const BankShape&,
                                               Rng&);
/// By `experts.kind`.
std::unique_ptr<ExpertBank> make_expert_bank(const spec::MixtureSpec&,
                                             std::vector<BankTarget>,
                                             const BankShape&,
                                             Rng&);

}  // namespace lmoe::mixture
