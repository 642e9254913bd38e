// A bank of prompts in front of documents (uni-rag.md): what a document finds, and that it is then
// an ordinary document that begins with those embeddings.
#include "mixture/prompt_bank.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "io/safetensors.h"
#include "mixture/change_experts.h"
#include "mixture/mixture.h"
#include "mixture/refit_references.h"
#include "mixture/run_folder.h"
#include "mixture/sections.h"
#include "runner/prompt_bank_fixture.h"
#include "runner/prompt_prototypes.h"
#include "runner/torch_step_model.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"
#include "support/tiny_decoder.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using mixture::PromptBank;
using ::testing::HasSubstr;

TEST_F(PromptBankTest, EqualsDocumentsThatBeginWithTheseEmbeddings) {
  const at::Tensor found = forward(ids_, three_documents());
  const at::Tensor cosines = log_.prompt_cosines;
  // The oracle: tokens beyond kTokens have the embeddings of the prompts, and nothing is in front.
  constexpr int64_t kPositions = 4;
  const c10::NoGradGuard no_grad;
  for (size_t d = 0; d < 3; ++d) {
    const nn::Segment document = three_documents()[d];
    const at::Tensor own = ids_.narrow(0, document.start, document.length);
    const at::Tensor feature = embedding_of(own.narrow(0, 0, document.prompt)).mean(0);
    const at::Tensor expected =
        at::cosine_similarity(feature.unsqueeze(0), bank().keys(), /*dim=*/1);
    EXPECT_LT(max_difference(cosines[static_cast<int64_t>(d)], expected), 1e-14);
    const at::Tensor order = at::argsort(expected, /*dim=*/0, /*descending=*/true).narrow(0, 0, 2);
    at::Tensor(decoder_->lm_head().expand())
        .narrow(0, kTokens, kPositions)
        .copy_(bank().embeddings().index_select(0, order).view({kPositions, kWidth}));
    Mixture plain(read_section("{experts: {count: 3, rank: 2}}"), decoder_->sockets(), 5,
                  at::kDouble);
    for (size_t i = 0; i < plain.parameters().size(); ++i)
      at::Tensor(plain.parameters()[i].tensor).copy_(mixture_->parameters()[i].tensor);
    mixture_->unplug(decoder_->sockets());
    plain.plug(decoder_->sockets());
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = kPositions + document.length}};
    const at::Tensor longer = decoder_->forward(
        at::cat({at::arange(kTokens, kTokens + kPositions, at::kLong), own}), context);
    plain.unplug(decoder_->sockets());
    mixture_->plug(decoder_->sockets());
    EXPECT_LT(max_difference(found.narrow(0, document.start, document.length),
                             longer.narrow(0, kPositions, document.length)),
              1e-12);
  }
}

TEST_F(PromptBankTest, EachDocumentGrowsByExactlyItsPrompts) {
  const at::Tensor embedded = embedding_of(ids_);
  nn::ForwardContext context;
  context.segments = three_documents();
  const auto longer =
      nn::put_in_front(bank().choose(embedded, context), embedded, context.segments);
  EXPECT_EQ(longer.hidden.size(0), 12 + 3 * 2 * 2);
  for (size_t d = 0; d < 3; ++d) {
    EXPECT_EQ(longer.segments[d].length, three_documents()[d].length + 2 * 2);
    EXPECT_EQ(longer.segments[d].prompt, three_documents()[d].prompt + 2 * 2);
  }
  EXPECT_TRUE(at::equal(longer.hidden.index_select(0, longer.token_rows), embedded));
  // What goes on has them already.
  const auto later =
      nn::put_in_front(at::empty({0, 4, kWidth}, at::kDouble), embedded.narrow(0, 0, 2),
                       {{.start = 0, .length = 2, .past = 7}});
  EXPECT_EQ(later.segments[0].length, 2);
  EXPECT_EQ(later.segments[0].past, 7 + 4);
}

TEST_F(PromptBankTest, TheRouterLogHasRowsOfTokensAlone) {
  forward(ids_, three_documents());
  ASSERT_FALSE(log_.records.empty());
  for (const nn::GateRecord& record : log_.records) {
    EXPECT_EQ(record.probabilities.size(0), 12);
    EXPECT_EQ(record.weights.size(0), 12);
  }
}

