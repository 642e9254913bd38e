#include "cli/torch/refit.h"

#include <cstdio>
#include <map>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "cli/torch/eval_data.h"
#include "eval/eval_task.h"
#include "eval/table.h"
#include "runner/refit_documents.h"

namespace lmoe::cli {
namespace {

constexpr int64_t kMostDocuments = 256;

struct Samples {
  std::vector<runner::Document> documents;
  std::vector<std::string> origins;  ///< the data set of each
};

Samples read_samples(const std::vector<std::string>& files, const ChosenModel& model) {
  Samples samples;
  for (const data::Dataset& dataset : eval_datasets(files, {}, model.recipe)) {
    const eval::EvalTask task = eval::make_task(dataset, *model.renderer, eval::Metric::kAuto);
    for (const eval::EvalItem& item : eval::first_items(task, kMostDocuments).items) {
      samples.documents.push_back({item.ids, item.labels});
      samples.origins.push_back(task.name);
    }
  }
  return samples;
}

/// "math: 60 documents (scan 58, snips 2)" for each expert.
void print_shares(const mixture::RefittedGates& refit, const Samples& samples) {
  const std::vector<std::string> names = refit.mixture->spec().expert_names();
  std::vector<std::map<std::string, int>> shares(names.size());
  for (size_t n = 0; n < samples.origins.size(); ++n) {
    const auto cluster = static_cast<size_t>(refit.cluster_of[n]);
    ++shares[static_cast<size_t>(refit.expert_of[cluster])][samples.origins[n]];
  }
  std::vector<std::vector<std::string>> rows = {{"expert", "documents", "of"}};
  for (size_t e = 0; e < names.size(); ++e) {
    int sum = 0;
    std::string list;
    for (const auto& [origin, count] : shares[e]) {
      sum += count;
      list += (list.empty() ? "" : ", ") + concat(origin, " ", count);
    }
    rows.push_back({names[e], std::to_string(sum), list});
  }
  std::fprintf(stderr, "%s", eval::align_columns(rows).c_str());
}

}  // namespace

std::unique_ptr<mixture::Mixture> refit_on(const std::vector<std::string>& files,
                                           std::optional<double> ridge,
                                           ChosenModel& model) {
  LMOE_CHECK_ARG(!files.empty(), "[experts] refit needs documents; hint: --data FILE");
  const Samples samples = read_samples(files, model);
  Progress progress("documents with each expert");
  const auto go_on = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    if (interrupted() && done < total)
      fail(ErrorCode::kInterrupted, "[experts] refit was interrupted; nothing was written");
  };
  mixture::RefittedGates refit =
      runner::refit_on_documents(*model.loaded->decoder, *model.loaded->mixture, samples.documents,
                                 ridge.value_or(1e-8), go_on);
  progress.finish();
  print_shares(refit, samples);
  return std::move(refit.mixture);
}

}  // namespace lmoe::cli
