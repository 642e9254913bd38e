#include "train/step_reporter.h"

namespace lmoe::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

void StepReporter::begin(const TrainerState& state) {
  begun_ = std::chrono::steady_clock::now();
  first_step_ = state.step;
  report_.step = state.step;
  report_.total_steps = total_steps_;
  add_line(state);
}

void StepReporter::add_step(const TrainerState& state,
                            const GradientResult& gradients,
                            double norm,
                            double rate) {
  report_ = {};
  report_.step = state.step;
  report_.total_steps = total_steps_;
  report_.loss = gradients.loss;
  report_.lr = rate;
  report_.epoch = epoch();
  report_.total_tokens = state.total_tokens;
  report_.labelled_tokens = state.labelled_tokens;
  report_.grad_norm = norm;
  report_.gate_entropy = gradients.router.entropy();
  report_.load = gradients.router.load();
  report_.balance = gradients.balance;
  if (state.step == 1) report_.balance_if_uniform = mixture_.losses_if_uniform();
  report_.elapsed_seconds = state.elapsed_seconds + seconds();
  const auto done = static_cast<double>(state.step - first_step_);
  report_.remaining_seconds = seconds() / done * static_cast<double>(total_steps_ - state.step);
  report_.tokens_per_second =
      static_cast<double>(state.total_tokens - tokens_at_last_line_) / seconds_since(last_line_);
  report_.peak_memory_bytes = peak_memory_bytes();
}

void StepReporter::add_validation(const ValidationResult& validation) {
  report_.eval_loss = validation.loss;
  report_.eval_pair_accuracy = validation.pair_accuracy;
}

void StepReporter::add_line(const TrainerState& state) {
  last_line_ = std::chrono::steady_clock::now();
  tokens_at_last_line_ = state.total_tokens;
}

double StepReporter::seconds() const { return seconds_since(begun_); }

double StepReporter::epoch() {
  if (rows_in_epoch_.first != rows_.epoch())
    rows_in_epoch_ = {rows_.epoch(), rows_.rows_in_epoch(rows_.epoch())};
  return static_cast<double>(rows_.epoch()) +
         static_cast<double>(rows_.row()) / static_cast<double>(rows_in_epoch_.second);
}

}  // namespace lmoe::train
