// How the next token is chosen from the logits, as far as a user sets it.
#pragma once

#include <cstdint>

#include "base/options.h"

namespace lmoe::generate {

/// Defaults are those of transformers' `generate`: greedy, nothing filtered.
struct SampleOptions {
  double temperature = 0.0;
  int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  uint64_t seed = 42;

  bool is_greedy() const { return temperature == 0.0; }

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "sampling";
    visit(field("temperature", temperature, "0 takes the most likely token; higher is more varied")
              .section(section)
              .range(0.0, 100.0));
    visit(field("top_k", top_k, "sample among the k most likely tokens; 0 among all")
              .section(section)
              .range(0, 1 << 30));
    visit(field("top_p", top_p,
                "sample among the fewest most likely tokens that together have this probability")
              .section(section)
              .range(0.0, 1.0));
    visit(field("min_p", min_p,
                "leave out tokens below this share of the most likely token's probability")
              .section(section)
              .range(0.0, 1.0));
    visit(field("repetition_penalty", repetition_penalty,
                "above 1 makes tokens of the prompt and the answer so far less likely")
              .section(section)
              .range(0.01, 100.0));
    visit(field("seed", seed, "same seed, same text").section(section));
  }
};

/// Throws kInvalidArgument naming the first value out of range; for options that were not read from
/// a file.
void check_sample_options(const SampleOptions& options);

}  // namespace lmoe::generate
