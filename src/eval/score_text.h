// `lmoe score`: the log-probability of every token of a text, the way one engine is compared with
// another.
#pragma once

#include <string_view>

#include "base/json.h"
#include "eval/score_windowed.h"
#include "text/tokenizer.h"

namespace lmoe::eval {

struct TextScore {
  std::vector<text::TokenId> token_ids;  ///< BOS included where the tokenizer adds one
  std::vector<float> logprobs;           ///< of token_ids[1 …]: natural log, raw logits
  double sum() const;                    ///< of logprobs
  double perplexity() const;             ///< over logprobs; 1 when there are none
};

/// Throws kInvalidArgument for a text without tokens or bad window options.
TextScore score_text(decode::StepModel& model,
                     const text::Tokenizer& tokenizer,
                     std::string_view text,
                     const WindowOptions& options = {});

/// {"token_ids": […], "logprobs": [null, …], "perplexity": …}
Json score_json(const TextScore& score);

}  // namespace lmoe::eval
