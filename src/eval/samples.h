// Answers to look at: what the model said, token by token, and which expert had the most say.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "eval/task_score.h"
#include "generate/generation.h"

namespace lmoe::eval {

struct SampleToken {
  std::string text;  ///< what this token added; empty while a character is incomplete
  int expert = -1;   ///< largest mean weight over all sites; -1 without a router or where no expert
                     ///< takes part
  std::vector<float> weights;  ///< [experts] mean over all sites
};

struct Sample {
  int64_t line = 0;
  std::string prompt;    ///< text of the prompt's ids
  std::string expected;  ///< empty for plain text
  std::string answer;
  std::vector<SampleToken> tokens;
};

/// Greedy answers to the first `sample_generations` records of a task with answers; none for plain
/// text.
std::vector<Sample> make_samples(const EvalContext& context, const EvalTask& task);

/// The tokens of an answer; `router` may be null.
std::vector<SampleToken> answer_tokens(const text::Tokenizer& tokenizer,
                                       const decode::RouterInfo* router,
                                       const generate::Generation& answer);

/// {"line", "prompt", "expected", "answer", "tokens": [{"text", "expert"?, "weight"?, "weights"?}]}
Json sample_json(const Sample& sample);
Json tokens_json(const std::vector<SampleToken>& tokens);

}  // namespace lmoe::eval
