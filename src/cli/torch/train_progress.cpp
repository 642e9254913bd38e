#include "cli/torch/train_progress.h"

#include <cstdio>

namespace lmoe::cli {
namespace {

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string accuracy_text(const train::StepReport& report) {
  return report.eval_pair_accuracy
             ? ", pair accuracy " + formatted("%.3f", *report.eval_pair_accuracy)
             : std::string();
}

}  // namespace

std::string step_text(const train::StepReport& report) {
  std::string text =
      "epoch " + formatted("%.2f", report.epoch) + " loss " + formatted("%.3f", report.loss);
  if (report.eval_loss) text += " eval_loss " + formatted("%.3f", *report.eval_loss);
  if (report.eval_pair_accuracy)
    text += " eval_pair_accuracy " + formatted("%.3f", *report.eval_pair_accuracy);
  text += " lr " + formatted("%.1e", report.lr) + " tok/s " +
          formatted("%.0f", report.tokens_per_second);
  text += " trained_tokens " + std::to_string(report.total_tokens);
  text += " peak_mem " + bytes_text(static_cast<double>(report.peak_memory_bytes));
  text += " grad " + formatted("%.2f", report.grad_norm);
  if (const auto entropy = report.mean_entropy()) text += " entropy " + formatted("%.2f", *entropy);
  if (const auto load = report.load_imbalance()) text += " load " + formatted("%.2f", *load);
  return text;
}

void TrainProgress::on_event(const train::TrainEvent& event) {
  using Kind = train::TrainEvent::Kind;
  const train::StepReport& report = event.report;
  pause_.reset();
  switch (event.kind) {
    case Kind::kStarted:
      progress_.emplace("train");
      progress_->restart(report.step);
      if (report.step > 0) progress_->line("resuming after step " + std::to_string(report.step));
      break;
    case Kind::kStep:
      progress_->update(report.step, report.total_steps, step_text(report));
      break;
    case Kind::kValidated:
      progress_->line("validation after step " + std::to_string(report.step) + ": loss " +
                      formatted("%.4f", report.eval_loss.value_or(0.0)) + accuracy_text(report));
      break;
    case Kind::kSaved:
      progress_->line("saved " + event.path.string());
      break;
    case Kind::kFinished:
      progress_->finish(step_text(report));
      progress_.reset();
      break;
    case Kind::kValidating:
      pause_.emplace("validating after step " + std::to_string(report.step));
      break;
    case Kind::kSaving:
      pause_.emplace("saving " + event.path.string());
      break;
  }
}

void TrainProgress::on_validation(int64_t done, int64_t total) {
  if (pause_) pause_->update(done, total);
}

}  // namespace lmoe::cli
