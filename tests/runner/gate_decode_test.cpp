// Gates that look beyond a token: its way through the layers, its document's prompt, what enters
// the first layer. Fed in steps they decide as in one forward over the whole document.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "runner/torch_step_model.h"
#include "support/gradient_check.h"
#include "support/tiny_decoder.h"

namespace lmoe::runner {
namespace {

using decode::StepInput;
using Ids = std::vector<int32_t>;

constexpr int64_t kLength = 20, kPrompt = 8, kVocab = 50;

Ids random_ids(size_t count, uint64_t seed) {
  Rng rng(seed);
  Ids ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(kVocab));
  return ids;
}

class GateDecode : public ::testing::TestWithParam<const char*> {
 protected:
  GateDecode() : mixture_(make()), steps_(*decoder_, mixture_.get()) {}

  std::unique_ptr<mixture::Mixture> make() const {
    const c10::NoGradGuard no_grad;
    ReadReport report;
    auto mixture = std::make_unique<mixture::Mixture>(
        spec::read_mixture(parse_config(GetParam(), "test"), report), decoder_->sockets(), 5,
        at::kDouble);
    at::manual_seed(4);
    for (const nn::NamedTensor& parameter : mixture->parameters())
      at::Tensor(parameter.tensor).add_(0.3 * at::randn(parameter.tensor.sizes(), at::kDouble));
    mixture->plug(decoder_->sockets());
    return mixture;
  }

  /// Logits [T, V] by one forward.
  at::Tensor whole(const Ids& ids, int64_t prompt) const {
    const c10::NoGradGuard no_grad;
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = static_cast<int64_t>(ids.size()), .prompt = prompt}};
    return decoder_->logits(
        decoder_->forward(at::tensor(std::vector<int64_t>(ids.begin(), ids.end())), context));
  }

  /// Logits after the last of the ids.
  at::Tensor fed(decode::SequenceId sequence, std::span<const int32_t> ids, int64_t prompt = -1) {
    const std::vector<StepInput> inputs = {{sequence, ids, prompt}};
    return at::tensor(at::ArrayRef<float>(steps_.step(inputs).logits));
  }

  std::unique_ptr<models::Decoder> decoder_ = test::tiny_decoder(test::tiny_config(), at::kDouble);
  std::unique_ptr<mixture::Mixture> mixture_;
  TorchStepModel steps_;
};

TEST_P(GateDecode, StepsEqualOneForward) {
  const Ids a = random_ids(kLength, 1), b = random_ids(kLength, 2);
  const at::Tensor expected_a = whole(a, kPrompt), expected_b = whole(b, kPrompt + 3);
  const auto first = steps_.open_sequence(), second = steps_.open_sequence();
  const std::span<const int32_t> of_a = a, of_b = b;
  // What a sequence is fed first is its prompt.
  EXPECT_LT(test::relative_error(fed(first, of_a.first(kPrompt)), expected_a[kPrompt - 1]), 1e-5);
  fed(second, of_b.first(kPrompt + 3));
  for (int64_t t = kPrompt; t + 3 < kLength; ++t) {
    const std::vector<StepInput> inputs = {{second, of_b.subspan(static_cast<size_t>(t) + 3, 1)},
                                           {first, of_a.subspan(static_cast<size_t>(t), 1)}};
    const at::Tensor out =
        at::tensor(at::ArrayRef<float>(steps_.step(inputs).logits)).view({2, kVocab});
    EXPECT_LT(test::relative_error(out[0], expected_b[t + 3]), 1e-5);
    EXPECT_LT(test::relative_error(out[1], expected_a[t]), 1e-5);
  }
  steps_.truncate_sequence(first, kPrompt + 1);  // an answer is taken back
  EXPECT_LT(test::relative_error(fed(first, of_a.subspan(kPrompt + 1)), expected_a[kLength - 1]),
            1e-5);
  steps_.truncate_sequence(first, 0);  // and the prompt with it
  EXPECT_LT(test::relative_error(fed(first, of_b.first(kPrompt)), whole(b, kPrompt)[kPrompt - 1]),
            1e-5);
}

