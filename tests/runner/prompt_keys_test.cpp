// Keys of a bank of prompts: what moves them, what keeps them, and entries that come later.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "mixture/append_prompts.h"
#include "runner/prompt_bank_fixture.h"
#include "runner/prompt_prototypes.h"
#include "runner/torch_step_model.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

using PromptKeys = PromptBankTest;

constexpr const char* kTriplets =
    "{experts: {count: 3, rank: 2}, losses: [], prompts: {count: 5, length: 2, select: 2,"
    " init_range: 0.5, matching_coef: 0, triplet_coef: 0.7, triplet_margin: 0.4}}";

TEST_F(PromptKeys, TripletsAskFoundKeysToBeNearerThanAllOthersByTheMargin) {
  make(kTriplets);
  forward(ids_, three_documents());
  std::map<std::string, double> values;
  const double total = mixture_->auxiliary_loss(log_, &values).item<double>();
  double expected = 0;
  for (int64_t d = 0; d < 3; ++d) {
    const std::vector<int64_t> found = chosen(d);
    const auto cosine = [&](int64_t entry) { return log_.prompt_cosines[d][entry].item<double>(); };
    double nearest_other = -1;
    for (int64_t entry = 0; entry < 5; ++entry)
      if (std::find(found.begin(), found.end(), entry) == found.end())
        nearest_other = std::max(nearest_other, cosine(entry));
    for (const int64_t entry : found)
      expected += std::max(0.0, 0.4 + (1 - cosine(entry)) - (1 - nearest_other)) / 3;
  }
  EXPECT_GT(expected, 0.0);
  EXPECT_NEAR(values.at("prompt_triplet"), expected, 1e-14);
  EXPECT_NEAR(total, 0.7 * expected, 1e-14);
  EXPECT_EQ(values.count("prompt_matching"), 0U);
}

TEST_F(PromptKeys, GradientsOfTripletsEqualCentralDifferences) {
  make(kTriplets);
  const auto loss = [&] {
    forward(ids_, three_documents());
    return mixture_->auxiliary_loss(log_);
  };
  const std::vector<nn::NamedTensor> parameters = mixture_->trained_parameters();
  ASSERT_EQ(parameters.back().name, "prompts.keys") << "triplets alone train keys";
  check_gradients(loss, {parameters.back()});
}

TEST_F(PromptKeys, TripletsThatHoldByTheMarginAskNothing) {
  make(kTriplets);
  nn::RouterLog log;
  log.prompt_cosines = at::tensor({0.9, 0.5, 0.8, 0.1}, at::kDouble).view({1, 4});
  log.chosen_prompts = at::tensor({0, 2}, at::kLong).view({1, 2});
  EXPECT_EQ(mixture::prompt_triplet_loss(log, 0.25).item<double>(), 0.0);
  EXPECT_NEAR(mixture::prompt_triplet_loss(log, 0.35).item<double>(), 0.05, 1e-15);
}

TEST_F(PromptKeys, FrozenEntriesAreThoseThatTrainingLeavesAsTheyAre) {
  make("{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 2, frozen: 3}}");
  const auto parts = mixture_->frozen_parts();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_TRUE(parts[0].parameter.is_same(bank().embeddings()));
  EXPECT_EQ(parts[0].view.sizes(), (at::IntArrayRef{3, 2, kWidth}));
  EXPECT_TRUE(parts[1].parameter.is_same(bank().keys()));
  EXPECT_EQ(parts[1].view.data_ptr(), bank().keys().data_ptr());
  EXPECT_EQ(parts[1].view.sizes(), (at::IntArrayRef{3, kWidth}));
}

TEST_F(PromptKeys, WhatCannotActIsRefused) {
  EXPECT_THAT(refusal_of("{prompts: {count: 2, select: 2, triplet_coef: 1}}"),
              HasSubstr("less than mixture.prompts.count"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, triplet_margin: 1}}"), HasSubstr("triplet_coef 0"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, frozen: 3}}"), HasSubstr("at most"));
}

TEST_F(PromptKeys, AppendedEntriesLeaveEveryBitOfTheOthersAlone) {
  for (const char* section :
       {kSection,
        "{method: lora, experts: {rank: 2}, plain: {target_modules: [up_proj], rank: 3},"
        " target_modules: [q_proj], prompts: {count: 4, length: 2, matching_coef: 0}}"}) {
    make(section);
    forward(ids_, three_documents());
    const at::Tensor cosines = log_.prompt_cosines;
    const int64_t select = mixture_->spec().prompts.select;
    const auto entries = mixture::entries_for(bank(), select, at::randn({5, kWidth}), 2);
    const auto longer = mixture::with_prompts_added(*mixture_, decoder_->sockets(), entries);
    EXPECT_EQ(longer->spec().prompts.count, 6);
    EXPECT_TRUE(at::equal(longer->prompt_bank()->keys().narrow(0, 0, 4), bank().keys()));
    EXPECT_TRUE(
        at::equal(longer->prompt_bank()->embeddings().narrow(0, 0, 4), bank().embeddings()));
    EXPECT_TRUE(at::equal(longer->prompt_bank()->keys().narrow(0, 4, 2), entries.keys));
    const auto before = mixture_->parameters(), after = longer->parameters();
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(before[i].name, after[i].name);
      if (!before[i].name.starts_with("prompts.")) {
        EXPECT_TRUE(at::equal(before[i].tensor, after[i].tensor)) << before[i].name;
      }
    }
    mixture_->unplug(decoder_->sockets());
    longer->plug(decoder_->sockets());
    forward(ids_, three_documents());
    EXPECT_TRUE(at::equal(log_.prompt_cosines.narrow(1, 0, 4), cosines));
    longer->unplug(decoder_->sockets());
    mixture_->plug(decoder_->sockets());
  }
}

