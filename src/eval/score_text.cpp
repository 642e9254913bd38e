#include "eval/score_text.h"

#include <cmath>
#include <numeric>

#include "base/error.h"

namespace lmoe::eval {

double TextScore::sum() const { return std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }

double TextScore::perplexity() const {
  return logprobs.empty() ? 1.0 : std::exp(-sum() / static_cast<double>(logprobs.size()));
}

TextScore score_text(decode::StepModel& model,
                     const text::Tokenizer& tokenizer,
                     std::string_view text,
                     const WindowOptions& options) {
  TextScore score;
  score.token_ids = tokenizer.encode(text);
  LMOE_CHECK_ARG(!score.token_ids.empty(), "[score] the text has no tokens: given ", text.size(),
                 " bytes");
  score.logprobs = score_windowed(model, std::span(&score.token_ids, 1), options).front().logprobs;
  return score;
}

Json score_json(const TextScore& score) {
  Json json;
  json["token_ids"] = score.token_ids;
  json["logprobs"] = Json::array({nullptr});
  for (const float logprob : score.logprobs) json["logprobs"].push_back(logprob);
  json["perplexity"] = score.perplexity();
  return json;
}

}  // namespace lmoe::eval
