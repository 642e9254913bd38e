#include "generate/generator.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "support/fake_step_model.h"
#include "support/fake_tokenizer.h"

namespace lmoe::generate {
namespace {

using test::FakeStepModel;
using test::FakeTokenizer;
using test::one_hot_logits;
using text::TokenId;

/// Ids 0 to 3 are letters, 4 ends.
const FakeTokenizer& letters() {
  static const FakeTokenizer tokenizer({"a", "b", "c", "d", "<eos>"});
  return tokenizer;
}

/// a → b → c → d → end.
FakeStepModel::LogitsOf alphabet() {
  return [](FakeStepModel::History ids) { return one_hot_logits(5, std::min(ids.back() + 1, 4)); };
}

/// Depends on everything before, so that mixed-up sequences show.
FakeStepModel::LogitsOf scrambled(int64_t vocab) {
  return [vocab](FakeStepModel::History ids) {
    uint64_t hash = 1469598103934665603ULL;
    for (const int32_t id : ids) hash = (hash ^ static_cast<uint64_t>(id + 1)) * 1099511628211ULL;
    Rng rng(hash);
    std::vector<float> logits(static_cast<size_t>(vocab));
    for (float& logit : logits) logit = static_cast<float>(rng.normal() * 2);
    return logits;
  };
}

TEST(Generator, StopsAtTheEndToken) {
  FakeStepModel model(5, alphabet());
  const Generation answer = Generator(model, letters()).run({.prompt = {0}});
  EXPECT_EQ(answer.text, "bcd");
  EXPECT_EQ(answer.ids, (std::vector<TokenId>{1, 2, 3, 4}));
  EXPECT_EQ(answer.finish_reason, FinishReason::kEos);
  EXPECT_EQ(enum_name(answer.finish_reason), "eos");
  EXPECT_EQ(answer.stats.prompt_tokens, 1);
  EXPECT_EQ(answer.stats.new_tokens, 4);
  EXPECT_GT(answer.stats.tokens_per_second, 0.0);
  EXPECT_TRUE(model.all_closed());
}

TEST(Generator, EndTokensCanBeChosenOrIgnored) {
  FakeStepModel model(5, alphabet());
  Generator generator(model, letters());
  GenerateOptions options{.max_new_tokens = 9, .eos_token_id = {2, 3}};
  EXPECT_EQ(generator.run({.prompt = {0}, .options = options}).text, "b");
  options.ignore_eos = true;
  const Generation answer = generator.run({.prompt = {0}, .options = options});
  EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.ids.size(), 9U);
  EXPECT_EQ(answer.text, "bcd") << "special tokens have no text";
}

TEST(Generator, StopsAfterMaxNewTokens) {
  FakeStepModel model(5, alphabet());
  const Generation answer =
      Generator(model, letters()).run({.prompt = {0}, .options = {.max_new_tokens = 2}});
  EXPECT_EQ(answer.text, "bc");
  EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
}

TEST(Generator, StopsWhenTheContextIsFull) {
  FakeStepModel model(5, alphabet(), /*max_positions=*/3);
  Generator generator(model, letters());
  const Generation answer = generator.run({.prompt = {0, 0}});
  EXPECT_EQ(answer.text, "bc");
  EXPECT_EQ(answer.finish_reason, FinishReason::kContext);
  EXPECT_EQ(generator.run({.prompt = {0, 0, 0}}).text, "b");
}

TEST(Generator, StopTextAcrossTokensIsNotShown) {
  FakeStepModel model(5, alphabet());
  std::string shown;
  const Generation answer =
      Generator(model, letters())
          .run({.prompt = {0}, .options = {.stop = {"cd"}}},
               {.on_text = [&](size_t, std::string_view text) { shown += text; }});
  EXPECT_EQ(answer.text, "b");
  EXPECT_EQ(shown, "b");
  EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.stop, "cd");
  EXPECT_EQ(answer.ids, (std::vector<TokenId>{1, 2, 3}));
}

