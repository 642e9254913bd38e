// References collected from documents in place of trained gates.
#include "mixture/refit_references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/gate.h"
#include "mixture/refit_gates.h"
#include "sections.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kDocuments = 6, kTokens = 5;

at::Tensor document(int64_t n) {
  return numbers({kTokens, kHidden}, static_cast<uint64_t>(n) + 1, at::kDouble);
}

nn::RouterLog log_of(const TinyModel& model, const at::Tensor& h) {
  nn::RouterLog log;
  log.keeps_inputs = true;
  nn::ForwardContext context;
  context.router_log = &log;
  model.forward(h, context);
  return log;
}

class RefitReferences : public ::testing::TestWithParam<const char*> {
 protected:
  RefitReferences() : mixture_(read_section(GetParam()), model_.sockets(), 3, at::kDouble) {
    randomize(mixture_, 5);
    const at::NoGradGuard no_grad;  // small, so that no two tokens end in the same corner of tanh
    for (const nn::NamedTensor& parameter : mixture_.parameters())
      at::Tensor(parameter.tensor).mul_(0.2);
    mixture_.plug(model_.sockets());
  }

  mixture::GateReferences read(int64_t tokens, const std::vector<int64_t>& experts) const {
    mixture::DocumentReferences references(mixture_, tokens);
    for (int64_t n = 0; n < kDocuments; ++n) references.add(log_of(model_, document(n)));
    return references.of(experts);
  }

  at::Tensor output_of(Mixture& other) {
    mixture_.unplug(model_.sockets());
    other.plug(model_.sockets());
    at::Tensor out = model_.forward(document(1));
    other.unplug(model_.sockets());
    mixture_.plug(model_.sockets());
    return out;
  }

  TinyModel model_{2};
  Mixture mixture_;
};

INSTANTIATE_TEST_SUITE_P(
    Gates,
    RefitReferences,
    ::testing::Values(
        "{experts: {count: 3, rank: 2}}",
        "{experts: {count: 3, rank: 2}, gate: {net: mlp, hidden_size: 3}, top_k: 2}",
        "{experts: {count: 3, rank: 2, scale_by: active},"
        " gate: {source: block_input, share: block, net: cosine}}",
        "{method: hydra, experts: {count: 3, rank: 2}}",
        "{method: remix, experts: {count: 3, rank: 2}, select: {k: 2}}",
        "{method: ept, experts: {count: 3, rank: 2, kernel_sizes: [2, 3, 2]}, top_k: 2}",
        "{method: x-lora, experts: {count: 3, rank: 2}, schedule: {freeze_experts: false}}",
        "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: model, layerwise: false}}",
        "{method: mixlora, experts: {count: 3, rank: 2, dropout: 0},"
        " plain: {rank: 2, dropout: 0}}"),
    [](const auto& each) { return std::to_string(each.index); });

TEST_P(RefitReferences, WhatTheFirstGateHasReadGoesToTheExpertOfItsDocument) {
  const std::vector<int64_t> experts = {2, 0, 1, 1, 0, 2};
  const auto refit = with_references(mixture_, model_.sockets(), read(kTokens, experts),
                                     {.neighbours = 1, .temperature = 1.0});
  EXPECT_EQ(refit->spec().gate.references, kDocuments * kTokens);
  mixture_.unplug(model_.sockets());
  refit->plug(model_.sockets());
  for (int64_t n = 0; n < kDocuments; ++n) {
    const nn::RouterLog log = log_of(model_, document(n));
    const nn::GateRecord& first = log.records.front();  // later ones read what this one changes
    EXPECT_TRUE(at::equal(first.weights.select(1, experts[static_cast<size_t>(n)]),
                          at::ones({kTokens}, at::kDouble)))
        << n;
  }
  refit->unplug(model_.sockets());
}

TEST_P(RefitReferences, ExpertsStayBitForBit) {
  const auto refit = with_references(mixture_, model_.sockets(), read(1, {0, 0, 0, 0, 0, 0}),
                                     {.neighbours = 1, .temperature = 1.0});
  size_t of_experts = 0;
  for (const nn::NamedTensor& parameter : mixture_.parameters())
    of_experts += parameter.name.find("gate.") == std::string::npos ||
                  parameter.name.find(".lora_") != std::string::npos;
  const auto kept = refit->parameters();
  EXPECT_EQ(kept.size(), of_experts);
  for (const nn::NamedTensor& own : kept) {
    for (const nn::NamedTensor& given : mixture_.parameters()) {
      if (given.name == own.name) {
        EXPECT_TRUE(at::equal(given.tensor, own.tensor)) << own.name;
      }
    }
  }
}

