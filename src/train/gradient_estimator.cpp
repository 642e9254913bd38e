#include "train/gradient_estimator.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "mixture/gate.h"

namespace lmoe::train {
namespace {

class Backpropagation : public GradientEstimator {
 public:
  int64_t forwards() const override { return 1; }
  void add(const at::Tensor& loss,
           const at::Tensor& balance,
           const nn::RouterLog& /*log*/) override {
    (balance.defined() ? loss + balance : loss).backward();
  }
  void finish() override {}
};

class LeaveOneOut : public GradientEstimator {
 public:
  LeaveOneOut(int64_t forwards, std::vector<at::Tensor> gates)
      : forwards_(forwards), gates_(std::move(gates)) {
    clear();
  }

  int64_t forwards() const override { return forwards_; }

  void add(const at::Tensor& loss, const at::Tensor& balance, const nn::RouterLog& log) override {
    at::Tensor log_draw;
    for (const nn::GateRecord& record : log.records) {
      const at::Tensor sum = record.log_draw.sum();
      log_draw = log_draw.defined() ? log_draw + sum : sum;
    }
    const auto scores = torch::autograd::grad({log_draw}, gates_, {}, /*retain_graph=*/true);
    const double value = loss.item<double>();
    losses_ += value;
    const at::Tensor mean = loss / static_cast<double>(forwards_);
    const at::Tensor total = balance.defined() ? mean + balance : mean;
    if (total.requires_grad()) total.backward();  // not with frozen experts of constant weight
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < gates_.size(); ++i) {
      scores_[i].add_(scores[i]);
      weighted_[i].add_(scores[i], value);
    }
  }

  void finish() override {
    const c10::NoGradGuard no_grad;
    const double mean = losses_ / static_cast<double>(forwards_);
    for (size_t i = 0; i < gates_.size(); ++i) {
      const at::Tensor estimate =
          (weighted_[i] - mean * scores_[i]) / static_cast<double>(forwards_ - 1);
      at::Tensor& gradient = gates_[i].mutable_grad();
      gradient = gradient.defined() ? gradient + estimate : estimate;
    }
    clear();
  }

 private:
  void clear() {
    losses_ = 0;
    scores_.clear();
    for (const at::Tensor& gate : gates_) scores_.push_back(at::zeros_like(gate.detach()));
    weighted_.clear();
    for (const at::Tensor& gate : gates_) weighted_.push_back(at::zeros_like(gate.detach()));
  }

  int64_t forwards_;
  std::vector<at::Tensor> gates_;
  double losses_ = 0;                 ///< summed over the forwards so far
  std::vector<at::Tensor> scores_;    ///< sum of the gradients of log probabilities
  std::vector<at::Tensor> weighted_;  ///< the same, each times its loss
};

}  // namespace

std::unique_ptr<GradientEstimator> make_leave_one_out(int64_t forwards,
                                                      std::vector<at::Tensor> gates) {
  return std::make_unique<LeaveOneOut>(forwards, std::move(gates));
}

std::unique_ptr<GradientEstimator> make_gradient_estimator(const mixture::Mixture& mixture) {
  const spec::SelectSpec& select = mixture.spec().select;
  if (select.kind != spec::SelectKind::kSample) return std::make_unique<Backpropagation>();
  std::vector<at::Tensor> gates;
  for (const auto& gate : mixture.gates())
    for (const nn::NamedTensor& parameter : gate->parameters()) gates.push_back(parameter.tensor);
  return make_leave_one_out(select.rollouts, std::move(gates));
}

}  // namespace lmoe::train
