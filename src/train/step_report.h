// What one optimizer step did: a line of log.jsonl, and what a progress line shows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace lmoe::train {

struct StepReport {
  int64_t step = 0;  ///< 1-based
  int64_t total_steps = 0;
  /// Cross-entropy per labelled token of the step (or the loss per pair), without balance losses.
  double loss = 0.0;
  std::optional<double> eval_loss;
  std::optional<double> eval_pair_accuracy;  ///< objective preference
  double lr = 0.0;
  double epoch = 0.0;  ///< passes over the data so far
  double elapsed_seconds = 0.0;
  double remaining_seconds = 0.0;
  double tokens_per_second = 0.0;         ///< since the line before
  int64_t total_tokens = 0;               ///< all tokens trained on so far
  int64_t labelled_tokens = 0;            ///< those of them that carried loss
  double grad_norm = 0.0;                 ///< before clipping
  std::vector<double> gate_entropy;       ///< nats, by layer; empty without a router
  std::vector<std::vector<double>> load;  ///< [layer][expert], sums to 1 per layer
  std::map<std::string, double> balance;  ///< balance losses before their coefficient, by name
  /// What they would be with undecided gates and equal load; in the first line of a run.
  std::map<std::string, double> balance_if_uniform;
  int64_t peak_memory_bytes = 0;

  double percentage() const;
  /// Mean over layers, or empty.
  std::optional<double> mean_entropy() const;
  /// Largest load over mean load, mean over layers, or empty.
  std::optional<double> load_imbalance() const;

  /// LLaMA-Factory's keys (current_steps, total_steps, loss, eval_loss, lr, epoch, percentage,
  /// elapsed_time, remaining_time "h:mm:ss", throughput, total_tokens), then ours.
  Json json() const;
};

/// The most this process has had in memory so far, from /proc/self/status; 0 where there is none.
int64_t peak_memory_bytes();
/// What can still be had without swapping, from /proc/meminfo; 0 where there is none.
int64_t available_memory_bytes();

}  // namespace lmoe::train
