// What every method must keep. A method joins with one line in conformance_test.cpp, a gate
// with one in conformance_gates.h: a name and the `mixture:` section that makes it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/error.h"
#include "conformance_fixture.h"
#include "spec/method_info.h"
#include "support/other_device.h"
#include "support/temp_folder.h"

namespace lmoe::test {

/// What is trained, and A, which some methods keep as it is.
inline std::vector<nn::NamedTensor> trained_and_a(const mixture::Mixture& mixture) {
  std::vector<nn::NamedTensor> all = mixture.parameters();
  for (const auto& site : mixture.banks())
    if (site->bank().a().defined()) all.push_back({"A", site->bank().a()});
  return all;
}

TEST_P(Conformance, FreshAttachLeavesTheOutputsUnchanged) {
  const TinyModel model(2);
  const at::Tensor h = numbers({kTokens, kHidden}, 1, at::kDouble);
  const at::Tensor before = model.forward(h);
  mixture::Mixture mixture(spec_, model.sockets(), /*seed=*/3, at::kDouble);
  mixture.plug(model.sockets());
  fill_references(mixture, 5);
  if (fresh_is_identity()) {
    const bool is_block = spec_.attach == spec::Attach::kFfnBlock;  // sums of weights are rounded
    EXPECT_LE(max_difference(model.forward(h), before), is_block ? 1e-13 : 0.0);
  }
  randomize(mixture, 5);
  EXPECT_FALSE(at::equal(model.forward(h), before));
  mixture.unplug(model.sockets());
  EXPECT_TRUE(at::equal(model.forward(h), before));
}

TEST_P(Conformance, OnlyAdaptersAreTrained) {
  const TinyModel model(1);
  mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  model.forward(numbers({kTokens, kHidden}, 1, at::kDouble)).sum().backward();
  std::set<std::string> names;
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    EXPECT_TRUE(parameter.tensor.requires_grad() && parameter.tensor.is_leaf()) << parameter.name;
    const at::Tensor& gradient = parameter.tensor.grad();
    if (is_gate_without_say(parameter.name))  // an outcome of the form its experts run in
      EXPECT_TRUE(!gradient.defined() || gradient.eq(0).all().item<bool>()) << parameter.name;
    else
      EXPECT_NE(gradient.defined(), is_gate_without_gradient(parameter.name)) << parameter.name;
    EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
  }
  for (const nn::ProjectionGroup* group : model.groups())
    for (const nn::FrozenLinear& linear : group->linears())
      EXPECT_FALSE(linear.weight.expand().requires_grad()) << linear.name;
}

TEST_P(Conformance, RoutingWeightsAreFiniteSumAsPromisedAndCountTopK) {
  const TinyModel model(kLayers);
  mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  model.forward(numbers({kTokens, kHidden}, 1, at::kDouble), context);
  const auto sites = mixture.sites();
  ASSERT_EQ(log.records.size(), sites.size());
  const bool is_sparse = spec_.select.kind != spec::SelectKind::kAll;
  for (size_t i = 0; i < sites.size(); ++i) {
    const nn::GateRecord& record = log.records[i];
    EXPECT_EQ(record.site, sites[i].name);
    EXPECT_EQ(record.layer, sites[i].layer);
    const int64_t experts = spec_.experts.count_at(record.layer, kLayers);
    ASSERT_EQ(record.weights.sizes(), (at::IntArrayRef{kTokens, experts}));
    EXPECT_TRUE(at::isfinite(record.weights).all().item<bool>());
    if (spec_.normalize != spec::Normalize::kLogits) {
      EXPECT_GE(record.weights.min().item<double>(), 0.0);
    }
    EXPECT_LT(max_difference(record.probabilities.sum(1), at::ones({kTokens}, at::kDouble)), 1e-14);
    if (spec_.select.kind == spec::SelectKind::kTopK) {
      EXPECT_TRUE((record.weights > 0).sum(1).eq(*spec_.select.k).all().item<bool>());
    }
    EXPECT_EQ(record.selected.defined(), is_sparse);
    if (is_sparse) {
      EXPECT_TRUE(at::equal(record.selected, record.weights > 0));
    }
    check_sums(record);
  }
}

TEST_P(Conformance, AnotherDeviceGivesTheSameOutputsLossesAndGradients) {
  const auto run = [&](at::Device device) {
    const TinyModel model(2, at::kDouble, kHidden, device);
    mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
    mixture.plug(model.sockets());
    randomize(mixture, 5);
    const at::Tensor h =
        numbers({kTokens, kHidden}, 1, at::kDouble).to(device).requires_grad_(true);
    nn::RouterLog log;
    nn::ForwardContext context;
    Rng rng(8);
    context.router_log = &log;
    context.is_training = true;  // with all draws that training has
    context.dropout_rng = &rng;
    log.segments = context.segments = {{.start = 0, .length = 3, .task = 1, .prompt = 2},
                                       {.start = 3, .length = 4, .task = 0, .prompt = 1}};
    std::vector<nn::NamedTensor> found = {{"output", model.forward(h, context)}};
    at::Tensor total =
        (found[0].tensor * numbers({kTokens, kHidden}, 2, at::kDouble).to(device)).sum();
    if (const at::Tensor balance = mixture.auxiliary_loss(log); balance.defined())
      total = total + balance;
    total.backward();
    found.push_back({"loss", total});
    found.push_back({"gradient of the input", h.grad()});
    for (const nn::NamedTensor& parameter : mixture.parameters())
      found.push_back({"gradient of " + parameter.name, parameter.tensor.grad()});
    return found;
  };
  const auto expected = run(at::kCPU), actual = run(other_device());
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const at::Tensor &ours = actual[i].tensor, &theirs = expected[i].tensor;
    ASSERT_EQ(ours.defined(), theirs.defined()) << actual[i].name;
    if (!ours.defined()) continue;
    EXPECT_EQ(ours.device(), other_device()) << actual[i].name;
    // Gradients of a gate may be what is left of terms that cancel.
    const double scale = std::max(1.0, theirs.abs().max().item<double>());
    EXPECT_LT(max_difference(ours.to(at::kCPU), theirs) / scale, 1e-11) << actual[i].name;
  }
}