TEST(Generator, HeldBackTextComesAtTheEnd) {
  FakeStepModel model(5, alphabet());
  std::string shown;
  const Generation answer =
      Generator(model, letters())
          .run({.prompt = {0}, .options = {.stop = {"dx"}}},
               {.on_text = [&](size_t, std::string_view text) { shown += text; }});
  EXPECT_EQ(answer.text, "bcd");
  EXPECT_EQ(shown, "bcd");
  EXPECT_EQ(answer.finish_reason, FinishReason::kEos);
}

TEST(Generator, StreamsWholeCharacters) {
  const FakeTokenizer tokenizer({"x", "\xC3", "\xA9", "!", "<eos>"});
  FakeStepModel model(5, alphabet());
  std::vector<std::string> pieces;
  const Generation answer =
      Generator(model, tokenizer)
          .run({.prompt = {0}},
               {.on_text = [&](size_t, std::string_view text) { pieces.emplace_back(text); }});
  EXPECT_EQ(pieces, (std::vector<std::string>{"\xC3\xA9", "!"}));
  EXPECT_EQ(answer.text, "\xC3\xA9!");
}

TEST(Generator, CutCharacterBecomesAReplacement) {
  const FakeTokenizer tokenizer({"x", "\xC3", "\xA9", "!", "<eos>"});
  FakeStepModel model(5, alphabet());
  const Generation answer =
      Generator(model, tokenizer).run({.prompt = {0}, .options = {.max_new_tokens = 1}});
  EXPECT_EQ(answer.text, "\xEF\xBF\xBD");
}

TEST(Generator, IdsWithoutTextAreNeverChosen) {
  FakeStepModel model(9, [](FakeStepModel::History) { return one_hot_logits(9, 7); });
  const Generation answer =
      Generator(model, letters()).run({.prompt = {0}, .options = {.max_new_tokens = 1}});
  EXPECT_EQ(answer.ids, std::vector<TokenId>{0});
}

TEST(Generator, RoutingBelongsToThePositionThatMadeTheToken) {
  FakeStepModel model(5, alphabet());
  model.routing_of = [](FakeStepModel::History ids) {
    return decode::TokenRouting{{static_cast<float>(ids.size()), static_cast<float>(ids.back())}};
  };
  const Generation answer =
      Generator(model, letters()).run({.prompt = {3, 0}, .want_routing = true});
  ASSERT_EQ(answer.routing.size(), answer.ids.size());
  for (size_t i = 0; i < answer.ids.size(); ++i) {
    EXPECT_EQ(answer.routing[i].weights[0], static_cast<float>(i + 2));
    EXPECT_EQ(answer.routing[i].weights[1], static_cast<float>(i));
  }
  EXPECT_TRUE(Generator(model, letters()).run({.prompt = {0}}).routing.empty());
}

std::vector<GenerateRequest> many_requests(size_t count) {
  std::vector<GenerateRequest> requests;
  Rng rng(11);
  for (size_t i = 0; i < count; ++i) {
    GenerateRequest request;
    for (uint64_t n = 1 + rng.below(12); n > 0; --n)
      request.prompt.push_back(static_cast<TokenId>(rng.below(4)));
    request.options.max_new_tokens = 1 + static_cast<int64_t>(rng.below(20));
    request.options.sampling.temperature = i % 2 == 0 ? 0.0 : 1.0;
    request.options.sampling.seed = i;
    if (i % 3 == 0) request.options.stop = {"ab", "ca"};
    request.want_routing = i % 5 == 0;
    requests.push_back(request);
  }
  return requests;
}

