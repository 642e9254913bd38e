#include "train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "distributed/all_or_none.h"
#include "io/checkpoints.h"
#include "kernels/target.h"
#include "train/agree_on_start.h"
#include "train/cadence.h"
#include "train/checkpoint.h"
#include "train/document_caches.h"
#include "train/frozen_parts.h"
#include "train/gather_over_workers.h"
#include "train/gradients.h"
#include "train/loss_guard.h"
#include "train/lr_schedule.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/run_log.h"
#include "train/step_reporter.h"

namespace lmoe::train {
namespace {

class Trainer {
 public:
  Trainer(const TrainJob& job, const TrainCallbacks& callbacks)
      : job_(job),
        callbacks_(callbacks),
        cadence_(plan_cadence(job.recipe, job.rows)),
        schedule_(job.recipe.optimizer, cadence_.total_steps),
        optimizer_(
            make_optimizer(trained_parameters(job.mixture, job.reward_head), job.recipe.optimizer)),
        caches_(job.recipe, job.decoder.config()),
        guard_(job.recipe.run),
        reporter_(job.rows, job.mixture, cadence_.total_steps) {
    LMOE_ASSERT((job.recipe.objective.kind == recipe::Objective::kPreference) ==
                (job.reward_head != nullptr));
    LMOE_CHECK_ARG(callbacks.validate || !job.recipe.run.eval_steps,
                   "[train] eval_steps cannot act: there is no held-out data; hint: val_set_size");
    check_worker_count(job.group, job.recipe.batch);
    state_.total_steps = cadence_.total_steps;
    state_.base_name = job.base.name;
    state_.base_hash = job.base.hash;
    state_.rounded_to = job.base.rounded_to;
    state_.dtype = at::toString(job.decoder.dtype());
    state_.threads = at::get_num_threads();
    state_.kernels = kernels::chosen_target();
    state_.config = recipe::effective_config(job.recipe);
    state_.data = job.rows.state();
  }

  TrainResult run() {
    begin();
    or_say_what_is_left([&] {
      while (state_.step < cadence_.total_steps && !result_.interrupted) {
        result_.interrupted = !advance();
        if (!result_.interrupted) after_step();
      }
      if (saved_step_ != state_.step) save();
      distributed::by_first(job_.group, [&] {
        write_results(job_.folder.path(), job_.mixture, job_.base.name, job_.side_files,
                      job_.reward_head);
      });
    });
    return finish();
  }

 private:
  void begin() {
    distributed::all_or_none(job_.group, [&] {
      if (job_.folder.resume_from()) resume(*job_.folder.resume_from());
    });
    agree_on_start(job_.group, state_, job_.mixture, job_.reward_head);
    frozen_.emplace(job_.mixture);
    distributed::by_first(job_.group, [&] {
      job_.folder.begin();
      withdraw_results(job_.folder.path());
      write_file_atomically(job_.folder.path() / "config_effective.json", config_text());
      begin_log(job_.folder.log_path(), state_.step);
    });
    reporter_.begin(state_);
    emit(TrainEvent::Kind::kStarted);
  }

  void resume(const std::filesystem::path& checkpoint) {
    const TrainerState saved = read_trainer_state(checkpoint);
    check_same_run(saved, state_);
    restore_tensors(checkpoint, job_.decoder.sockets(), job_.mixture, *optimizer_,
                    job_.reward_head);
    job_.rows.restore(saved.data);
    optimizer_->set_steps(saved.step);
    guard_.set_count(saved.watchdog_count);
    const TrainerState now = std::exchange(state_, saved);
    state_.rounded_to = now.rounded_to;
    state_.threads = now.threads;
    state_.kernels = now.kernels;
    state_.config = now.config;
    saved_step_ = saved.step;
    result_.last_checkpoint = checkpoint;
  }

  /// A run that diverged, or lost a worker at whatever it was doing, says what is left of it.
  void or_say_what_is_left(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      const bool is_lost = dynamic_cast<const distributed::WorkerLost*>(&error) != nullptr;
      if (error.code() != ErrorCode::kDiverged && !is_lost) throw;
      // Asked of the disk: the first worker may have saved what this one was never told of.
      const auto left = io::newest_complete_checkpoint(job_.folder.checkpoints());
      fail(error.code(), error.what(),
           left ? "; the last checkpoint is " + left->string() : "; no checkpoint was saved yet");
    }
  }

