// What one prompt gave.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "decode/step_model.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

enum class FinishReason {
  kEos,        ///< an end token
  kStop,       ///< a stop text
  kLength,     ///< max_new_tokens
  kContext,    ///< the model's positions are used up
  kCancelled,  ///< the caller wanted no more
};
/// "eos", "stop", "length", "context", "cancelled".
std::span<const EnumName<FinishReason>> enum_names(FinishReason);

struct GenerationStats {
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;  ///< of the prompt, already in the model's cache
  int64_t new_tokens = 0;     ///< an end token included
  /// From the request's first step to its first token.
  double time_to_first_token_ms = 0.0;
  /// New tokens after the first over the time they took; 0 with fewer than two.
  double tokens_per_second = 0.0;
};

struct Generation {
  std::string text;                ///< without special tokens and without the stop text
  std::vector<text::TokenId> ids;  ///< every new token, an end token included
  FinishReason finish_reason = FinishReason::kLength;
  std::string stop;  ///< the stop text found
  /// Where asked for and the model has a router: routing[i] are the weights at the position that
  /// produced ids[i].
  std::vector<decode::TokenRouting> routing;
  GenerationStats stats;
};

}  // namespace lmoe::generate
