// Two deltas in one socket, each for projections of its own.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "nn/projection.h"

namespace lmoe::mixture {

class DeltaPair : public nn::ProjectionDelta {
 public:
  DeltaPair(std::shared_ptr<nn::ProjectionDelta> first, std::shared_ptr<nn::ProjectionDelta> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  std::vector<at::Tensor> apply(const nn::SocketInput& input,
                                std::vector<at::Tensor> outputs,
                                nn::ForwardContext& context) override {
    return second_->apply(input, first_->apply(input, std::move(outputs), context), context);
  }

 private:
  std::shared_ptr<nn::ProjectionDelta> first_, second_;
};

}  // namespace lmoe::mixture
