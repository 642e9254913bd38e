// A causal gate: experts of all layers from the tokens of a document so far.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "causal_reference.h"
#include "mixture/gate.h"
#include "sections.h"
#include "spec/adapted_sites.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int kLayers = 2;
constexpr int64_t kTokens = 9, kFirst = 4;

std::vector<nn::Segment> two_documents() {
  return {{.start = 0, .length = kFirst}, {.start = kFirst, .length = kTokens - kFirst}};
}

std::string section(const std::string& more) {
  return "{experts: {count: 3, rank: 2}, target_modules: [q_proj, up_proj],"
         " gate: {source: embedding, share: model, net: causal, hidden_size: 8, heads: 2, depth: 2,"
         " init_range: 1" +
         more + "}}";
}

class CausalGate : public ::testing::Test {
 protected:
  CausalGate() { make(section("")); }

  void make(const std::string& section) {
    if (mixture_) mixture_->unplug(model_.sockets());
    mixture_ = std::make_unique<Mixture>(read_section(section), model_.sockets(), 3, at::kDouble);
    randomize(*mixture_, 5);
    mixture_->plug(model_.sockets());
  }

  at::Tensor forward(const at::Tensor& h, const std::vector<nn::Segment>& segments) {
    nn::ForwardContext context;
    log_ = {};
    context.segments = log_.segments = segments;
    context.router_log = &log_;
    return model_.forward(h, context);
  }

  const mixture::Gate& gate() const { return *mixture_->gates().front(); }

  TinyModel model_{kLayers};
  std::unique_ptr<Mixture> mixture_;
  nn::RouterLog log_;
  at::Tensor h_ = numbers({kTokens, kHidden}, 1, at::kDouble);
};

TEST_F(CausalGate, EqualsTheNaiveDecoderOverEachDocument) {
  forward(h_, two_documents());
  const NaiveCausal naive(mixture_->spec().gate, gate());
  ASSERT_EQ(log_.records.size(), 2U * kLayers);
  for (const nn::Segment& document : two_documents()) {
    std::vector<Vector> rows;
    for (int64_t t = document.start; t < document.start + document.length; ++t) {
      rows.push_back(row(h_, t));
      for (int64_t g = 0; g < 2 * kLayers; ++g) {
        const at::Tensor expected = at::tensor(naive.logits(g, rows), at::kDouble);
        EXPECT_LT(max_difference(log_.records[static_cast<size_t>(g)].logits[t], expected), 1e-12)
            << "token " << t << ", site " << g;
      }
    }
  }
}

TEST_F(CausalGate, SeesNeitherWhatFollowsNorOtherDocuments) {
  forward(h_, two_documents());
  const nn::RouterLog before = log_;
  const int64_t changed = 2;
  h_[changed].mul_(-1);
  forward(h_, two_documents());
  for (size_t i = 0; i < before.records.size(); ++i) {
    const at::Tensor same =
        (before.records[i].logits - log_.records[i].logits).abs().amax(/*dim=*/1).eq(0.0);
    for (int64_t t = 0; t < kTokens; ++t)
      EXPECT_EQ(same[t].item<bool>(), t < changed || t >= kFirst) << "token " << t;
  }
}

TEST_F(CausalGate, ABatchEqualsItsDocumentsOneByOne) {
  const at::Tensor together = forward(h_, two_documents());
  for (const nn::Segment& document : two_documents()) {
    const at::Tensor alone = forward(h_.narrow(0, document.start, document.length),
                                     {{.start = 0, .length = document.length}});
    EXPECT_LT(max_difference(together.narrow(0, document.start, document.length), alone), 1e-12);
  }
}

TEST_F(CausalGate, GradientsThroughDocumentsEqualCentralDifferences) {
  const at::Tensor direction = numbers({kTokens, kHidden}, 2, at::kDouble);
  const auto loss = [&] {
    const at::Tensor out = (forward(h_, two_documents()) * direction).sum();
    return out + mixture_->auxiliary_loss(log_);
  };
  std::vector<nn::NamedTensor> inputs = {{"x", h_.requires_grad_(true)}};
  for (const nn::NamedTensor& parameter : mixture_->gate_parameters()) inputs.push_back(parameter);
  ASSERT_EQ(inputs.size(), 1U + 1U + 2U * 6U + 2U);
  check_gradients(loss, inputs);
}

TEST_F(CausalGate, OneDecisionServesAllLayersBeforeAnyOfThemRuns) {
  make(section(", layerwise: false"));
  forward(h_, two_documents());
  ASSERT_EQ(log_.records.size(), 1U) << "the same selection in every layer";
  const at::Tensor weights = log_.records.front().weights;
  const TinyModel other(kLayers + 1);  // other layers, and yet the same decisions
  nn::ForwardContext context;
  context.segments = two_documents();
  context.embedded = h_;
  EXPECT_TRUE(at::equal(gate().weights(h_, context).select(1, 0), weights));
}

TEST_F(CausalGate, HasAsManyParametersAsTheCardCounts) {
  for (const char* more : {"", ", layerwise: false", ", init_bias: 0.5"}) {
    make(section(more));
    const spec::DecoderShape shape = {.layers = kLayers,
                                      .hidden_size = kHidden,
                                      .query_size = kHeads,
                                      .key_size = kKeys,
                                      .intermediate_size = kInner};
    EXPECT_EQ(spec::mixture_cost(mixture_->spec(), shape).parameters,
              mixture_->trained_parameter_count());
  }
}

TEST_F(CausalGate, WhatDoesNotFitIsRefused) {
  const auto of = [](const std::string& gate) {
    return refusal_of("{experts: {count: 3, rank: 2}, gate: {net: causal, " + gate + "}}");
  };
  EXPECT_THAT(of("source: input"), HasSubstr("one net for the whole model"));
  EXPECT_THAT(of("source: embedding, share: block"), HasSubstr("share block"));
  EXPECT_THAT(of("source: embedding, share: model, hidden_size: 12, heads: 4"),
              HasSubstr("a multiple of 8"));
  EXPECT_THAT(of("source: embedding, share: model, dropout: 0.1"), HasSubstr("classifier"));
  EXPECT_THAT(of("source: embedding, share: model, references: 3"), HasSubstr("nearest"));
  EXPECT_THAT(refusal_of("{experts: {count: 3, rank: 2}, gate: {heads: 2}}"),
              HasSubstr("nearest or causal"));
  EXPECT_THAT(refusal_of("{experts: {count: 3, rank: 2}, gate: {depth: 2}}"),
              HasSubstr("classifier or causal"));
}

}  // namespace
}  // namespace lmoe::test