  /// One optimizer step. False when it was interrupted; `state_` and the parameters are then those
  /// after the step before.
  bool advance() {
    const int64_t number = state_.step + 1;
    const std::vector<data::PackedRow> rows = draw_rows();
    clear_gradients(optimizer_->parameters());
    const double progress =
        static_cast<double>(state_.step) / static_cast<double>(cadence_.total_steps);
    if (job_.mixture.advance_to(progress)) begin_stage();
    const GradientResult gradients = gather_over_workers(
        job_.group,
        {job_.decoder, job_.mixture, rows, job_.recipe.batch.micro_batch_size, number,
         static_cast<uint64_t>(job_.recipe.batch.seed), is_logged(number), &callbacks_.should_stop,
         progress, caches_.first_pass(), caches_.frozen_prefix(),
         job_.recipe.batch.gradient_checkpointing, job_.reward_head},
        optimizer_->parameters());
    if (gradients.interrupted) return false;
    frozen_->clear_gradients();
    const double norm = common_norm();
    distributed::told_by_first(job_.group, [&] {
      LossGuard::check_finite("gradient norm", norm, number, concat(rows.size(), " rows"));
    });
    clip_gradients(optimizer_->parameters(), norm, job_.recipe.optimizer.max_grad_norm);
    const double rate = schedule_.at(state_.step);
    optimizer_->step(rate);
    frozen_->restore();
    job_.mixture.update_biases(gradients.selections, progress);
    clear_gradients(optimizer_->parameters());

    state_.step = number;
    state_.total_tokens += gradients.tokens;
    state_.labelled_tokens += gradients.labelled_tokens;
    state_.data = job_.rows.state();
    reporter_.add_step(state_, gradients, norm, rate);
    distributed::told_by_first(job_.group, [&] { guard_.watch(gradients.loss, number); });
    state_.watchdog_count = guard_.count();
    return true;
  }

  /// The first worker's: sums over unequal numbers of threads may differ in their last bits.
  double common_norm() {
    std::vector<double> norm = {job_.group.is_first() ? gradient_norm(optimizer_->parameters())
                                                      : 0.0};
    job_.group.sum(norm);
    return norm[0];
  }

  /// Another expert learns from here on.
  void begin_stage() {
    optimizer_->forget();
    frozen_.emplace(job_.mixture);
  }

  std::vector<data::PackedRow> draw_rows() {
    const recipe::BatchOptions& batch = job_.recipe.batch;
    std::vector<data::PackedRow> rows;
    for (int64_t i = 0; i < batch.micro_batch_size * batch.gradient_accumulation_steps; ++i)
      rows.push_back(job_.rows.next());
    return rows;
  }

  bool is_logged(int64_t step) const {
    return step == 1 || is_due(step, job_.recipe.run.logging_steps, cadence_.total_steps) ||
           is_validated(step);
  }

  bool is_validated(int64_t step) const {
    return callbacks_.validate && is_due(step, cadence_.eval_every, cadence_.total_steps);
  }

  void after_step() {
    if (is_validated(state_.step)) validate();
    const bool logged = is_logged(state_.step);
    if (logged) {
      distributed::by_first(job_.group,
                            [&] { append_report(job_.folder.log_path(), reporter_.report()); });
      reporter_.add_line(state_);
    }
    result_.loss = reporter_.report().loss;
    emit(TrainEvent::Kind::kStep, {}, logged);
    if (state_.step == cadence_.total_steps || job_.rows.epoch() > 0) caches_.say_once();
    if (is_due(state_.step, cadence_.save_every, cadence_.total_steps)) save();
  }

  void validate() {
    emit(TrainEvent::Kind::kValidating);
    try {
      reporter_.add_validation(callbacks_.validate());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInterrupted) throw;
      return;
    }
    result_.eval_loss = reporter_.report().eval_loss;
    emit(TrainEvent::Kind::kValidated);
  }

  void save() {
    const std::filesystem::path target =
        job_.folder.checkpoints() / io::checkpoint_name(state_.step);
    emit(TrainEvent::Kind::kSaving, target);
    TrainerState state = state_;
    state.elapsed_seconds += reporter_.seconds();
    std::map<std::string, std::string> side_files = job_.side_files;
    side_files["config_effective.json"] = config_text();
    distributed::by_first(job_.group, [&] {
      write_checkpoint(target, state, job_.mixture, *optimizer_, side_files, job_.reward_head);
      prune_checkpoints(job_.folder.checkpoints(), job_.recipe.run.save_total_limit);
    });
    saved_step_ = state_.step;
    result_.last_checkpoint = target;
    emit(TrainEvent::Kind::kSaved, target);
  }

  TrainResult finish() {
    result_.steps = state_.step;
    result_.total_steps = cadence_.total_steps;
    result_.total_tokens = state_.total_tokens;
    result_.labelled_tokens = state_.labelled_tokens;
    result_.seconds = state_.elapsed_seconds + reporter_.seconds();
    result_.peak_memory_bytes = peak_memory_bytes();
    emit(TrainEvent::Kind::kFinished, job_.folder.path());
    return result_;
  }

  std::string config_text() const { return state_.config.dump(2) + "\n"; }

  void emit(TrainEvent::Kind kind, const std::filesystem::path& path = {}, bool logged = false) {
    if (callbacks_.on_event) callbacks_.on_event({kind, reporter_.report(), logged, path});
  }

  const TrainJob& job_;
  const TrainCallbacks& callbacks_;
  Cadence cadence_;
  LrSchedule schedule_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<FrozenParts> frozen_;
  DocumentCaches caches_;
  LossGuard guard_;
  /// As of the last completed step; elapsed_seconds without this process's time.
  TrainerState state_;
  int64_t saved_step_ = -1;
  StepReporter reporter_;
  TrainResult result_;
};

}  // namespace

TrainResult train(const TrainJob& job, const TrainCallbacks& callbacks) {
  std::optional<Trainer> trainer;
  distributed::all_or_none(job.group, [&] { trainer.emplace(job, callbacks); });
  return trainer->run();
}

}  // namespace lmoe::train
