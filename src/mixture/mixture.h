// A mixture made from its spec: expert banks and gates for every site, plugged into the sockets of
// a decoder.
//
//   Mixture mixture(spec, decoder.sockets(), seed);
//   mixture.plug(decoder.sockets());
//   … forward with context.router_log = &log …
//   at::Tensor aux = mixture.auxiliary_loss(log);
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mixture/selection_counts.h"
#include "nn/sockets.h"
#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// A gate as the report and `/router` show it.
struct SiteInfo {
  std::string name;  ///< "layers.3.self_attn.q_proj", or "layers.3.self_attn" for a block gate
  int layer = 0;
};

/// Some rows or columns of a parameter.
struct PartOfParameter {
  at::Tensor parameter;
  at::Tensor view;  ///< of it
};

class ExpertBank;
class FfnExperts;
class Gate;
class PromptBank;
class SiteBank;

class Mixture {
 public:
  /// Fresh experts and gates on the device of the model's weights: A uniform in ±1/sqrt(in) (PEFT's
  /// default), B zero, independent draws per expert, all from `seed`. Targets that match no
  /// projection are an error naming them (kInvalidArgument).
  Mixture(spec::MixtureSpec spec,
          const nn::Sockets& sockets,
          uint64_t seed,
          at::ScalarType dtype = at::kFloat);
  ~Mixture();

  const spec::MixtureSpec& spec() const { return spec_; }
  /// Into the sockets of a decoder of the same shape as the one it was made for. Throws
  /// kInvalidArgument naming the module that differs, or a socket that is taken; then nothing is
  /// plugged.
  void plug(const nn::Sockets& sockets);
  void unplug(const nn::Sockets& sockets);

  /// What gradients can change, in a fixed order. float32 (or double in gradient checks) whatever
  /// the base computes in.
  std::vector<nn::NamedTensor> parameters() const;
  /// Of these, what training changes: not experts that the schedule freezes from the start.
  std::vector<nn::NamedTensor> trained_parameters() const;
  int64_t trained_parameter_count() const;
  /// What an optimizer step must leave as it is: A and B of the experts that the spec freezes, the
  /// entries of a bank of prompts that it freezes; in a stage, those of all experts but its own,
  /// and the rows of gates that do not count yet.
  std::vector<PartOfParameter> frozen_parts() const;
  /// Takes parameters and buffers of a mixture of the same experts and gates. Throws
  /// kInvalidArgument naming the first difference.
  void copy_from(const Mixture& other);
  /// What training leaves as it is and yet belongs to the mixture: every A with experts.train_a
  /// false.
  std::vector<nn::NamedTensor> fixed_tensors() const;
  /// What no gradient changes: the biases of the experts, which training moves all the same, how
  /// many of them take part, and the references of gates that ask such.
  std::vector<nn::NamedTensor> buffers() const;
  /// Moves every gate's biases by what was chosen since the last optimizer step; call once after
  /// each, with the counts of all its micro-batches. Not while documents are routed by their task,
  /// nor once the gates stay as they are.
  void update_biases(const SelectionCounts& counts, double progress = 0.0);
  /// What the schedule says about who learns when `progress` of the training is done; call before
  /// each optimizer step. True when the stage of another expert has begun: then `frozen_parts` are
  /// others, and what an optimizer remembers is about experts that are done.
  bool advance_to(double progress);
  /// Of the gates: what each has, then what all share, which is there once.
  std::vector<nn::NamedTensor> gate_parameters() const;
  std::vector<nn::NamedTensor> common_gate_parameters() const;
  /// Module paths that got experts, in order, then those that got a plain LoRA.
  std::vector<std::string> target_paths() const;
  /// One per gate, in the order of the router log's records; empty without a router.
  std::vector<SiteInfo> sites() const;

  /// Sum over the spec's losses: coef x value, reduced over gates by `over`, and what keys of
  /// prompts learn from ("prompt_matching", "prompt_triplet"). Scalar with autograd; undefined when
  /// there is none. `values`, when given, receives each loss's value before its coefficient, by
  /// name.
  at::Tensor auxiliary_loss(const nn::RouterLog& log,
                            std::map<std::string, double>* values = nullptr) const;
  /// The same values if every gate were undecided and all experts carried the same load: what the
  /// logged ones are to be compared with.
  std::map<std::string, double> losses_if_uniform() const;

  /// mixture.yaml, router.safetensors (when gates have tensors; `<site>.gate.weight`, …),
  /// experts/<name>/, each a PEFT LoRA folder (experts/plain/ holds those of spec.plain), and
  /// experts.safetensors (what experts have besides A and B; `<site>.core`), and
  /// prompts.safetensors (the bank of spec.prompts) into an existing folder. Throws kIo.
  void save(const std::filesystem::path& folder, const std::string& base_model_name) const;
  /// Strict: everything in the files is used, everything the spec needs is there, and it fits the
  /// sockets. Adapters of any floating type are read; parameters are float32 (float64 when the
  /// files are). Throws kNotFound, kCorruptData naming file and tensor or module.
  static std::unique_ptr<Mixture> load(const std::filesystem::path& folder,
                                       const nn::Sockets& sockets);

  /// The parts, for tests and for saving: one bank per group that has a target, each gate once.
  const std::vector<std::shared_ptr<SiteBank>>& banks() const { return banks_; }
  /// With attach ffn_block: the experts of each FFN, in place of `banks`.
  const std::vector<std::shared_ptr<FfnExperts>>& ffn_experts() const { return ffn_experts_; }
  /// The tensors of all experts, wherever they attach.
  std::vector<const ExpertBank*> expert_banks() const;
  std::vector<const ExpertBank*> plain_expert_banks() const;
  /// One bank per group that has a target of spec.plain.
  const std::vector<std::shared_ptr<SiteBank>>& plain_banks() const { return plain_banks_; }
  std::vector<std::shared_ptr<Gate>> gates() const;
  /// Null without spec.prompts.
  const std::shared_ptr<PromptBank>& prompt_bank() const { return prompt_bank_; }

 private:
  /// What goes into each socket, by position of the group.
  std::map<size_t, std::shared_ptr<nn::ProjectionDelta>> deltas() const;
  void check_fits(const nn::Sockets& sockets) const;
  bool enter_stage(double progress) const;
  void add_parts(int64_t expert, std::vector<PartOfParameter>& parts) const;
  std::vector<PartOfParameter> parts_of_other_stages() const;

  spec::MixtureSpec spec_;
  std::vector<std::shared_ptr<SiteBank>> banks_, plain_banks_;
  std::vector<std::shared_ptr<FfnExperts>> ffn_experts_;
  std::shared_ptr<PromptBank> prompt_bank_;
};

}  // namespace lmoe::mixture
