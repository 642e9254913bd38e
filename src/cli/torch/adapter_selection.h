// What `lmoe select adapters` found, for people, for programs and for `lmoe train`.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/torch/adapter_bank.h"
#include "kshot/choose_adapters.h"

namespace lmoe::cli {

struct AdapterSelection {
  kshot::AnswerLength length = kshot::AnswerLength::kTokens;
  std::vector<kshot::AdapterScore> scores;  ///< one for each adapter of the bank, as `ranks`
  std::vector<kshot::AdapterRanks> ranks;
  kshot::Members preselected;
  std::vector<std::vector<double>> cosines;  ///< of the preselected
  std::vector<kshot::Subset> subsets;        ///< the choice first

  const kshot::Subset& chosen() const { return subsets.front(); }
};

/// The bank, then the best subsets.
std::string selection_table(const AdapterSelection& selection, const AdapterBank& bank);
Json selection_json(const AdapterSelection& selection, const AdapterBank& bank);

/// A recipe that trains the chosen adapters with their gates on `datasets`. Epochs and learning
/// rate are the paper's; what it does not say has the defaults of recipes.
Json selection_recipe(const kshot::Subset& chosen,
                      const AdapterBank& bank,
                      const std::string& base,
                      const std::vector<std::string>& datasets,
                      const std::string& output_dir);

}  // namespace lmoe::cli
