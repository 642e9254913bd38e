// The StepModel over a tiny decoder against whole forwards of the same decoder.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "runner/packed_scores.h"
#include "runner/torch_step_model.h"
#include "spec/method_info.h"
#include "support/gradient_check.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

using decode::StepInput;
using Ids = std::vector<int32_t>;

Ids random_ids(size_t count, uint64_t seed) {
  Rng rng(seed);
  Ids ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(50));
  return ids;
}

/// Logits [T, V] of one sequence by one forward.
at::Tensor whole_logits(const models::Decoder& decoder, const Ids& ids) {
  const c10::NoGradGuard no_grad;
  nn::ForwardContext context = test::packed_documents({static_cast<int64_t>(ids.size())});
  return decoder.logits(
      decoder.forward(at::tensor(std::vector<int64_t>(ids.begin(), ids.end())), context));
}

at::Tensor row_of(const decode::StepOutput& output, size_t row) {
  const size_t vocab = 50;
  return at::tensor(at::ArrayRef<float>(output.logits.data() + row * vocab, vocab));
}

spec::MixtureSpec routed_spec() {
  spec::MixtureSpec spec;
  spec.target_modules = {"q_proj", "down_proj"};
  spec.experts.count = 3;
  spec.experts.rank = 2;
  spec.gate.init_range = 1.0;
  return spec;
}

/// A mixture that changes the outputs: its B's are not zero.
std::unique_ptr<mixture::Mixture> plugged(const models::Decoder& decoder, spec::MixtureSpec spec) {
  const c10::NoGradGuard no_grad;
  auto mixture = std::make_unique<mixture::Mixture>(std::move(spec), decoder.sockets(), 5);
  at::manual_seed(4);
  for (const nn::NamedTensor& parameter : mixture->parameters())
    at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes()));
  mixture->plug(decoder.sockets());
  return mixture;
}

TEST(TorchStepModel, steps_of_several_sequences_equal_whole_forwards) {
  const auto decoder = test::tiny_decoder();
  TorchStepModel model(*decoder);
  const Ids a = random_ids(20, 1), b = random_ids(12, 2);
  const auto first = model.open_sequence(), second = model.open_sequence();
  const at::Tensor expected_a = whole_logits(*decoder, a), expected_b = whole_logits(*decoder, b);
  const auto part = [](const Ids& ids, size_t from, size_t count) {
    return std::span<const int32_t>(ids).subspan(from, count);
  };

  auto out = model.step(std::vector<StepInput>{{first, part(a, 0, 15)}, {second, part(b, 0, 1)}});
  EXPECT_LT(test::relative_error(row_of(out, 0), expected_a[14]), 1e-5);
  EXPECT_LT(test::relative_error(row_of(out, 1), expected_b[0]), 1e-5);
  for (size_t t = 0; t < 5; ++t) {
    out = model.step(
        std::vector<StepInput>{{second, part(b, 1 + t, 1)}, {first, part(a, 15 + t, 1)}});
    EXPECT_LT(test::relative_error(row_of(out, 0), expected_b[1 + static_cast<int64_t>(t)]), 1e-5);
    EXPECT_LT(test::relative_error(row_of(out, 1), expected_a[15 + static_cast<int64_t>(t)]), 1e-5);
  }
  model.truncate_sequence(first, 3);
  out = model.step(std::vector<StepInput>{{first, part(a, 3, 17)}});
  EXPECT_LT(test::relative_error(row_of(out, 0), expected_a[19]), 1e-5);
  EXPECT_TRUE(out.routing.empty());
}

TEST(TorchStepModel, prompts_beyond_one_forward_are_cut_and_joined) {
  const auto decoder = test::tiny_decoder();
  TorchStepModel model(*decoder);
  std::vector<Ids> prompts;
  std::vector<StepInput> inputs;
  for (uint64_t i = 0; i < 20; ++i) prompts.push_back(random_ids(230 + i, i));
  for (const Ids& prompt : prompts) inputs.push_back({model.open_sequence(), prompt});
  ASSERT_GT(20 * 230, kTokensPerForward);
  const auto out = model.step(inputs);
  for (const size_t i : {size_t{0}, size_t{16}, size_t{17}, size_t{18}, size_t{19}})
    EXPECT_LT(test::relative_error(row_of(out, i), whole_logits(*decoder, prompts[i])[-1]), 1e-5);
}

