// What a user sets of an evaluation, and what is told while it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/options.h"
#include "eval/metric.h"

namespace lmoe::eval {

struct EvalOptions {
  Metric metric = Metric::kAuto;
  int64_t max_new_tokens = 0;
  int64_t batch_size = 32;
  int64_t usage_records = 32;
  int64_t ablation_records = 20;
  int64_t sample_generations = 4;
  double confidence = 0.95;
  int64_t bootstrap_samples = 2000;
  uint64_t seed = 42;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    const char* section = "evaluation";
    visit(field("metric", metric, "what to measure; auto decides by the records").section(section));
    visit(field("max_new_tokens", max_new_tokens,
                "exact_match: longest answer; 0: twice the tokens of the expected one, plus 16")
              .section(section)
              .range(0, 1 << 24));
    visit(field("batch_size", batch_size, "answers made at once").section(section).range(1, 4096));
    visit(field("usage_records", usage_records,
                "records per task over which the router's choices are counted; 0: none")
              .section(section)
              .range(0));
    visit(field("ablation_records", ablation_records,
                "records per task on which each expert is switched off; 0: none")
              .section(section)
              .range(0));
    visit(
        field("sample_generations", sample_generations, "answers per task that are kept to look at")
            .section(section)
            .range(0, 10000));
    visit(field("confidence", confidence, "of the intervals").section(section).range(0.5, 0.9999));
    visit(field("bootstrap_samples", bootstrap_samples, "resamplings behind an interval")
              .section(section)
              .range(100, 1000000));
    visit(field("seed", seed, "of the resampling").section(section));
  }
};

struct EvalProgress {
  std::string task;
  std::string phase;  ///< "exact_match", "router usage", "without expert 3", …
  int64_t done = 0;   ///< records
  int64_t total = 0;
};

struct EvalHooks {
  std::function<void(const EvalProgress&)> on_progress;
  /// Asked between model calls; true ends the evaluation with kInterrupted.
  std::function<bool()> is_cancelled;
};

}  // namespace lmoe::eval
