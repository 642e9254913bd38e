#include "cli/torch/dry_run.h"

#include <cstdio>
#include <map>

#include "arch/weight_inventory.h"
#include "base/config_node.h"
#include "base/log.h"
#include "cli/terminal.h"
#include "cli/torch/run_setup.h"
#include "data/preview.h"
#include "train/cadence.h"
#include "train/memory_forecast.h"
#include "train/memory_shortage.h"
#include "train/step_report.h"

namespace lmoe::cli {
namespace {

void print_sample(const DataSetup& data) {
  for (const data::EncodedDataset& set : data.training.train) {
    if (set.examples.empty()) continue;
    std::printf(
        "\nsample of %s, line %lld (what carries loss is between « and "
        "»)\n%s\n",
        set.name.c_str(), static_cast<long long>(set.examples[0].line),
        data::preview(set.examples[0], data.renderer->tokenizer()).c_str());
    return;
  }
}

/// "210 projections: q_proj 30, k_proj 30, …"
std::string targets_text(const std::vector<std::string>& paths) {
  std::map<std::string, int> counts;
  for (const std::string& path : paths) ++counts[path.substr(path.rfind('.') + 1)];
  std::string text = std::to_string(paths.size()) + " projections:";
  for (const auto& [name, count] : counts) text += " " + name + " " + std::to_string(count);
  return text;
}

void print_memory(const recipe::Recipe& recipe, const arch::BaseModel& base) {
  const arch::ModelConfig& config = base.config;
  const arch::WeightInventory weights = arch::inventory(base);
  const int64_t bytes = element_bytes(recipe), available = train::available_memory_bytes();
  std::printf("\nexpected peak memory: %s; available now: %s\n",
              train::forecast_memory(recipe, config, bytes, weights).text().c_str(),
              bytes_text(static_cast<double>(available)).c_str());
  if (const std::string shortage =
          train::memory_shortage(recipe, config, bytes, available, weights);
      !shortage.empty())
    log().warn("training would be refused: it {}", shortage);
}

}  // namespace

int print_dry_run(const recipe::Recipe& recipe) {
  std::printf("recipe\n%s", yaml_from_json(recipe::effective_config(recipe)).c_str());
  const DataSetup data = prepare_data(recipe);
  print_sample(data);
  print_memory(with_fillable_caches(recipe, data), *data.base);
  ModelSetup model = prepare_model(recipe, data);
  start_from_finished(recipe, data, model);
  std::printf("\ntargets hit: %s\n", targets_text(model.mixture->target_paths()).c_str());
  std::printf("parameters: %lld trained, %lld frozen\n",
              static_cast<long long>(trained_count(model)),
              static_cast<long long>(model.decoder->parameter_count()));
  std::printf("rows per epoch: %lld, optimizer steps: %lld\n",
              static_cast<long long>(data.rows->rows_in_epoch(0)),
              static_cast<long long>(train::plan_cadence(recipe, *data.rows).total_steps));
  return 0;
}

}  // namespace lmoe::cli
