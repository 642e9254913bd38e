// Reference trustable decoding, arXiv 2409.20181: what it makes of a model's logits.
#include "runner/output_references.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "runner/torch_step_model.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

using decode::StepInput;
using Ids = std::vector<int32_t>;
using ::testing::HasSubstr;

constexpr size_t kVocab = 50;

Ids random_ids(size_t count, uint64_t seed) {
  Rng rng(seed);
  Ids ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(kVocab));
  return ids;
}

/// The first two tokens are its prompt.
Document document(uint64_t seed) {
  Document one{random_ids(12, seed), {}};
  one.labels = one.ids;
  one.labels[0] = one.labels[1] = -100;
  return one;
}

class OutputReferencesTest : public ::testing::Test {
 protected:
  OutputReferencesTest() {
    for (uint64_t seed = 1; seed <= 4; ++seed) documents_.push_back(document(seed));
  }

  std::shared_ptr<OutputReferences> references(double weight, nn::Retrieval retrieval) const {
    return std::make_shared<OutputReferences>(
        OutputReferences{collect_references(*decoder_, documents_, 4096), retrieval, weight});
  }

  at::Tensor hidden(const Ids& ids) const {
    const c10::NoGradGuard no_grad;
    nn::ForwardContext context;
    context.segments = {{0, std::ssize(ids)}};
    return decoder_->forward(at::tensor(ids, at::kInt).to(at::kLong), context);
  }

  std::unique_ptr<models::Decoder> decoder_ = test::tiny_decoder();
  std::vector<Document> documents_;
};

TEST_F(OutputReferencesTest, AreWhatTheModelEndsWithBeforeLabelledTokens) {
  const nn::References all = collect_references(*decoder_, documents_, 4096);
  ASSERT_EQ(all.keys.sizes(), (at::IntArrayRef{40, 16}));
  EXPECT_TRUE(at::equal(all.keys.slice(0, 10, 20), hidden(documents_[1].ids).slice(0, 1, 11)));
  for (int64_t i = 0; i < 10; ++i)
    EXPECT_EQ(all.values[20 + i].item<float>(), documents_[2].ids[static_cast<size_t>(2 + i)]);
  const nn::References some = collect_references(*decoder_, documents_, 8);
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(at::equal(some.keys[i], all.keys[5 * i + 2])) << "evenly spaced";
    EXPECT_TRUE(at::equal(some.values[i], all.values[5 * i + 2]));
  }
}

TEST_F(OutputReferencesTest, WithoutWeightTheModelStaysBitForBit) {
  const Ids ids = random_ids(9, 77);
  TorchStepModel plain(*decoder_), asking(*decoder_);
  asking.ask_references(references(0.0, {.neighbours = 5}));
  EXPECT_EQ(plain.step(std::vector<StepInput>{{plain.open_sequence(), ids}}).logits,
            asking.step(std::vector<StepInput>{{asking.open_sequence(), ids}}).logits);
  EXPECT_EQ(plain.score(std::vector<Ids>{ids})[0].logprobs,
            asking.score(std::vector<Ids>{ids})[0].logprobs);
}

TEST_F(OutputReferencesTest, ProbabilitiesAreMixedAndSumToOne) {
  const auto mixed = references(0.3, {.neighbours = 5, .temperature = 2.0, .heads = 2});
  const at::Tensor h = hidden(random_ids(9, 77));
  const at::Tensor p = at::softmax(decoder_->logits(h).to(at::kDouble), 1);
  const at::Tensor r =
      nn::value_distribution(nn::nearest_references(h, mixed->references.keys, mixed->retrieval),
                             mixed->references.values, kVocab);
  const at::Tensor actual = next_token_logits(*decoder_, h, mixed.get()).to(at::kDouble).exp();
  EXPECT_LT((actual - (0.3 * r + 0.7 * p)).abs().max().item<double>(), 1e-6);
  EXPECT_LT((actual.sum(1) - 1).abs().max().item<double>(), 1e-6);
}

TEST_F(OutputReferencesTest, ATextThatIsStoredGetsItsOwnTokens) {
  TorchStepModel plain(*decoder_), asking(*decoder_);
  asking.ask_references(references(0.9, {.neighbours = 1}));
  const Ids& ids = documents_[3].ids;
  const auto before = plain.score(std::vector<Ids>{ids})[0];
  const auto after = asking.score(std::vector<Ids>{ids})[0];
  for (size_t t = 1; t < after.logprobs.size(); ++t) {  // the prompt's own token is no reference
    EXPECT_NEAR(std::exp(after.logprobs[t]), 0.9 + 0.1 * std::exp(before.logprobs[t]), 1e-5);
    EXPECT_TRUE(after.is_greedy[t]);
  }
}

TEST_F(OutputReferencesTest, StepsOfABatchSayWhatScoresOfSingleTextsDo) {
  TorchStepModel model(*decoder_);
  model.ask_references(references(0.4, {.neighbours = 6, .temperature = 3.0}));
  const std::vector<Ids> texts = {random_ids(8, 5), random_ids(11, 6)};
  std::vector<StepInput> inputs;
  for (const Ids& text : texts)
    inputs.push_back(
        {model.open_sequence(), std::span<const int32_t>(text).first(text.size() - 1)});
  const auto output = model.step(inputs);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto scored = model.score(std::vector<Ids>{texts[i]})[0];
    const float own = output.logits[i * kVocab + static_cast<size_t>(texts[i].back())];
    EXPECT_NEAR(own, scored.logprobs.back(), 1e-4);
  }
}

TEST_F(OutputReferencesTest, WhatDoesNotFitIsRefused) {
  TorchStepModel model(*decoder_);
  const auto refusal = [&](double weight, nn::Retrieval retrieval) -> std::string {
    try {
      model.ask_references(references(weight, retrieval));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal(0.5, {.neighbours = 40}), "accepted");
  EXPECT_THAT(refusal(0.5, {.neighbours = 41}), HasSubstr("given 41 neighbours"));
  EXPECT_THAT(refusal(0.5, {.neighbours = 4, .heads = 3}), HasSubstr("given 3 heads"));
  EXPECT_THAT(refusal(1.0, {.neighbours = 4}), HasSubstr("given weight 1"));
  for (Document& one : documents_) one.labels.assign(one.ids.size(), -100);
  EXPECT_THROW(collect_references(*decoder_, documents_, 4096), Error);
}

}  // namespace
}  // namespace lmoe::runner
