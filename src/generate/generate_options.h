// When an answer ends, as far as a user sets it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "generate/sample_options.h"
#include "text/tokenizer.h"

namespace lmoe::generate {

struct GenerateOptions {
  SampleOptions sampling;
  int64_t max_new_tokens = 256;
  std::vector<std::string> stop;
  /// Ids that end an answer. Empty: the tokenizer's EOS alone; the programs put
  /// arch::BaseModel::end_tokens there, since chat models often have several ("<|im_end|>",
  /// "<|endoftext|>").
  std::vector<text::TokenId> eos_token_id;
  bool ignore_eos = false;

  /// The sampling fields are listed flat among these, as recipes have them.
  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "generation";
    visit(field("max_new_tokens", max_new_tokens, "the answer ends after this many tokens")
              .section(section)
              .range(1, 1 << 24)
              .alias("max_tokens"));
    visit(field("stop", stop, "texts that end the answer; they are not part of it")
              .section(section)
              .alias("stop_strings"));
    visit(field("eos_token_id", eos_token_id, "ids that end the answer; default: all the model has")
              .section(section));
    visit(field("ignore_eos", ignore_eos, "go on after an end token; for measuring speed")
              .section(section));
    sampling.for_each_field(visit);
  }
};

/// Throws kInvalidArgument: sampling out of range, max_new_tokens below 1, an empty stop text.
void check_generate_options(const GenerateOptions& options);

}  // namespace lmoe::generate