TEST(TorchStepModel, scores_equal_the_log_softmax_of_whole_forwards) {
  const auto decoder = test::tiny_decoder();
  TorchStepModel model(*decoder);
  std::vector<Ids> sequences;
  for (uint64_t i = 0; i < 30; ++i) sequences.push_back(random_ids(1 + (i * 37) % 250, 100 + i));
  sequences[3].clear();
  // A greedy continuation, so that some tokens are the most likely ones.
  for (int i = 0; i < 5; ++i)
    sequences[5].push_back(
        static_cast<int32_t>(whole_logits(*decoder, sequences[5])[-1].argmax().item<int64_t>()));
  const auto scores = model.score(sequences);
  ASSERT_EQ(scores.size(), sequences.size());
  EXPECT_TRUE(scores[0].logprobs.empty());
  EXPECT_TRUE(scores[3].logprobs.empty());
  for (const size_t i : {size_t{1}, size_t{5}, size_t{20}, size_t{29}}) {
    const Ids& ids = sequences[i];
    ASSERT_EQ(scores[i].logprobs.size(), ids.size() - 1);
    const at::Tensor expected = at::log_softmax(whole_logits(*decoder, ids), 1);
    for (size_t t = 1; t < ids.size(); ++t) {
      const at::Tensor row = expected[static_cast<int64_t>(t) - 1];
      EXPECT_NEAR(scores[i].logprobs[t - 1], row[ids[t]].item<float>(), 1e-4);
      EXPECT_EQ(scores[i].is_greedy[t - 1], row.argmax().item<int64_t>() == ids[t]);
    }
  }
}

TEST(TorchStepModel, experts_with_a_capacity_count_on_over_steps) {
  const auto decoder = test::tiny_decoder();
  spec::MixtureSpec spec = spec::find_method("mixlora-switch").preset();
  spec.experts.count = 2;
  spec.experts.rank = spec.plain.rank = 2;
  spec.select.capacity = 3;
  const auto mixture = plugged(*decoder, spec);
  TorchStepModel model(*decoder, mixture.get());
  const Ids a = random_ids(20, 1), b = random_ids(12, 2);
  const at::Tensor expected = whole_logits(*decoder, a);
  const auto sequence = model.open_sequence(), other = model.open_sequence();
  model.step(std::vector<StepInput>{{sequence, std::span(a).first(9)}, {other, b}});
  for (const size_t first : {size_t{9}, size_t{11}}) {  // the second time after going back
    if (first == 11) model.truncate_sequence(sequence, 11);
    for (size_t t = first; t < 20; ++t) {
      const std::vector<StepInput> input = {{sequence, std::span(a).subspan(t, 1)}};
      const auto out = model.step(input, /*want_routing=*/true);
      EXPECT_LT(test::relative_error(row_of(out, 0), expected[static_cast<int64_t>(t)]), 1e-5);
      EXPECT_EQ(out.routing[0][0].weights.size(), 2U * 2U) << "one gate per layer, two experts";
    }
  }
}

TEST(TorchStepModel, layers_with_fewer_experts_report_no_weight_for_those_they_lack) {
  const auto decoder = test::tiny_decoder();
  spec::MixtureSpec spec = routed_spec();
  spec.experts.count_by_layer = {2, 3};
  const auto mixture = plugged(*decoder, spec);
  TorchStepModel model(*decoder, mixture.get());
  const auto sequence = model.open_sequence();
  const Ids ids = random_ids(7, 3);
  const auto out = model.step(std::vector<StepInput>{{sequence, ids}}, /*want_routing=*/true);
  for (const decode::TokenRouting& token : out.routing[0]) {
    ASSERT_EQ(token.weights.size(), 4U * 3U);
    for (size_t site = 0; site < 4; ++site) {
      const float* own = token.weights.data() + 3 * site;
      EXPECT_NEAR(own[0] + own[1] + own[2], 1.0, 1e-5);
      EXPECT_EQ(own[2] == 0.0F, site < 2) << "the lower layer has two experts";
    }
  }
}

