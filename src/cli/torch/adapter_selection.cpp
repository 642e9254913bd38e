#include "cli/torch/adapter_selection.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "eval/table.h"

namespace lmoe::cli {
namespace {

constexpr size_t kShownSubsets = 5;

std::vector<std::string> names_of(const kshot::Members& members, const AdapterBank& bank) {
  std::vector<std::string> names;
  for (const int64_t i : members) names.push_back(bank.names[static_cast<size_t>(i)]);
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// Whole answers have perplexities that no table can hold: their logarithms are shown.
std::string perplexity_text(double log_perplexity, kshot::AnswerLength length) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g",
                length == kshot::AnswerLength::kTokens ? std::exp(log_perplexity) : log_perplexity);
  return text;
}

const char* fate(size_t adapter, const AdapterSelection& selection) {
  const auto is_in = [&](const kshot::Members& members) {
    return std::binary_search(members.begin(), members.end(), static_cast<int64_t>(adapter));
  };
  return is_in(selection.chosen().members) ? "chosen"
         : is_in(selection.preselected)    ? "preselected"
                                           : "";
}

}  // namespace

std::string selection_table(const AdapterSelection& selection, const AdapterBank& bank) {
  const bool is_whole = selection.length == kshot::AnswerLength::kNothing;
  std::vector<std::vector<std::string>> rows = {{"adapter",
                                                 is_whole ? "log perplexity" : "perplexity", "rank",
                                                 "accuracy", "rank", "sum", ""}};
  for (size_t i = 0; i < bank.size(); ++i) {
    const kshot::AdapterRanks& ranks = selection.ranks[i];
    rows.push_back(
        {bank.names[i], perplexity_text(selection.scores[i].log_perplexity, selection.length),
         std::to_string(ranks.perplexity), eval::fixed(selection.scores[i].accuracy, 3),
         std::to_string(ranks.accuracy), std::to_string(ranks.sum()), fate(i, selection)});
  }
  const std::string adapters = eval::align_columns(rows);
  rows = {{"subset", "mean cosine", "rank", "with its adapters' ranks"}};
  for (size_t i = 0; i < std::min(kShownSubsets, selection.subsets.size()); ++i) {
    const kshot::Subset& subset = selection.subsets[i];
    rows.push_back({joined(names_of(subset.members, bank)), eval::fixed(subset.mean_cosine, 4),
                    std::to_string(subset.diversity_rank), std::to_string(subset.total())});
  }
  return concat(adapters, "\nthe first ", rows.size() - 1, " of ", selection.subsets.size(),
                " subsets\n", eval::align_columns(rows));
}

Json selection_json(const AdapterSelection& selection, const AdapterBank& bank) {
  Json json = {{"chosen", names_of(selection.chosen().members, bank)},
               {"adapters", Json::array()},
               {"preselected", names_of(selection.preselected, bank)},
               {"cosines", selection.cosines},
               {"subsets", Json::array()}};
  for (size_t i = 0; i < bank.size(); ++i)
    json["adapters"].push_back({{"name", bank.names[i]},
                                {"path", bank.paths[i].string()},
                                {"log_perplexity", selection.scores[i].log_perplexity},
                                {"accuracy", selection.scores[i].accuracy},
                                {"perplexity_rank", selection.ranks[i].perplexity},
                                {"accuracy_rank", selection.ranks[i].accuracy}});
  for (const kshot::Subset& subset : selection.subsets)
    json["subsets"].push_back({{"adapters", names_of(subset.members, bank)},
                               {"mean_cosine", subset.mean_cosine},
                               {"diversity_rank", subset.diversity_rank},
                               {"rank_sum", subset.rank_sum},
                               {"total", subset.total()}});
  return json;
}

Json selection_recipe(const kshot::Subset& chosen,
                      const AdapterBank& bank,
                      const std::string& base,
                      const std::vector<std::string>& datasets,
                      const std::string& output_dir) {
  Json adapters = Json::object(), entries = Json::array();
  for (const int64_t i : chosen.members)
    adapters[bank.names[static_cast<size_t>(i)]] = bank.paths[static_cast<size_t>(i)].string();
  for (const std::string& path : datasets) entries.push_back({{"path", path}});
  return {{"base_model", base},    {"mixture", {{"method", "k-shot"}, {"adapters", adapters}}},
          {"datasets", entries},   {"num_epochs", 5},
          {"learning_rate", 5e-5}, {"output_dir", output_dir}};
}

}  // namespace lmoe::cli