TEST_P(RefitReferences, OneExpertIsWhatAllReferencesSay) {
  for (int64_t e = 0; e < 3; ++e) {
    const auto one = with_one_expert(mixture_, model_.sockets(), e);
    const auto all =
        with_references(mixture_, model_.sockets(), read(2, std::vector<int64_t>(kDocuments, e)),
                        {.neighbours = 7, .temperature = 1.0});
    EXPECT_LT(max_difference(output_of(*one), output_of(*all)), 1e-12);
    const auto next = with_one_expert(mixture_, model_.sockets(), (e + 1) % 3);
    EXPECT_GT(max_difference(output_of(*one), output_of(*next)), 1e-3);
  }
}

TEST(ReferencesOfDocuments, OneExpertIsTheMixtureOfItAlone) {
  const TinyModel model(2);
  Mixture mixture(read_section("{experts: {count: 3, rank: 2}}"), model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  for (int64_t e = 0; e < 3; ++e) {
    std::vector<at::Tensor> outputs;
    for (const auto& other : {with_one_expert(mixture, model.sockets(), e),
                              expert_alone(mixture, model.sockets(), e)}) {
      other->plug(model.sockets());
      outputs.push_back(model.forward(document(1)));
      other->unplug(model.sockets());
    }
    EXPECT_LT(max_difference(outputs[0], outputs[1]), 1e-12);
  }
}

TEST(ReferencesOfDocuments, TokensAreEvenlySpaced) {
  const TinyModel model(1);
  Mixture mixture(read_section("{experts: {count: 3, rank: 2}, target_modules: [q_proj]}"),
                  model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  mixture::DocumentReferences references(mixture, 3);
  const at::Tensor h = numbers({10, kHidden}, 1, at::kDouble);
  references.add(log_of(model, h));
  references.add(log_of(model, h.narrow(0, 0, 2)));
  const auto kept = references.of({1, 2}).at("layers.0.self_attn.q_proj");
  const at::Tensor places = at::tensor({1, 5, 8, 0, 1}, at::kLong);
  EXPECT_TRUE(at::equal(kept.keys, at::tanh(h).index_select(0, places)));
  EXPECT_TRUE(at::equal(kept.values, at::tensor({1.0F, 1.0F, 1.0F, 2.0F, 2.0F})));
}

TEST(ReferencesOfDocuments, WeightsOfSigmoidsSumToOneAfterwards) {
  const TinyModel model(1);
  const Mixture mixture(read_section("{method: smora, experts: {count: 5}, select: {k: 2}}"),
                        model.sockets(), 3, at::kDouble);
  const auto refit = with_one_expert(mixture, model.sockets(), 1);
  EXPECT_EQ(refit->spec().normalize, spec::Normalize::kRenormalize);
  EXPECT_EQ(refit->spec().bias.use, spec::BiasUse::kNone);
}

TEST(ReferencesOfDocuments, GatesThatReadNothingLikeAnInputAreRefused) {
  const TinyModel model(1);
  for (const auto& [section, reason] : std::vector<std::pair<std::string, std::string>>{
           {"{method: lora, experts: {rank: 2}}", "no router"},
           {"{method: flylora, experts: {count: 5}, select: {k: 2}}", "rank_activation"},
           {"{method: cat, experts: {count: 3, rank: 2}, schedule: {freeze_experts: false}}",
            "learned"},
           {"{method: smore, experts: {count: 3, rank: 2}, gate: {hidden_size: 3}}", "tree"},
           {"{method: mola, experts: {count: 3, rank: 2, count_by_layer: [2, 3]}}", "layers"},
           {"{experts: {count: 3, rank: 2}, gate: {pool: prompt}, losses: []}", "pool"}}) {
    const Mixture mixture(read_section(section), model.sockets(), 3);
    try {
      mixture::DocumentReferences references(mixture, 2);
      ADD_FAILURE() << section;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_THAT(error.what(), HasSubstr(reason));
    }
  }
}

}  // namespace
}  // namespace lmoe::test