TEST(Generator, BatchEqualsItsRows) {
  FakeStepModel model(5, scrambled(5));
  model.routing_of = [](FakeStepModel::History ids) {
    return decode::TokenRouting{{static_cast<float>(ids.size())}};
  };
  const auto requests = many_requests(40);
  Generator batched(model, letters(), {.max_sequences = 7, .max_step_tokens = 16});
  Generator single(model, letters());
  const auto results = batched.run_batch(requests);
  ASSERT_EQ(results.size(), requests.size());
  EXPECT_EQ(model.most_open, 7U);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Generation alone = single.run(requests[i]);
    EXPECT_EQ(results[i].ids, alone.ids) << i;
    EXPECT_EQ(results[i].text, alone.text) << i;
    EXPECT_EQ(results[i].finish_reason, alone.finish_reason) << i;
    ASSERT_EQ(results[i].routing.size(), alone.routing.size()) << i;
    for (size_t t = 0; t < alone.routing.size(); ++t)
      EXPECT_EQ(results[i].routing[t].weights, alone.routing[t].weights);
  }
  EXPECT_TRUE(model.all_closed());
}

TEST(Generator, BatchStaysFullAndStepsAreBounded) {
  FakeStepModel model(5, scrambled(5));
  const auto requests = many_requests(60);
  Generator(model, letters(), {.max_sequences = 8, .max_step_tokens = 20}).run_batch(requests);
  int64_t fed = 0;
  for (const auto& step : model.steps) {
    EXPECT_LE(step.ids, 20);
    EXPECT_LE(step.inputs, 8);
    fed += step.ids;
  }
  // One by one it would take a step per token; the batch must come near to an eighth of that.
  FakeStepModel slow(5, scrambled(5));
  for (const auto& request : requests) Generator(slow, letters()).run(request);
  EXPECT_LT(model.steps.size() * 4, slow.steps.size());
  EXPECT_GT(fed, 0);
}

TEST(Generator, LongPromptsGoInParts) {
  FakeStepModel model(5, scrambled(5));
  const GenerateRequest request{.prompt = std::vector<TokenId>(30, 2),
                                .options = {.max_new_tokens = 3}};
  const Generation whole = Generator(model, letters()).run(request);
  model.steps.clear();
  const Generation parts =
      Generator(model, letters(), {.max_sequences = 1, .max_step_tokens = 8}).run(request);
  EXPECT_EQ(parts.ids, whole.ids);
  EXPECT_EQ(model.steps.front().ids, 8);
}

TEST(Generator, PromptsThatDecideGoWhole) {
  FakeStepModel model(5, scrambled(5));
  model.is_pooled = true;
  const std::vector<GenerateRequest> requests(
      3, {.prompt = std::vector<TokenId>(30, 2), .options = {.max_new_tokens = 3}});
  Generator(model, letters(), {.max_sequences = 3, .max_step_tokens = 8}).run_batch(requests);
  std::vector<int64_t> fed;
  for (const auto& step : model.steps) fed.push_back(step.ids);
  EXPECT_EQ(std::vector<int64_t>(fed.begin(), fed.begin() + 3), (std::vector<int64_t>{30, 31, 32}));
  EXPECT_EQ(model.fed_prompts, std::vector<int64_t>(model.fed_prompts.size(), 30));
}

TEST(Generator, AConversationKeepsItsFirstPrompt) {
  for (const bool is_pooled : {false, true}) {
    FakeStepModel model(5, scrambled(5));
    model.is_pooled = is_pooled;
    SequenceCache cache(model);
    Generator generator(model, letters());
    const GenerateOptions options{.max_new_tokens = 4, .ignore_eos = true};
    const auto run = [&](const std::vector<TokenId>& prompt) {
      model.fed_prompts.clear();
      return generator.run({.prompt = prompt, .options = options, .cache = &cache});
    };
    std::vector<TokenId> prompt = {0, 1, 2};
    const Generation first = run(prompt);
    EXPECT_EQ(model.fed_prompts, std::vector<int64_t>(4, 3));
    prompt.insert(prompt.end(), first.ids.begin(), first.ids.end());
    EXPECT_EQ(run(prompt).stats.reused_tokens, 6);
    EXPECT_EQ(model.fed_prompts, std::vector<int64_t>(4, 3)) << "the first answer ended it";
    EXPECT_EQ(run({0, 1, 4, 4}).stats.reused_tokens, is_pooled ? 0 : 2) << "another prompt";
    EXPECT_EQ(model.fed_prompts, std::vector<int64_t>(4, 4));
  }
}

