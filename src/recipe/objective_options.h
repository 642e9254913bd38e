// What training makes small.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/options.h"

namespace lmoe::recipe {

/// kLanguageModel: cross-entropy of the labelled tokens. kPreference: a reward model; a head on the
/// last token's hidden state gives each answer a reward, and the loss of a pair of answers is
/// -log sigmoid(chosen - rejected).
enum class Objective { kLanguageModel, kPreference };
std::span<const EnumName<Objective>> enum_names(Objective);

struct ObjectiveOptions {
  Objective kind = Objective::kLanguageModel;
  /// Experts of a document's task that each have a pass through the model of their own; an
  /// aggregator in the head joins what they end with (arXiv 2403.01197). 1: no aggregator.
  int64_t reward_passes = 1;
  /// A run of a reward model whose heads this one's begin with: that of a category is where those
  /// of its capabilities start (arXiv 2403.01197).
  std::optional<std::string> init_reward_head;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "training";
    visit(field("objective", kind,
                "language_model, or preference: a reward model from records with chosen and "
                "rejected")
              .section(section));
    visit(field("reward_passes", reward_passes,
                "with preference: experts of a document's task, each with a pass of its own, whose "
                "last hidden states are joined")
              .section(section)
              .range(1, 64));
    visit(field("init_reward_head", init_reward_head,
                "with preference: a run whose reward heads these begin with, each for as many as "
                "there are more here")
              .section(section));
  }
};

}  // namespace lmoe::recipe