TEST_F(PromptBankTest, ABatchEqualsItsDocumentsOneByOne) {
  const at::Tensor together = forward(ids_, three_documents());
  for (const nn::Segment& document : three_documents()) {
    const at::Tensor alone =
        forward(ids_.narrow(0, document.start, document.length),
                {{.start = 0, .length = document.length, .prompt = document.prompt}});
    EXPECT_LT(max_difference(together.narrow(0, document.start, document.length), alone), 1e-12);
  }
}

TEST_F(PromptBankTest, AnswersHaveNoSay) {
  const at::Tensor before = forward(ids_, three_documents());
  const at::Tensor cosines = log_.prompt_cosines;
  ids_.narrow(0, 2, 2).fill_(39);  // the first answer
  const at::Tensor after = forward(ids_, three_documents());
  EXPECT_TRUE(at::equal(cosines, log_.prompt_cosines));
  EXPECT_TRUE(at::equal(before.narrow(0, 0, 2), after.narrow(0, 0, 2)));
}

TEST_F(PromptBankTest, KeysHaveNoLength) {
  forward(ids_, three_documents());
  const at::Tensor cosines = log_.prompt_cosines, found = log_.chosen_prompts;
  {
    const c10::NoGradGuard no_grad;
    at::Tensor(bank().keys()).mul_(at::tensor({8.0, 0.5, 4.0, 64.0}, at::kDouble).view({4, 1}));
  }
  forward(ids_, three_documents());
  EXPECT_TRUE(at::equal(cosines, log_.prompt_cosines)) << "powers of two change no bit";
  {
    const c10::NoGradGuard no_grad;
    at::Tensor(bank().keys()).mul_(0.37);
  }
  forward(ids_, three_documents());
  EXPECT_LT(max_difference(cosines, log_.prompt_cosines), 1e-15);
  EXPECT_TRUE(at::equal(found, log_.chosen_prompts));
}

TEST(PromptBankGrowth, OneMoreEntryChangesNoBitOfTheOthersCosines) {
  at::manual_seed(3);
  const at::Tensor embedded = at::randn({12, 61}, at::kFloat);
  std::vector<at::Tensor> cosines;
  at::Tensor keys;
  for (const int64_t count : {9, 8}) {
    PromptBank bank({.count = count, .length = 2}, 61, 5, at::kFloat);
    const c10::NoGradGuard no_grad;
    if (keys.defined())
      at::Tensor(bank.keys()).copy_(keys.narrow(0, 0, count));
    else
      keys = bank.keys();
    nn::RouterLog log;
    nn::ForwardContext context;
    context.segments = three_documents();
    context.router_log = &log;
    bank.choose(embedded, context);
    cosines.push_back(log.prompt_cosines);
  }
  EXPECT_TRUE(at::equal(cosines[0].narrow(1, 0, 8), cosines[1]));
}

TEST_F(PromptBankTest, ADocumentWithAKeyFindsItsPrompt) {
  make("{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 2}}");
  for (int64_t entry = 0; entry < 4; ++entry) {
    const c10::NoGradGuard no_grad;
    at::Tensor(bank().keys()).normal_();
    at::Tensor(bank().keys())[entry].copy_(3 * embedding_of(ids_.narrow(0, 4, 3)).mean(0));
    forward(ids_, three_documents());
    EXPECT_EQ(chosen(1), std::vector<int64_t>{entry});
    EXPECT_NEAR(log_.prompt_cosines[1][entry].item<double>(), 1.0, 1e-14);
  }
}

TEST_F(PromptBankTest, EqualKeysAreTakenInTheirOrder) {
  const c10::NoGradGuard no_grad;
  at::Tensor(bank().keys()).copy_(at::ones({4, kWidth}, at::kDouble));
  forward(ids_, three_documents());
  EXPECT_EQ(chosen(0), (std::vector<int64_t>{0, 1}));
}

