// What every method computes in float32 and bfloat16, against what ATen makes in double of the same
// rounded values: outputs, gates, losses and all gradients, of many tokens, and in float32 of one
// and of many that all choose the same experts.
#pragma once

#include <algorithm>

#include "conformance_fixture.h"
#include "support/other_device.h"

namespace lmoe::test {

/// A mixture on a model of one layer, and what it makes of some rows.
struct Computation {
  /// Weights of the model are rounded to `rounded_to`.
  Computation(const spec::MixtureSpec& spec,
              at::ScalarType rounded_to,
              at::ScalarType dtype,
              at::Device device)
      : model(1, dtype, kHidden, device, rounded_to),
        experts(spec, model.sockets(), 3, dtype == at::kDouble ? at::kDouble : at::kFloat) {
    experts.plug(model.sockets());
  }

  void forward(const at::Tensor& rows) {
    const nn::FrozenMatrix& weight = model.groups().front()->linears().front().weight;
    h = rows.clone().to(weight.device(), weight.dtype()).requires_grad_(true);
    const int64_t count = rows.size(0), second = count / 2;
    log = {};
    log.segments = {{.start = 0, .length = count - second, .task = 1}};
    if (second > 0) log.segments.push_back({.start = count - second, .length = second, .task = 0});
    nn::ForwardContext context;
    context.router_log = &log;
    output = model.forward(h, context);
  }

  /// `says` [N, H] double: how much each output counts.
  void backward(const at::Tensor& says, bool with_balance) {
    for (const nn::NamedTensor& parameter : experts.parameters())
      parameter.tensor.mutable_grad() = at::Tensor();
    balance = with_balance ? experts.auxiliary_loss(log) : at::Tensor();
    loss = (output.to(at::kDouble).square() * says.to(output.device())).sum();
    if (balance.defined()) loss = loss + balance;
    loss.backward();
  }

  TinyModel model;
  mixture::Mixture experts;
  nn::RouterLog log;
  at::Tensor h, output, balance, loss;
};

/// [N] bool: tokens for which all gates choose alike. Rounding may swap experts that are almost as
/// good as each other, and references that are almost as near.
inline at::Tensor choose_alike(const Computation& ours,
                               const Computation& exact,
                               bool asks_references) {
  at::Tensor alike = at::ones({ours.output.size(0)}, at::kBool);
  for (size_t i = 0; i < ours.log.records.size(); ++i) {
    const nn::GateRecord &mine = ours.log.records[i], &theirs = exact.log.records[i];
    if (mine.selected.defined())
      alike = alike.logical_and(mine.selected.eq(theirs.selected.to(at::kCPU)).all(/*dim=*/1));
    if (asks_references) {
      const at::Tensor difference = mine.weights.detach().to(at::kDouble) -
                                    theirs.weights.detach().to(at::kCPU).to(at::kDouble);
      alike = alike.logical_and(difference.abs().le(0.05).all(/*dim=*/1));
    }
  }
  return alike;
}

/// Relative to `size`, else to the largest number of the tensor; undefined gradients are zeros.
inline void expect_close(const at::Tensor& ours,
                         const at::Tensor& theirs,
                         double allowed,
                         const std::string& what,
                         double size = 0) {
  if (!ours.defined() && !theirs.defined()) return;
  const auto in_double = [](const at::Tensor& values, const at::Tensor& other) {
    return values.defined() ? values.detach().to(at::kCPU).to(at::kDouble)
                            : at::zeros(other.sizes(), at::kDouble);
  };
  const at::Tensor mine = in_double(ours, theirs), exact = in_double(theirs, ours);
  ASSERT_EQ(mine.sizes(), exact.sizes()) << what;
  if (exact.numel() == 0) return;
  if (size == 0) size = std::max(0.1, exact.abs().max().item<double>());
  EXPECT_LT(max_difference(mine, exact), allowed * size) << what;
}

/// The largest gradient of all. Those of gates and of queries are what is left of terms of this
/// size that cancel, down to nothing where one expert alone is chosen, and so is their rounding.
inline double largest_gradient(const Computation& exact) {
  double largest = exact.h.grad().abs().max().item<double>();
  for (const nn::NamedTensor& parameter : exact.experts.parameters())
    if (const at::Tensor& gradient = parameter.tensor.grad(); gradient.defined())
      largest = std::max(largest, gradient.abs().max().item<double>());
  return largest;
}

inline void expect_same_results(const Computation& ours,
                                const Computation& exact,
                                const at::Tensor& alike,
                                double allowed) {
  const at::Tensor rows = alike.nonzero().squeeze(/*dim=*/1);
  const auto of_rows = [&](const at::Tensor& all) {
    return all.detach().to(at::kCPU).index_select(/*dim=*/0, rows);
  };
  expect_close(of_rows(ours.output), of_rows(exact.output), allowed, "output");
  for (size_t i = 0; i < ours.log.records.size(); ++i)
    expect_close(of_rows(ours.log.records[i].weights), of_rows(exact.log.records[i].weights),
                 allowed, "weights of " + ours.log.records[i].site);
  expect_close(ours.loss, exact.loss, allowed, "loss");
  expect_close(ours.balance, exact.balance, allowed, "losses of the gates");
  const double size = largest_gradient(exact);
  expect_close(ours.h.grad(), exact.h.grad(), allowed, "gradient of the input", size);
  const auto mine = ours.experts.parameters(), theirs = exact.experts.parameters();
  for (size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].tensor.grad().defined()) {
      EXPECT_EQ(mine[i].tensor.grad().scalar_type(), at::kFloat) << mine[i].name;
    }
    expect_close(mine[i].tensor.grad(), theirs[i].tensor.grad(), allowed,
                 "gradient of " + mine[i].name, size);
  }
}