TEST_P(Conformance, ABatchEqualsItsRowsOneByOne) {
  const TinyModel model(2);
  mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  const at::Tensor h = numbers({kTokens, kHidden}, 1, at::kDouble);
  const at::Tensor together = model.forward(h);
  for (int64_t t = 0; t < kTokens; ++t)
    EXPECT_LT(max_difference(together.slice(0, t, t + 1), model.forward(h.slice(0, t, t + 1))),
              1e-12);
}

TEST_P(Conformance, SaveThenLoadGivesIdenticalOutputs) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const TinyModel model(2, dtype), other(2, dtype);
    mixture::Mixture mixture(spec_, model.sockets(), 3, dtype);
    mixture.plug(model.sockets());
    randomize(mixture, 5);
    const TempFolder folder;
    mixture.save(folder.path(), "tiny");
    const auto loaded = mixture::Mixture::load(folder.path(), other.sockets());
    EXPECT_EQ(spec::write_mixture(loaded->spec()), spec::write_mixture(spec_));
    loaded->plug(other.sockets());
    const at::Tensor h = numbers({kTokens, kHidden}, 1, dtype);
    EXPECT_TRUE(at::equal(model.forward(h), other.forward(h)));
    const auto before = trained_and_a(mixture), after = trained_and_a(*loaded);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(before[i].name, after[i].name);
      EXPECT_TRUE(at::equal(before[i].tensor, after[i].tensor)) << before[i].name;
      EXPECT_EQ(after[i].tensor.requires_grad(), before[i].tensor.requires_grad()) << after[i].name;
    }
  }
}

TEST_P(Conformance, TheSpecIsReadBackFromWhatIsWritten) {
  const Json json = spec::write_mixture(spec_);
  EXPECT_EQ(spec::write_mixture(read_section(yaml_from_json(json))), json);
}

TEST_P(Conformance, SeedsDecideTheFirstValues) {
  const TinyModel model(1);
  const mixture::Mixture a(spec_, model.sockets(), 3), b(spec_, model.sockets(), 3),
      c(spec_, model.sockets(), 4);
  const auto pa = trained_and_a(a), pb = trained_and_a(b), pc = trained_and_a(c);
  bool any_differs = false;
  for (size_t i = 0; i < pa.size(); ++i) {
    EXPECT_TRUE(at::equal(pa[i].tensor, pb[i].tensor)) << pa[i].name;
    any_differs |= !at::equal(pa[i].tensor, pc[i].tensor);
  }
  EXPECT_TRUE(any_differs);
}

TEST_P(Conformance, UnknownTargetsAreNamed) {
  const TinyModel model(1);
  const bool is_block = spec_.attach == spec::Attach::kFfnBlock;
  spec_.plain = {};
  spec_.target_modules = {is_block ? "up_proj" : "q_proj", "query_key_value", "up"};
  try {
    mixture::Mixture mixture(spec_, model.sockets(), 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("given query_key_value, up"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("down_proj, gate_proj"));
  }
}

TEST_P(Conformance, ModelsOfAnotherShapeAreRefusedByModule) {
  const TinyModel small(1), wide(1, at::kDouble, kHidden + 1), two(2);
  const mixture::Mixture fits(spec_, small.sockets(), 3, at::kDouble);
  mixture::Mixture longer(spec_, two.sockets(), 3, at::kDouble);
  try {
    mixture::Mixture(fits.spec(), small.sockets(), 3, at::kDouble).plug(wide.sockets());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("model.layers.0."));
  }
  EXPECT_THROW(longer.plug(small.sockets()), Error);
  const at::Tensor h = numbers({kTokens, kHidden}, 1, at::kDouble);
  const at::Tensor base = TinyModel(1).forward(h);
  EXPECT_TRUE(at::equal(small.forward(h), base)) << "a refused mixture must leave nothing behind";
}

TEST_P(Conformance, BaseInLowerPrecisionGetsGradientsInFullPrecision) {
  const TinyModel model(1, at::kBFloat16);
  mixture::Mixture mixture(spec_, model.sockets(), 3);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  const at::Tensor out = model.forward(numbers({kTokens, kHidden}, 1, at::kBFloat16));
  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  out.sum().backward();
  // Constant weights pass nothing to the gate; losses are what trains it.
  const bool may_lack = spec_.normalize == spec::Normalize::kConstant;
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    const bool is_gate = parameter.name.find(".gate.") != std::string::npos;
    if (is_gate && may_lack && !parameter.tensor.grad().defined()) continue;
    EXPECT_EQ(parameter.tensor.grad().scalar_type(), at::kFloat) << parameter.name;
  }
}

}  // namespace lmoe::test