TEST_P(GateDecode, ScoresEqualOneForward) {
  const std::vector<Ids> sequences = {random_ids(kLength, 1), random_ids(kLength, 2)};
  const std::vector<int64_t> prompts = {kPrompt, 3};
  const auto scores = steps_.score(sequences, {.prompts = prompts});
  const auto of_text = steps_.score(sequences);
  for (size_t i = 0; i < sequences.size(); ++i) {
    for (const bool is_text : {false, true}) {
      const at::Tensor expected = at::log_softmax(whole(sequences[i], is_text ? 1 : prompts[i]), 1);
      for (int64_t t = 1; t < kLength; ++t) {
        const auto position = static_cast<size_t>(t);
        EXPECT_NEAR((is_text ? of_text : scores)[i].logprobs[position - 1],
                    expected[t - 1][sequences[i][position]].item<float>(), 1e-4);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gates,
    GateDecode,
    ::testing::Values(
        "{experts: {count: 3, rank: 2}, gate: {net: recurrent, hidden_size: 4, init_range: 1}}",
        "{experts: {count: 3, rank: 2}, top_k: 2, gate: {net: cosine}}",
        "{experts: {count: 3, rank: 2}, normalize: logits, losses: [],"
        " gate: {pool: prompt, init_bias: 0.3, temperature: 4}}",
        "{experts: {count: 3, rank: 2}, top_k: 2,"
        " gate: {pool: prompt, net: recurrent, hidden_size: 4, init_range: 1}}",
        "{experts: {count: 5, rank: 2}, losses: [], select: {private_experts: 1, private_by: "
        "role}}",
        "{experts: {count: 3, rank: 2}, top_k: 2,"
        " gate: {source: embedding, share: model, layerwise: false, init_range: 1}}",
        "{experts: {count: 3, rank: 2}, top_k: 2, gate: {source: embedding, share: model,"
        " net: causal, hidden_size: 8, heads: 2, depth: 2, init_range: 1}}",
        "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: model, layerwise: false,"
        " net: causal, hidden_size: 8, init_range: 1},"
        " prompts: {count: 4, length: 3, select: 2}}",
        "{experts: {count: 3, rank: 2}, gate: {pool: prompt},"
        " prompts: {count: 4, length: 3, select: 2}}",
        "{method: lora, experts: {rank: 2}, prompts: {count: 4, length: 3, select: 2}}",
        "{method: mixlora, experts: {count: 4, rank: 2}, plain: {rank: 2},"
        " gate: {source: embedding, share: model, layerwise: false}}"));

TEST(PooledGateDecode, RefusesAPartOfAPromptAndWhatWasCutInsideIt) {
  const auto decoder = test::tiny_decoder();
  ReadReport report;
  mixture::Mixture mixture(
      spec::read_mixture(parse_config("{experts: {rank: 2}, gate: {pool: prompt}}", "test"),
                         report),
      decoder->sockets(), 5);
  mixture.plug(decoder->sockets());
  TorchStepModel steps(*decoder, &mixture);
  EXPECT_TRUE(steps.decides_by_prompt());
  const Ids ids = random_ids(kLength, 1);
  const std::span<const int32_t> view = ids;
  const auto sequence = steps.open_sequence();
  const auto step = [&](size_t first, size_t count, int64_t prompt) {
    steps.step(std::vector<StepInput>{{sequence, view.subspan(first, count), prompt}});
  };
  EXPECT_THROW(step(0, 5, kPrompt), Error);
  step(0, kPrompt, kPrompt);
  steps.truncate_sequence(sequence, kPrompt - 2);
  EXPECT_THROW(step(kPrompt - 2, 3, kPrompt), Error);
}

TEST(EmbeddingGateDecode, DecidesFromIdsAlone) {
  const auto decoder = test::tiny_decoder();
  ReadReport report;
  mixture::Mixture mixture(
      spec::read_mixture(parse_config("{experts: {count: 3, rank: 2}, gate: {source: embedding,"
                                      " share: model, layerwise: false, init_range: 1}}",
                                      "test"),
                         report),
      decoder->sockets(), 5);
  mixture.plug(decoder->sockets());
  TorchStepModel steps(*decoder, &mixture);
  const Ids ids = {7, 9, 9, 7, 7};
  const auto sequence = steps.open_sequence();
  const auto out = steps.step(std::vector<StepInput>{{sequence, ids}}, /*want_routing=*/true);
  for (size_t t = 0; t < ids.size(); ++t) {
    const std::vector<float>& own = out.routing[0][t].weights;
    const std::vector<float>& like = out.routing[0][ids[t] == 7 ? 0 : 1].weights;
    ASSERT_EQ(own.size(), 3U) << "one decision for all layers";
    for (size_t e = 0; e < own.size(); ++e) EXPECT_NEAR(own[e], like[e], 1e-6);
  }
  EXPECT_NE(out.routing[0][0].weights, out.routing[0][1].weights);
}

}  // namespace
}  // namespace lmoe::runner
