// Trains and scores the runs of a study, each in a process of its own: its peak of memory is its
// own, and its failure stays its own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/compare/study_plan.h"

namespace lmoe::cli {

/// Run by name -> what went wrong.
using Failures = std::map<std::string, std::string>;

/// Trains what is not finished, from its newest checkpoint where it has one.
void train_runs(const StudyPlan& plan, Failures& failures);

/// `lmoe eval` of these runs on the recipe's eval_datasets, where it was not done yet.
void score_runs(const StudyPlan& plan,
                const std::vector<const PlannedRun*>& runs,
                Failures& failures);

}  // namespace lmoe::cli