TEST_F(PromptBankTest, GradientsEqualCentralDifferences) {
  const at::Tensor direction = at::randn({12, kWidth}, at::kDouble);
  const auto loss = [&] {
    const at::Tensor hidden = forward(ids_, three_documents());
    return (hidden * direction).sum() + mixture_->auxiliary_loss(log_);
  };
  std::vector<nn::NamedTensor> inputs;
  for (const nn::NamedTensor& parameter : mixture_->parameters())
    if (parameter.name.starts_with("prompts.") ||
        parameter.name.find("layers.0.mlp") != std::string::npos)
      inputs.push_back(parameter);
  ASSERT_GT(inputs.size(), 3U);
  check_gradients(loss, inputs);
}

TEST_F(PromptBankTest, KeysBeginAsPrototypesOfTheData) {
  make("{experts: {count: 3, rank: 2}, prompts: {count: 2, length: 2}}");
  // Two kinds of prompts, of tokens of their own.
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t i = 0; i < 12; ++i)
    prompts.push_back(i % 2 == 0 ? std::vector<int32_t>{3, 5, (i / 2) % 4 + 3}
                                 : std::vector<int32_t>{20, 22, (i / 2) % 4 + 20});
  runner::begin_with_prototypes(*decoder_, *mixture_, prompts);
  const at::Tensor keys = bank().keys().clone();
  EXPECT_LT(max_difference(keys.norm(2, 1), at::ones({2}, at::kDouble)), 1e-12);
  std::vector<int64_t> found;
  for (const std::vector<int32_t>& prompt : prompts) {
    const auto length = static_cast<int64_t>(prompt.size());
    forward(at::tensor(prompt, at::kInt).to(at::kLong),
            {{.start = 0, .length = length, .prompt = length}});
    found.push_back(chosen(0).front());
  }
  EXPECT_NE(found[0], found[1]);
  for (size_t i = 2; i < found.size(); ++i) EXPECT_EQ(found[i], found[i % 2]);
  runner::begin_with_prototypes(*decoder_, *mixture_, prompts);
  EXPECT_TRUE(at::equal(keys, bank().keys()));
  // Fewer prompts than entries: the last keys stay.
  runner::begin_with_prototypes(*decoder_, *mixture_, std::span(prompts).first(1));
  EXPECT_FALSE(at::equal(keys[0], bank().keys()[0]));
  EXPECT_TRUE(at::equal(keys[1], bank().keys()[1]));
}

TEST_F(PromptBankTest, MatchingIsTheMeanDistanceOfKeysThatWereFound) {
  forward(ids_, three_documents());
  std::map<std::string, double> values;
  mixture_->auxiliary_loss(log_, &values);
  double expected = 0;
  for (int64_t d = 0; d < 3; ++d)
    for (const int64_t entry : chosen(d))
      expected += (1 - log_.prompt_cosines[d][entry].item<double>()) / 3;
  EXPECT_NEAR(values.at("prompt_matching"), expected, 1e-14);
}

TEST_F(PromptBankTest, KeysStayWithoutAMatchingTerm) {
  make("{experts: {count: 3, rank: 2}, losses: [], prompts: {count: 4, matching_coef: 0}}");
  for (const nn::NamedTensor& parameter : mixture_->trained_parameters())
    EXPECT_NE(parameter.name, "prompts.keys");
  EXPECT_EQ(mixture_->fixed_tensors().back().name, "prompts.keys");
  forward(ids_, three_documents());
  EXPECT_FALSE(mixture_->auxiliary_loss(log_).defined());
}

TEST_F(PromptBankTest, AFolderHoldsTheBankBitForBit) {
  for (const char* section :
       {kSection, "{method: lora, experts: {rank: 2}, prompts: {count: 3, matching_coef: 0}}"}) {
    make(section);
    const TempFolder folder;
    mixture_->save(folder.path(), "tiny");
    const auto loaded = Mixture::load(folder.path(), decoder_->sockets());
    EXPECT_EQ(loaded->spec().prompts, mixture_->spec().prompts);
    EXPECT_TRUE(at::equal(loaded->prompt_bank()->keys(), bank().keys()));
    EXPECT_TRUE(at::equal(loaded->prompt_bank()->embeddings(), bank().embeddings()));
  }
}