TEST(Generator, CancelKeepsWhatThereIs) {
  FakeStepModel model(5, [](FakeStepModel::History) { return one_hot_logits(5, 1); });
  int asked = 0;
  std::vector<GenerateRequest> requests(3, {.prompt = {0}});
  const auto results = Generator(model, letters(), {.max_sequences = 2, .max_step_tokens = 8})
                           .run_batch(requests, {.is_cancelled = [&] { return ++asked > 4; }});
  EXPECT_EQ(results[0].text, "bbbb");
  EXPECT_EQ(results[0].finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(results[2].text, "");
  EXPECT_EQ(results[2].finish_reason, FinishReason::kCancelled);
  EXPECT_TRUE(model.all_closed());
}

TEST(Generator, ACacheFeedsOnlyWhatIsNew) {
  FakeStepModel model(5, scrambled(5));
  {
    SequenceCache cache(model);
    Generator generator(model, letters());
    const GenerateOptions options{.max_new_tokens = 4, .ignore_eos = true};
    const Generation first =
        generator.run({.prompt = {0, 1, 2}, .options = options, .cache = &cache});
    std::vector<TokenId> prompt = {0, 1, 2};
    prompt.insert(prompt.end(), first.ids.begin(), first.ids.end());
    prompt.push_back(3);
    const Generation next = generator.run({.prompt = prompt, .options = options, .cache = &cache});
    EXPECT_EQ(next.stats.reused_tokens, 6) << "three of the prompt, three of four new tokens";
    EXPECT_EQ(next.ids, generator.run({.prompt = prompt, .options = options}).ids);

    const std::vector<TokenId> back = {0, 1};
    const Generation again = generator.run({.prompt = back, .options = options, .cache = &cache});
    EXPECT_EQ(again.stats.reused_tokens, 1) << "the last id is fed again to get logits";
    EXPECT_EQ(again.ids, generator.run({.prompt = back, .options = options}).ids);
  }
  EXPECT_TRUE(model.all_closed());
}

TEST(Generator, ErrorsOfTheModelCloseAllSequences) {
  FakeStepModel model(5, alphabet());
  model.fail_at_step = 2;
  std::vector<GenerateRequest> requests(3, {.prompt = {0}});
  EXPECT_THROW(Generator(model, letters()).run_batch(requests), Error);
  EXPECT_TRUE(model.all_closed());
  model.fail_at_step = -1;
  EXPECT_EQ(Generator(model, letters()).run({.prompt = {1}}).text, "cd");
}

TEST(Generator, BadRequestsAreRefusedBeforeTheFirstStep) {
  FakeStepModel model(5, alphabet(), /*max_positions=*/4);
  SequenceCache cache(model);
  Generator generator(model, letters());
  const auto refused = [&](const GenerateRequest& bad, const std::string& part) {
    const std::vector<GenerateRequest> requests = {{.prompt = {0}, .cache = &cache}, bad};
    try {
      generator.run_batch(requests);
      ADD_FAILURE() << "accepted: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused({.prompt = {}}, "request 1 has no tokens");
  refused({.prompt = {0, 0, 0, 0, 0}}, "given 5 tokens, expected at most 4");
  refused({.prompt = {5}}, "given 5, expected 0 to 4");
  refused({.prompt = {-1}}, "given -1");
  refused({.prompt = {0}, .options = {.stop = {""}}}, "stop text is empty");
  refused({.prompt = {0}, .options = {.max_new_tokens = 0}}, "max_new_tokens");
  refused({.prompt = {0}, .options = {.eos_token_id = {5}}}, "eos_token_id is outside");
  refused({.prompt = {0}, .cache = &cache}, "shares its sequence");
  EXPECT_TRUE(model.steps.empty());
  EXPECT_THROW(Generator(model, letters(), {.max_sequences = 0}), Error);
}

}  // namespace
}  // namespace lmoe::generate
