// The slow StepModel: a Decoder, with or without a mixture in its sockets, that makes tokens
// through LibTorch. Sequences share one KV cache; a step is one forward for all of them.
#pragma once

#include <memory>

#include "decode/step_model.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/reward_head.h"
#include "runner/output_references.h"

namespace lmoe::runner {

class TorchStepModel : public decode::StepModel {
 public:
  /// `mixture` is null for a plain base; otherwise it is plugged into `decoder` already. `head` is
  /// that of a reward model. All must outlive this.
  explicit TorchStepModel(const models::Decoder& decoder,
                          const mixture::Mixture* mixture = nullptr,
                          const nn::RewardHead* head = nullptr);
  ~TorchStepModel() override;

  int64_t vocab_size() const override;
  int64_t max_positions() const override;
  decode::SequenceId open_sequence() override;
  void close_sequence(decode::SequenceId sequence) override;
  void truncate_sequence(decode::SequenceId sequence, int64_t length) override;
  decode::StepOutput step(std::span<const decode::StepInput> inputs,
                          bool want_routing = false) override;
  using decode::StepModel::score;
  std::vector<decode::ScoredSequence> score(std::span<const std::vector<int32_t>> sequences,
                                            const decode::ScoredParts& parts) override;
  bool decides_by_prompt() const override;
  std::optional<std::vector<double>> rewards(
      std::span<const decode::RewardRequest> documents) override;
  int64_t prompt_entries() const override;
  const decode::RouterInfo* router() const override;
  void disable_expert(std::optional<int> expert) override;

  /// From now on what it says is mixed with what these say; null: no more. Throws kInvalidArgument
  /// for a weight outside [0, 1), and as nn::nearest_references.
  void ask_references(std::shared_ptr<const OutputReferences> references);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lmoe::runner