TEST_F(PromptKeys, ANewEntryIsFoundByItsSamplesAndSaysWhatTheyFoundSoFar) {
  make("{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 2, init_range: 0.5}}");
  const std::vector<std::vector<int32_t>> prompts = {{7, 9, 9}, {9, 7, 9}, {9, 9, 7}};
  const at::Tensor features = runner::prompt_features(*decoder_, prompts);
  ASSERT_EQ(features.sizes(), (at::IntArrayRef{3, kWidth}));
  {  // all of them find the third entry
    const c10::NoGradGuard no_grad;
    at::Tensor(bank().keys()).neg_();
    at::Tensor(bank().keys())[2].copy_(features.mean(0));
  }
  const at::Tensor ids = at::tensor({7, 9, 9, 3}, at::kLong);
  const std::vector<nn::Segment> document = {{.start = 0, .length = 4, .prompt = 3}};
  const at::Tensor before = forward(ids, document);
  ASSERT_EQ(chosen(0), std::vector<int64_t>{2});
  {
    const c10::NoGradGuard no_grad;
    at::Tensor key = at::Tensor(bank().keys())[2];
    key.add_(0.03 * key.norm() * at::randn({kWidth}, at::kDouble));
  }
  const auto longer = mixture::with_prompts_added(*mixture_, decoder_->sockets(),
                                                  mixture::entries_for(bank(), 1, features, 1));
  mixture_->unplug(decoder_->sockets());
  longer->plug(decoder_->sockets());
  const at::Tensor after = forward(ids, document);
  longer->unplug(decoder_->sockets());
  mixture_->plug(decoder_->sockets());
  EXPECT_EQ(chosen(0), std::vector<int64_t>{4});
  EXPECT_LT(max_difference(before, after), 1e-12) << "the same prompt under a nearer key";
}

TEST_F(PromptKeys, SamplesOfSeveralFindingsGetTheirMean) {
  make("{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 2}}");
  {
    const c10::NoGradGuard no_grad;
    at::Tensor(bank().keys()).copy_(at::eye(4, kWidth, at::kDouble));
  }
  // Two like the first key, one like the fourth; near each other, so one entry for all.
  const at::Tensor features = at::zeros({3, kWidth}, at::kDouble);
  for (int64_t i = 0; i < 3; ++i) {
    features[i][0] = i < 2 ? 1.1 : 1.0;
    features[i][3] = i < 2 ? 1.0 : 1.1;
  }
  const auto entries = mixture::entries_for(bank(), 1, features, 1);
  const at::Tensor expected =
      (2.0 / 3.0) * bank().embeddings()[0] + (1.0 / 3.0) * bank().embeddings()[3];
  EXPECT_LT(max_difference(entries.embeddings[0], expected), 1e-15);
  EXPECT_THROW(mixture::entries_for(bank(), 1, features, 4), Error);
  make("{experts: {count: 3, rank: 2}}");
  EXPECT_THROW(mixture::with_prompts_added(*mixture_, decoder_->sockets(), entries), Error);
}

TEST_F(PromptKeys, StepsSayWhatSequencesThatBeginFound) {
  runner::TorchStepModel steps(*decoder_, mixture_.get());
  EXPECT_EQ(steps.prompt_entries(), 4);
  const std::vector<int32_t> a = {1, 2, 3, 4}, b = {30, 31, 32};
  const auto first = steps.open_sequence(), second = steps.open_sequence();
  const auto fed = [&](std::vector<decode::StepInput> inputs) {
    return steps.step(inputs, /*want_routing=*/true).prompts;
  };
  const auto found = fed({{first, a, 4}, {second, b, 3}});
  ASSERT_EQ(found.size(), 2U);
  size_t input = 0;
  for (const std::vector<int32_t>& ids : {a, b}) {
    const auto length = std::ssize(ids);
    forward(at::tensor(ids, at::kInt).to(at::kLong),
            {{.start = 0, .length = length, .prompt = length}});
    EXPECT_EQ(found[input++], chosen(0));
  }
  const auto third = steps.open_sequence();
  const auto later = fed({{first, b, 4}, {third, b, 3}});
  EXPECT_TRUE(later[0].empty()) << "it goes on";
  EXPECT_EQ(later[1], found[1]);
  EXPECT_TRUE(steps.step(std::vector<decode::StepInput>{{third, a}}).prompts.empty());
}

}  // namespace
}  // namespace lmoe::test
