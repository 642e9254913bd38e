// From last-token hidden states to rewards, and the loss that compares two of them.
//
// A plain head is one linear layer. Where each document went through the model in several passes
// (one per expert of its task), an aggregator joins what they ended with, as in DMoERM
// (arXiv 2403.01197): Linear(passes * width -> width), PReLU, Linear(width -> 1).
//
// Legend: D documents, G heads (documents choose one by their task), K passes, H hidden width.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "nn/forward_context.h"
#include "nn/projection.h"

namespace lmoe::nn {

struct RewardHeadShape {
  int64_t hidden_size = 0;
  int64_t heads = 1;
  int64_t passes = 1;

  bool operator==(const RewardHeadShape&) const = default;
};

class RewardHead {
 public:
  /// All heads begin with the same draw from `seed`. Rows of the last layer are normal with
  /// variance 1 / (H + 1) (arXiv 2009.01325); the aggregator has the defaults of PyTorch: uniform
  /// in ±1/sqrt(K H), slope 0.25. The last layer has no bias, which would cancel in every
  /// comparison.
  RewardHead(const RewardHeadShape& shape,
             uint64_t seed,
             const at::TensorOptions& options = at::kFloat);

  const RewardHeadShape& shape() const { return shape_; }
  /// states [D, K * H], of any floating type; head [D] int64, which head each document has. Rewards
  /// [D] in the parameters' precision. Throws kInvalidArgument for a head that does not exist.
  at::Tensor rewards(const at::Tensor& states, const at::Tensor& head) const;

  /// What is trained: "reward.value" [G, H]; with passes also "reward.aggregator" [G, H, K * H],
  /// "reward.aggregator_bias" [G, H], "reward.slope" [G].
  std::vector<NamedTensor> parameters() const;
  /// Throws kInvalidArgument when `other` has another shape.
  void copy_from(const RewardHead& other);
  /// Head number g begins as heads[g] of `other`. Throws kInvalidArgument where either joins
  /// passes, widths differ, `heads` does not name one for each, or one that `other` does not have.
  void begin_with(const RewardHead& other, const std::vector<int64_t>& heads);

  /// `file` holds the parameters under their names. Throws kIo; kNotFound, kCorruptData naming a
  /// tensor that is missing, left over or misshapen.
  void save(const std::filesystem::path& file) const;
  static std::unique_ptr<RewardHead> load(const std::filesystem::path& file);

 private:
  at::Tensor rewards_of_head(const at::Tensor& states, int64_t head) const;

  RewardHeadShape shape_;
  at::Tensor value_, aggregator_, aggregator_bias_, slope_;
};

/// The head in a run's folder.
inline std::filesystem::path reward_head_file(const std::filesystem::path& folder) {
  return folder / "reward_head.safetensors";
}

/// Sum over pairs of -log sigmoid(chosen - rejected). Both [P]; scalar with autograd.
at::Tensor preference_loss_sum(const at::Tensor& chosen, const at::Tensor& rejected);

/// Row of the last token of each segment. [segments] int64
at::Tensor last_rows(const std::vector<Segment>& segments);

}  // namespace lmoe::nn
