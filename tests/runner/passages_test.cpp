// Documents whose passages are kept apart, through a decoder with experts that belong to passages:
// the invariants of Omni-Effects' card, and that packing, kept prefixes and recomputed layers see
// the same.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/document_cache.h"
#include "passages_fixture.h"
#include "support/gradient_check.h"

namespace lmoe::runner {
namespace {

using ::testing::HasSubstr;

bool same_rows(const at::Tensor& a, const at::Tensor& b, int64_t first, int64_t count) {
  return at::equal(a.narrow(0, first, count), b.narrow(0, first, count));
}

/// Invariant 1, for mixtures of several kinds.
TEST_F(PassagesTest, OtherPassagesChangeNoBit) {
  const c10::NoGradGuard no_grad;
  for (const char* kind :
       {kOwnExperts, "{experts: {count: 3, rank: 2}}",
        "{method: x-lora, experts: {count: 2, rank: 2}}",
        "{method: mixlora, experts: {count: 4, rank: 2}, plain: {rank: 2}}",
        "{experts: {count: 3, rank: 2}, gate: {net: recurrent, hidden_size: 4, init_range: 1}}",
        "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: model, net: causal,"
        " hidden_size: 8, heads: 2, depth: 2, init_range: 1}}"}) {
    make(kind, at::kFloat);
    Ids ids = random_ids(kLength, 1);
    const at::Tensor before = hidden({ids}, {kPassages});
    for (size_t t = 7; t < 14; ++t) ids[t] = (ids[t] + 7) % kVocab;  // passage 2 and what follows
    const at::Tensor after = hidden({ids}, {kPassages});
    EXPECT_TRUE(same_rows(before, after, 0, 7)) << kind;
    EXPECT_TRUE(same_rows(before, after, 14, 2)) << kind << ": a later passage";
    EXPECT_FALSE(same_rows(before, after, 16, 1)) << kind << ": what is behind sees all of them";
    ids[0] = (ids[0] + 7) % kVocab;
    EXPECT_FALSE(same_rows(after, hidden({ids}, {kPassages}), 14, 2)) << kind << ": the beginning";
  }
}

/// Invariant 2.
TEST_F(PassagesTest, TokensWithoutAnExpertAreTheBase) {
  const c10::NoGradGuard no_grad;
  make(kOwnExperts, at::kFloat);
  const Ids ids = random_ids(kLength, 1);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  const at::Tensor with = hidden({ids}, {kPassages}, context);
  const at::Tensor plain = hidden({ids}, {{}});
  mixture_->unplug(decoder_->sockets());
  const at::Tensor base = hidden({ids}, {kPassages});
  EXPECT_TRUE(same_rows(with, base, 0, 2)) << "the beginning, given equal inputs";
  EXPECT_FALSE(same_rows(with, base, 2, 1));
  EXPECT_TRUE(at::equal(plain, hidden({ids}, {{}}))) << "a document without passages";
  mixture_->plug(decoder_->sockets());
  ASSERT_FALSE(log.records.empty());
  for (const nn::GateRecord& record : log.records)
    for (int64_t t = 0; t < kLength; ++t)
      for (int64_t e = 0; e < 3; ++e) {
        const Passage& own = kPassages[static_cast<size_t>(e)];
        EXPECT_EQ(record.weights[t][e].item<float>(), t >= own.begin && t < own.end ? 1.0F : 0.0F);
      }
}

/// Invariant 3.
TEST_F(PassagesTest, OneAdapterForAllTokensIsAPlainLora) {
  const c10::NoGradGuard no_grad;
  const std::string targets = "target_modules: [q_proj, o_proj, up_proj]";  // one of each group
  make("{experts: {count: 3, rank: 2}, losses: [], " + targets +
       ", select: {private_experts: 1, private_by: passage, groups: 3}}");
  std::vector<std::pair<at::Tensor, at::Tensor>> factors;
  for (const auto& bank : mixture_->banks()) {
    const auto expert = bank->bank().folder_factors(0, 1);
    factors.emplace_back(expert.a.clone(), expert.b.clone());
  }
  const Ids ids = random_ids(kLength, 1);
  const at::Tensor expected = hidden({ids}, {{{0, kLength, 2}}});
  make("{method: lora, experts: {rank: 2}, " + targets + "}");
  ASSERT_EQ(mixture_->banks().size(), factors.size());
  for (size_t i = 0; i < factors.size(); ++i) {
    const auto own = mixture_->banks()[i]->bank().folder_factors(0, 0);
    at::Tensor(own.a).copy_(factors[i].first);
    at::Tensor(own.b).copy_(factors[i].second);
  }
  EXPECT_LT(test::relative_error(hidden({ids}, {{}}), expected), 1e-12);
}

/// Invariant 4.
TEST_F(PassagesTest, OnePassageIsOrdinaryAttention) {
  const c10::NoGradGuard no_grad;
  make("{experts: {count: 3, rank: 2}}", at::kFloat);
  const Ids ids = random_ids(kLength, 1);
  const at::Tensor ordinary = hidden({ids}, {{}});
  EXPECT_TRUE(at::equal(hidden({ids}, {{{0, kLength, 1}}}), ordinary));
  EXPECT_TRUE(at::equal(hidden({ids}, {{{3, 9, 4}}}), ordinary));
  EXPECT_FALSE(at::equal(hidden({ids}, {kPassages}), ordinary));
}

TEST_F(PassagesTest, ABatchEqualsItsDocumentsOneByOne) {
  const c10::NoGradGuard no_grad;
  make(kOwnExperts);
  const std::vector<Ids> documents = {random_ids(kLength, 1), random_ids(9, 2), random_ids(30, 3)};
  const std::vector<Passages> passages = {kPassages, {}, {{0, 11, 3}, {11, 28, 1}}};
  const at::Tensor together = hidden(documents, passages);
  int64_t start = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    const at::Tensor alone = hidden({documents[i]}, {passages[i]});
    EXPECT_LT(test::relative_error(together.narrow(0, start, alone.size(0)), alone), 1e-12);
    start += alone.size(0);
  }
}

TEST_F(PassagesTest, GradientsEqualCentralDifferencesAndThoseOfRecomputedLayers) {
  make(kOwnExperts);
  const std::vector<Ids> documents = {random_ids(kLength, 1), random_ids(9, 2)};
  const auto loss = [&](nn::ForwardContext& context) {
    return hidden(documents, {kPassages, {{1, 4, 3}, {4, 8, 2}}}, context).sin().sum();
  };
  std::vector<nn::NamedTensor> trained;
  for (const nn::NamedTensor& parameter : mixture_->parameters())
    if (parameter.name.find(".gate.") == std::string::npos) trained.push_back(parameter);
  test::check_gradients(
      [&] {
        nn::ForwardContext context;
        return loss(context);
      },
      {trained.front(), trained.back()});

  std::vector<at::Tensor> all, expected;
  for (const nn::NamedTensor& parameter : mixture_->parameters()) {
    parameter.tensor.mutable_grad() = at::Tensor();
    all.push_back(parameter.tensor);
  }
  nn::ForwardContext plain, recomputing;
  loss(plain).backward();
  for (const at::Tensor& tensor : all) {
    expected.push_back(tensor.grad().clone());
    EXPECT_TRUE(at::isfinite(tensor.grad()).all().item<bool>());
    tensor.mutable_grad() = at::Tensor();
  }
  recomputing.recompute_for = &all;
  loss(recomputing).backward();
  for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(at::equal(all[i].grad(), expected[i]));
}

TEST_F(PassagesTest, KeptPrefixesKnowPassages) {
  const c10::NoGradGuard no_grad;
  make("{experts: {count: 3, rank: 2}, layers_to_transform: [1]}", at::kFloat);
  const Ids ids = random_ids(40, 1);
  const std::vector<Passages> kinds = {
      {}, kPassages, {{2, 7, 2}, {7, 12, 1}}, {{5, 30, 1}, {30, 39, 2}}};
  nn::DocumentCache cache(1 << 20);
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const Passages& passages : kinds) {
      nn::ForwardContext keeping;
      keeping.frozen_prefix_cache = &cache;
      EXPECT_TRUE(at::equal(hidden({ids}, {passages}, keeping), hidden({ids}, {passages})));
    }
    EXPECT_EQ(cache.documents(), 4);
  }
}

TEST_F(PassagesTest, WhatLooksAtWholeDocumentsIsRefused) {
  EXPECT_THAT(refusal("{experts: {count: 3, rank: 2}, gate: {pool: prompt}}"),
              HasSubstr("gate.pool prompt would let one passage decide for another"));
  EXPECT_THAT(
      refusal("{method: lora, experts: {rank: 2}, prompts: {count: 4, length: 3, select: 2}}"),
      HasSubstr("depends on all its passages"));
  EXPECT_THAT(refusal("{method: mixlora-switch, experts: {count: 3, rank: 2}, plain: {rank: 2}}"),
              HasSubstr("select.capacity would let one passage push out another's tokens"));
  make(kOwnExperts);
  EXPECT_THROW(hidden({random_ids(5, 1)}, {{{3, 6, 1}}}), Error) << "behind its document";
}

}  // namespace
}  // namespace lmoe::runner
