// What a study found, gathered from the folders of its runs: compare.json.
//
//   {recipe, parameters, chosen_by, methods: [{method, rank, experts, trained_parameters,
//    difference, learning_rate, at_edge?, curve: [{lr, value, seeds: [{seed, run, value?,
//    error?}]}], seconds_per_step, tokens_per_second, peak_memory_bytes, tokens, tasks: [{task,
//    metric, score, ci_low, ci_high, n, higher_is_better, seeds: [number]}], router?: as
//    report::render_report takes it}], failures: [{run, error}]}
//
// `chosen_by`: "validation loss", or the metric of the first task; `value` is that of a run, or the
// mean over the seeds. Members that nothing is known of are null. Scores are means over the seeds
// of the chosen rate, intervals those over the records, averaged over the seeds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/compare/study_plan.h"
#include "cli/compare/study_runs.h"

namespace lmoe::cli {

/// The rate of each method by validation loss, or by the first task where there is none; empty for
/// a method of which no rate has all its runs.
std::vector<std::optional<std::string>> choose_rates(const StudyPlan& plan);

/// The runs of the chosen rates.
std::vector<const PlannedRun*> chosen_runs(const StudyPlan& plan,
                                           const std::vector<std::optional<std::string>>& rates);

/// Throws kCorruptData for a damaged log or result.
Json study_json(const StudyPlan& plan, const std::string& recipe_path, const Failures& failures);

}  // namespace lmoe::cli
