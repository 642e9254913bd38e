#include "cli/torch/train_run.h"

#include <cstdio>

#include "base/files.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/report_data.h"
#include "cli/terminal.h"
#include "cli/torch/run_report.h"
#include "cli/torch/run_setup.h"
#include "cli/torch/train_progress.h"
#include "train/memory_forecast.h"
#include "train/trainer.h"
#include "train/validation.h"

namespace lmoe::cli {
namespace {

void say_result(const train::TrainResult& result, const fs::path& folder) {
  std::printf(
      "trained %lld steps, %lld tokens (%lld labelled) in %s, peak "
      "memory %s\nrun: %s\n",
      static_cast<long long>(result.steps), static_cast<long long>(result.total_tokens),
      static_cast<long long>(result.labelled_tokens), duration_text(result.seconds).c_str(),
      bytes_text(static_cast<double>(result.peak_memory_bytes)).c_str(), folder.c_str());
}

}  // namespace

int train_run(const recipe::Recipe& recipe) {
  catch_interrupts();
  const train::RunFolder folder(recipe.run);
  DataSetup data = prepare_data(recipe);
  train::check_memory(recipe, data.base->config, element_bytes(recipe),
                      train::available_memory_bytes());
  const std::string content_hash = data.base->content_hash();
  ModelSetup model = prepare_model(recipe, *data.base);
  log().info("training {} parameters in {} projections, {} frozen",
             model.mixture->parameter_count(), model.mixture->target_paths().size(),
             model.decoder->parameter_count());

  TrainProgress progress;
  train::TrainCallbacks callbacks;
  callbacks.on_event = [&](const train::TrainEvent& event) { progress.on_event(event); };
  callbacks.should_stop = [] { return interrupted(); };
  if (!data.validation_rows.empty()) {
    callbacks.validate = [&] {
      return train::validation_loss(*model.decoder, data.validation_rows);
    };
  }
  const train::TrainJob job{recipe,
                            folder,
                            *model.decoder,
                            *model.mixture,
                            *data.rows,
                            {data.base->name, content_hash},
                            side_files(recipe, *data.base)};
  const train::TrainResult result = train::train(job, callbacks);
  say_result(result, folder.path());
  if (result.interrupted) {
    std::fprintf(stderr, "interrupted; go on with: lmoe resume %s\n", folder.path().c_str());
    return 130;
  }
  if (recipe.run.plot_loss) {
    write_report(folder.path());  // the curves at least, should the look at the router be cut short
    write_run_report(recipe, folder.path(), data, model);
  }
  return 0;
}

}  // namespace lmoe::cli