inline void Conformance::expect_double_where_rounded_to(at::ScalarType dtype) const {
  constexpr int64_t kMany = 37;
  // Some fifteen results one after another, each rounded to the 8 bits of bfloat16 or 24 of float;
  // the worst element of all. What both forms of a product share, they miss alike.
  const double allowed = dtype == at::kFloat ? 1e-4 : 0.3;
  Computation ours(spec_, dtype, dtype, at::kCPU);
  Computation exact(spec_, dtype, at::kDouble, other_device());
  randomize(ours.experts, 5);
  exact.experts.copy_from(ours.experts);
  // Returns which tokens chose alike.
  const auto compare = [&](const at::Tensor& rows, int64_t least) {
    ours.forward(rows);
    exact.forward(rows);
    const at::Tensor alike = choose_alike(ours, exact, spec_.gate.net == spec::GateNet::kNearest);
    EXPECT_GE(alike.sum().item<int64_t>(), least) << "others choose differently";
    const at::Tensor says = numbers({rows.size(0), kHidden}, 2, at::kDouble).abs();
    // Losses of the gates are about all tokens at once.
    for (Computation* one : {&ours, &exact})
      one->backward(says * alike.unsqueeze(/*dim=*/1), alike.all().item<bool>());
    expect_same_results(ours, exact, alike, allowed);
    return alike;
  };
  const at::Tensor rows = numbers({kMany, kHidden}, 1, dtype);
  const at::Tensor alike = compare(rows, dtype == at::kFloat ? kMany - 1 : kMany / 2);
  ASSERT_TRUE(alike.any().item<bool>());
  // A row's roundings do not average out; the 8 bits of bfloat16 leave nothing of some gradients.
  if (dtype == at::kBFloat16) return;
  const at::Tensor one = rows.narrow(/*dim=*/0, alike.nonzero()[0].item<int64_t>(), 1);
  {
    SCOPED_TRACE("one row");
    compare(one, 1);
  }
  SCOPED_TRACE("all rows alike");
  compare(one.repeat({kMany, 1}), kMany);
}

TEST_P(Conformance, FloatAndBfloat16GiveWhatAtenGivesInDouble) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::string& table : top_k_tables()) {
      SCOPED_TRACE(std::string(c10::toString(dtype)) + ", " + table);
      const UsedTopKTable used(table);
      expect_double_where_rounded_to(dtype);
    }
  }
}

}  // namespace lmoe::test