TEST(TorchStepModel, reports_the_router_and_takes_an_expert_out) {
  const auto decoder = test::tiny_decoder();
  const auto mixture = plugged(*decoder, routed_spec());
  TorchStepModel model(*decoder, mixture.get());
  ASSERT_NE(model.router(), nullptr);
  EXPECT_EQ(model.router()->expert_names,
            (std::vector<std::string>{"expert0", "expert1", "expert2"}));
  EXPECT_EQ(model.router()->sites.size(), 4u);
  EXPECT_EQ(model.router()->site_layers, (std::vector<int>{0, 0, 1, 1}));

  const Ids ids = random_ids(6, 3);
  const auto weights = [&] {
    const auto sequence = model.open_sequence();
    auto out = model.step(std::vector<StepInput>{{sequence, ids}}, /*want_routing=*/true);
    model.close_sequence(sequence);
    EXPECT_EQ(out.routing.size(), 1u);
    EXPECT_EQ(out.routing[0].size(), ids.size());
    return out.routing[0].back().weights;
  };
  const std::vector<float> all = weights();
  model.disable_expert(1);
  const std::vector<float> without = weights();
  const auto score_without = model.score(std::vector<Ids>{ids});
  model.disable_expert(std::nullopt);
  EXPECT_EQ(weights(), all);
  EXPECT_NE(model.score(std::vector<Ids>{ids})[0].logprobs, score_without[0].logprobs);
  ASSERT_EQ(all.size(), 12u);
  for (size_t site = 0; site < 4; ++site) {
    const float *before = &all[site * 3], *after = &without[site * 3];
    EXPECT_NEAR(before[0] + before[1] + before[2], 1, 1e-5);
    EXPECT_EQ(after[1], 0);
    EXPECT_NEAR(after[0] + after[2], 1, 1e-5);
  }
  // The first gate reads the embedding alone, so the proportions of the others stay exactly.
  EXPECT_NEAR(without[0] / without[2], all[0] / all[2], 1e-4f * (all[0] / all[2]));
  EXPECT_THROW(model.disable_expert(3), Error);
}

TEST(TorchStepModel, a_single_adapter_has_no_router) {
  const auto decoder = test::tiny_decoder();
  spec::MixtureSpec spec = routed_spec();
  spec.experts.count = 1;
  spec.gate.source = spec::GateSource::kConstant;
  spec.normalize = spec::Normalize::kConstant;
  const auto mixture = plugged(*decoder, spec);
  TorchStepModel model(*decoder, mixture.get());
  EXPECT_EQ(model.router(), nullptr);
  const Ids ids = random_ids(5, 9);
  const auto sequence = model.open_sequence();
  const auto out = model.step(std::vector<StepInput>{{sequence, ids}}, /*want_routing=*/true);
  EXPECT_TRUE(out.routing.empty());
  EXPECT_LT(test::relative_error(row_of(out, 0), whole_logits(*decoder, ids)[-1]), 1e-5);
}

TEST(TorchStepModel, refuses_what_cannot_be_and_stays_usable) {
  const auto decoder = test::tiny_decoder();
  TorchStepModel model(*decoder);
  const auto sequence = model.open_sequence();
  const Ids good = random_ids(4, 1), outside = {50}, negative = {-1}, none;
  const Ids long_one = random_ids(257, 2);
  const auto step = [&](const std::vector<StepInput>& inputs) { return model.step(inputs); };
  EXPECT_THROW(step({{sequence, outside}}), Error);
  EXPECT_THROW(step({{sequence, negative}}), Error);
  EXPECT_THROW(step({{sequence, none}}), Error);
  EXPECT_THROW(step({{sequence, long_one}}), Error);
  EXPECT_THROW(step({{sequence, good}, {sequence, good}}), Error);
  EXPECT_THROW(step({{sequence + 1, good}}), Error);
  EXPECT_THROW(model.score(std::vector<Ids>{long_one}), Error);
  EXPECT_THROW(model.score(std::vector<Ids>{outside}), Error);
  EXPECT_THROW(model.truncate_sequence(sequence, 1), Error);
  EXPECT_THROW(model.close_sequence(sequence + 1), Error);
  EXPECT_LT(
      test::relative_error(row_of(step({{sequence, good}}), 0), whole_logits(*decoder, good)[-1]),
      1e-5);
  model.close_sequence(sequence);
  EXPECT_THROW(step({{sequence, good}}), Error);
}

}  // namespace
}  // namespace lmoe::runner
