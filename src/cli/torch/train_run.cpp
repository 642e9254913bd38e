#include "cli/torch/train_run.h"

#include <ATen/Parallel.h>

#include <cstdio>
#include <memory>

#include "arch/weight_inventory.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/interrupt.h"
#include "cli/report_data.h"
#include "cli/terminal.h"
#include "cli/torch/keep_memory.h"
#include "cli/torch/run_report.h"
#include "cli/torch/run_setup.h"
#include "cli/torch/top_k_choice.h"
#include "cli/torch/train_progress.h"
#include "distributed/all_or_none.h"
#include "train/checkpoint.h"
#include "train/memory_shortage.h"
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

/// Only the first worker's makes and locks anything.
std::unique_ptr<train::RunFolder> open_folder(const recipe::RunOptions& options,
                                              distributed::ProcessGroup& group) {
  std::unique_ptr<train::RunFolder> folder;
  std::string checkpoint;
  distributed::by_first(group, [&] {
    folder = std::make_unique<train::RunFolder>(options);
    if (folder->resume_from()) checkpoint = folder->resume_from()->string();
  });
  checkpoint = group.broadcast_text(checkpoint);
  if (!group.is_first())
    folder = std::make_unique<train::RunFolder>(
        options, checkpoint.empty() ? std::nullopt : std::optional<fs::path>(checkpoint));
  return folder;
}

std::optional<arch::FrozenWeights> rounding_of(const recipe::Recipe& recipe,
                                               const arch::BaseModel& base) {
  return arch::inventory(base).rounding(recipe.batch.frozen_weights, element_bytes(recipe));
}

/// What a run needs besides its folder.
struct RunSetup {
  DataSetup data;
  arch::ContentHash base_hash;
  ModelSetup model;
};

RunSetup prepare(const recipe::Recipe& recipe, bool resumes, int64_t available_bytes) {
  RunSetup setup;
  setup.data = prepare_data(recipe);
  const arch::BaseModel& base = *setup.data.base;
  train::check_memory(with_fillable_caches(recipe, setup.data), base.config, element_bytes(recipe),
                      available_bytes, arch::inventory(base));
  setup.base_hash = hash_base(base);
  setup.model = prepare_model(recipe, setup.data);
  if (!resumes) start_from_finished(recipe, setup.data, setup.model);
  log().info("training {} parameters in {} projections, {} frozen", trained_count(setup.model),
             setup.model.mixture->target_paths().size(), setup.model.decoder->parameter_count());
  return setup;
}

void describe(const distributed::ProcessGroup& group, int64_t micro_batches) {
  if (group.size() == 1) return;
  log().info("{} workers with {} threads each share out the {} micro-batches of a step",
             group.size(), at::get_num_threads(), micro_batches);
}

}  // namespace

int resume_run(const recipe::Recipe& recipe, Workers& workers) {
  if (train::is_finished(recipe.run.output_dir)) {
    if (workers.group().is_first()) say_already_complete(recipe.run.output_dir);
    return 0;
  }
  return train_run(recipe, workers);
}

int train_run(const recipe::Recipe& recipe, Workers& workers) {
  catch_interrupts();
  keep_freed_memory();
  distributed::ProcessGroup& group = workers.group();
  const std::unique_ptr<train::RunFolder> folder = open_folder(recipe.run, group);
  if (recipe.run.auto_resume_from_checkpoints && !folder->resume_from())
    log().info("{} has no checkpoint: starting from the beginning", folder->path().string());
  const bool was_finished = folder->resume_from() && train::is_finished(folder->path());
  describe(group, recipe.batch.gradient_accumulation_steps);
  const std::map<std::string, std::string> table = choose_top_k_table(recipe, *folder, group);
  RunSetup setup;
  // Before any worker of this machine takes memory for its model.
  const int64_t available = train::available_memory_bytes() / workers.local_size();
  distributed::all_or_none(
      group, [&] { setup = prepare(recipe, folder->resume_from().has_value(), available); });
  auto& [data, base_hash, model] = setup;

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
      return train::validate(*objective, setup.data.validation_rows, train::kValidationTokens,
                             go_on, group);
    };
  }
  std::map<std::string, std::string> kept = side_files(recipe, *data.base, base_hash);
  kept.insert(table.begin(), table.end());
  const train::TrainJob job{recipe,
                            *folder,
                            *model.decoder,
                            *model.mixture,
                            *data.rows,
                            {data.base->name, base_hash, rounding_of(recipe, *data.base)},
                            std::move(kept),
                            model.reward_head.get(),
                            group};
  const train::TrainResult result = train::train(job, callbacks);
  if (!group.is_first()) return result.interrupted ? 130 : 0;
  if (was_finished) {
    say_already_complete(folder->path());
    return 0;
  }
  say_result(result, folder->path());
  if (result.interrupted) {
    std::fprintf(stderr, "interrupted; go on with: lmoe resume %s\n", folder->path().c_str());
    return 130;
  }
  if (recipe.run.plot_loss) look_at(folder->path(), data, model);
  return 0;
}

}  // namespace lmoe::cli
