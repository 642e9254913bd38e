// Documents with passages, fed in steps, scored and answered: as in one forward over the whole.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "generate/generator.h"
#include "passages_fixture.h"
#include "runner/torch_step_model.h"
#include "support/fake_tokenizer.h"
#include "support/gradient_check.h"

namespace lmoe::runner {
namespace {

using decode::StepInput;
using ::testing::HasSubstr;

TEST_F(PassagesTest, StepsAndScoresEqualOneForward) {
  const c10::NoGradGuard no_grad;
  for (const char* kind : {kOwnExperts,
                           "{experts: {count: 3, rank: 2}, gate: {source: embedding, share: model,"
                           " net: causal, hidden_size: 8, heads: 2, depth: 2, init_range: 1}}"}) {
    make(kind);
    TorchStepModel steps(*decoder_, mixture_.get());
    const Ids a = random_ids(kLength, 1), b = random_ids(kLength, 2);
    const at::Tensor logits = decoder_->logits(hidden({a, b}, {kPassages, {}}));
    const auto first = steps.open_sequence(), second = steps.open_sequence();
    const auto close = [&](const std::vector<float>& given, size_t row, int64_t expected) {
      EXPECT_LT(
          test::relative_error(
              at::tensor(at::ArrayRef<float>(given)).view({-1, kVocab})[static_cast<int64_t>(row)],
              logits[expected]),
          1e-5)
          << kind << " row " << expected;
    };
    const std::span<const int32_t> of_a = a, of_b = b;
    // The prompt in two parts, the border within passage 2; what is known of it said once.
    steps.step(std::vector<StepInput>{{first, of_a.first(9), kPrompt, kPassages},
                                      {second, of_b.first(kPrompt)}});
    close(steps.step(std::vector<StepInput>{{first, of_a.subspan(9, kPrompt - 9)}}).logits, 0,
          kPrompt - 1);
    for (int64_t t = kPrompt; t < kLength; ++t) {
      const auto at = static_cast<size_t>(t);
      const auto out = steps.step(
          std::vector<StepInput>{{second, of_b.subspan(at, 1)}, {first, of_a.subspan(at, 1)}});
      close(out.logits, 0, kLength + t);
      close(out.logits, 1, t);
    }
    // Back into passage 3, and to a prompt of other passages.
    steps.truncate_sequence(first, 15);
    close(steps.step(std::vector<StepInput>{{first, of_a.subspan(15), -1, kPassages}}).logits, 0,
          kLength - 1);
    steps.truncate_sequence(first, 2);
    Ids mixed = b;
    mixed[0] = a[0], mixed[1] = a[1];
    const at::Tensor other = decoder_->logits(hidden({mixed}, {{}}));
    EXPECT_LT(test::relative_error(
                  at::tensor(at::ArrayRef<float>(
                      steps.step(std::vector<StepInput>{{first, of_b.subspan(2)}}).logits)),
                  other[kLength - 1]),
              1e-5);
    const std::vector<Ids> sequences = {a, b};
    const std::vector<Passages> passages = {kPassages, {}};
    const std::vector<int64_t> prompts = {kPrompt, kPrompt};
    const auto scores = steps.score(sequences, {.prompts = prompts, .passages = passages});
    for (size_t i = 0; i < 2; ++i) {
      const at::Tensor expected =
          at::log_softmax(logits.narrow(0, static_cast<int64_t>(i) * kLength, kLength), 1);
      for (size_t t = 1; t < kLength; ++t)
        EXPECT_NEAR(scores[i].logprobs[t - 1],
                    expected[static_cast<int64_t>(t) - 1][sequences[i][t]].item<double>(), 1e-4);
    }
  }
}

TEST_F(PassagesTest, StepsRefuseWhatCannotBe) {
  make(kOwnExperts);
  TorchStepModel steps(*decoder_, mixture_.get());
  const Ids ids = random_ids(kLength, 1);
  const std::span<const int32_t> view = ids;
  const auto refused = [&](const StepInput& input, const std::string& part) {
    try {
      steps.step(std::span(&input, 1));
      ADD_FAILURE() << "accepted: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  };
  const auto sequence = steps.open_sequence();
  const Passages twice = {{1, 2, 1}, {2, 3, 1}}, others = {{2, 7, 1}, {7, 13, 2}},
                 more = {{1, 2, 4}};
  refused({sequence, view.first(4), -1, twice}, "[step] passage 1 cannot be");
  refused({sequence, view.first(4), -1, more}, "experts for 3 passages");
  steps.truncate_sequence(sequence, 0);
  steps.step(std::vector<StepInput>{{sequence, view.first(15), kPrompt, kPassages}});
  refused({sequence, view.subspan(15), -1, others}, "cannot change once these are fed");
  EXPECT_THROW(steps.score(std::vector<Ids>{ids}, {.passages = std::vector<Passages>(2)}), Error);
}

/// What a run in a chat's sequence gives is what one of its own gives.
TEST_F(PassagesTest, ASequenceIsReusedAsFarAsItsPassagesAgree) {
  make(kOwnExperts, at::kFloat);
  TorchStepModel steps(*decoder_, mixture_.get());
  std::vector<std::string> letters;
  for (int32_t i = 0; i < kVocab; ++i)
    letters.push_back(std::string(1, static_cast<char>('0' + i)));
  const test::FakeTokenizer tokenizer(letters);
  generate::SequenceCache cache(steps);
  generate::Generator generator(steps, tokenizer);
  const Ids prompt = random_ids(kPrompt, 3);
  const auto run = [&](const Passages& passages, generate::SequenceCache* sequence) {
    return generator.run({.prompt = prompt,
                          .options = {.max_new_tokens = 5, .ignore_eos = true},
                          .cache = sequence,
                          .passages = passages});
  };
  const Passages longer = {{2, 7, 1}, {7, 14, 2}};
  const std::vector<std::pair<Passages, int64_t>> runs = {
      {kPassages, 0}, {kPassages, kPrompt - 1}, {longer, 12}, {{}, 2}, {kPassages, 2}};
  for (const auto& [passages, reused] : runs) {
    const generate::Generation given = run(passages, &cache);
    EXPECT_EQ(given.stats.reused_tokens, reused);
    EXPECT_EQ(given.ids, run(passages, nullptr).ids);
  }
  EXPECT_THROW(run({{2, kPrompt + 1, 1}}, nullptr), Error);
}

}  // namespace
}  // namespace lmoe::runner
