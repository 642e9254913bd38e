#include "cli/torch/train_run.h"

#include <cstdio>

#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/report_data.h"
#include "cli/terminal.h"
#include "cli/torch/run_report.h"
#include "cli/torch/run_setup.h"
#include "cli/torch/train_progress.h"
#include "train/checkpoint.h"
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

void say_already_complete(const fs::path& run) {
  std::printf("already complete: all steps are done\nrun: %s\nscore it with: lmoe eval %s\n",
              run.c_str(), run.c_str());
}

/// The run is complete whatever becomes of this.
void look_at(const fs::path& run, const DataSetup& data, ModelSetup& model) {
  write_report(run);  // the curves at least, should the look at the router be cut short
  try {
    write_run_report(run, data, model);
  } catch (const Error& error) {
    std::fprintf(stderr, "the run is complete: %s; only the first look at it %s\n", run.c_str(),
                 error.code() == ErrorCode::kInterrupted ? "was interrupted" : "failed");
    if (error.code() != ErrorCode::kInterrupted) throw;
    std::fprintf(stderr, "score it with: lmoe eval %s\n", run.c_str());
  }
}

}  // namespace

int resume_run(const recipe::Recipe& recipe) {
  if (train::is_finished(recipe.run.output_dir)) {
    say_already_complete(recipe.run.output_dir);
    return 0;
  }
  return train_run(recipe);
}

int train_run(const recipe::Recipe& recipe) {
  catch_interrupts();
  train::RunFolder folder(recipe.run);
  if (recipe.run.auto_resume_from_checkpoints && !folder.resume_from())
    log().info("{} has no checkpoint: starting from the beginning", folder.path().string());
  const bool was_finished = folder.resume_from() && train::is_finished(folder.path());
  const DataSetup data = prepare_data(recipe);
  train::check_memory(recipe, data.base->config, element_bytes(recipe),
                      train::available_memory_bytes());
  const arch::ContentHash content_hash = hash_base(*data.base);
  ModelSetup model = prepare_model(recipe, data);
  if (!folder.resume_from()) start_from_finished(recipe, *data.base, model);
  log().info("training {} parameters in {} projections, {} frozen", trained_count(model),
             model.mixture->target_paths().size(), model.decoder->parameter_count());

  TrainProgress progress;
  train::TrainCallbacks callbacks;
  callbacks.on_event = [&](const train::TrainEvent& event) { progress.on_event(event); };
  callbacks.should_stop = [] { return interrupted(); };
  const auto objective =
      train::make_objective(*model.decoder, *model.mixture, model.reward_head.get());
  if (!data.validation_rows.empty()) {
    callbacks.validate = [&] {
      const auto go_on = [&](int64_t done, int64_t total) {
        progress.on_validation(done, total);
        if (interrupted() && done < total)
          fail(ErrorCode::kInterrupted, "[validation] interrupted after ", done, " of ", total,
               " rows");
      };
      return train::validate(*objective, data.validation_rows, train::kValidationTokens, go_on);
    };
  }
  const train::TrainJob job{recipe,
                            folder,
                            *model.decoder,
                            *model.mixture,
                            *data.rows,
                            {data.base->name, content_hash},
                            side_files(recipe, *data.base, content_hash),
                            model.reward_head.get()};
  const train::TrainResult result = train::train(job, callbacks);
  if (was_finished) {
    say_already_complete(folder.path());
    return 0;
  }
  say_result(result, folder.path());
  if (result.interrupted) {
    std::fprintf(stderr, "interrupted; go on with: lmoe resume %s\n", folder.path().c_str());
    return 130;
  }
  if (recipe.run.plot_loss) look_at(folder.path(), data, model);
  return 0;
}

}  // namespace lmoe::cli