TEST_F(PromptBankTest, ADamagedFolderIsRefused) {
  const TempFolder folder;
  mixture_->save(folder.path(), "tiny");
  const auto refusal = [&] {
    try {
      Mixture::load(folder.path(), decoder_->sockets());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("loaded");
  };
  const fs::path file = mixture::prompts_file(folder.path());
  const std::string bytes = read_file(file);
  fs::remove(file);
  EXPECT_THAT(refusal(), HasSubstr("prompts.safetensors"));
  make("{experts: {count: 3, rank: 2}, prompts: {count: 4, length: 3, select: 2}}");
  mixture_->save(folder.path(), "tiny");
  write_file_atomically(file, bytes);
  EXPECT_THAT(refusal(), HasSubstr("[4, 2, 16], expected [4, 3, 16]"));
  make("{experts: {count: 3, rank: 2}}");
  mixture_->save(folder.path(), "tiny");
  EXPECT_THAT(refusal(), HasSubstr("prompts.count 0"));
}

TEST_F(PromptBankTest, WhatCannotActIsRefused) {
  EXPECT_THAT(refusal_of("{prompts: {length: 3}}"), HasSubstr("given count 0"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, select: 3}}"), HasSubstr("at most"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, frozen: 2}}"), HasSubstr("keeps all 2 keys"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, frozen: 2, matching_coef: 0, triplet_coef: 1}}"),
              HasSubstr("triplet_coef 1"));
  EXPECT_NO_THROW(read_section("{prompts: {count: 2, frozen: 2, matching_coef: 0}}"));
  EXPECT_THAT(refusal_of("{method: x-lora, prompts: {count: 2}}"), HasSubstr("last_hidden"));
  EXPECT_THAT(refusal_of("{method: remix, prompts: {count: 2}}"), HasSubstr("sample"));
  EXPECT_THAT(refusal_of("{method: scalezero, prompts: {count: 2}}"), HasSubstr("staged"));
  EXPECT_THAT(refusal_of("{method: mixlora-switch, prompts: {count: 2}}"), HasSubstr("capacity"));
  EXPECT_THAT(refusal_of("{prompts: {count: 2, lenght: 3}}"), HasSubstr("length"));
  EXPECT_THAT(refusal_of("{target_modules: [], prompts: {count: 2}}"),
              HasSubstr("target_modules is empty"));
  EXPECT_THROW(mixture::check_changeable(mixture_->spec()), Error);
  EXPECT_THROW(mixture::DocumentReferences(*mixture_, 2), Error);
  try {
    forward(ids_, {{.start = 0, .length = 12}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("where the prompt of each document ends"));
  }
  Mixture other(read_section(kSection), decoder_->sockets(), 5, at::kDouble);
  EXPECT_THROW(other.plug(decoder_->sockets()), Error);
  Mixture homeless(read_section("{experts: {count: 3, rank: 2}}"), decoder_->sockets(), 5);
  EXPECT_EQ(homeless.prompt_bank(), nullptr);
  EXPECT_THROW(Mixture(read_section(kSection), decoder_->projection_groups(), 5), Error);
}

TEST_F(PromptBankTest, StepsLeaveRoomForPromptsAndTakePromptsWhole) {
  runner::TorchStepModel steps(*decoder_, mixture_.get());
  EXPECT_EQ(steps.max_positions(), tiny_config().max_position_embeddings - 4);
  EXPECT_TRUE(steps.decides_by_prompt());
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6};
  const std::span<const int32_t> view = ids;
  const auto sequence = steps.open_sequence();
  const auto step = [&](size_t first, size_t count, int64_t prompt) {
    return steps.step(
        std::vector<decode::StepInput>{{sequence, view.subspan(first, count), prompt}},
        /*want_routing=*/true);
  };
  EXPECT_THROW(step(0, 3, 5), Error);
  EXPECT_EQ(step(0, 5, 5).routing[0].size(), 5U);
  steps.truncate_sequence(sequence, 3);
  EXPECT_THROW(step(3, 2, 5), Error);
}

}  // namespace
}  // namespace lmoe::test
