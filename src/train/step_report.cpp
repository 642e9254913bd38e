#include "train/step_report.h"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "base/duration.h"

namespace lmoe::train {
namespace {

/// The number of a "Name:   123 kB" line, in bytes.
int64_t kilobytes_line(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name + ":", 0) == 0)
      return std::strtoll(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

double StepReport::percentage() const {
  return total_steps > 0 ? 100.0 * static_cast<double>(step) / static_cast<double>(total_steps)
                         : 0.0;
}

std::optional<double> StepReport::mean_entropy() const {
  if (gate_entropy.empty()) return std::nullopt;
  return mean(gate_entropy);
}

std::optional<double> StepReport::load_imbalance() const {
  if (load.empty()) return std::nullopt;
  std::vector<double> ratios;
  for (const std::vector<double>& shares : load) {
    const double average = mean(shares);
    ratios.push_back(average > 0 ? *std::max_element(shares.begin(), shares.end()) / average : 1.0);
  }
  return mean(ratios);
}

Json StepReport::json() const {
  Json line = {{"current_steps", step}, {"total_steps", total_steps}, {"loss", loss}};
  if (eval_loss) line["eval_loss"] = *eval_loss;
  if (eval_pair_accuracy) line["eval_pair_accuracy"] = *eval_pair_accuracy;
  line["lr"] = lr;
  line["epoch"] = epoch;
  line["percentage"] = percentage();
  line["elapsed_time"] = duration_text(elapsed_seconds);
  line["remaining_time"] = duration_text(remaining_seconds);
  line["throughput"] = tokens_per_second;
  line["total_tokens"] = total_tokens;
  line["labelled_tokens"] = labelled_tokens;
  line["elapsed_seconds"] = elapsed_seconds;
  line["grad_norm"] = grad_norm;
  if (!gate_entropy.empty()) line["gate_entropy"] = gate_entropy;
  if (!load.empty()) line["load"] = load;
  if (!balance.empty()) line["balance"] = balance;
  if (!balance_if_uniform.empty()) line["balance_if_uniform"] = balance_if_uniform;
  line["peak_memory_bytes"] = peak_memory_bytes;
  return line;
}

int64_t peak_memory_bytes() { return kilobytes_line("/proc/self/status", "VmHWM"); }

int64_t available_memory_bytes() { return kilobytes_line("/proc/meminfo", "MemAvailable"); }

}  // namespace lmoe::train
