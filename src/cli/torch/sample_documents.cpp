#include "cli/torch/sample_documents.h"

#include "cli/torch/eval_data.h"
#include "eval/eval_task.h"

namespace lmoe::cli {

SampleDocuments read_documents(const std::vector<std::string>& files,
                               const ChosenModel& model,
                               int64_t most,
                               const std::string& split) {
  SampleDocuments samples;
  for (const data::Dataset& dataset : eval_datasets(files, {}, model.recipe, {}, split)) {
    const eval::EvalTask task = eval::make_task(dataset, *model.renderer, eval::Metric::kAuto);
    for (const eval::EvalItem& item : eval::first_items(task, most).items) {
      samples.documents.push_back({item.ids, item.labels, item.passages});
      samples.origins.push_back(task.name);
    }
  }
  return samples;
}

}  // namespace lmoe::cli
